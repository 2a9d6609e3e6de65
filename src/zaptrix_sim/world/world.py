"""The state of both platforms: numbers, phones, portals, chats.

Plain data, with an index for each way it is asked for; all of it survives a restart.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from zaptrix_sim.judge.facts import Rank
from zaptrix_sim.judge.ledger import Ledger
from zaptrix_sim.world.contents import Content
from zaptrix_sim.world.limits import Bucket, OperatingTime

# https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput : one message in six seconds to
# one user, and up to 45 at once, borrowed from the time to come.
PAIR_RATE = 1 / 6
PAIR_BURST = 45

SHAPE = 9
"""Of the classes below. A world that was kept under another one is set aside: it lacks what they have now."""


@dataclass(slots=True)
class Ids:
    """Whole numbers in turn. Each portal counts from the same start, as strangers' portals may."""

    upcoming: int = 1

    def take(self) -> int:
        self.upcoming += 1
        return self.upcoming - 1


@dataclass(slots=True, kw_only=True)
class Customer:
    key: str
    wa_id: str
    user_id: str
    name: str
    username: str = ""
    hide_phone: bool = False


@dataclass(slots=True, kw_only=True)
class StoredFile:
    """`owner` is the number or the portal that it belongs to."""

    id: str
    owner: str
    name: str
    mime: str
    kind: str
    content: Content
    sha256: str
    at: float
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    link: str = ""  # what events say instead of its true address


@dataclass(slots=True, kw_only=True)
class PhoneMessage:
    id: str
    by_customer: bool
    text: str
    at: float
    rank: Rank
    mark: str = ""
    to_user_id: bool = False
    silent: bool = False
    file: StoredFile | None = None
    voice: bool = False
    read_by_business: bool = False
    category: str = "service"
    buttons: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)  # of a template, as the phone shows them
    item: dict[str, Any] = field(default_factory=dict)  # by Meta's names, as it was sent or as its webhook tells it


@dataclass(slots=True, kw_only=True)
class Phone:
    """One customer's thread with one number. `unread_from` and `unseen_from` are where reading goes on."""

    number: "Number"
    customer: Customer
    messages: list[PhoneMessage] = field(default_factory=list)
    wrote_at: float | None = None
    pair: Bucket = field(default_factory=lambda: Bucket(PAIR_RATE, PAIR_BURST))
    unread_from: int = 0
    unseen_from: int = 0
    typing_until: float = 0.0  # the business is shown as typing
    typing_shown: int = 0  # how often that was asked for

    @property
    def thread(self) -> tuple[str, str]:
        return (self.number.id, self.customer.key)


@dataclass(slots=True, kw_only=True)
class Number:
    id: str
    display: str
    waba_id: str
    country_code: str
    access_token: str
    mps: int
    pace: Bucket
    phones: dict[str, Phone] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Waba:
    id: str
    subscribed: bool = True
    override_url: str = ""
    numbers: list[str] = field(default_factory=list)
    customers: dict[str, Customer] = field(default_factory=dict)
    by_user_id: dict[str, Customer] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Line:
    id: int
    name: str
    crm: str = "Y"
    crm_create: str = "lead"


@dataclass(slots=True, kw_only=True)
class Connector:
    id: str
    name: str
    signature: bool = True
    edits: bool = True  # whether operators may edit what they wrote, and delete it
    deletes: bool = True
    system_messages: bool = True


@dataclass(slots=True, kw_only=True)
class Guest:
    """A connector's user: an invisible user of the portal, one for each (connector, external user id)."""

    id: int
    external_id: str
    name: str
    phone: str = ""
    contact_id: int = 0
    lead_id: int = 0


@dataclass(slots=True, kw_only=True)
class ChatMessage:
    id: int
    author: str
    author_id: int
    name: str
    text: str
    at: float
    session_id: int
    mids: list[str] = field(default_factory=list)
    status: str | None = None
    hidden: bool = False
    deleted: bool = False
    edited: bool = False
    files: list[StoredFile] = field(default_factory=list)
    attach: list[dict[str, Any]] = field(default_factory=list)  # blocks below the text, as they came


@dataclass(slots=True, kw_only=True)
class Session:
    id: int
    chat_id: int
    parent_id: int
    at: float
    closed: bool = False
    first: int = 0


@dataclass(slots=True, kw_only=True)
class Chat:
    id: int
    portal: str
    connector: str
    line: int
    external_id: str
    guest: Guest
    title: str
    messages: list[ChatMessage] = field(default_factory=list)
    session: Session | None = None
    calls: int = 0

    @property
    def user_code(self) -> str:
        return f"{self.connector}|{self.line}|{self.external_id}|{self.guest.id}"


@dataclass(slots=True, kw_only=True)
class Binding:
    id: int
    event: str
    handler: str
    user_id: int
    offline: bool = False
    connector: str = ""


@dataclass(slots=True, kw_only=True)
class Token:
    value: str
    portal: str
    user_id: int
    expires: float
    revoked: bool = False


@dataclass(slots=True, kw_only=True)
class Portal:
    key: str
    plan: str
    member_id: str
    client_id: str
    client_secret: str
    application_token: str
    token_life_s: int
    bucket: Bucket
    lines: dict[int, Line] = field(default_factory=dict)
    access_token: str = ""
    refresh_token: str = ""
    expires: int = 0
    operating: dict[str, OperatingTime] = field(default_factory=dict)
    connectors: dict[str, Connector] = field(default_factory=dict)
    active: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    offline: dict[int, dict[str, Any]] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    operators: dict[str, int] = field(default_factory=dict)
    operator_tokens: dict[int, Token] = field(default_factory=dict)
    guests: dict[tuple[str, str], Guest] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    chat_by_code: dict[str, Chat] = field(default_factory=dict)
    chat_by_external: dict[str, Chat] = field(default_factory=dict)
    chat_by_crm: dict[tuple[str, int], list[Chat]] = field(default_factory=dict)
    messages: dict[int, tuple[Chat, ChatMessage]] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    crm: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    crm_by_phone: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    guest_ids: Ids = field(default_factory=lambda: Ids(585))
    chat_ids: Ids = field(default_factory=lambda: Ids(1767))
    message_ids: Ids = field(default_factory=lambda: Ids(86497))
    session_ids: Ids = field(default_factory=lambda: Ids(323))
    crm_ids: Ids = field(default_factory=lambda: Ids(42))
    other_ids: Ids = field(default_factory=lambda: Ids(555))


@dataclass(slots=True)
class World:
    """Everything that survives a restart. `changes` grows with each change: a snapshot is due when it has."""

    numbers: dict[str, Number] = field(default_factory=dict)
    wabas: dict[str, Waba] = field(default_factory=dict)
    number_of_token: dict[str, str] = field(default_factory=dict)
    wamids: dict[str, tuple[Phone, PhoneMessage]] = field(default_factory=dict)
    updates: dict[int, Any] = field(default_factory=dict)
    update_ids: Ids = field(default_factory=Ids)
    portals: dict[str, Portal] = field(default_factory=dict)
    access_tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    codes: dict[str, Token] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    changes: int = 0
    shape: int = SHAPE

    def wake(self) -> None:
        """After a restart nothing is under way any more: calls have ended, and events are not sent again."""
        self.ledger.forget_underway()
        for portal in self.portals.values():
            for chat in portal.chats.values():
                chat.calls = 0


def digits_of(text: str) -> str:
    """Those of a phone number, however it is written."""
    return re.sub(r"[^0-9]", "", text)


def opaque(length: int = 32) -> str:
    """A value nobody can guess, in lower-case hex."""
    return secrets.token_hex(length // 2)
