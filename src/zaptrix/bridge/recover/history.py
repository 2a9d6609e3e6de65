"""Recover: operators' replies that no event told of are found in the portal's history, and sent late or told of."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from zaptrix.bridge.recover.offline_queue import Offline, recovered_notice
from zaptrix.bridge.tell.notices import Line, say
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.errors import OutOfTime, PlatformError, Refused, TooFast, Unauthorized, Unexpected
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane
from zaptrix.core.event import NewEvent
from zaptrix.core.ids import ConversationId, PortalId
from zaptrix.core.message.message import Notice
from zaptrix.core.portal import Portal
from zaptrix.core.recovery import Chat, ChatState, Histories, Look, OperatorReply
from zaptrix.elapsed import elapsed_s
from zaptrix.settings import Settings
from zaptrix.store.backup import restores
from zaptrix.store.backup.restores import Restore
from zaptrix.store.connection.database import Connection
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.store.journal import events, recovery
from zaptrix.store.journal.recovery import Outage
from zaptrix.tasks import ended
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind, RecoveredAs

log = structlog.get_logger(__name__)


_REMEMBERED_S = 600.0
_CLOCKS_APART = timedelta(minutes=1)  # a portal's clock is not ours
_LATE = frozenset({RecoveredAs.LATE, RecoveredAs.TOO_LATE})  # of which the operator is told


class RecoveryRules(msgspec.Struct, frozen=True, kw_only=True):
    """How old a reply may be to be sent still, and how often a portal is looked at without an outage."""

    hours: int
    round_s: float

    @classmethod
    def of(cls, settings: Settings) -> RecoveryRules:
        return cls(hours=settings.recovery_hours, round_s=settings.recovery_round_s)


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that nobody told of, and what is to be done with it."""

    chat: Chat
    event: NewEvent
    fate: RecoveredAs
    files: bool = False


