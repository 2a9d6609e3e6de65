"""The audit trail: who changed what, and when.

It never holds secrets, phones or texts.
"""

from __future__ import annotations

import msgspec

from zaptrix.store.connection.database import Connection

_WRITE = "INSERT INTO audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4::jsonb)"


async def write(connection: Connection, actor: str, action: str, subject: str, **detail: object) -> None:
    """One line, in the transaction of the change itself."""
    await connection.execute(_WRITE, actor, action, subject, msgspec.json.encode(detail).decode())


_FORGET = "DELETE FROM audit WHERE at < now() - make_interval(days => $1)"


async def forget(connection: Connection, days: int) -> None:
    """Forget what is older than `days`."""
    await connection.execute(_FORGET, days)
