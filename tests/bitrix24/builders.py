"""Values and stand-ins for tests of the Bitrix24 room: builders with defaults, and ports that live in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import msgspec

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import outbound_lane
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.event import Event
from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, EventId, MessageId, PortalId, connector_id
from zaptrix.core.message.message import Content, Notice, Origin, Side, Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, CrmMode, Portal
from zaptrix.core.ports import TokenPair

PORTAL_ID = PortalId(UUID(int=1))
CHANNEL_ID = ChannelId(UUID(int=2))
NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)

_numbers = count(1)


def utc_now() -> datetime:
    return datetime.now(UTC)


def a_portal(client_endpoint: str = "https://portal.invalid/rest/", portal_id: PortalId = PORTAL_ID) -> Portal:
    return Portal(
        id=portal_id,
        portal_url="https://portal.invalid",
        member_id="0f6c3b7e9a1d4c5588aa77bb66cc55dd",
        client_endpoint=client_endpoint,
        connector_id=connector_id(portal_id),
    )


def a_channel(line_id: int = 14, crm_mode: CrmMode = CrmMode.LINE) -> Channel:
    return Channel(
        id=ChannelId(uuid4()),
        portal_id=PORTAL_ID,
        name="Vendas",
        phone_number_id="210987654321098",
        display_phone_number="+55 11 4004-1234",
        line_id=line_id,
        crm_mode=crm_mode,
    )


def a_customer(name: str | None = "Ana Maria Silva", phone: str | None = "+5541998765432") -> Customer:
    wa_id = phone.removeprefix("+") if phone else None
    return Customer(bsuid=None if phone else "BR.1234567890", wa_id=wa_id, phone=phone, name=name)


def a_claim(
    text: str = "Olá",
    *,
    content: Content | None = None,
    portal: Portal | None = None,
    channel: Channel | None = None,
    customer: Customer | None = None,
    conversation: Conversation | None = None,
    attempts: int = 0,
    whatsapp_id: str | None = "",
    bitrix_chat_id: int | None = None,
    bitrix_message_id: int | None = None,
    created_at: datetime | None = None,
) -> Claim:
    number = next(_numbers)
    portal = portal or a_portal()
    channel = channel or a_channel()
    conversation = conversation or Conversation(
        id=ConversationId(uuid4()), portal_id=portal.id, channel_id=channel.id, customer=customer or a_customer()
    )
    return Claim(
        message_id=MessageId(number),
        attempt_id=AttemptId(uuid4()),
        attempts=attempts,
        content=content or Words(plain_text(text)),
        origin=Origin.GATEWAY if isinstance(content, Notice) else Origin.CUSTOMER,
        conversation=conversation,
        channel=channel,
        portal=portal,
        request_id=f"request-{number}",
        created_at=created_at or utc_now(),
        whatsapp_id=f"wamid.HBgN{number}" if whatsapp_id == "" else whatsapp_id,
        bitrix_chat_id=bitrix_chat_id,
        bitrix_message_id=bitrix_message_id,
    )


def in_chat(claim: Claim, chat_id: int | None, session_id: int | None = None) -> Claim:
    """`claim`, after its conversation has learned where it lives on the portal."""
    conversation = msgspec.structs.replace(claim.conversation, bitrix_chat_id=chat_id, bitrix_session_id=session_id)
    return msgspec.structs.replace(claim, conversation=conversation)


def an_event(name: str, body: bytes) -> Event:
    return Event(
        id=EventId(1),
        received_on=NOW.date(),
        received_at=NOW,
        source=Side.BITRIX24,
        name=name,
        lane=outbound_lane(PORTAL_ID),
        body=body,
        request_id="request",
    )


def a_pair(*, lasts: timedelta = timedelta(hours=1), oauth_host: str | None = None) -> TokenPair:
    return TokenPair(
        client_id="local.66aa01bb02cc03.12345678",
        client_secret="very-secret-of-the-client",
        access_token="access-0",
        refresh_token="refresh-0",
        expires_at=utc_now() + lasts,
        oauth_host=oauth_host,
    )


class FreePace:
    """Lets everything through and remembers what was asked for."""

    def __init__(self) -> None:
        self.taken: list[Bucket] = []
        self.full: list[Bucket] = []
        self.spent: list[Spending | None] = []
        self.settled: list[tuple[Spending, Operating | None, bool]] = []

    async def take(self, *buckets: Bucket, spending: Spending | None = None) -> str:
        self.taken += buckets
        self.spent.append(spending)
        return f"call {len(self.taken)}"

    async def settle(self, spending: Spending, reserved: str, told: Operating | None, *, refused: bool) -> None:
        assert reserved
        self.settled.append((spending, told, refused))

    async def refused(self, *buckets: Bucket) -> None:
        self.full += buckets

    def wait_s(self, key: str) -> float:
        return 0.5 * sum(bucket.key == key for bucket in self.full)


@dataclass
class MemoryVault:
    """Token pairs with a real lock a portal, and a store that can be away for the next save."""

    pairs: dict[PortalId, TokenPair] = field(default_factory=dict)
    endpoints: dict[PortalId, str] = field(default_factory=dict)
    away: bool = False
    _locks: defaultdict[PortalId, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def pair(self, portal_id: PortalId) -> TokenPair:
        await asyncio.sleep(0)
        return self.pairs[portal_id]

    async def save(
        self, portal_id: PortalId, *, spent: str, access_token: str, refresh_token: str, expires_at: datetime
    ) -> bool:
        await asyncio.sleep(0)
        assert self._locks[portal_id].locked()
        if self.away:
            raise ConnectionError("the store is away")
        if self.pairs[portal_id].refresh_token != spent:
            return False
        self.pairs[portal_id] = msgspec.structs.replace(
            self.pairs[portal_id], access_token=access_token, refresh_token=refresh_token, expires_at=expires_at
        )
        return True

    async def moved(self, portal_id: PortalId, client_endpoint: str) -> None:
        self.endpoints[portal_id] = client_endpoint

    @asynccontextmanager
    async def refreshing(self, portal_id: PortalId) -> AsyncIterator[None]:
        async with self._locks[portal_id]:
            yield


class MemoryCache:
    """Access tokens at hand."""

    def __init__(self) -> None:
        self.tokens: dict[PortalId, str] = {}
        self.seconds: dict[PortalId, int] = {}
        self.records: dict[PortalId, bytes] = {}
        self.away = False

    async def get(self, portal_id: PortalId) -> str | None:
        await asyncio.sleep(0)
        return self.tokens.get(portal_id)

    async def put(self, portal_id: PortalId, token: str, seconds: int) -> None:
        self.tokens[portal_id] = token
        self.seconds[portal_id] = seconds

    async def drop(self, portal_id: PortalId) -> None:
        self.tokens.pop(portal_id, None)

    async def keep_unsaved(self, portal_id: PortalId, record: bytes) -> bool:
        if not self.away:
            self.records[portal_id] = record
        return not self.away

    async def unsaved(self, portal_id: PortalId) -> bytes | None:
        return self.records.get(portal_id)

    async def drop_unsaved(self, portal_id: PortalId) -> None:
        self.records.pop(portal_id, None)
