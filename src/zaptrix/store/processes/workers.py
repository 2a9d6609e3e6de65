"""Workers: a row each with a lease, so that the claims of one that died or stands still are others' within seconds.

A claim's `attempt_id` begins with its worker's id (`core.ids`). A worker whose lease ran out is *ended* by another one,
once and for good: only then are its claims taken over, and it never uses that id again. Until then it may renew a lease
that ran out: after an outage of PostgreSQL's everybody's has. So only who has renewed his own in time for a while may
end others: they had the time to do so, too.
"""

from __future__ import annotations

import msgspec

from zaptrix.core.ids import WorkerId
from zaptrix.store.connection.database import Connection

_REGISTER = """
INSERT INTO worker (id, host, pid, version, lease_until, steady_since)
VALUES ($1, $3, $4, $5, clock_timestamp() + make_interval(secs => $2), clock_timestamp())
"""
# Who renews with less than half of its lease left was late, or PostgreSQL was away: the others may be late as well.
_RENEW = """
WITH renewed AS (
    UPDATE worker SET lease_until = clock_timestamp() + make_interval(secs => $2),
        steady_since = CASE WHEN lease_until > clock_timestamp() + make_interval(secs => $2::float8 / 2)
            THEN steady_since ELSE clock_timestamp() END
    WHERE id = $1 AND ended_at IS NULL RETURNING steady_since
)
SELECT steady_since < clock_timestamp() - make_interval(secs => $2::float8 / 2)
    AND EXISTS (SELECT FROM worker WHERE ended_at IS NULL AND lease_until < clock_timestamp())
FROM renewed
"""
# Who was ended by another meanwhile, or renewed its lease, is left alone.
_END_LATE = """
WITH late AS MATERIALIZED (
    SELECT id FROM worker WHERE ended_at IS NULL AND lease_until < clock_timestamp() FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE worker SET ended_at = clock_timestamp() FROM late WHERE worker.id = late.id RETURNING host, pid
"""
_LEAVE = "UPDATE worker SET ended_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL"
_ENDED = "SELECT id FROM worker WHERE ended_at IS NOT NULL"
_FORGET = "DELETE FROM worker WHERE ended_at < clock_timestamp() - make_interval(secs => $1)"
_KNOWN = """
SELECT host, pid, version, ended_at IS NULL AND lease_until > clock_timestamp() - make_interval(secs => $1) AS lives
FROM worker ORDER BY host, started_at
"""


class WorkerPlace(msgspec.Struct, frozen=True):
    """Where a worker process runs, for people."""

    host: str
    pid: int


class WorkerAtWork(msgspec.Struct, frozen=True):
    """A worker that gives its heartbeat, and the release that it runs."""

    place: WorkerPlace
    version: str


class Renewal(msgspec.Struct, frozen=True):
    """`others_late`: somebody's lease has run out, and it is ours to end him (`end_late`)."""

    others_late: bool


async def register(connection: Connection, worker: WorkerId, lease_s: float, place: WorkerPlace, version: str) -> None:
    """A process that claims begins, for `lease_s`."""
    await connection.execute(_REGISTER, worker, lease_s, place.host, place.pid, version)


async def renew(connection: Connection, worker: WorkerId, lease_s: float) -> Renewal | None:
    """It goes on for `lease_s` from now. None: another has ended it, and it has to register anew, under a new id."""
    others_late = await connection.fetchval(_RENEW, worker, lease_s)
    return None if others_late is None else Renewal(others_late)


async def end_late(connection: Connection) -> list[WorkerPlace]:
    """End those whose lease has run out."""
    return [WorkerPlace(row["host"], row["pid"]) for row in await connection.fetch(_END_LATE)]


async def leave(connection: Connection, worker: WorkerId) -> None:
    """It stops, and claims nothing more; what it could not finish is others' at once."""
    await connection.execute(_LEAVE, worker)


async def ended(connection: Connection) -> list[WorkerId]:
    """Those that ended lately: what is still claimed by them is nobody's."""
    return [WorkerId(row["id"]) for row in await connection.fetch(_ENDED)]


async def forget(connection: Connection, kept_s: float) -> None:
    """Those that ended longer ago; a claim of theirs that was still on its way then ends by its own lease."""
    await connection.execute(_FORGET, kept_s)


async def at_work(connection: Connection, late_s: float) -> list[WorkerAtWork] | None:
    """Those that gave a heartbeat lately; None: there was never one here that gives any.

    `late_s`: so long a lease may have run out; after an outage of PostgreSQL's everybody's has, for a moment.
    """
    rows = await connection.fetch(_KNOWN, late_s)
    living = [WorkerAtWork(WorkerPlace(row["host"], row["pid"]), row["version"]) for row in rows if row["lives"]]
    return living if rows else None
