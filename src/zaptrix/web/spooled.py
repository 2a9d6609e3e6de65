"""What was spooled on this host goes through the door again, as soon as PostgreSQL is back."""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.app import App
from zaptrix.bridge.replay import Replay
from zaptrix.store.database import StoreUnavailable
from zaptrix.store.secrets import UnreadableSecret
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_EVERY_S = 1.0


async def keep_replaying(app: App) -> None:
    """Runs beside the doors of every web process of this host: the spool is its own disk, and nobody else sees it."""
    while True:
        if not await _replay(app.replay):
            await asyncio.sleep(_EVERY_S)


async def _replay(replay: Replay) -> int:
    """How many events were replayed. One that breaks something must not keep those behind it from being replayed."""
    replayed = 0
    for path in await replay.waiting():
        try:
            await replay.one(path)
        except (StoreUnavailable, UnreadableSecret) as exc:
            log.warning("the spool waits", reason=str(exc))
            return 0
        except Exception:
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("set a spooled event aside", file=path.name, alarm=True)
            await replay.set_aside(path)
        replayed += 1
    if replayed:
        log.info("replayed the spool", events=replayed)
    return replayed
