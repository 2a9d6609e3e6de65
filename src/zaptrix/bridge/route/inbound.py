"""Route inbound: customers' messages into the ledger, receipts onto the messages that they speak of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from zaptrix.bridge.route.conversations import Conversations
from zaptrix.bridge.route.customer_moves import relink
from zaptrix.bridge.route.handover import HandingOver
from zaptrix.bridge.route.receipts import Applied, apply_receipts, apply_template_changes, tell_ended
from zaptrix.bridge.route.router import TranslatedEvent, plain_mark
from zaptrix.bridge.route.spoken import UNKNOWN, Incoming, in_order, is_owner, is_unknown, more_of
from zaptrix.bridge.tell.quotes import quoted
from zaptrix.bridge.tenants.directory import Directory, Tenant
from zaptrix.broker.cache.cache import ConversationCache, SeenCache
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane
from zaptrix.core.event import CustomerMessage, CustomerMoved, EventState, Receipt, TemplateChange
from zaptrix.core.ids import ChannelId, EventId, PortalId
from zaptrix.core.message.kinds import Unknown
from zaptrix.core.message.message import Direction, MediaContent, Origin
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Handover
from zaptrix.core.wording.error_codes import CodeTable
from zaptrix.store.connection.database import Connection
from zaptrix.store.journal import events
from zaptrix.store.journal.events import EventMark
from zaptrix.store.ledger import files, messages
from zaptrix.store.ledger.messages import NewMessage, Quotable, Wamid, WrittenMessage
from zaptrix.store.ledger.receipts import ChannelReceipt

_OF_A_NUMBER = (CustomerMessage, CustomerMoved, Receipt)


class InboundSteps(msgspec.Struct, frozen=True, kw_only=True):
    """What `Route` makes its steps with: what they look things up in, and whom they hand over to."""

    directory: Directory
    cache: ConversationCache
    seen: SeenCache
    codes: CodeTable
    handover: Handover
    file_wait_s: float  # a message waits this long for its file at the most

    def __call__(self, items: Sequence[TranslatedEvent]) -> InboundStep:
        return InboundStep(items, self)


class InboundStep:
    """One batch of events, of many numbers."""

    def __init__(self, items: Sequence[TranslatedEvent], given: InboundSteps) -> None:
        self.handing = HandingOver(given.handover)
        self.numbers: dict[str, Channel] = {}
        self._given = given
        self._items = items
        self._talks = Conversations(given.cache)
        self._tenants: dict[ChannelId, Tenant] = {}
        self._perhaps_seen: list[Wamid] = []
        self._twice: set[EventId] = set()
        self._learned: list[Incoming] = []
        self._relinked: set[EventId] = set()
        self._again: set[Lane] = set()  # with moves that are to be looked at once more
        self._told = Applied(set())  # by receipts
        self._accounts: set[str] = set()  # of ours, whose templates were changed
        self._spoken: list[Incoming] = []
        self._waiting_for_files: set[PortalId] = set()

    async def prepare(self) -> None:
        for number in {item.event.lane.tenant for item in self._items}:
            if tenant := await self._given.directory.number(number):
                self.numbers[number] = tenant.channel
                self._tenants[tenant.channel.id] = tenant
        self._spoken = in_order((item, self._channel(item)) for item in self._items)
        if self._spoken:
            ids = [said.wamid for said in self._spoken]
            _, hints = await asyncio.gather(
                self._talks.recall(self._spoken),
                self._given.seen.probably_seen([f"{channel_id}/{one}".encode() for channel_id, one in ids]),
            )
            self._perhaps_seen = [one for one, hint in zip(ids, hints, strict=True) if hint]

    async def write(self, connection: Connection) -> list[EventMark]:
        # What is there already comes first: messages are locked before conversations (docs/adr/, "Lock order").
        if told := self._receipts():
            self._told = await apply_receipts(connection, told, self._given.codes)
        await self._drop_known(connection)
        await self._relink(connection)
        if self._spoken:
            await self._talks.resolve(connection, self._spoken)
            known = await self._quotable(connection)
            await self._into_ledger(connection, known)
            # Whoever wrote for the first time and moved, both in this batch, was not there to be moved before.
            await self._relink(connection)
        if self._learned:
            await messages.learn(connection, [(said.wamid, said.message.content) for said in self._learned])
        if changes := [item.routed for item in self._items if isinstance(item.routed, TemplateChange)]:
            self._accounts = await apply_template_changes(connection, changes)
        return [self._mark(item) for item in self._items]

    def _receipts(self) -> list[ChannelReceipt]:
        return [
            ChannelReceipt(channel.id, item.routed)
            for item in self._items
            if isinstance(item.routed, Receipt) and (channel := self._channel(item))
        ]

    async def _into_ledger(self, connection: Connection, known: Mapping[Wamid, Quotable]) -> None:
        heard = await self._talks.hear(connection, self._spoken)
        rows = [self._ledger_row(said, known) for said in self._spoken]
        if self._is_plain:
            rows = self.handing.offered(rows, self._tenants)
        written = await messages.write(connection, rows)
        if len(written) < len(rows):
            written += await self._insert_further(connection, known)
        self.handing.written(rows, written, heard, self._tenants)
        if files_of := [row.conversation.portal_id for row in rows if isinstance(row.content, MediaContent)]:
            await files.want(connection, [one.id for one in written], self._given.file_wait_s)
            self._waiting_for_files = {*files_of}

    @property
    def _is_plain(self) -> bool:
        """Whether nothing that is older, or in another conversation so far, is to go before what is said here."""
        return not self._learned and not any(isinstance(item.routed, CustomerMoved) for item in self._items)

    def forget(self) -> None:
        """Another process let a number go a moment ago: what came for it is not for whom we remember."""
        self._given.directory.clear()

    async def committed(self) -> Iterable[Lane]:
        tell_ended(self._told.ended)
        if self._told.paused:
            self._given.directory.clear()
        await self._talks.remember()
        later = set(map(bitrix24_lane, self._waiting_for_files))
        others = {bitrix24_lane(channel.portal_id) for channel in self.numbers.values()}
        return self._told.lanes | self._again | later | (others if self._learned or self._relinked else set())

    async def _drop_known(self, connection: Connection) -> None:
        """Meta repeats itself: what Redis remembers and the ledger confirms needs no second look."""
        self._learned = [said for said in self._spoken if said.event.name in UNKNOWN and not is_unknown(said)]
        stored = await messages.quotable(connection, self._perhaps_seen) if self._perhaps_seen else {}
        known = {wamid: found.content for wamid, found in stored.items()}
        kept: list[Incoming] = []
        for said in self._spoken:
            if said.wamid in known:
                more = more_of(said, known[said.wamid])
                if more is None:
                    self._twice.add(said.event.id)
                else:
                    kept.append(more)
                continue
            known[said.wamid] = said.message.content
            kept.append(said)
        self._spoken = kept

    async def _insert_further(self, connection: Connection, quotable: Mapping[Wamid, Quotable]) -> list[WrittenMessage]:
        """The ledger had some of the ids, and Redis did not remember them."""
        stored = await messages.quotable(connection, [said.wamid for said in self._spoken])
        more = [each for said in self._spoken if (each := more_of(said, stored[said.wamid].content))]
        return await messages.write(connection, [self._ledger_row(said, quotable) for said in more]) if more else []

    def _channel(self, item: TranslatedEvent) -> Channel | None:
        """The channel that has the number, and had it when this came."""
        channel = self.numbers.get(item.event.lane.tenant)
        return channel if channel and is_owner(channel, item) else None

    def _mark(self, item: TranslatedEvent) -> EventMark:
        if isinstance(item.routed, TemplateChange) and item.routed.waba_id not in self._accounts:
            return EventMark(item.event, EventState.IGNORED, "no number here has the templates of this account")
        if not isinstance(item.routed, _OF_A_NUMBER):
            return plain_mark(item)
        if self._channel(item) is None:
            others = item.event.lane.tenant in self.numbers
            why = "it came while the number was another portal's" if others else "no channel has this number"
            return EventMark(item.event, EventState.UNROUTABLE, why)
        if isinstance(item.routed, CustomerMessage) and isinstance(item.routed.content, Unknown):
            # The operator sees that something came; the event waits for a version that knows it.
            return EventMark(
                item.event, EventState.UNROUTABLE, f"an unknown kind of message: {item.routed.content.kind}"
            )
        if isinstance(item.routed, CustomerMoved) and item.event.id not in self._relinked:
            return EventMark(item.event, EventState.IGNORED, "nobody here had these ids, or it is known")
        if item.event.id in self._twice:
            return EventMark(item.event, EventState.IGNORED, "delivered again: the ledger has it")
        return plain_mark(item)

    async def _relink(self, connection: Connection) -> None:
        """Customers who have other ids now keep their conversations, in whatever order Meta tells of two moves."""
        waiting = [item for item in self._items if isinstance(item.routed, CustomerMoved) and self._channel(item)]
        moved = True
        while waiting and moved:
            moved = False
            for item in list(waiting):
                if item.event.id in self._relinked or await self._relink_one(connection, item):
                    waiting.remove(item)
                    moved = True

    async def _relink_one(self, connection: Connection, item: TranslatedEvent) -> bool:
        """Whether anybody's ids were changed."""
        channel = self._channel(item)
        assert channel is not None
        assert isinstance(item.routed, CustomerMoved)
        changed = await relink(connection, channel, item.routed, item.event.request_id)
        if changed:
            self._relinked.add(item.event.id)
            self._talks.changed(changed)
            # A later move of hers may have come before this one, and found nobody with her ids.
            mine = [each.event.id for each in self._items]
            self._again |= await events.moves_again(connection, item.event.lane, beside=mine, days=limits.MOVES_DAYS)
        return bool(changed)

    async def _quotable(self, connection: Connection) -> dict[Wamid, Quotable]:
        """What the messages of this batch speak of: of earlier ones, and of each other."""
        asked = {wamid for said in self._spoken if (wamid := said.quotes)}
        if not asked:
            return {}
        here = {
            said.wamid: Quotable(
                conversation_id=self._talks.of(said).id, direction=Direction.INBOUND, content=said.message.content
            )
            for said in self._spoken
            if said.wamid in asked
        }
        return here | await messages.quotable(connection, list(asked))

    def _ledger_row(self, said: Incoming, known: Mapping[Wamid, Quotable]) -> NewMessage:
        talk = self._talks.of(said)
        return NewMessage(
            conversation=talk,
            direction=Direction.INBOUND,
            origin=Origin.CUSTOMER,
            content=quoted(said.message.content, talk.id, said.quotes, known),
            request_id=said.event.request_id,
            written_at=said.message.written_at,
            heard_at=said.event.received_at,
            whatsapp_id=said.message.whatsapp_id,
        )
