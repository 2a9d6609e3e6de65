"""Route inbound: customers' messages into the ledger, receipts onto the messages that they speak of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.directory import Directory, Tenant
from zaptrix.bridge.handover import HandingOver
from zaptrix.bridge.moves import join, relink
from zaptrix.bridge.quotes import quoted
from zaptrix.bridge.receipts import Applied, apply_receipts, apply_template_changes, tell_ended
from zaptrix.bridge.routing import Item, plain_mark
from zaptrix.bridge.spoken import UNKNOWN, Spoken, Who, customers_of, in_order, is_owner, is_unknown, more_of
from zaptrix.core import limits
from zaptrix.core.codes import CodeTable
from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer
from zaptrix.core.event import CustomerMessage, CustomerMoved, EventState, Receipt, TemplateChange
from zaptrix.core.identity import bereft, choose, merged, says_it_all, twins, without_former_ids
from zaptrix.core.ids import ChannelId, ConversationId, EventId, PortalId
from zaptrix.core.kinds import Unknown
from zaptrix.core.lanes import Lane, bitrix24_lane
from zaptrix.core.message import Direction, Media, Origin, opens_window
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Handover
from zaptrix.core.referral import Referral
from zaptrix.queues.cache import ConversationCache, SeenCache
from zaptrix.store import conversations, events, files, messages
from zaptrix.store.conversations import Heard
from zaptrix.store.database import Connection
from zaptrix.store.events import Mark
from zaptrix.store.messages import NewMessage, Quotable, Wamid, Written
from zaptrix.store.receipts import Told

_OF_A_NUMBER = (CustomerMessage, CustomerMoved, Receipt)


class InboundSteps(msgspec.Struct, frozen=True, kw_only=True):
    """What `Route` makes its steps with: what they look things up in, and whom they hand over to."""

    directory: Directory
    cache: ConversationCache
    seen: SeenCache
    codes: CodeTable
    handover: Handover
    file_wait_s: float  # a message waits this long for its file at the most

    def __call__(self, items: Sequence[Item]) -> InboundStep:
        return InboundStep(items, self)


class InboundStep:
    """One batch of events, of many numbers."""

    def __init__(self, items: Sequence[Item], given: InboundSteps) -> None:
        self.handing = HandingOver(given.handover)
        self.numbers: dict[str, Channel] = {}
        self._codes = given.codes
        self._items = items
        self._file_wait_s = given.file_wait_s
        self._directory = given.directory
        self._cache = given.cache
        self._seen = given.seen
        self._perhaps_seen: list[Wamid] = []
        self._twice: set[EventId] = set()
        self._tenants: dict[ChannelId, Tenant] = {}
        self._cached: dict[Who, Conversation] = {}
        self._talks: dict[Who, Conversation] = {}
        self._gone: list[ConversationId] = []  # what the cache knows of these is no longer so
        self._learned: list[Spoken] = []
        self._relinked: set[EventId] = set()
        self._again: set[Lane] = set()  # with moves that are to be looked at once more
        self._told = Applied(set())  # by receipts
        self._accounts: set[str] = set()  # of ours, whose templates were changed
        self._spoken: list[Spoken] = []
        self._waiting_for_files: set[PortalId] = set()

    async def prepare(self) -> None:
        for number in {item.event.lane.tenant for item in self._items}:
            if tenant := await self._directory.number(number):
                self.numbers[number] = tenant.channel
                self._tenants[tenant.channel.id] = tenant
        self._spoken = in_order((item, self._channel(item)) for item in self._items)
        if self._spoken:
            ids = [said.wamid for said in self._spoken]
            self._cached, hints = await asyncio.gather(
                self._cache.get_many_by_customer([said.who for said in self._spoken]),
                self._seen.probably_seen([f"{channel_id}/{one}".encode() for channel_id, one in ids]),
            )
            self._perhaps_seen = [one for one, hint in zip(ids, hints, strict=True) if hint]

    async def write(self, connection: Connection) -> list[Mark]:
        # What is there already comes first: messages are locked before conversations (docs/adr/, "Lock order").
        if told := self._receipts():
            self._told = await apply_receipts(connection, told, self._codes)
        await self._drop_known(connection)
        await self._relink(connection)
        if self._spoken:
            await self._resolve(connection)
            known = await self._quotable(connection)
            await self._into_ledger(connection, known)
            # Whoever wrote for the first time and moved, both in this batch, was not there to be moved before.
            await self._relink(connection)
        if self._learned:
            await messages.learn(connection, [(said.wamid, said.message.content) for said in self._learned])
        if changes := [item.routed for item in self._items if isinstance(item.routed, TemplateChange)]:
            self._accounts = await apply_template_changes(connection, changes)
        return [self._mark(item) for item in self._items]

    def _receipts(self) -> list[Told]:
        return [
            Told(channel.id, item.routed)
            for item in self._items
            if isinstance(item.routed, Receipt) and (channel := self._channel(item))
        ]

    async def _into_ledger(self, connection: Connection, known: Mapping[Wamid, Quotable]) -> None:
        heard = await conversations.hear(connection, self._heard())
        self._talks = {who: heard.get(talk.id, talk) for who, talk in self._talks.items()}
        rows = [self._ledger_row(said, known) for said in self._spoken]
        if self._is_plain:
            rows = self.handing.offered(rows, self._tenants)
        written = await messages.write(connection, rows)
        if len(written) < len(rows):
            written += await self._insert_further(connection, known)
        self.handing.written(rows, written, heard, self._tenants)
        if files_of := [row.conversation.portal_id for row in rows if isinstance(row.content, Media)]:
            await files.want(connection, [one.id for one in written], self._file_wait_s)
            self._waiting_for_files = {*files_of}

    @property
    def _is_plain(self) -> bool:
        """Whether nothing that is older, or in another conversation so far, is to go before what is said here."""
        return not self._learned and not any(isinstance(item.routed, CustomerMoved) for item in self._items)

    def forget(self) -> None:
        """Another process let a number go a moment ago: what came for it is not for whom we remember."""
        self._directory.clear()

    async def committed(self) -> Iterable[Lane]:
        tell_ended(self._told.ended)
        if self._told.paused:
            self._directory.clear()
        if self._gone:
            await self._cache.invalidate(conversations=self._gone)
        await self._cache.put_many(
            [
                talk
                for who, talk in self._talks.items()
                if talk.id not in self._gone and _is_news(talk, self._cached.get(who))
            ]
        )
        later = set(map(bitrix24_lane, self._waiting_for_files))
        others = {bitrix24_lane(channel.portal_id) for channel in self.numbers.values()}
        return self._told.lanes | self._again | later | (others if self._learned or self._relinked else set())

    async def _drop_known(self, connection: Connection) -> None:
        """Meta repeats itself: what Redis remembers and the ledger confirms needs no second look."""
        self._learned = [said for said in self._spoken if said.event.name in UNKNOWN and not is_unknown(said)]
        stored = await messages.quotable(connection, self._perhaps_seen) if self._perhaps_seen else {}
        known = {wamid: found.content for wamid, found in stored.items()}
        kept: list[Spoken] = []
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

    async def _insert_further(self, connection: Connection, quotable: Mapping[Wamid, Quotable]) -> list[Written]:
        """The ledger had some of the ids, and Redis did not remember them."""
        stored = await messages.quotable(connection, [said.wamid for said in self._spoken])
        more = [each for said in self._spoken if (each := more_of(said, stored[said.wamid].content))]
        return await messages.write(connection, [self._ledger_row(said, quotable) for said in more]) if more else []

    def _channel(self, item: Item) -> Channel | None:
        """The channel that has the number, and had it when this came."""
        channel = self.numbers.get(item.event.lane.tenant)
        return channel if channel and is_owner(channel, item) else None

    def _mark(self, item: Item) -> Mark:
        if isinstance(item.routed, TemplateChange) and item.routed.waba_id not in self._accounts:
            return Mark(item.event, EventState.IGNORED, "no number here has the templates of this account")
        if not isinstance(item.routed, _OF_A_NUMBER):
            return plain_mark(item)
        if self._channel(item) is None:
            others = item.event.lane.tenant in self.numbers
            why = "it came while the number was another portal's" if others else "no channel has this number"
            return Mark(item.event, EventState.UNROUTABLE, why)
        if isinstance(item.routed, CustomerMessage) and isinstance(item.routed.content, Unknown):
            # The operator sees that something came; the event waits for a version that knows it.
            return Mark(item.event, EventState.UNROUTABLE, f"an unknown kind of message: {item.routed.content.kind}")
        if isinstance(item.routed, CustomerMoved) and item.event.id not in self._relinked:
            return Mark(item.event, EventState.IGNORED, "nobody here had these ids, or it is known")
        if item.event.id in self._twice:
            return Mark(item.event, EventState.IGNORED, "delivered again: the ledger has it")
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

    async def _relink_one(self, connection: Connection, item: Item) -> bool:
        """Whether anybody's ids were changed."""
        channel = self._channel(item)
        assert channel is not None
        assert isinstance(item.routed, CustomerMoved)
        changed = await relink(connection, channel, item.routed, item.event.request_id)
        if changed:
            self._relinked.add(item.event.id)
            self._gone += changed
            # A later move of hers may have come before this one, and found nobody with her ids.
            mine = [each.event.id for each in self._items]
            self._again |= await events.moves_again(connection, item.event.lane, beside=mine, days=limits.MOVES_DAYS)
        return bool(changed)

    async def _resolve(self, connection: Connection) -> None:
        """Find or create the conversation of every customer who spoke."""
        customers = customers_of(self._spoken)
        channels = {said.channel.id: said.channel for said in self._spoken}
        if self._gone:
            self._cached = {who: talk for who, talk in self._cached.items() if talk.id not in self._gone}
        asked = [(who[0], c) for who, c in customers.items() if not says_it_all(self._cached.get(who), c)]
        known: dict[ChannelId, dict[ConversationId, Conversation]] = {channel_id: {} for channel_id in channels}
        for talk in await conversations.known(connection, asked) if asked else []:
            known[talk.channel_id][talk.id] = talk
        for who, customer in customers.items():
            here, cached = known[who[0]], self._cached.get(who)
            if cached is None or not says_it_all(cached, customer):
                cached = await self._find(connection, channels[who[0]], customer, here)
            # What one webhook tells of a customer, the next one in this batch may leave out.
            told = without_former_ids(customer, cached)
            self._talks[who] = here[cached.id] = replace(cached, customer=merged(cached.customer, told))

    async def _find(
        self,
        connection: Connection,
        channel: Channel,
        customer: Customer,
        here: dict[ConversationId, Conversation],
    ) -> Conversation:
        """The customer's conversation: of several the one that goes on, of none a new one."""
        found = choose(customer, here.values())
        if found is not None and customer.bsuid in found.former_bsuids:
            return found
        await self._take_numbers(connection, bereft(customer, here.values()), here)
        talks = twins(customer, here.values())
        if not talks:
            return await conversations.add(connection, channel, customer)
        if len(talks) > 1:
            self._gone += [talk.id for talk in talks]
            for talk in talks[1:]:
                del here[talk.id]
        return await join(connection, talks, customer)

    async def _take_numbers(
        self, connection: Connection, losers: Sequence[Conversation], known: dict[ConversationId, Conversation]
    ) -> None:
        """The number was given to somebody else: its old conversations hold it no more."""
        if not losers:
            return
        await conversations.detach_numbers(connection, [talk.id for talk in losers])
        self._gone += [talk.id for talk in losers]
        for talk in losers:
            known[talk.id] = replace(talk, customer=replace(talk.customer, wa_id=None, phone=None))

    async def _quotable(self, connection: Connection) -> dict[Wamid, Quotable]:
        """What the messages of this batch speak of: of earlier ones, and of each other."""
        asked = {wamid for said in self._spoken if (wamid := said.quotes)}
        if not asked:
            return {}
        here = {
            said.wamid: Quotable(
                conversation_id=self._talks[said.who].id, direction=Direction.INBOUND, content=said.message.content
            )
            for said in self._spoken
            if said.wamid in asked
        }
        return here | await messages.quotable(connection, list(asked))

    def _ledger_row(self, said: Spoken, known: Mapping[Wamid, Quotable]) -> NewMessage:
        talk = self._talks[said.who]
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

    def _heard(self) -> list[Heard]:
        """What the webhooks told, and no more: what the cache remembers may be out of date."""
        told: dict[ConversationId, Customer] = {}
        last: dict[ConversationId, datetime] = {}
        ends: dict[ConversationId, datetime] = {}
        referrals: dict[ConversationId, Referral] = {}
        for said in self._spoken:
            talk = self._talks[said.who]
            customer = without_former_ids(said.message.customer, talk)
            told[talk.id] = merged(told[talk.id], customer) if talk.id in told else customer
            last[talk.id] = said.message.written_at
            if opens_window(said.message.content):
                # The window is counted from Meta's clock: a webhook can be days late.
                # Nor can it be of tomorrow, whatever it says.
                spoken_at = min(said.message.written_at, said.event.received_at)
                ends[talk.id] = max(ends.get(talk.id, spoken_at), spoken_at + timedelta(hours=limits.WINDOW_HOURS))
            if referral := said.message.content.marks.referral:
                referrals[talk.id] = referral
        return [
            Heard(
                id=each,
                customer=told[each],
                last_written_at=last[each],
                window_expires_at=ends.get(each),
                referral=referrals.get(each),
            )
            for each in told
        ]


def _is_news(talk: Conversation, cached: Conversation | None) -> bool:
    """Whether the cache has to learn of it. The window moves with every message, and is only asked of the ledger."""
    return cached is None or replace(cached, window_expires_at=talk.window_expires_at) != talk