class Recovery:
    """Every step is one transaction that marks what was looked at: who dies in the middle is gone on from there."""

    def __init__(self, ground: Ground, histories: Histories, offline: Offline, rules: RecoveryRules) -> None:
        self._database = ground.database
        self._directory = ground.directory
        self._histories = histories
        self._offline = offline
        self._bells = ground.bells
        self._rules = rules
        self._now = ground.now
        self._first_seen: dict[bytes, float] = {}  # young messages with files that no event has told of yet

    async def run(self) -> None:
        """After an outage every conversation that may have news, at once; else a few, now and then.

        No portal waits for another: beside one that is slow, or waits for its files, those are looked at that come due
        meanwhile. Raises StoreUnavailable.
        """
        looking: dict[asyncio.Task[None], PortalId] = {}
        try:
            await self._begin_recoveries(looking)
            if not looking:
                await self._begin_rounds(looking)
            while looking:
                done, _ = await asyncio.wait(set(looking), timeout=limits.RECOVERY_LOOK_S)
                for task in done:
                    del looking[task]
                    task.result()
                if looking:
                    await self._begin_recoveries(looking)
        finally:
            await ended(looking)
            for task in looking:
                task.cancelled() or task.exception()  # the first one that failed says why

    async def _begin_recoveries(self, looking: dict[asyncio.Task[None], PortalId]) -> None:
        room = limits.RECOVERY_PORTALS_AT_ONCE - len(looking)
        async with self._database.connection() as connection:
            outages = await recovery.outages(connection, max(0, room), but=list(looking.values()))
        for outage in outages:
            looking[asyncio.create_task(self._after_outage(outage))] = outage.portal_id

    async def _begin_rounds(self, looking: dict[asyncio.Task[None], PortalId]) -> None:
        async with self._database.transaction() as connection:
            due = await recovery.rounds(connection, self._rules.round_s, limits.RECOVERY_PORTALS_PER_ROUND)
        for portal_id in due:
            looking[asyncio.create_task(self._round(portal_id))] = portal_id

    async def release(self) -> None:
        """Let events go that have waited too long for the history. Raises StoreUnavailable."""
        async with self._database.transaction() as connection:
            lanes = await recovery.release_overdue(connection, limits.HOLD_S_MAX, limits.SILENT_S)
        self._bells.ring_soon(lanes)

    async def _after_outage(self, outage: Outage) -> None:
        portal = await self._directory.portal(outage.portal_id)
        if portal is None:
            return
        if portal.offline_events:
            # First, as it costs a request or two and hands out files; the history finds what it did not keep.
            await self._offline.after_outage(portal.id)
        ends, before = time.monotonic() + limits.RECOVERY_SLICE_S, None
        while True:
            async with self._database.connection() as connection:
                chats = await recovery.after_outage(
                    connection, outage, self._rules.hours, limits.RECOVERY_CHATS_PER_CALL
                )
            if not chats:
                await self._ended(outage)
                return
            if not await self._look(portal, chats) or time.monotonic() > ends:
                return
            full, again = len(chats) >= limits.RECOVERY_CHATS_PER_CALL, chats == before
            await asyncio.sleep(limits.RECOVERY_CALL_EVERY_S if full or again else 0)
            before = chats

    async def _ended(self, outage: Outage) -> None:
        async with self._database.transaction() as connection:
            await recovery.ended(connection, outage)
        log.info("recovered", portal_id=str(outage.portal_id), away_s=_seconds(outage.away_until - outage.away_from))

    async def _round(self, portal_id: PortalId) -> None:
        portal, rules, size = await self._directory.portal(portal_id), self._rules, limits.RECOVERY_CHATS_PER_CALL
        if portal is None:
            return
        async with self._database.connection() as connection:
            chats = await recovery.round_of(
                connection, portal_id, rules.hours, rules.round_s, limits.RECOVERY_ROUND_CHATS
            )
        for start in range(0, len(chats), size):
            if start:
                await asyncio.sleep(limits.RECOVERY_CALL_EVERY_S)
            if not await self._look(portal, chats[start : start + size]):
                return

    async def _look(self, portal: Portal, chats: Sequence[Chat]) -> bool:
        """Look at `chats`, one request's worth; False when the portal is not to be asked further now."""
        try:
            await self._look_at(portal, chats)
        except (Refused, Unexpected) as exc:
            await self._refused(portal, exc)
        except OutOfTime:
            log.info("recovery left to another", portal_id=str(portal.id))
        except UnreadableSecret as exc:
            log.warning("not recovered", portal_id=str(portal.id), code=str(exc))
            await self._put_off(portal, limits.RECOVERY_AGAIN_S)
        except PlatformError as exc:
            # A bad key pauses the portal by the next delivery; until then it is asked now and then.
            log.warning(
                "recovery put off", portal_id=str(portal.id), code=exc.code, alarm=isinstance(exc, Unauthorized)
            )
            wait_s = exc.wait_s if isinstance(exc, TooFast) else None
            await self._put_off(portal, wait_s or limits.RECOVERY_AGAIN_S)
        else:
            return True
        return False

    async def _look_at(self, portal: Portal, chats: Sequence[Chat]) -> None:
        async with self._database.connection() as connection:
            asked_at = await recovery.clock(connection)
        states = await self._histories.states(portal, chats)
        known = [(chat, state) for chat, state in zip(chats, states, strict=True) if state]
        news = [(chat, state) for chat, state in known if state.last_message_id > (chat.looked_message_id or 0)]
        with_news = {chat.conversation_id for chat, _ in news}
        quiet = [
            (chat, state) for chat, state in zip(chats, states, strict=True) if chat.conversation_id not in with_news
        ]
        await self._keep(portal, quiet, {}, asked_at)
        for start in range(0, len(news), limits.RECOVERY_HISTORIES_PER_CALL):
            if start:
                await asyncio.sleep(limits.RECOVERY_CALL_EVERY_S)
            some = news[start : start + limits.RECOVERY_HISTORIES_PER_CALL]
            looks = await self._histories.looks(portal, some)
            found = {chat.conversation_id: look for (chat, _), look in zip(some, looks, strict=True)}
            await self._keep(portal, some, found, asked_at)

    async def _keep(
        self,
        portal: Portal,
        looked: Sequence[tuple[Chat, ChatState | None]],
        looks: dict[ConversationId, Look],
        asked_at: datetime,
    ) -> None:
        """What is missing goes into the journal, operators are told, what waited for it may go: all or nothing."""
        if not looked:
            return
        async with self._database.transaction() as connection:
            restore = await restores.latest(connection)
            missing = await self._missing(connection, portal, [chat for chat, _ in looked], looks, restore)
            unsettled = await self._unsettled(connection, missing)
            looked = [(chat, state) for chat, state in looked if chat.conversation_id not in unsettled]
            missing = [each for each in missing if each.chat.conversation_id not in unsettled]
            told = await events.append(connection, [each.event for each in missing])
            new = [each for each in missing if each.event.key in told]
            gaps = await _gaps(connection, restore, looks) if restore else []
            if said := [Line(talk, notice, self._now()) for talk, notice in [*gaps, *_notices(new, self._rules.hours)]]:
                await say(connection, said)
            lanes = await recovery.release(connection, [chat for chat, _ in looked])
            seen = [(chat.conversation_id, state.last_message_id if state else None) for chat, state in looked]
            await recovery.looked(connection, seen, asked_at)
            await recovery.allowed(connection, portal.id)
        self._after(portal, new, lanes, told_somebody=bool(said))

    def _after(self, portal: Portal, new: Sequence[Missing], lanes: set[Lane], *, told_somebody: bool) -> None:
        lanes |= {each.event.lane.round for each in new}
        self._bells.ring_soon([*lanes, bitrix24_lane(portal.id)] if told_somebody else lanes)
        for fate, count in Counter(each.fate for each in new).items():
            metrics.recovered(fate, count)
            log.warning("found in the history", portal_id=str(portal.id), messages=count, fate=fate.value)

    async def _missing(
        self,
        connection: Connection,
        portal: Portal,
        chats: Iterable[Chat],
        looks: dict[ConversationId, Look],
        restore: Restore | None,
    ) -> list[Missing]:
        ids = [reply.bitrix_message_id for look in looks.values() for reply in look.replies]
        known = await recovery.known(connection, portal.id, ids) if ids else set()
        return [
            self._judged(portal, chat, reply, restore)
            for chat in chats
            for reply in looks.get(chat.conversation_id, Look()).replies
            if reply.bitrix_message_id not in known
        ]

    async def _unsettled(self, connection: Connection, missing: Sequence[Missing]) -> set[ConversationId]:
        """Conversations with a young message with files of which nobody has told yet: they are looked at again later.

        Its event is most likely on its way, and brings an address that anybody may fetch; a history brings none, and
        not every portal lets an application at its disk. What came after it waits with it. Not for longer than an event
        takes: a portal whose clock is ahead calls a message young for as long as that.
        """
        now_s = elapsed_s()
        self._first_seen = {key: at for key, at in self._first_seen.items() if now_s - at < _REMEMBERED_S}
        young = [each for each in missing if each.files and each.fate is RecoveredAs.IN_TIME]
        young = [each for each in young if now_s - self._first_seen.setdefault(each.event.key, now_s) < limits.LATE_S]
        heard = await events.heard(connection, [each.event.key for each in young]) if young else set()
        return {each.chat.conversation_id for each in young if each.event.key not in heard}

    def _judged(self, portal: Portal, chat: Chat, reply: OperatorReply, restore: Restore | None) -> Missing:
        fate = self._fate(reply, restore)
        give_up = fate.value if fate is RecoveredAs.TOO_LATE else None
        event = self._histories.event(chat, portal, reply, late=fate in _LATE, give_up=give_up)
        return Missing(chat=chat, event=event, fate=fate, files=bool(reply.files))

    def _fate(self, reply: OperatorReply, restore: Restore | None) -> RecoveredAs:
        if restore and reply.written_at and reply.written_at <= restore.until:
            # Nobody was told that it had arrived, which proves little: it becomes a message that is looked for.
            return RecoveredAs.SUSPECT
        age = self._now() - (reply.written_at or self._now())
        if age > timedelta(hours=self._rules.hours):
            return RecoveredAs.TOO_LATE
        return RecoveredAs.LATE if age > timedelta(seconds=limits.LATE_S) else RecoveredAs.IN_TIME

    async def _refused(self, portal: Portal, exc: PlatformError) -> None:
        """An admin has to give the application's user the right to see the line's conversations."""
        metrics.alarmed(AlarmKind.RECOVERY_REFUSED)
        log.error("recovery refused", portal_id=str(portal.id), code=exc.code, alarm=True)
        async with self._database.transaction() as connection:
            await recovery.refused(connection, portal.id, str(exc), limits.RECOVERY_REFUSED_HOURS)

    async def _put_off(self, portal: Portal, wait_s: float) -> None:
        async with self._database.transaction() as connection:
            await recovery.put_off(connection, portal.id, wait_s)


def _notices(new: Sequence[Missing], hours: int) -> Iterable[tuple[ConversationId, Notice]]:
    """One line a conversation and fate, not one a message."""
    counted = Counter((each.chat.conversation_id, each.fate) for each in new if each.fate in _LATE)
    for (talk, fate), count in counted.items():
        yield talk, recovered_notice(fate, count, hours)


async def _gaps(
    connection: Connection, restore: Restore, looks: dict[ConversationId, Look]
) -> list[tuple[ConversationId, Notice]]:
    """What stands in the chats and was forgotten by a restore is noted; and each chat is told so, once."""
    since = restore.dumped_at - _CLOCKS_APART
    found = [
        (talk, shown)
        for talk, look in looks.items()
        for shown in look.shown
        if shown.written_at is None or shown.written_at >= since
    ]
    times = {"since": f"{restore.dumped_at:%d/%m/%Y %H:%M}", "until": f"{restore.until:%d/%m/%Y %H:%M}"}
    return [(talk, Notice("restored", times)) for talk in await restores.add_gaps(connection, restore, found)]


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())
