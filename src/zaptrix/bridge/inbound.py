"""Route inbound: customers' messages into the ledger, receipts onto the messages that they speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.directory import Directory, Tenant
from zaptrix.bridge.receipts import apply_receipts
from zaptrix.bridge.routing import Item, plain_mark
from zaptrix.core import limits
from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer
from zaptrix.core.event import CustomerMessage, Event, EventState, Receipt
from zaptrix.core.identity import bereft, choose, merged
from zaptrix.core.ids import ChannelId, ConversationId, EventId
from zaptrix.core.lanes import Lane, bitrix24_lane
from zaptrix.core.message import Direction, Origin
from zaptrix.queues.cache import ConversationCache, SeenCache
from zaptrix.store import conversations, messages
from zaptrix.store.conversations import Heard
from zaptrix.store.database import Connection
from zaptrix.store.events import Mark
from zaptrix.store.messages import NewMessage


class Spoken(msgspec.Struct, frozen=True):
    """A customer's message and the request that brought it."""

    message: CustomerMessage
    event: Event


class InboundStep:
    """One batch of events of one number."""

    def __init__(
        self, lane: Lane, items: Sequence[Item], directory: Directory, cache: ConversationCache, seen: SeenCache
    ) -> None:
        self._number = lane.name.rpartition(".")[0]
        self._items = items
        self._directory = directory
        self._cache = cache
        self._seen = seen
        self._perhaps_seen: list[str] = []
        self._twice: set[EventId] = set()
        self._tenant: Tenant | None = None
        self._cached: dict[str, Conversation] = {}
        self._talks: dict[str, Conversation] = {}  # by the customer's key
        self._bereft: list[ConversationId] = []
        self._moved: set[Lane] = set()  # by receipts
        self._spoken = _in_order(items)

    async def prepare(self) -> None:
        self._tenant = await self._directory.number(self._number)
        if self._tenant and self._spoken:
            channel_id = self._tenant.channel.id
            keys = [(channel_id, said.message.customer.key) for said in self._spoken]
            self._cached = {key[1]: talk for key, talk in (await self._cache.get_many_by_customer(keys)).items()}
            ids = [said.message.whatsapp_id for said in self._spoken]
            hints = await self._seen.probably_seen([f"{channel_id}/{one}".encode() for one in ids])
            self._perhaps_seen = [one for one, hint in zip(ids, hints, strict=True) if hint]

    async def write(self, connection: Connection) -> list[Mark]:
        if self._tenant is None:
            return [_nobody(item) for item in self._items]
        await self._drop_known(connection, self._tenant.channel.id)
        if self._spoken:
            await self._resolve(connection, self._tenant)
            await messages.insert(connection, [self._ledger_row(said) for said in self._spoken])
            await conversations.hear(connection, self._heard())
        receipts = [item.routed for item in self._items if isinstance(item.routed, Receipt)]
        if receipts:
            self._moved = await apply_receipts(connection, self._tenant.channel.id, receipts)
        return [self._mark(item) for item in self._items]

    async def committed(self) -> Iterable[Lane]:
        if self._bereft:
            await self._cache.invalidate(conversations=self._bereft)
        await self._cache.put_many(self._talks.values())
        return self._moved | ({bitrix24_lane(self._tenant.portal.id)} if self._tenant and self._talks else set())

    async def _drop_known(self, connection: Connection, channel_id: ChannelId) -> None:
        """Meta repeats itself: what Redis remembers and the ledger confirms needs no second look."""
        if not self._perhaps_seen:
            return
        known = await messages.known(connection, channel_id, self._perhaps_seen)
        self._twice = {said.event.id for said in self._spoken if said.message.whatsapp_id in known}
        self._spoken = [said for said in self._spoken if said.event.id not in self._twice]

    def _mark(self, item: Item) -> Mark:
        if item.event.id in self._twice:
            return Mark(item.event, EventState.IGNORED, "delivered again: the ledger has it")
        return plain_mark(item)

    async def _resolve(self, connection: Connection, tenant: Tenant) -> None:
        """Find or create the conversation of every customer who spoke."""
        customers = _customers(self._spoken)
        asked = [c for key, c in customers.items() if not _says_it_all(self._cached.get(key), c)]
        found = await conversations.known(connection, tenant.channel.id, asked) if asked else []
        known = {talk.id: talk for talk in found}
        for key, customer in customers.items():
            talk = self._cached.get(key)
            if talk is None or not _says_it_all(talk, customer):
                await self._take_numbers(connection, bereft(customer, known.values()), known)
                talk = choose(customer, known.values()) or await conversations.add(connection, tenant.channel, customer)
            # What one webhook tells of a customer, the next one in this batch may leave out.
            self._talks[key] = known[talk.id] = replace(talk, customer=merged(talk.customer, customer))

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
            conversation=self._talks[said.message.customer.key],
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
            customer, talk_id = said.message.customer, self._talks[said.message.customer.key].id
            told[talk_id] = merged(told[talk_id], customer) if talk_id in told else customer
            last[talk_id] = said.message.written_at
        # The window is counted from Meta's clock: a webhook can be days late.
        ends = {talk_id: at + timedelta(hours=limits.WINDOW_HOURS) for talk_id, at in last.items()}
        self._talks = {key: _with_window(talk, ends[talk.id]) for key, talk in self._talks.items()}
        return [
            Heard(id=each, customer=told[each], last_written_at=last[each], window_expires_at=ends[each])
            for each in told
        ]


def inbound_steps(
    directory: Directory, cache: ConversationCache, seen: SeenCache
) -> Callable[[Lane, Sequence[Item]], InboundStep]:
    """What `Route` makes its steps with."""
    return lambda lane, items: InboundStep(lane, items, directory, cache, seen)


def _in_order(items: Sequence[Item]) -> list[Spoken]:
    """Customers' messages by Meta's clock, then by arrival: webhooks promise no order."""
    spoken = [Spoken(i.routed, i.event) for i in items if isinstance(i.routed, CustomerMessage)]
    return sorted(spoken, key=lambda said: said.message.written_at)


def _customers(spoken: Sequence[Spoken]) -> dict[str, Customer]:
    customers: dict[str, Customer] = {}
    for said in spoken:
        customer = said.message.customer
        old = customers.get(customer.key)
        customers[customer.key] = merged(old, customer) if old else customer
    return customers


def _says_it_all(cached: Conversation | None, customer: Customer) -> bool:
    """Whether the cache's word is enough: it knows this customer, and the webhook tells no new number."""
    return (
        cached is not None
        and (customer.bsuid is None or cached.customer.bsuid == customer.bsuid)
        and (customer.wa_id is None or cached.customer.wa_id == customer.wa_id)
    )


def _with_window(talk: Conversation, ends: datetime) -> Conversation:
    return replace(talk, window_expires_at=max(talk.window_expires_at or ends, ends))


def _nobody(item: Item) -> Mark:
    return Mark(item.event, EventState.UNROUTABLE, "no channel has this number")
