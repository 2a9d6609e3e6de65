"""The gateway's heartbeat: before requests are accepted, and then as long as they are."""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.app import App
from zaptrix.core.limits import BEAT_S
from zaptrix.store.connection.database import StoreUnavailable

log = structlog.get_logger(__name__)


async def begin_beating(app: App) -> None:
    """Before the first event: were older ones lost, it must not overtake them."""
    try:
        await app.watch.begin()
    except StoreUnavailable as exc:
        log.warning("no sign of life", reason=str(exc))


async def keep_beating(app: App) -> None:
    """Runs in every web process."""
    told = False
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            await app.watch.beat()
            told = False
        except StoreUnavailable as exc:
            if not told:
                log.warning("no sign of life", reason=str(exc))
            told = True
