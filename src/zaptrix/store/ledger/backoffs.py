"""Back-off: portals and channels that are to be left alone for a while, as all processes see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from zaptrix.store.connection.database import Connection

# Of a delivery lane: the portal that is delivered to, or the channel that is sent by.
# By its key, whatever the statistics say of a table that is mostly empty.
BACKED_OFF = "((SELECT 1 FROM backoff b WHERE b.lane_id = {lane} AND b.until > now() LIMIT 1) IS NOT NULL)"

# In the order of their lanes (lock order: docs/adr/0034). The newest word counts, be it for longer or for less.
_PUT = """
INSERT INTO backoff (lane_id, until)
SELECT lane_id, until FROM unnest($1::uuid[], $2::timestamptz[]) AS t(lane_id, until) ORDER BY lane_id
ON CONFLICT (lane_id) DO UPDATE SET until = excluded.until
"""


async def put(connection: Connection, until: Mapping[UUID, datetime]) -> None:
    """Leave each of these lanes alone until its time."""
    await connection.execute(_PUT, list(until), list(until.values()))


_END = "DELETE FROM backoff WHERE lane_id = ANY($1)"


async def end(connection: Connection, lane_ids: Sequence[UUID]) -> None:
    """Leave these alone no more."""
    await connection.execute(_END, lane_ids)


_FORGET = "DELETE FROM backoff WHERE until < now() - interval '1 hour'"


async def forget(connection: Connection) -> None:
    """Drop what is long over."""
    await connection.execute(_FORGET)
