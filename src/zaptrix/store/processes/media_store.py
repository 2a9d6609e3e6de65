"""The media store in use: the mark that stands in it, and when a process that uses it was last seen."""

from __future__ import annotations

from uuid import UUID

import msgspec

from zaptrix.store.connection.database import Connection


class InUse(msgspec.Struct, frozen=True):
    """`idle_s`: how long no process has been seen that uses it."""

    id: UUID
    idle_s: float


_READ = "SELECT id, extract(epoch FROM now() - seen_at)::float8 AS idle_s FROM media_store"
_FIRST = "INSERT INTO media_store (id) VALUES ($1) ON CONFLICT DO NOTHING"
_SEE = "UPDATE media_store SET seen_at = now() WHERE id = $1"
_REPLACE = """
UPDATE media_store SET id = $2, seen_at = now() WHERE id = $1 AND seen_at < now() - make_interval(secs => $3)
"""


async def in_use(connection: Connection) -> InUse | None:
    row = await connection.fetchrow(_READ)
    return InUse(row["id"], row["idle_s"]) if row else None


async def first(connection: Connection, mark: UUID) -> bool:
    """The first store of all; False when there is one already."""
    return await connection.execute(_FIRST, mark) == "INSERT 0 1"


async def see(connection: Connection, mark: UUID) -> bool:
    """A process uses it; False when another one is in use now."""
    return await connection.execute(_SEE, mark) == "UPDATE 1"


async def replace(connection: Connection, old: UUID, mark: UUID, idle_s: float) -> bool:
    """Another store in place of one that nobody uses; False when somebody does."""
    return await connection.execute(_REPLACE, old, mark, idle_s) == "UPDATE 1"
