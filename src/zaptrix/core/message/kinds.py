"""The kinds of content that a customer can send beside text and files, and the marks that a message can carry.

They hold values in no language: the platform that shows one finds the words.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from zaptrix.core.customer.referral import Referral
from zaptrix.core.message.text import Text

# --- marks: what any message can carry -------------------------------------------------------------------------------


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The message that this one answers, reacts to, changes or takes back.

    WhatsApp names it and does not repeat it. `kind` is None as long as it was not found in the ledger.
    """

    whatsapp_id: str
    kind: str | None = None
    ours: bool = False
    gist: str = ""


class Forwarded(StrEnum):
    ONCE = "once"
    OFTEN = "often"  # more than five times


class ProductReference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The product of a catalogue that a question is about."""

    catalog_id: str | None = None
    retailer_id: str | None = None


class Marks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands beside the words of a message. `standby`: another app has the conversation, and answers."""

    quote: Quote | None = None
    forwarded: Forwarded | None = None
    referral: Referral | None = None
    product: ProductReference | None = None
    standby: bool = False


NO_MARKS = Marks()


# --- kinds -----------------------------------------------------------------------------------------------------------


class Location(msgspec.Struct, frozen=True, tag="location", kw_only=True, omit_defaults=True):
    """A place. Degrees; None when they were none, and then `coordinates` is what came in their place."""

    latitude: float | None = None
    longitude: float | None = None
    coordinates: str | None = None
    name: str | None = None
    address: str | None = None
    url: str | None = None
    marks: Marks = NO_MARKS


class PersonCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's card; `vcard` is all of it as a vCard."""

    name: str | None = None
    organisation: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    birthday: str | None = None
    vcard: str = ""


class Cards(msgspec.Struct, frozen=True, tag="contacts", kw_only=True, omit_defaults=True):
    """Cards of people. `own`: the customer's own number, given on our request."""

    cards: tuple[PersonCard, ...]
    own: bool = False
    marks: Marks = NO_MARKS


class ReplyWay(StrEnum):
    """What the customer pressed or filled in."""

    BUTTON = "button"
    LIST = "list"
    TEMPLATE = "template"
    FLOW = "flow"
    CALL_PERMISSION = "call_permission"
    PAYMENT = "payment"


class FormAnswer(msgspec.Struct, frozen=True):
    """One field of a form that was filled in, or of a message of a kind that nobody here knows."""

    name: str
    value: str


class Reply(msgspec.Struct, frozen=True, tag="reply", kw_only=True, omit_defaults=True):
    """An answer to buttons, a list, a template, a form or a bill. `id` is what the sender of the buttons gave this one;
    of a payment the order's."""

    way: ReplyWay
    id: str | None = None
    title: str | None = None
    description: str | None = None
    answers: tuple[FormAnswer, ...] = ()
    marks: Marks = NO_MARKS


class Reaction(msgspec.Struct, frozen=True, tag="reaction", kw_only=True, omit_defaults=True):
    """An emoji on a message, which `marks.quote` names; None: the one that was there is taken away."""

    emoji: str | None = None
    marks: Marks = NO_MARKS


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product of an order. `price` is of one piece, a decimal number as text.

    A quantity or a price that is no number is the text that came; None: none came.
    """

    product: str | None = None
    quantity: int | str | None = 1
    price: str | None = None
    currency: str | None = None


class Order(msgspec.Struct, frozen=True, tag="order", kw_only=True, omit_defaults=True):
    """A cart of a catalogue."""

    lines: tuple[OrderLine, ...] = ()
    catalog_id: str | None = None
    note: str | None = None
    marks: Marks = NO_MARKS


class Edited(msgspec.Struct, frozen=True, tag="edited", kw_only=True, omit_defaults=True):
    """The new words of a message, which `marks.quote` names."""

    text: Text = Text()
    marks: Marks = NO_MARKS


class Revoked(msgspec.Struct, frozen=True, tag="revoked", kw_only=True, omit_defaults=True):
    """The customer deleted a message, which `marks.quote` names."""

    marks: Marks = NO_MARKS


class InGroup(msgspec.Struct, frozen=True, tag="group", kw_only=True, omit_defaults=True):
    """Said in a group, not to the business alone."""

    kind: str
    text: str = ""
    said: Ungrouped | None = None  # what was said without words
    marks: Marks = NO_MARKS


class Unsupported(msgspec.Struct, frozen=True, tag="unsupported", kw_only=True, omit_defaults=True):
    """Something that WhatsApp shows on phones and does not tell programs: its kind and Meta's code are mostly all there
    is. `fields`: what else came with it."""

    kind: str | None = None
    code: int | None = None
    fields: tuple[FormAnswer, ...] = ()
    marks: Marks = NO_MARKS


class Unknown(msgspec.Struct, frozen=True, tag="unknown", kw_only=True, omit_defaults=True):
    """A kind that came after this version of the gateway, or one that is not built as documented; `fields` is what can
    be read of it."""

    kind: str
    fields: tuple[FormAnswer, ...] = ()
    marks: Marks = NO_MARKS


Ungrouped = Location | Cards | Reply | Reaction | Order | Edited | Revoked | Unsupported | Unknown
Wordless = Location | Cards | Reply | Reaction | Order | Edited | Revoked | InGroup | Unsupported | Unknown
