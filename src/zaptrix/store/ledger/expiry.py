"""Expiry: claims whose holder is gone are others' again.

By its own lease a claim lasts as long as the longest call may take. Of a worker that has ended
(`store/processes/workers.py`) nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Sequence

from zaptrix.core.ids import WorkerId
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger.claims import Way, ways

# Whom somebody holds right now is not dead: it is about to be settled.
_EXPIRE = """
WITH dead AS MATERIALIZED (
    SELECT id FROM message WHERE state = 'sending' AND {gone} FOR UPDATE SKIP LOCKED
)
UPDATE message SET state = 'verifying', attempts = attempts + 1, attempt_id = NULL, error_code = 'runner_died',
    due_at = now() + make_interval(secs => CASE direction WHEN 'inbound' THEN $2::float8 ELSE $3::float8 END)
FROM dead WHERE message.id = dead.id
RETURNING message.id, direction, lane_id
"""
_OF_ENDED = "substring(uuid_send(attempt_id) FOR 8) = ANY($1::bytea[])"
_EXPIRE_LATE = _EXPIRE.format(gone="claimed_at < now() - make_interval(secs => $1)")
_EXPIRE_ENDED = _EXPIRE.format(gone=_OF_ENDED)
# Who looks for a proof or fetches a file has changed nothing out there: another begins it anew.
_FREE_PROOFS = f"""
WITH dead AS MATERIALIZED (
    SELECT id FROM message WHERE state = 'verifying' AND {_OF_ENDED} FOR UPDATE SKIP LOCKED
)
UPDATE message SET attempt_id = NULL, due_at = now() FROM dead WHERE message.id = dead.id
RETURNING message.id, direction, lane_id
"""  # noqa: S608
_FREE_FILES = f"""
WITH dead AS MATERIALIZED (
    SELECT message_id FROM file WHERE state = 'wanted' AND {_OF_ENDED} FOR UPDATE SKIP LOCKED
)
UPDATE file SET attempt_id = NULL, due_at = now() FROM dead WHERE file.message_id = dead.message_id
"""  # noqa: S608


async def expire(connection: Connection, lease_s: float, bitrix_wait_s: float, whatsapp_wait_s: float) -> list[Way]:
    """Messages whose claim has run out while they were sent: perhaps they went out. Their lanes."""
    return ways(await connection.fetch(_EXPIRE_LATE, lease_s, bitrix_wait_s, whatsapp_wait_s))


async def take_over(
    connection: Connection, ended: Sequence[WorkerId], bitrix_wait_s: float, whatsapp_wait_s: float
) -> list[Way]:
    """The same of what these workers were sending; what they looked for proofs of or fetched is begun anew."""
    expired = await connection.fetch(_EXPIRE_ENDED, ended, bitrix_wait_s, whatsapp_wait_s)
    proofs = await connection.fetch(_FREE_PROOFS, ended)
    await connection.execute(_FREE_FILES, ended)
    return ways(expired) + ways(proofs)
