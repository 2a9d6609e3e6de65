"""The neutral message: what the bridge carries, whatever platform it came from."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from zaptrix.core.message.interactive import Ask
from zaptrix.core.message.kinds import (
    NO_MARKS,
    Cards,
    Edited,
    InGroup,
    Location,
    Marks,
    Order,
    Quote,
    Reaction,
    Reply,
    Revoked,
    Unknown,
    Unsupported,
    Wordless,
)
from zaptrix.core.message.template import Template
from zaptrix.core.message.text import Text


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

    pending -> sending -> sent -> delivered -> read -> played (a voice message), with verifying between sending and sent
    (or pending again) when a call had no clear answer, and dead -> pending or dismissed by an admin's hand.
    """

    PENDING = "pending"
    SENDING = "sending"
    VERIFYING = "verifying"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    DEAD = "dead"
    DISMISSED = "dismissed"


OPEN_STATES = (State.PENDING, State.SENDING, State.VERIFYING)


class Words(msgspec.Struct, frozen=True, tag="text", omit_defaults=True):
    """A text message. `author` is the operator's name, when the portal told it."""

    text: Text
    author: str | None = None
    marks: Marks = NO_MARKS


class MediaKind(StrEnum):
    """What a file is shown as: the kind of a message that carries one."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class MediaContent(msgspec.Struct, frozen=True, tag="media", kw_only=True, omit_defaults=True):
    """A file, by where it is to be fetched: its id at Meta, or the portal's address of it.

    `name`, `mime`, `size` and `sha256` are what the sender says of it; nothing is built on them. `voice`: recorded in
    the chat. `author` is the operator's name, when the portal told it.
    """

    kind: MediaKind
    source: str
    caption: Text = Text()
    name: str | None = None
    mime: str | None = None
    size: int | None = None
    sha256: str | None = None
    voice: bool = False
    author: str | None = None
    marks: Marks = NO_MARKS

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing to be read beside it."""
        return not self.caption and self.marks == NO_MARKS


class Interactive(msgspec.Struct, frozen=True, tag="interactive", kw_only=True, omit_defaults=True):
    """Words with something to press, pick, open or give below them. The header is a text or a file."""

    body: Text
    ask: Ask
    header: str | None = None
    file: MediaContent | None = None
    footer: str | None = None
    marks: Marks = NO_MARKS


Said = Words | MediaContent | Interactive | Wordless
"""What a person says, or a program."""


class Notice(msgspec.Struct, frozen=True, tag="notice", omit_defaults=True):
    """A line from the gateway to the operator, kept as a code and rendered in the portal's language when delivered."""

    code: str
    params: dict[str, str] = {}
    about: Said | None = None  # a message that the line shows; `about_id` is its number, under which its file is
    about_id: int | None = None


Content = Words | MediaContent | Interactive | Wordless | Template | Notice


def kind_of(content: Content) -> str:
    """The kind of a message, as the ledger and the API name it."""
    if isinstance(content, MediaContent):
        return "voice" if content.voice else content.kind.value
    tag = content.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def gist_of(content: Content) -> str:
    """The words in a message, whatever its kind, in one text without marks; empty when it has none."""
    match content:
        case Words(text=text) | Edited(text=text) | Interactive(body=text):
            return text.plain
        case MediaContent(caption=caption, name=name):
            return _joined(name, caption.plain)
        case Location(name=name, address=address):
            return _joined(name, address)
        case Cards(cards=cards):
            return ", ".join(card.name or next(iter(card.phones), "") for card in cards)
        case Reply(title=title):
            return title or ""
        case Reaction(emoji=emoji):
            return emoji or ""
        case Order(note=note):
            return note or ""
        case InGroup(text=said):
            return said
        case Template(shown=words):
            return words
        case Revoked() | Unsupported() | Unknown() | Notice():
            return ""


def file_of(content: Content) -> MediaContent | None:
    """The file that a message carries."""
    if isinstance(content, MediaContent):
        return content
    return content.file if isinstance(content, Interactive) else None


def words_without_file(content: Content) -> Words | None:
    """What is left of a file's message when the file does not come; None when that is nothing."""
    if not isinstance(content, MediaContent) or not content.caption:
        return None
    return Words(content.caption, content.author, content.marks)


def shown(content: Content) -> str | None:
    """What people read of a message; None when that is nothing, and of a notice, which has the portal's language."""
    return gist_of(content) or None


def quote_of(content: Content) -> Quote | None:
    """The message that this one speaks of."""
    return None if isinstance(content, Notice | Template) else content.marks.quote


def with_quote(content: Said, quote: Quote) -> Said:
    """`content`, with what is known of the message that it speaks of."""
    return replace(content, marks=replace(content.marks, quote=quote))


def with_standby(content: Said) -> Said:
    """`content`, said while another app has the conversation."""
    return replace(content, marks=replace(content.marks, standby=True))


def is_overheard(content: Content) -> bool:
    """Whether another app has the conversation, so that nothing may be done about it as if it were ours."""
    return not isinstance(content, Notice | Template) and content.marks.standby


def opens_window(content: Content) -> bool:
    """Whether WhatsApp's 24 hours begin anew. What does not surely open them is taken as not opening them.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
    """
    return not (isinstance(content, Reaction | Edited | Revoked | InGroup) or is_overheard(content))


def _joined(*texts: str | None) -> str:
    return " · ".join(text for text in texts if text)
