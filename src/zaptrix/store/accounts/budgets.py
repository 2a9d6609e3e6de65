"""What each portal has used of the gateway on a day: bytes of journal, bytes of files, time of recoding."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from zaptrix.core.ids import PortalId
from zaptrix.store.connection.database import Connection


class Budget(StrEnum):
    """What is counted by portal and day; the names are columns."""

    JOURNAL = "journal_bytes"
    FILES = "file_bytes"
    RECODING = "recoding_ms"


Spending = tuple[PortalId, Budget]

# Two processes that add to the same portals lock them in the same order. A portal that was deleted spends no more.
_ADD = """
INSERT INTO portal_usage (portal_id, day, journal_bytes, file_bytes, recoding_ms)
SELECT s.portal_id, $1, s.journal_bytes, s.file_bytes, s.recoding_ms
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS s(portal_id, journal_bytes, file_bytes, recoding_ms)
JOIN portal_config p ON p.id = s.portal_id
ORDER BY s.portal_id
ON CONFLICT (portal_id, day) DO UPDATE SET
    journal_bytes = portal_usage.journal_bytes + excluded.journal_bytes,
    file_bytes = portal_usage.file_bytes + excluded.file_bytes,
    recoding_ms = portal_usage.recoding_ms + excluded.recoding_ms
"""


async def add(connection: Connection, day: date, spent: Mapping[Spending, int]) -> None:
    """Add what one process has counted since it added last."""
    portals = sorted({portal_id for portal_id, _ in spent})
    columns = ([spent.get((portal_id, budget), 0) for portal_id in portals] for budget in Budget)
    await connection.execute(_ADD, day, portals, *columns)


_OVER = """
SELECT u.portal_id, used.budget FROM portal_usage u
CROSS JOIN LATERAL (VALUES ('journal_bytes', u.journal_bytes), ('file_bytes', u.file_bytes),
    ('recoding_ms', u.recoding_ms)) AS used(budget, amount)
JOIN unnest($2::text[], $3::bigint[]) AS most(budget, amount) ON most.budget = used.budget
WHERE u.day = $1 AND used.amount >= most.amount
"""


async def over(connection: Connection, day: date, most: Mapping[Budget, int]) -> set[Spending]:
    """The portals that have used `most` or more of something on this day, over all processes."""
    rows = await connection.fetch(_OVER, day, list(most), list(most.values()))
    return {(PortalId(row["portal_id"]), Budget(row["budget"])) for row in rows}


_FORGET = "DELETE FROM portal_usage WHERE day < $1"


async def forget(connection: Connection, before: date) -> None:
    await connection.execute(_FORGET, before)
