"""Route outbound: operators' messages into the ledger, and what else an open line tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
import structlog

from zaptrix.bridge.route.handover import HandingOver
from zaptrix.bridge.route.operator_changes import apply
from zaptrix.bridge.route.operator_messages import Outgoing, outgoing
from zaptrix.bridge.route.router import TranslatedEvent, plain_mark
from zaptrix.bridge.tell.notices import Line, say
from zaptrix.bridge.tell.pauses import held_at_once
from zaptrix.bridge.tenants.directory import Directory, Tenant
from zaptrix.broker.cache.cache import ConversationCache
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.event import ConnectorLost, DialogStarted, EventState, OperatorChange, OperatorMessage, Untold
from zaptrix.core.ids import ChannelId, ConversationId, EventId, PortalId, connector_id, parse_external_chat_id
from zaptrix.core.message.message import MediaContent, Notice, Side
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Handover, OperatorView, TextLimits
from zaptrix.store.accounts import audit, channels
from zaptrix.store.connection.database import Connection
from zaptrix.store.journal import recovery
from zaptrix.store.journal.events import EventMark
from zaptrix.store.journal.recovery import LateMark
from zaptrix.store.ledger import files, messages, operator_changes
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Placed
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_TEXT_CUT = Notice("text_cut", {"limit": str(limits.OPERATOR_TEXT_MAX)})

InChat = OperatorMessage | OperatorChange | Untold | DialogStarted


class OutboundSteps(msgspec.Struct, frozen=True):
    """What `Route` makes its steps with. A message waits `file_wait_s` for its file at the most."""

    directory: Directory
    cache: ConversationCache
    file_wait_s: float
    handover: Handover
    texts: TextLimits
    view: OperatorView

    def __call__(self, items: Sequence[TranslatedEvent]) -> OutboundStep:
        return OutboundStep(items, self)


class OutboundStep:
    """One batch of events, of many portals."""

    numbers: Mapping[str, Channel] = {}  # a portal's events are the portal's

    def __init__(self, items: Sequence[TranslatedEvent], given: OutboundSteps) -> None:
        self.handing = HandingOver(given.handover)
        self._items = items
        self._given = given
        self._tenants: dict[ChannelId, Tenant] = {}
        self._cached: list[Conversation] = []
        self._talks: dict[ConversationId, Conversation] = {}
        self._rung: set[ChannelId] = set()
        self._told: set[PortalId] = set()  # whose operators are told something
        self._reasons: dict[EventId, str] = {}  # of events of which nothing came

    async def prepare(self) -> None:
        chats = [(_portal(i), i.routed.bitrix_chat_id) for i in self._items if isinstance(i.routed, OperatorMessage)]
        if chats:
            found = await self._given.cache.get_many_by_chat(chats)
            self._cached = list(found.values())
        for channel_id in {ids[0] for item in self._items if (ids := _named(item))}:
            if tenant := await self._given.directory.channel(channel_id):
                self._tenants[channel_id] = tenant

    async def write(self, connection: Connection) -> list[EventMark]:
        await self._resolve(connection)
        # Before anything else is held: whoever settles a message takes it before its conversation.
        await operator_changes.hold(
            connection, [(_portal(item), change.bitrix_message_id) for item, change, _ in self._asked()]
        )
        written = [item for item in self._items if isinstance(item.routed, OperatorMessage)]
        # Bitrix24 promises no order of events; its message ids count up.
        written.sort(key=lambda item: _operator_message(item).bitrix_message_id)
        said = await self._written(connection, written)
        said += [*await self._changed(connection), *self._untold()]
        if said:
            await say(connection, said)
            told = {line.conversation_id for line in said}
            self._told = {talk.portal_id for talk in self._talks.values() if talk.id in told}
        for item in self._items:
            if isinstance(item.routed, ConnectorLost):
                await _hold(connection, _portal(item), item.routed)
        return [self._mark(item) for item in self._items]

    async def _written(self, connection: Connection, written: Sequence[TranslatedEvent]) -> list[Line]:
        """Operators' messages into the ledger; what of them has to be told to who wrote them."""
        heard = [(item, talk) for item in written if (talk := self._talk(item))]
        whole = await outgoing(connection, heard, self._given.texts, self._given.view)
        rows = [row for each in whole for row in each.rows()]
        placed = list(self._placed())
        ids = [row.conversation.id for row in rows]
        touched = await conversations.touch(connection, ids, placed) if ids or placed else {}
        held: list[Line] = []
        if rows:
            rows = self._offered(rows, written)
            new = await messages.write(connection, rows)
            self.handing.written(rows, new, touched, self._tenants)
            waiting = [one.id for one in new if one.attempt_id is None]
            held = await held_at_once(connection, waiting, written[-1].event.received_at)
            if any(isinstance(row.content, MediaContent) for row in rows):
                await files.want(connection, waiting, self._given.file_wait_s)
                self._rung = {row.conversation.channel_id for row in rows if isinstance(row.content, MediaContent)}
            if marks := [mark for item in written if (mark := _late_mark(item))]:
                await recovery.mark_late(connection, waiting, marks)
        return held + [line for each in whole for line in _left_out(each)]

    def _offered(self, rows: Sequence[NewMessage], written: Sequence[TranslatedEvent]) -> list[NewMessage]:
        """What may go at once, but for what is changed in this very batch, or came late, which is judged first."""
        changed = {(_portal(item), change.bitrix_message_id) for item, change, _ in self._asked()}
        late = {(mark.portal_id, mark.bitrix_message_id) for item in written if (mark := _late_mark(item))}
        return self.handing.offered(rows, self._tenants, but=changed | late)

    async def _changed(self, connection: Connection) -> list[Line]:
        """Edits and deletions, in the order in which they came."""
        told: list[Line] = []
        for item, change, talk in self._asked():
            outcome = await apply(connection, talk, change, item.event, self._given.texts)
            if outcome is None:
                self._reasons[item.event.id] = "no message of ours was changed"
                continue
            self._rung.add(talk.channel_id)
            told += [Line(talk.id, notice, item.event.received_at) for notice in outcome]
            if change.cut and not outcome:
                told.append(Line(talk.id, _TEXT_CUT, item.event.received_at))
        return told

    def _asked(self) -> Iterable[tuple[TranslatedEvent, OperatorChange, Conversation]]:
        for item in self._items:
            if isinstance(item.routed, OperatorChange) and (talk := self._talk(item)):
                yield item, item.routed, talk

    def _untold(self) -> Iterable[Line]:
        """What nobody can carry is told to who sent it, and kept for an admin."""
        for item in self._items:
            if isinstance(item.routed, Untold) and (talk := self._talk(item)):
                self._reasons[item.event.id] = item.routed.reason
                yield Line(talk.id, Notice("not_carried"), item.event.received_at)

    def forget(self) -> None:
        self._given.directory.clear()

    async def committed(self) -> Iterable[Lane]:
        at_hand = {talk.id: talk for talk in self._cached}
        await self._given.cache.put_many([talk for talk in self._talks.values() if at_hand.get(talk.id) != talk])
        return [*map(meta_lane, self._rung), *map(bitrix24_lane, self._told)]

    async def _resolve(self, connection: Connection) -> None:
        """The conversations that the events name."""
        asked = {ids[1] for item in self._items if (ids := _named(item))}
        cached = {talk.id: talk for talk in self._cached if talk.id in asked}
        missing = list(asked - cached.keys())
        # A chat of a conversation that was merged leads to the one that goes on.
        self._talks = cached | (await conversations.by_ids(connection, missing) if missing else {})

    def _placed(self) -> Iterable[Placed]:
        """What the events tell of chats and sessions that the ledger does not know yet."""
        for item in self._items:
            talk, ids = self._talk(item), _named(item)
            if talk is None or ids is None or talk.id != ids[1]:
                continue
            match item.routed:
                case OperatorMessage(bitrix_chat_id=chat_id) | Untold(bitrix_chat_id=chat_id) if (
                    talk.bitrix_chat_id != chat_id
                ):
                    self._talks[talk.id] = msgspec.structs.replace(talk, bitrix_chat_id=chat_id)
                    yield Placed(id=talk.id, bitrix_chat_id=chat_id)
                case DialogStarted(bitrix_session_id=session_id):
                    self._talks[talk.id] = msgspec.structs.replace(talk, bitrix_session_id=session_id)
                    yield Placed(id=talk.id, bitrix_session_id=session_id)
                case _:
                    pass

    def _talk(self, item: TranslatedEvent) -> Conversation | None:
        """The conversation that an event names; one of another portal is nobody's."""
        ids = _named(item)
        talk = self._talks.get(ids[1]) if ids else None
        return talk if talk and ids and talk.channel_id == ids[0] and talk.portal_id == _portal(item) else None

    def _mark(self, item: TranslatedEvent) -> EventMark:
        if isinstance(item.routed, InChat) and self._talk(item) is None:
            return EventMark(item.event, EventState.UNROUTABLE, "no conversation of this portal has this chat id")
        if reason := self._reasons.get(item.event.id):
            untold = isinstance(item.routed, Untold)
            return EventMark(item.event, EventState.UNROUTABLE if untold else EventState.IGNORED, reason)
        return plain_mark(item)


