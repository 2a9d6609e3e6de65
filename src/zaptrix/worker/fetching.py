"""Fetching files: a few at a time, few of one portal, and whatever breaks is judged like a failure of theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

import structlog

from zaptrix.app import App
from zaptrix.core import limits
from zaptrix.core.delivery.errors import Unexpected
from zaptrix.deadlines import Deadline
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger.files import Wanted
from zaptrix.tasks import ended
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


class _Held(NamedTuple):
    """A file in our hands, and until when it is."""

    wanted: Wanted
    deadline: Deadline


class Fetching:
    """One process's share of the files that are wanted.

    There is no bell for a file: it is claimed by who has a hand free, as often as twice a second. Its message keeps the
    order, not the file.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._held: dict[asyncio.Task[None], _Held] = {}

    async def run(self) -> None:
        """Until the worker is told to stop; what is under way then has a short time, and goes to another process."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._app.stopping.told:
                more = await self._claim()
                await self._pause(more=more)
            if self._held:
                await asyncio.wait(self._held)
        finally:
            await ended([renewing, *self._held])

    async def _claim(self) -> bool:
        """Whether as many came as were asked for, so that there may be more."""
        room = limits.FILES_AT_ONCE - len(self._held)
        if room <= 0:
            return False
        each = Counter(held.wanted.portal_id for held in self._held.values())
        busy = [portal_id for portal_id, count in each.items() if count >= limits.FILES_AT_ONCE_A_PORTAL]
        claimed_s = elapsed_s()
        try:
            attempt_id = self._app.stopping.worker.attempt()
            claimed = await self._app.files.claim(attempt_id, min(room, limits.FILES_A_CLAIM), busy)
        except StoreUnavailable as exc:
            log.warning("no files claimed", reason=str(exc))
            return False
        for wanted in claimed:
            held = _Held(wanted, self._app.stopping.deadline(claimed_s, limits.FILE_LEASE_S))
            self._held[asyncio.create_task(self._keep(held))] = held
        return len(claimed) == limits.FILES_A_CLAIM

    async def _pause(self, *, more: bool) -> None:
        if self._held:
            await asyncio.wait(self._held, timeout=0 if more else limits.FILES_LOOK_S, return_when="FIRST_COMPLETED")
            for task in [task for task in self._held if task.done()]:
                del self._held[task]
        if not more:
            await asyncio.sleep(limits.FILES_LOOK_S_MIN if self._held else limits.FILES_LOOK_S)

    async def _keep(self, held: _Held) -> None:
        try:
            async with held.deadline.kept():
                await self._work(held.wanted)
        except TimeoutError:
            await self._give_back(held.wanted)

    async def _give_back(self, wanted: Wanted) -> None:
        log.warning("file left to another", message_id=wanted.message_id)
        try:
            await self._app.files.give_back(wanted)
        except StoreUnavailable as exc:
            log.warning("file put off", message_id=wanted.message_id, reason=str(exc))

    async def _work(self, wanted: Wanted) -> None:
        try:
            await self._app.files.work(wanted)
        except StoreUnavailable as exc:
            log.warning("file put off", message_id=wanted.message_id, reason=str(exc))
        except Exception as exc:
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("file failed", message_id=wanted.message_id, alarm=True)
            await self._fail(wanted, Unexpected("file_failed", type(exc).__name__))

    async def _fail(self, wanted: Wanted, error: Unexpected) -> None:
        try:
            await self._app.files.fail(wanted, error)
        except StoreUnavailable as exc:
            log.warning("file put off", message_id=wanted.message_id, reason=str(exc))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(limits.FILE_LEASE_S / 4)
            if not self._held:
                continue
            asked_s, held = elapsed_s(), list(self._held.values())
            try:
                ours = await self._app.files.renew([each.wanted for each in held])
                for each in held:
                    if each.wanted.message_id in ours:
                        each.deadline.renew(asked_s, limits.FILE_LEASE_S)
            except StoreUnavailable as exc:
                log.warning("files not renewed", reason=str(exc))
