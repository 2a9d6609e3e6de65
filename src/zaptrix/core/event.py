"""Events: webhook items as received, and what translation makes of them."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.lanes import Lane
from zaptrix.core.ids import EventId, MessageId
from zaptrix.core.message.message import Content, Said, Side, State
from zaptrix.core.message.text import Text


class EventState(StrEnum):
    """What routing made of an event."""

    NEW = "new"
    HELD = "held"  # waits until the history of its conversation was looked at
    ROUTED = "routed"
    IGNORED = "ignored"  # understood, and nothing to do
    UNROUTABLE = "unroutable"  # kept, visible, replayable


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook item on its way into the journal. `key` is what makes two deliveries of it the same."""

    source: Side
    name: str  # "messages.text", "statuses.sent", "ONIMCONNECTORMESSAGEADD", ...
    key: bytes  # 16 bytes
    lane: Lane
    body: bytes  # JSON
    request_id: str
    state: EventState = EventState.NEW
    reason: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook item in the journal."""

    id: EventId
    received_on: date
    received_at: datetime
    source: Side
    name: str
    lane: Lane
    body: bytes
    request_id: str


class CustomerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A customer wrote."""

    phone_number_id: str
    customer: Customer
    whatsapp_id: str
    content: Said
    written_at: datetime  # by Meta's clock, whole seconds


class CustomerMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A customer has other ids now; not written by the customer. `number_changed`: the old number is theirs no more."""

    phone_number_id: str
    whatsapp_id: str
    before: Customer
    now: Customer
    number_changed: bool
    at: datetime


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody told the gateway of a message: it was found in the portal's history.

    `give_up`: why it is not to be sent any more but to be told of.
    """

    late: bool
    written_at: datetime | None = None
    give_up: str | None = None


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's message begins with the words of another one, which it answers.

    `contents` are what is left without those words: for when the other message is found, and can be named.
    """

    words: str
    contents: tuple[Content, ...]
    author: str | None = None  # of the other message, where the portal names one
    bitrix_message_id: int | None = None


class OperatorMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An operator, a bot or the line itself wrote."""

    external_chat_id: str
    bitrix_chat_id: int
    bitrix_message_id: int
    content: Content
    more: tuple[Content, ...] = ()  # further ones, when several messages come of it
    answering: Answering | None = None
    lost_files: int = 0  # files that the portal gave no address of
    cut: bool = False  # it was longer than a message can be, and this is its beginning
    recovered: Recovered | None = None


class OperatorChange(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's message has other words now, or, when `text` is None, was deleted.

    `unquoted`: the text without the words of another message that it begins with.
    """

    external_chat_id: str
    bitrix_chat_id: int
    bitrix_message_id: int
    text: Text | None
    unquoted: Text | None = None
    author: str | None = None
    cut: bool = False  # it was longer than a message can be, and this is its beginning


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """An operator sent something of which nothing can be carried, and has to be told so."""

    external_chat_id: str
    bitrix_chat_id: int
    bitrix_message_id: int
    reason: str


class Pricing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What Meta charges a message as. `type`: regular, free_customer_service, free_entry_point, ...

    https://developers.facebook.com/documentation/business-messaging/whatsapp/pricing
    """

    category: str
    type: str | None = None
    model: str | None = None
    billable: bool | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """WhatsApp told what became of one of our messages."""

    phone_number_id: str
    whatsapp_id: str
    message_id: MessageId | None  # from our callback data
    status: State
    at: datetime
    code: str | None = None  # of a failure
    detail: str | None = None
    pricing: Pricing | None = None


class DialogStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A session was opened: the one thing that tells a chat's session when a first send had no clear answer."""

    external_chat_id: str
    bitrix_session_id: int


class ConnectorLost(msgspec.Struct, frozen=True, kw_only=True):
    """The connector was switched off on a line, or the line was deleted. `connector_id` None: whatever stood there."""

    connector_id: str | None
    line_id: int
    reason: str


class TemplateChange(msgspec.Struct, frozen=True, kw_only=True):
    """Meta told that a template is not what it was.

    `what`: status, quality, category, category_soon (it will be that in a day) or components; `new`: what it is now.
    """

    waba_id: str
    template_id: str
    name: str
    language: str
    what: str
    new: str
    reason: str | None
    at: datetime
    old: str | None = None  # where Meta says it


class Ignored(msgspec.Struct, frozen=True):
    """Understood, and nothing to do."""

    reason: str


class Unroutable(msgspec.Struct, frozen=True):
    """Not understood, or for a number, portal or conversation that is not there: kept for an admin."""

    reason: str


Routed = (
    CustomerMessage
    | CustomerMoved
    | OperatorMessage
    | OperatorChange
    | Untold
    | Receipt
    | DialogStarted
    | ConnectorLost
    | TemplateChange
    | Ignored
    | Unroutable
)
