"""Chores: what is done again and again, whoever rings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import structlog

from zaptrix.app import App
from zaptrix.bridge.holding import resume
from zaptrix.core import limits
from zaptrix.media.blobs import BlobsAway
from zaptrix.queues.connection import AWAY, answering
from zaptrix.queues.fitness import probe
from zaptrix.store import files
from zaptrix.store.database import StoreUnavailable
from zaptrix.store.leases import turn
from zaptrix.telemetry import metrics
from zaptrix.telemetry.disk import disk_of
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker.figures import FIGURES_EVERY_S, Figures

log = structlog.get_logger(__name__)

Chore = Callable[[], Awaitable[object]]

_HOUSE_EVERY_S = 3_600.0
_REDIS_EVERY_S = 10.0
_RECOVER_EVERY_S = 2.0
_OFFLINE_EVERY_S = 5.0
_RELEASE_EVERY_S = 2.0
_REMIND_EVERY_S = 20.0
_ERASE_EVERY_S = 5.0
_RESUME_EVERY_S = 20.0
_DISK_EVERY_S = 60.0
_REDIS_ANSWER_S = 3.0


def chores_of(app: App) -> list[asyncio.Task[None]]:
    """The chores of a worker, each in a task of its own, which ends soon after the worker is told to stop."""
    every = {
        "sweep": (app.sweep.run, app.settings.sweep_interval_s),
        "recover": (app.recovery.run, _RECOVER_EVERY_S),
        "read offline events": (app.offline.run, _OFFLINE_EVERY_S),
        "release": (app.recovery.release, _RELEASE_EVERY_S),
        "remind": (app.reminders.run, _REMIND_EVERY_S),
        "keep house": (app.sweep.keep_house, _HOUSE_EVERY_S),
        "resume": (lambda: resume(app.database, app.box, app.bells), _RESUME_EVERY_S),
        "erase": (app.erasure.run, _ERASE_EVERY_S),
        "forget files": (lambda: _forget_files(app), _HOUSE_EVERY_S),
        "take figures": (Figures(app).take, FIGURES_EVERY_S),
    }
    return [asyncio.create_task(_again(app, name, chore, s)) for name, (chore, s) in every.items()]


def watches_of(app: App) -> list[asyncio.Task[None]]:
    """What a worker keeps an eye on; cancel them to stop."""
    return [asyncio.create_task(watch) for watch in (_watch_redis(app), _watch_disk(app.settings.data_dir))]


async def _forget_files(app: App) -> None:
    async with app.database.connection() as connection:
        await files.forget_uploads(connection, limits.MEDIA_ID_DAYS)
    keep = timedelta(days=app.settings.media_retention_days)
    try:
        if gone := await app.media.blobs.forget(app.clock.now(), keep):
            log.info("forgot files", files=gone)
    except BlobsAway as exc:
        log.warning("files not forgotten", reason=str(exc))


async def _watch_redis(app: App) -> None:
    """Without Redis nothing is delivered, and nobody is rung to say so."""
    while True:
        try:
            async with answering(_REDIS_ANSWER_S):
                await probe(app.redis)
        except AWAY as exc:
            metrics.alarmed(AlarmKind.REDIS_AWAY)
            log.error("redis away", reason=type(exc).__name__, alarm=True)  # noqa: TRY400  # the kind says it all
        await asyncio.sleep(_REDIS_EVERY_S)


async def _watch_disk(folder: Path) -> None:
    """A full disk takes the spool, the files and an embedded database with it: it is told while there is time."""
    while True:
        if await asyncio.to_thread(_free, folder) < limits.DISK_FREE_MIN:
            metrics.alarmed(AlarmKind.DISK_LOW)
            log.error("disk nearly full", folder=str(folder), free_below=limits.DISK_FREE_MIN, alarm=True)
        await asyncio.sleep(_DISK_EVERY_S)


def _free(folder: Path) -> float:
    """The share of the folder's disk that is free; 1 where nobody can tell."""
    disk = disk_of(folder)
    return disk.free_bytes / disk.bytes if disk and disk.bytes else 1.0


async def _again(app: App, name: str, chore: Chore, seconds: float) -> None:
    while not app.stopping.told:
        try:
            async with turn(app.database, name, app.stopping) as mine:
                if mine:
                    await chore()
        except StoreUnavailable as exc:
            log.warning("chore put off", chore=name, reason=str(exc))
        except TimeoutError:
            log.warning("chore left to another", chore=name)
        except Exception:
            # A chore that breaks down must not end the others, nor itself for ever: it is told, and tried again.
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("chore failed", chore=name, alarm=True)
        await app.stopping.pause(seconds)
