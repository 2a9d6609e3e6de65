"""Route inbound: customers' messages into the ledger, receipts onto the messages that they speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.directory import Directory
from zaptrix.bridge.receipts import apply_receipts
from zaptrix.bridge.routing import Item, plain_mark
from zaptrix.bridge.template_changes import apply_changes
from zaptrix.core import limits
from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer
from zaptrix.core.event import CustomerMessage, Event, EventState, Receipt, TemplateChange
from zaptrix.core.identity import bereft, choose, merged
from zaptrix.core.ids import ChannelId, ConversationId, EventId
from zaptrix.core.lanes import Lane, bitrix24_lane
from zaptrix.core.message import Direction, Origin
from zaptrix.core.portal import Channel
from zaptrix.queues.cache import ConversationCache, SeenCache
from zaptrix.store import conversations, messages
from zaptrix.store.conversations import Heard
from zaptrix.store.database import Connection
from zaptrix.store.events import Mark
from zaptrix.store.messages import NewMessage, Wamid
from zaptrix.store.receipts import Told

Who = tuple[ChannelId, str]  # a customer of a channel, by the customer's key


class Spoken(msgspec.Struct, frozen=True):
    """A customer's message, the channel that it came by and the request that brought it."""

    message: CustomerMessage
    channel: Channel
    event: Event

    @property
    def who(self) -> Who:
        return self.channel.id, self.message.customer.key

    @property
    def wamid(self) -> Wamid:
        return self.channel.id, self.message.whatsapp_id


class InboundStep:
    """One batch of events, of many numbers."""

    def __init__(self, items: Sequence[Item], directory: Directory, cache: ConversationCache, seen: SeenCache) -> None:
        self._items = items
        self._directory = directory
        self._cache = cache
        self._seen = seen
        self._perhaps_seen: list[Wamid] = []
        self._twice: set[EventId] = set()
        self._channels: dict[str, Channel] = {}  # by number
        self._cached: dict[Who, Conversation] = {}
        self._talks: dict[Who, Conversation] = {}
        self._bereft: list[ConversationId] = []
        self._moved: set[Lane] = set()  # by receipts
        self._accounts: set[str] = set()  # of ours, whose templates were changed
        self._spoken: list[Spoken] = []

    async def prepare(self) -> None:
        for number in {item.event.lane.tenant for item in self._items}:
            if tenant := await self._directory.number(number):
                self._channels[number] = tenant.channel
        self._spoken = _in_order(self._items, self._channels)
        if self._spoken:
            self._cached = await self._cache.get_many_by_customer([said.who for said in self._spoken])
            ids = [said.wamid for said in self._spoken]
            hints = await self._seen.probably_seen([f"{channel_id}/{one}".encode() for channel_id, one in ids])
            self._perhaps_seen = [one for one, hint in zip(ids, hints, strict=True) if hint]

    async def write(self, connection: Connection) -> list[Mark]:
        await self._drop_known(connection)
        if self._spoken:
            await self._resolve(connection)
            await messages.insert(connection, [self._ledger_row(said) for said in self._spoken])
            await conversations.hear(connection, self._heard())
        told = [
            Told(channel.id, item.routed)
            for item in self._items
            if isinstance(item.routed, Receipt) and (channel := self._channel(item))
        ]
        if told:
            self._moved = await apply_receipts(connection, told)
        if changes := [item.routed for item in self._items if isinstance(item.routed, TemplateChange)]:
            self._accounts = await apply_changes(connection, changes)
        return [self._mark(item) for item in self._items]

    async def committed(self) -> Iterable[Lane]:
        if self._bereft:
            await self._cache.invalidate(conversations=self._bereft)
        await self._cache.put_many([talk for who, talk in self._talks.items() if _is_news(talk, self._cached.get(who))])
        return self._moved | {bitrix24_lane(talk.portal_id) for talk in self._talks.values()}

    async def _drop_known(self, connection: Connection) -> None:
        """Meta repeats itself: what Redis remembers and the ledger confirms needs no second look."""
        if not self._perhaps_seen:
            return
        known = await messages.known(connection, self._perhaps_seen)
        self._twice = {said.event.id for said in self._spoken if said.wamid in known}
        self._spoken = [said for said in self._spoken if said.event.id not in self._twice]

    def _channel(self, item: Item) -> Channel | None:
        return self._channels.get(item.event.lane.tenant)

    def _mark(self, item: Item) -> Mark:
        if isinstance(item.routed, TemplateChange) and item.routed.waba_id in self._accounts:
            return plain_mark(item)
        if self._channel(item) is None:
            return Mark(item.event, EventState.UNROUTABLE, "no channel has this number")
        if item.event.id in self._twice:
            return Mark(item.event, EventState.IGNORED, "delivered again: the ledger has it")
        return plain_mark(item)

    async def _resolve(self, connection: Connection) -> None:
        """Find or create the conversation of every customer who spoke."""
        customers = _customers(self._spoken)
        channels = {said.channel.id: said.channel for said in self._spoken}
        asked = [(who[0], c) for who, c in customers.items() if not _says_it_all(self._cached.get(who), c)]
        known: dict[ChannelId, dict[ConversationId, Conversation]] = {channel_id: {} for channel_id in channels}
        for talk in await conversations.known(connection, asked) if asked else []:
            known[talk.channel_id][talk.id] = talk
        for who, customer in customers.items():
            here, channel = known[who[0]], channels[who[0]]
            cached = self._cached.get(who)
            if cached is None or not _says_it_all(cached, customer):
                await self._take_numbers(connection, bereft(customer, here.values()), here)
                cached = choose(customer, here.values()) or await conversations.add(connection, channel, customer)
            # What one webhook tells of a customer, the next one in this batch may leave out.
            self._talks[who] = here[cached.id] = replace(cached, customer=merged(cached.customer, customer))

    async def _take_numbers(
        self, connection: Connection, losers: Sequence[Conversation], known: dict[ConversationId, Conversation]
    ) -> None:
        """The number was given to somebody else: its old conversations hold it no more."""
        if not losers:
            return
        await conversations.detach_numbers(connection, [talk.id for talk in losers])
        self._bereft += [talk.id for talk in losers]
        for talk in losers:
            known[talk.id] = replace(talk, customer=replace(talk.customer, wa_id=None, phone=None))

    def _ledger_row(self, said: Spoken) -> NewMessage:
        return NewMessage(
            conversation=self._talks[said.who],
            direction=Direction.INBOUND,
            origin=Origin.CUSTOMER,
            content=said.message.content,
            request_id=said.event.request_id,
            written_at=said.message.written_at,
            whatsapp_id=said.message.whatsapp_id,
        )

    def _heard(self) -> list[Heard]:
        """What the webhooks told, and no more: what the cache remembers may be out of date."""
        told: dict[ConversationId, Customer] = {}
        last: dict[ConversationId, datetime] = {}
        for said in self._spoken:
            customer, talk_id = said.message.customer, self._talks[said.who].id
            told[talk_id] = merged(told[talk_id], customer) if talk_id in told else customer
            last[talk_id] = said.message.written_at
        # The window is counted from Meta's clock: a webhook can be days late.
        ends = {talk_id: at + timedelta(hours=limits.WINDOW_HOURS) for talk_id, at in last.items()}
        self._talks = {who: _with_window(talk, ends[talk.id]) for who, talk in self._talks.items()}
        return [
            Heard(id=each, customer=told[each], last_written_at=last[each], window_expires_at=ends[each])
            for each in told
        ]


