"""Offline queues: what operators wrote is read from the portal's own queue too, where an admin has asked for it.

Rows become events of the journal, under the keys that the posted events have, before the portal is told to forget them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from zaptrix.bridge.tell.notices import Line, say
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.errors import OutOfTime, PlatformError, Refused, TooFast, Unexpected
from zaptrix.core.delivery.lanes import bitrix24_lane
from zaptrix.core.event import Recovered
from zaptrix.core.ids import PortalId, parse_external_chat_id
from zaptrix.core.message.message import Notice
from zaptrix.core.portal import Portal
from zaptrix.core.recovery import NotKept, OfflineEvents, OfflineRows, RecoveredEvent
from zaptrix.settings import Settings
from zaptrix.store.backup import restores
from zaptrix.store.connection.database import Connection
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.store.journal import events, offline_queue, recovery
from zaptrix.store.journal.offline_queue import OfflineQueue
from zaptrix.store.people import conversations
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind, RecoveredAs

log = structlog.get_logger(__name__)


class OfflineRules(msgspec.Struct, frozen=True, kw_only=True):
    """How old a reply may be to be sent still, and how often a queue is read."""

    hours: int
    every_s: float

    @classmethod
    def of(cls, settings: Settings) -> OfflineRules:
        return cls(hours=settings.recovery_hours, every_s=settings.recovery_offline_s)


class Offline:
    """Who dies between asking and clearing leaves rows in the portal's keeping: the next one asks for those first."""

    def __init__(self, ground: Ground, queue: OfflineEvents, rules: OfflineRules) -> None:
        self._database = ground.database
        self._directory = ground.directory
        self._queue = queue
        self._bells = ground.bells
        self._rules = rules
        self._now = ground.now

    async def run(self) -> None:
        """See to the queues that are due. Raises StoreUnavailable."""
        async with self._database.transaction() as connection:
            due = await offline_queue.due(connection, self._rules.every_s, limits.OFFLINE_PORTALS_PER_ROUND)
        await asyncio.gather(*map(self._see_to, due))

    async def after_outage(self, portal_id: PortalId) -> None:
        """Read what the portal kept while we were away; nothing where it keeps nothing. Raises StoreUnavailable."""
        async with self._database.connection() as connection:
            queue = await offline_queue.one(connection, portal_id)
        if queue:
            await self._see_to(queue)

    async def _see_to(self, queue: OfflineQueue) -> None:
        portal = await self._directory.portal(queue.portal_id)
        if portal is None:
            return
        try:
            if queue.unsure or not queue.wanted:
                await self._bind(portal, queue)
            if queue.wanted:
                await self._drain(portal, queue)
        except (Refused, Unexpected) as exc:
            metrics.alarmed(AlarmKind.RECOVERY_REFUSED)
            log.error("offline events refused", portal_id=str(portal.id), code=exc.code, alarm=True)  # noqa: TRY400
            await self._put_off(portal, limits.RECOVERY_REFUSED_HOURS * 3600.0, str(exc))
        except OutOfTime:
            log.info("recovery left to another", portal_id=str(portal.id))
        except UnreadableSecret as exc:
            log.warning("offline events not read", portal_id=str(portal.id), code=str(exc))
            await self._put_off(portal, limits.RECOVERY_AGAIN_S, None)
        except PlatformError as exc:
            log.warning("offline events put off", portal_id=str(portal.id), code=exc.code)
            wait_s = exc.wait_s if isinstance(exc, TooFast) else None
            await self._put_off(portal, wait_s or limits.RECOVERY_AGAIN_S, None)

    async def _bind(self, portal: Portal, queue: OfflineQueue) -> None:
        await self._queue.bind(portal, wanted=queue.wanted)
        async with self._database.transaction() as connection:
            await offline_queue.bound(connection, portal.id, is_bound=queue.wanted)
        log.info("offline events", portal_id=str(portal.id), bound=queue.wanted)

    async def _drain(self, portal: Portal, queue: OfflineQueue) -> None:
        keep = await self._queue.keeps(portal) if queue.keeps is None or queue.unsure else queue.keeps
        if keep and queue.asking:
            for kept in await self._queue.left(portal):
                await self._keep(portal, kept)
        while True:
            async with self._database.transaction() as connection:
                await offline_queue.asking(connection, portal.id, keeps=keep)
            try:
                kept = await self._queue.read(portal, keep=keep)
            except NotKept:
                keep = False
                continue
            await self._keep(portal, kept)
            if len(kept.rows) < limits.OFFLINE_ROWS:
                break
            await asyncio.sleep(limits.RECOVERY_CALL_EVERY_S)
        async with self._database.transaction() as connection:
            await offline_queue.drained(connection, portal.id, keeps=keep)

    async def _keep(self, portal: Portal, kept: OfflineRows) -> None:
        """The rows into the journal, then out of the portal's keeping."""
        if kept.rows:
            async with self._database.connection() as connection:
                restore = await restores.latest(connection)
            judge = partial(self._judged, restore.until if restore else None)
            await self._write(portal, self._queue.events(portal, kept.rows, judge))
        if kept.process_id and kept.rows:
            await self._queue.clear(portal, kept.process_id)

    async def _write(self, portal: Portal, told: Sequence[RecoveredEvent]) -> None:
        async with self._database.transaction() as connection:
            ids = [each.bitrix_message_id for each in told if each.bitrix_message_id]
            known = await recovery.known(connection, portal.id, ids)
            missing = [each for each in told if each.bitrix_message_id not in known]
            added = await events.append(connection, [each.event for each in missing])
            new = [each for each in missing if each.event.key in added]
            said = await self._notices(connection, portal, new)
            await say(connection, said)
        lanes = {each.event.lane.round for each in new}
        self._bells.ring_soon([*lanes, bitrix24_lane(portal.id)] if said else lanes)
        for fate, count in Counter(_fate(each) for each in new if each.recovered).items():
            metrics.recovered(fate, count)
            log.warning("found in the offline queue", portal_id=str(portal.id), messages=count, fate=fate.value)

    async def _notices(self, connection: Connection, portal: Portal, new: Sequence[RecoveredEvent]) -> list[Line]:
        """One line a conversation and fate. A row may name a conversation that is another portal's: not there."""
        counted = Counter(
            (ids[1], _fate(each))
            for each in new
            if each.recovered and (each.recovered.late or each.recovered.give_up)
            and (ids := parse_external_chat_id(each.external_chat_id or ""))
        )  # fmt: skip
        talks = await conversations.by_ids(connection, list({talk for talk, _ in counted})) if counted else {}
        own = {asked for asked, talk in talks.items() if talk.portal_id == portal.id}
        return [
            Line(talk, recovered_notice(fate, count, self._rules.hours), self._now())
            for (talk, fate), count in counted.items()
            if talk in own
        ]

    def _judged(self, suspect_until: datetime | None, written_at: datetime | None) -> Recovered:
        if suspect_until and written_at and written_at <= suspect_until:
            # Perhaps it was sent before a restore: it is looked for.
            return Recovered(late=False, written_at=written_at)
        age = self._now() - (written_at or self._now())
        give_up = RecoveredAs.TOO_LATE.value if age > timedelta(hours=self._rules.hours) else None
        return Recovered(late=age > timedelta(seconds=limits.LATE_S), written_at=written_at, give_up=give_up)

    async def _put_off(self, portal: Portal, wait_s: float, reason: str | None) -> None:
        async with self._database.transaction() as connection:
            await offline_queue.put_off(connection, portal.id, wait_s, reason)


def recovered_notice(fate: RecoveredAs, count: int, hours: int) -> Notice:
    """What the operator is told of replies that share a fate."""
    code = fate.value
    if fate is RecoveredAs.LATE:
        code = "late_reply" if count == 1 else "late_replies"
    return Notice(code, {"count": str(count), "hours": str(hours)})


def _fate(told: RecoveredEvent) -> RecoveredAs:
    assert told.recovered is not None
    if told.recovered.give_up:
        return RecoveredAs.TOO_LATE
    return RecoveredAs.LATE if told.recovered.late else RecoveredAs.IN_TIME