def _portal(item: TranslatedEvent) -> PortalId:
    return PortalId(UUID(item.event.lane.tenant))


async def _hold(connection: Connection, portal_id: PortalId, lost: ConnectorLost) -> None:
    """Somebody switched the connector off or deleted the line: hold the channel, and say so."""
    if lost.connector_id is not None and lost.connector_id != connector_id(portal_id):
        return
    for channel in await channels.of_line(connection, portal_id, lost.line_id):
        if await channels.pause(connection, channel.id, Side.BITRIX24, lost.reason):
            await audit.write(connection, "bitrix24", "channel.pause", str(channel.id), reason=lost.reason)
            log.error("paused", channel_id=str(channel.id), side="bitrix24", reason=lost.reason, alarm=True)
            metrics.alarmed(AlarmKind.CONNECTOR_LOST)


def _left_out(one: Outgoing) -> Iterable[Line]:
    """What of an operator's message does not go to the customer, and has to be told."""
    if one.message.lost_files:
        count = str(one.message.lost_files)
        yield Line(one.talk.id, Notice("file_unreachable", {"count": count}), one.written_at)
    if one.message.cut:
        yield Line(one.talk.id, _TEXT_CUT, one.written_at)


def _operator_message(item: TranslatedEvent) -> OperatorMessage:
    assert isinstance(item.routed, OperatorMessage)
    return item.routed


def _late_mark(item: TranslatedEvent) -> LateMark | None:
    message = _operator_message(item)
    found = message.recovered
    if found is None or not (found.late or found.give_up):
        return None
    return LateMark(
        portal_id=_portal(item), bitrix_message_id=message.bitrix_message_id, late=found.late, give_up=found.give_up
    )


def _named(item: TranslatedEvent) -> tuple[ChannelId, ConversationId] | None:
    """Channel and conversation that an event names."""
    if not isinstance(item.routed, InChat):
        return None
    return parse_external_chat_id(item.routed.external_chat_id)
