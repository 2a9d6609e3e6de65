"""Builders with defaults for the WhatsApp room's tests. Every number and id is invented."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.pace import Bucket
from zaptrix.core.event import Event, NewEvent
from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, EventId, MessageId, PortalId
from zaptrix.core.message.message import Content, Origin, Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.whatsapp.inbound.webhook import split

NUMBER = "210987654321098"
ANA = Customer(bsuid="BR.7391046285510937264", wa_id="554188887777", phone="+5541988887777", name="Ana Souza")
NOW = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
TOKEN = "number-token"

_FIXTURES = Path(__file__).parent / "fixtures"


def a_post(name: str) -> bytes:
    """A stored webhook, as Meta would send it: without spaces, non-ASCII escaped."""
    return json.dumps(json.loads((_FIXTURES / f"{name}.json").read_text(encoding="utf-8"))).encode()


def a_post_of(*messages: Any, contacts: Any = (), **value: Any) -> bytes:
    wrapped = {"metadata": {"phone_number_id": NUMBER}, "contacts": list(contacts), "messages": list(messages)} | value
    return json.dumps({"entry": [{"id": "1", "changes": [{"field": "messages", "value": wrapped}]}]}).encode()


def events_of(name: str) -> list[Event]:
    return [journalled(event) for event in split(a_post(name), "req-1")]


def journalled(event: NewEvent) -> Event:
    return Event(
        id=EventId(1),
        received_on=NOW.date(),
        received_at=NOW,
        source=event.source,
        name=event.name,
        lane=event.lane,
        body=event.body,
        request_id=event.request_id,
    )


PORTAL = Portal(
    id=PortalId(UUID(int=1)),
    portal_url="https://demo.bitrix24.test",
    member_id="m1",
    client_endpoint="https://demo.bitrix24.test/rest/",
    connector_id="zaptrix_demo",
)


def a_channel(**changes: Any) -> Channel:
    fields: dict[str, Any] = {
        "id": ChannelId(UUID(int=2)),
        "portal_id": PORTAL.id,
        "name": "Vendas",
        "phone_number_id": NUMBER,
        "display_phone_number": "551140041234",
        "line_id": 1,
    }
    return Channel(**(fields | changes))


def a_conversation(customer: Customer = ANA, number: int = 3) -> Conversation:
    return Conversation(
        id=ConversationId(UUID(int=number)),
        portal_id=PORTAL.id,
        channel_id=ChannelId(UUID(int=2)),
        customer=customer,
    )


def a_claim(
    text: str = "oi",
    *,
    content: Content | None = None,
    message_id: int = 1,
    conversation: Conversation | None = None,
    channel: Channel | None = None,
    origin: Origin = Origin.OPERATOR,
    whatsapp_id: str | None = None,
) -> Claim:
    return Claim(
        message_id=MessageId(message_id),
        attempt_id=AttemptId(UUID(int=9)),
        attempts=0,
        content=content or Words(plain_text(text)),
        origin=origin,
        conversation=conversation or a_conversation(),
        channel=channel or a_channel(),
        portal=PORTAL,
        request_id="req-1",
        created_at=NOW,
        whatsapp_id=whatsapp_id,
    )


class FreePace:
    """Pace that never waits, and remembers what was taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, ...]] = []
        self.full: list[str] = []

    async def take(self, *buckets: Bucket) -> None:
        self.taken.append(tuple(bucket.key.partition(":")[0] for bucket in buckets))

    async def refused(self, *buckets: Bucket) -> None:
        self.full += [bucket.key.partition(":")[0] for bucket in buckets]


class OneToken:
    """Every number's token is the same."""

    def __init__(self, token: str = TOKEN) -> None:
        self._token = token

    async def number_token(self, channel_id: ChannelId) -> str:  # noqa: ARG002
        return self._token


class NoneUnderWay:
    """The gateway was there all the time."""

    async def under_way_s(self, channel: Channel) -> float:  # noqa: ARG002
        return 0.0
