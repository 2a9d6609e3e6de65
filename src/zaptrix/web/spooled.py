"""What was spooled on this host goes through the door again, as soon as PostgreSQL is back."""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.app import App
from zaptrix.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_TROUBLED_EVERY_S = 15.0


async def keep_replaying(app: App) -> None:
    """Runs beside the doors of every web process of this host: the spool is its own disk, and nobody else sees it."""
    while True:
        wait_s = _EVERY_S
        try:
            await app.replay.run()
        except StoreUnavailable:
            pass  # what waits, waits on
        except Exception:
            # What is in the spool stands nowhere else: the replay must not end before it does.
            log.exception("spool not replayed", alarm=True)
            wait_s = _TROUBLED_EVERY_S
        await asyncio.sleep(wait_s)
