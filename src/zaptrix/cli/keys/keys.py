"""What `zaptrix keys` does: secrets counted by their key, and sealed anew under the first one."""

from __future__ import annotations

import msgspec
from rich.progress import Progress

from zaptrix.app import open_app
from zaptrix.settings import Settings
from zaptrix.store.accounts import audit, resealing
from zaptrix.store.accounts.resealing import Sealed


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the secrets. `in_redis`: of cached tokens; None: Redis did not answer."""

    resealed: int
    in_redis: int | None
    unreadable: list[str]


async def look(settings: Settings) -> Sealed:
    """Under which keys secrets are. Raises StoreUnavailable."""
    async with open_app(settings) as app:
        return await resealing.sealed(app.database, app.box)


async def rotate(settings: Settings, progress: Progress) -> Rotated:
    """Put all secrets under the first of ENCRYPTION_KEYS; it may be run again. Raises StoreUnavailable."""
    changed, unreadable = 0, []
    async with open_app(settings) as app:
        task = progress.add_task("portals and channels", total=await resealing.rows(app.database))
        async for batch in resealing.reseal(app.database, app.box):
            changed += batch.resealed
            unreadable += batch.unreadable
            progress.advance(task, batch.rows)
        in_redis = await app.token_cache.reseal(app.box.rotated)
        async with app.database.transaction() as connection:
            await audit.write(connection, "cli", "keys.rotate", "secrets", resealed=changed, unreadable=len(unreadable))
    return Rotated(resealed=changed, in_redis=in_redis, unreadable=unreadable)
