"""Chores: what is done again and again, whoever rings.

Most have something to do only while something is open, and one look every two seconds asks for all of these
(`store/ledger/chores.py`). Measured, at rest: nine statements a second less, four of them commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import structlog

from zaptrix.app import App
from zaptrix.bridge.tell.pauses import resume
from zaptrix.broker.connection.connection import AWAY, answering
from zaptrix.broker.connection.fitness import probe
from zaptrix.core import limits
from zaptrix.media.blobs import BlobsAway
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger import chores, files
from zaptrix.store.ledger.chores import Chore
from zaptrix.store.processes.leases import turn
from zaptrix.telemetry import metrics
from zaptrix.telemetry.disk import disk_of
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker.figures import FIGURES_EVERY_S, Figures

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]

_LOOK_S = 2.0
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
    when_told = {
        Chore.SWEEP: (app.sweep.run, app.settings.sweep_interval_s),
        Chore.RECOVER: (app.recovery.run, _RECOVER_EVERY_S),
        Chore.OFFLINE: (app.offline.run, _OFFLINE_EVERY_S),
        Chore.RELEASE: (app.recovery.release, _RELEASE_EVERY_S),
        Chore.ERASE: (app.erasure.run, _ERASE_EVERY_S),
    }
    always = {
        "remind": (app.reminders.run, _REMIND_EVERY_S),
        "keep house": (app.sweep.keep_house, _HOUSE_EVERY_S),
        "resume": (lambda: resume(app.database, app.box, app.bells), _RESUME_EVERY_S),
        "forget files": (lambda: _forget_files(app), _HOUSE_EVERY_S),
        "take figures": (Figures(app).take, FIGURES_EVERY_S),
    }
    told = {chore: asyncio.Event() for chore in when_told}
    works = [
        _look(app, told, min(_LOOK_S, *(s for _, s in when_told.values()))),
        *(_again(app, chore, work, s, told[chore]) for chore, (work, s) in when_told.items()),
        *(_again(app, name, work, s) for name, (work, s) in always.items()),
    ]
    return [asyncio.create_task(work) for work in works]


def watches_of(app: App) -> list[asyncio.Task[None]]:
    """What a worker watches; cancel them to stop."""
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


async def _look(app: App, told: Mapping[Chore, asyncio.Event], seconds: float) -> None:
    """Tell each chore that has something to do; at the end all, so that none waits for a word."""
    try:
        while not app.stopping.told:
            with _minded("look"):
                async with app.database.connection() as connection:
                    waiting = await chores.waiting(connection)
                for chore in waiting:
                    told[chore].set()
            await app.stopping.pause(seconds)
    finally:
        for event in told.values():
            event.set()


async def _again(app: App, name: str, work: Work, seconds: float, told: asyncio.Event | None = None) -> None:
    """Every so often; with `told` only when that was set since the last time."""
    while await _goes_on(app, told):
        with _minded(name):
            async with turn(app.database, name, app.stopping) as mine:
                if mine:
                    await work()
        await app.stopping.pause(seconds)


async def _goes_on(app: App, told: asyncio.Event | None) -> bool:
    if told is not None and not app.stopping.told:
        await told.wait()
        told.clear()
    return not app.stopping.told


@contextmanager
def _minded(name: str) -> Iterator[None]:
    """A chore that breaks down must not end the others, nor itself for ever: it is told, and tried again."""
    try:
        yield
    except StoreUnavailable as exc:
        log.warning("chore put off", chore=name, reason=str(exc))
    except TimeoutError:
        log.warning("chore left to another", chore=name)
    except Exception:
        metrics.alarmed(AlarmKind.BROKE_DOWN)
        log.exception("chore failed", chore=name, alarm=True)
