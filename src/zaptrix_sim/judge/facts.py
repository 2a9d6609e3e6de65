"""The facts of both platforms, told to the judge in the order in which they happened.

Values only: whoever records one knows nothing of who judges it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

Thread: TypeAlias = tuple[str, str]
"""One customer on one business number: (phone_number_id, the customer's key)."""

Room: TypeAlias = tuple[str, int]
"""One chat of one portal: (portal, chat id)."""

Note: TypeAlias = tuple[str, int]
"""One message of one portal: (portal, message id)."""


class Rank(IntEnum):
    """How far a message has come; it never goes back. A failure ends a message that was not delivered."""

    PENDING = 0
    ACCEPTED = 1
    SENT = 2
    FAILED = 3
    DELIVERED = 4
    READ = 5
    PLAYED = 6  # a voice message alone


@dataclass(slots=True, frozen=True)
class CustomerWrote:
    wamid: str
    thread: Thread


@dataclass(slots=True, frozen=True)
class WebhookPosted:
    wamid: str


@dataclass(slots=True, frozen=True)
class WebhookAcknowledged:
    wamid: str


@dataclass(slots=True, frozen=True)
class PutInChat:
    """`external` is the chat's id as the gateway named it; `place` the connector and line it was put through."""

    wamid: str
    room: Room
    place: str


@dataclass(slots=True, frozen=True)
class MarkedRead:
    wamid: str


@dataclass(slots=True, frozen=True)
class OperatorWrote:
    note: Note
    room: Room
    operator: str
    text: str
    quote: str = ""  # above the text, of a message that is answered: it may go as a reference or as words
    files: tuple[str, ...] = ()  # the hashes of their bytes


@dataclass(slots=True, frozen=True)
class OperatorChanged:
    """A message of an operator's has other words, or none any more: the phone may get the old or the new."""

    note: Note
    text: str | None


@dataclass(slots=True, frozen=True)
class EventDue:
    """An event waits to be posted; it will end, delivered or not."""

    note: Note


@dataclass(slots=True, frozen=True)
class EventPosted:
    note: Note


@dataclass(slots=True, frozen=True)
class EventEnded:
    """`unclear`: nobody answered, so that the gateway may have it all the same."""

    note: Note
    delivered: bool
    unclear: bool = False


@dataclass(slots=True, frozen=True)
class ReachedPhone:
    wamid: str
    thread: Thread
    text: str
    mark: str
    sha256: str = ""  # of the file that came with it


@dataclass(slots=True, frozen=True)
class Refused:
    """The platform will never take this text, or this file; nobody can call it lost."""

    thread: Thread
    text: str
    code: int
    mark: str = ""
    sha256: str = ""


@dataclass(slots=True, frozen=True)
class CallerAsked:
    """Somebody asks the gateway's own API to send this. `key` is a word of the text, and of no other text."""

    key: str
    thread: Thread


@dataclass(slots=True, frozen=True)
class CallerAnswered:
    """The API has said that it will."""

    key: str


@dataclass(slots=True, frozen=True)
class FileSent:
    """Somebody attached a file; either `thread` (a customer on her phone) or `room` (an operator) says where."""

    sha256: str
    by_customer: bool
    thread: Thread | None = None
    room: Room = ("", 0)


@dataclass(slots=True, frozen=True)
class FileArrived:
    """A file is at its far end: a customer's in a `room`, an operator's on the phone of a `thread`."""

    message: str | Note
    sha256: str
    by_customer: bool
    thread: Thread | None = None
    room: Room = ("", 0)


@dataclass(slots=True, frozen=True)
class ToldDelivered:
    note: Note


@dataclass(slots=True, frozen=True)
class Noticed:
    """A system notice was put into a chat, for the operators' eyes only."""

    room: Room
    text: str = ""


@dataclass(slots=True, frozen=True)
class StateMoved:
    message: str
    was: Rank
    now: Rank


@dataclass(slots=True, frozen=True)
class LimitExceeded:
    side: str
    limit: str
    scope: str


Fact: TypeAlias = (
    CustomerWrote
    | WebhookPosted
    | WebhookAcknowledged
    | PutInChat
    | MarkedRead
    | OperatorWrote
    | OperatorChanged
    | EventDue
    | EventPosted
    | EventEnded
    | ReachedPhone
    | Refused
    | CallerAsked
    | CallerAnswered
    | FileSent
    | FileArrived
    | ToldDelivered
    | Noticed
    | StateMoved
    | LimitExceeded
)
