"""What customers said in one batch: by whom, by which number, in which order, and whether it was said before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.route.repeats import further
from zaptrix.bridge.route.router import TranslatedEvent
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.identity import merged
from zaptrix.core.event import CustomerMessage, Event
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.kinds import Unknown
from zaptrix.core.message.message import Content
from zaptrix.core.portal import Channel
from zaptrix.store.ledger.messages import Wamid

UNKNOWN = ("messages.unknown", "standby.unknown")  # what `whatsapp.inbound` calls a kind that it does not know
Who = tuple[ChannelId, str]  # a customer of a channel, by the customer's key


class Incoming(msgspec.Struct, frozen=True):
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

    @property
    def quotes(self) -> Wamid | None:
        """The message that this one speaks of."""
        quote = self.message.content.marks.quote
        return (self.channel.id, quote.whatsapp_id) if quote else None


def is_owner(channel: Channel, item: TranslatedEvent) -> bool:
    if isinstance(item.routed, CustomerMessage) and not channel.owned_when_written(item.routed.written_at):
        return False
    return channel.owned_at(item.event.received_at)


def in_order(items: Iterable[tuple[TranslatedEvent, Channel | None]]) -> list[Incoming]:
    """Customers' messages by Meta's clock, then by arrival: webhooks promise no order."""
    spoken = [
        Incoming(item.routed, channel, item.event)
        for item, channel in items
        if channel and isinstance(item.routed, CustomerMessage)
    ]
    return sorted(spoken, key=lambda said: said.message.written_at)


def customers_of(spoken: Sequence[Incoming]) -> dict[Who, Customer]:
    customers: dict[Who, Customer] = {}
    for said in spoken:
        customer = said.message.customer
        old = customers.get(said.who)
        customers[said.who] = merged(old, customer) if old else customer
    return customers


def more_of(said: Incoming, known: Content) -> Incoming | None:
    """`said` under an id of its own, when it says more than `known`, which has its id."""
    if isinstance(known, Unknown) and said.event.name in UNKNOWN:
        return None  # the same message, understood now: it is learned
    more = further(said.message, known)
    return replace(said, message=more) if more else None


def is_unknown(said: Incoming) -> bool:
    return isinstance(said.message.content, Unknown)