def inbound_steps(
    directory: Directory, cache: ConversationCache, seen: SeenCache
) -> Callable[[Sequence[Item]], InboundStep]:
    """What `Route` makes its steps with."""
    return lambda items: InboundStep(items, directory, cache, seen)


def _in_order(items: Sequence[Item], channels: Mapping[str, Channel]) -> list[Spoken]:
    """Customers' messages by Meta's clock, then by arrival: webhooks promise no order."""
    spoken = [
        Spoken(item.routed, channel, item.event)
        for item in items
        if isinstance(item.routed, CustomerMessage) and (channel := channels.get(item.event.lane.tenant))
    ]
    return sorted(spoken, key=lambda said: said.message.written_at)


def _customers(spoken: Sequence[Spoken]) -> dict[Who, Customer]:
    customers: dict[Who, Customer] = {}
    for said in spoken:
        customer = said.message.customer
        old = customers.get(said.who)
        customers[said.who] = merged(old, customer) if old else customer
    return customers


def _says_it_all(cached: Conversation | None, customer: Customer) -> bool:
    """Whether the cache's word is enough: it knows this customer, and the webhook tells no new number."""
    return (
        cached is not None
        and (customer.bsuid is None or cached.customer.bsuid == customer.bsuid)
        and (customer.wa_id is None or cached.customer.wa_id == customer.wa_id)
    )


def _is_news(talk: Conversation, cached: Conversation | None) -> bool:
    """Whether the cache has to learn of it. The window moves with every message, and is only asked of the ledger."""
    return cached is None or replace(cached, window_expires_at=talk.window_expires_at) != talk


def _with_window(talk: Conversation, ends: datetime) -> Conversation:
    return replace(talk, window_expires_at=max(talk.window_expires_at or ends, ends))
