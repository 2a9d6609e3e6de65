"""Delivery lanes: who has something to prove, to send or to be told, and whose bell may be lost."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from zaptrix.core.message.message import Direction
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger.claims import ROUND_OF
from zaptrix.store.ledger.confirmations import BACK, OF_ROUND

# Hops from owner to owner along the index: a look at a round costs what it returns. The last row is for confirmations.
_DUE = """
WITH RECURSIVE owners AS (
    (SELECT lane_id, due_at FROM message
     WHERE direction = $1 AND {lanes_round} = $2 AND state IN ('pending', 'verifying')
     ORDER BY lane_id, due_at LIMIT 1)
    UNION ALL
    SELECT n.* FROM owners o CROSS JOIN LATERAL (
        SELECT lane_id, due_at FROM message
        WHERE direction = $1 AND {lanes_round} = $2 AND state IN ('pending', 'verifying') AND lane_id > o.lane_id
        ORDER BY lane_id, due_at LIMIT 1) n
)
SELECT o.lane_id AS id, o.due_at <= now() AND b.until IS NULL AS due,
    coalesce((SELECT min(v.due_at) FROM message v WHERE v.lane_id = o.lane_id AND v.state = 'verifying') <= now(),
        false) AND b.until IS NULL AS to_prove,
    coalesce(b.until, (SELECT min(n.due_at) FROM message n WHERE n.direction = $1 AND {lanes_round} = $2
        AND n.lane_id = o.lane_id AND n.state IN ('pending', 'verifying') AND n.due_at > now())) AS next_at
FROM owners o LEFT JOIN backoff b ON b.lane_id = o.lane_id AND b.until > now()
UNION ALL
(SELECT NULL, c.due_at <= now(), false, (
    SELECT min(due_at) FROM confirmation WHERE direction = $3 AND {confirm_round} = $2 AND due_at > now())
FROM confirmation c WHERE direction = $3 AND {confirm_round} = $2 ORDER BY due_at LIMIT 1)
""".format(lanes_round=ROUND_OF.format(owner="lane_id"), confirm_round=OF_ROUND)  # noqa: S608


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a portal or channel has open; `id` None: the round's confirmations. `next_at`: of what is not due yet."""

    id: UUID | None
    due: bool
    to_prove: bool
    next_at: datetime | None


async def due(connection: Connection, direction: Direction, number: int) -> list[Due]:
    """Who of a round of delivery has something open, and whether there is something to confirm."""
    rows = await connection.fetch(_DUE, direction.value, number, BACK[direction].value)
    return [Due(**row) for row in rows]
