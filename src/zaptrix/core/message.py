"""The neutral message: what the bridge carries, whatever platform it came from."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from zaptrix.core.template import Template
from zaptrix.core.text import Text


class Side(StrEnum):
    """A platform."""

    WHATSAPP = "whatsapp"
    BITRIX24 = "bitrix24"


class Direction(StrEnum):
    """inbound = customer to operator; outbound = operator to customer."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Origin(StrEnum):
    """Who wrote a message."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    API = "api"
    GATEWAY = "gateway"


class State(StrEnum):
    """The life of a message in the ledger.

    pending -> sending -> sent -> delivered -> read, with verifying between sending and sent (or pending again) when a
    call had no clear answer, and dead -> pending or dismissed by an admin's hand.
    """

    PENDING = "pending"
    SENDING = "sending"
    VERIFYING = "verifying"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    DEAD = "dead"
    DISMISSED = "dismissed"


OPEN_STATES = (State.PENDING, State.SENDING, State.VERIFYING)


class Words(msgspec.Struct, frozen=True, tag="text"):
    """A text message. `author` is the operator's name, when the portal told it."""

    text: Text
    author: str | None = None


class Notice(msgspec.Struct, frozen=True, tag="notice", omit_defaults=True):
    """A line from the gateway to the operator, kept as a code and rendered in the portal's language when delivered."""

    code: str
    params: dict[str, str] = {}


Content = Words | Template | Notice

_KINDS: dict[type[Content], str] = {Words: "text", Template: "template", Notice: "notice"}


def kind_of(content: Content) -> str:
    """The kind of a message, as the ledger and the API name it."""
    return _KINDS[type(content)]


def shown(content: Content) -> str | None:
    """What people read of a message; None of a notice, which is told in the portal's language."""
    match content:
        case Words(text=text):
            return text.plain
        case Template(shown=text):
            return text
    return None
