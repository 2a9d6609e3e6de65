"""Conversations of one batch: every customer who spoke has one, which Redis remembers, the ledger knows, or is made.

Of several of one person the first goes on (`core/customer/identity.py`); Redis learns of it when the batch is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from zaptrix.bridge.route.customer_moves import join
from zaptrix.bridge.route.spoken import Incoming, Who, customers_of
from zaptrix.broker.cache.cache import ConversationCache
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.identity import bereft, choose, merged, says_it_all, twins, without_former_ids
from zaptrix.core.customer.referral import Referral
from zaptrix.core.ids import ChannelId, ConversationId
from zaptrix.core.message.message import opens_window
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import Connection
from zaptrix.store.people import conversations as store
from zaptrix.store.people.conversations import Heard


class Conversations:
    """Those of the customers who spoke in one batch."""

    def __init__(self, cache: ConversationCache) -> None:
        self._cache = cache
        self._cached: dict[Who, Conversation] = {}
        self._talks: dict[Who, Conversation] = {}
        self._gone: list[ConversationId] = []  # what the cache knows of these is no longer so

    def of(self, said: Incoming) -> Conversation:
        """The conversation of who said it; after `resolve`."""
        return self._talks[said.who]

    def changed(self, ids: Iterable[ConversationId]) -> None:
        """These are not any more what was remembered of them."""
        self._gone += ids

    async def recall(self, spoken: Sequence[Incoming]) -> None:
        """What Redis remembers of who spoke."""
        self._cached = await self._cache.get_many_by_customer([said.who for said in spoken])

    async def remember(self) -> None:
        """Redis learns of it; after the transaction."""
        if self._gone:
            await self._cache.invalidate(conversations=self._gone)
        await self._cache.put_many(
            [
                talk
                for who, talk in self._talks.items()
                if talk.id not in self._gone and _is_news(talk, self._cached.get(who))
            ]
        )

    async def hear(self, connection: Connection, spoken: Sequence[Incoming]) -> dict[ConversationId, Conversation]:
        """Write what was told of customers; the conversations as they stand now."""
        heard = await store.hear(connection, self._heard(spoken))
        self._talks = {who: heard.get(talk.id, talk) for who, talk in self._talks.items()}
        return heard

    async def resolve(self, connection: Connection, spoken: Sequence[Incoming]) -> None:
        """Find or create the conversation of every customer who spoke."""
        customers = customers_of(spoken)
        channels = {said.channel.id: said.channel for said in spoken}
        if self._gone:
            self._cached = {who: talk for who, talk in self._cached.items() if talk.id not in self._gone}
        asked = [(who[0], c) for who, c in customers.items() if not says_it_all(self._cached.get(who), c)]
        known: dict[ChannelId, dict[ConversationId, Conversation]] = {channel_id: {} for channel_id in channels}
        for talk in await store.known(connection, asked) if asked else []:
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
            return await store.add(connection, channel, customer)
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
        await store.detach_numbers(connection, [talk.id for talk in losers])
        self._gone += [talk.id for talk in losers]
        for talk in losers:
            known[talk.id] = replace(talk, customer=replace(talk.customer, wa_id=None, phone=None))

    def _heard(self, spoken: Sequence[Incoming]) -> list[Heard]:
        """What the webhooks told, and no more: what the cache remembers may be out of date."""
        told: dict[ConversationId, Customer] = {}
        last: dict[ConversationId, datetime] = {}
        ends: dict[ConversationId, datetime] = {}
        referrals: dict[ConversationId, Referral] = {}
        for said in spoken:
            talk = self.of(said)
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
