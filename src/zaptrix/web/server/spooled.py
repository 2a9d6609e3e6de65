"""Replays what was spooled on this host, as soon as PostgreSQL is back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from zaptrix.app import App
from zaptrix.core.limits import SPOOL_HELD_S
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.doors.bitrix24_admission import Admission
from zaptrix.web.doors.spool_replay import Replay

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_FOLLOW_S = 0.25
_LISTING_SHARE = 10  # of a second that listing took so many are waited: a folder of many files is not read all day


async def keep_replaying(app: App) -> None:
    """Runs in every web process of this host: no other host sees its spool."""
    replay = Replay(app.spool, Admission(app.directory, app.watch), app.receiver)
    unheld_at = -math.inf
    while True:
        began = time.monotonic()
        if began - unheld_at >= SPOOL_HELD_S:
            unheld_at = began
            await replay.unhold()
        waiting = await replay.waiting()
        listed_s = time.monotonic() - began
        if not await _replay(replay, waiting):
            await asyncio.sleep(max(_EVERY_S, _LISTING_SHARE * listed_s))


async def keep_following(app: App) -> None:
    """In every web process, too: whose events go to the spool while PostgreSQL is away has to be known before."""
    while True:
        await app.senders.follow()
        await asyncio.sleep(_FOLLOW_S)


async def _replay(replay: Replay, waiting: Sequence[Path]) -> int:
    """How many events were replayed. One that breaks something must not keep those behind it from being replayed."""
    replayed = 0
    for path in waiting:
        try:
            await replay.one(path)
        except StoreUnavailable as exc:
            log.warning("the spool waits", reason=str(exc))
            return 0
        except UnreadableSecret as exc:
            log.warning("a spooled event is held", reason=str(exc), file=path.name)
            await replay.hold(path)
        except Exception:
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("set a spooled event aside", file=path.name, alarm=True)
            await replay.set_aside(path)
        replayed += 1
    if replayed:
        log.info("replayed the spool", events=replayed)
    return replayed
