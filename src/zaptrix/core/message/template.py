"""Templates: what Meta has approved, what a send fills in, and what the customer reads then.

A template is known by its name *and* language. Its texts hold variables, numbered (`{{1}}`) or named (`{{nome}}`).
Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

APPROVED = "APPROVED"  # the only status in which a template can be sent
AUTHENTICATION = "AUTHENTICATION"

# What an event of Meta's makes of a template's status, where it is not called the same.
STATUS_AFTER = {"REINSTATED": APPROVED, "UNARCHIVED": APPROVED, "FLAGGED": APPROVED}

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class ParameterFormat(StrEnum):
    """How a template's variables are told apart."""

    POSITIONAL = "POSITIONAL"
    NAMED = "NAMED"


# --- the definition --------------------------------------------------------------------------------------------------


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """`format`: text, image, video, document, location, gif or product; what Meta invents after us stays as it is."""

    format: str
    text: str = ""


class Button(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind`: quick_reply, url, phone_number, copy_code, otp, flow, catalog, mpm, voice_call, order_details, ..."""

    kind: str
    text: str = ""
    url: str = ""
    phone_number: str = ""

    @property
    def has_variable(self) -> bool:
        return bool(_VARIABLE.search(self.url))


class Card(msgspec.Struct, frozen=True, omit_defaults=True):
    """One card of a carousel."""

    header: Header | None = None
    body: str = ""
    buttons: tuple[Button, ...] = ()


class CreatedTemplate(msgspec.Struct, frozen=True):
    """What the platform says of a template that was handed in for review."""

    id: str = ""
    status: str = ""
    category: str = ""


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A template as Meta keeps it. `quality`: GREEN, YELLOW, RED or UNKNOWN."""

    id: str
    name: str
    language: str
    status: str
    category: str
    quality: str = "UNKNOWN"
    rejected_reason: str | None = None
    parameter_format: ParameterFormat = ParameterFormat.POSITIONAL
    header: Header | None = None
    body: str = ""
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    cards: tuple[Card, ...] = ()
    offer_expires: bool = False  # a limited-time offer, whose end each send names

    @property
    def is_named(self) -> bool:
        return self.parameter_format is ParameterFormat.NAMED


def variables(text: str) -> tuple[str, ...]:
    """The variables of a text, each once: numbers in their order, names as they come."""
    found = tuple(dict.fromkeys(_VARIABLE.findall(text)))
    return tuple(sorted(found, key=int)) if all(each.isdigit() for each in found) else found


def language_code(text: str) -> str:
    """Meta writes `pt_BR`, webhooks and people `pt-BR` too."""
    return text.replace("-", "_")


# --- what a send fills in --------------------------------------------------------------------------------------------


class Media(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file: `id` of one that was uploaded to this number, or an https `link` that Meta fetches."""

    id: str | None = None
    link: str | None = None
    filename: str | None = None  # of documents


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A place on earth, in degrees."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product of a catalogue."""

    product_retailer_id: str
    catalog_id: str


class HeaderFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes into the header: the one of these that the template asks for."""

    text: str | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None
    location: Place | None = None
    product: Product | None = None


class ProductSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Products under one title, of a message that shows several."""

    title: str
    products: list[str]


class ButtonFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes into one button; `index` is its place in the template, from 0."""

    index: int
    payload: str | None = None  # of a quick reply: what comes back when it is pressed
    text: str | None = None  # of an address: what stands for its variable
    coupon_code: str | None = None
    flow_token: str | None = None
    flow_data: dict[str, Any] | None = None
    thumbnail_product: str | None = None
    sections: list[ProductSection] | None = None
    order_details: dict[str, Any] | None = None


BodyFill = list[str] | dict[str, str]
"""Values of numbered variables in their order, or of named ones by name."""


class CardFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes into one card; cards stand in their order."""

    header: HeaderFill | None = None
    body: BodyFill = []
    buttons: list[ButtonFill] = []


class Filling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a send puts into a template. `code`: of an authentication template, and then alone."""

    header: HeaderFill | None = None
    body: BodyFill = []
    buttons: list[ButtonFill] = []
    cards: list[CardFill] = []
    code: str | None = None
    offer_expires_at_ms: int | None = None


# --- what is sent ----------------------------------------------------------------------------------------------------


class VariableValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of one variable; `name` in named templates only."""

    text: str
    name: str | None = None


class FilledHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """A header with what it asks for: a text's value, or all of `fill` that is not text."""

    format: str
    text: VariableValue | None = None
    fill: HeaderFill | None = None


class FilledButton(msgspec.Struct, frozen=True):
    """A button with what goes into it."""

    kind: str
    fill: ButtonFill


class FilledCard(msgspec.Struct, frozen=True, omit_defaults=True):
    """A card with what goes into it."""

    header: FilledHeader | None = None
    body: tuple[VariableValue, ...] = ()
    buttons: tuple[FilledButton, ...] = ()


class Template(msgspec.Struct, frozen=True, kw_only=True, tag="template", omit_defaults=True):
    """A message made of a template: all that the platform needs, and `shown`, which is what people read."""

    name: str
    language: str
    category: str
    shown: str
    header: FilledHeader | None = None
    body: tuple[VariableValue, ...] = ()
    buttons: tuple[FilledButton, ...] = ()
    cards: tuple[FilledCard, ...] = ()
    offer_expires_at_ms: int | None = None


# --- what people read ------------------------------------------------------------------------------------------------

_HIDDEN = "••••••"

# The portal's language is not known here, so a label says it twice.
_LABELS = {
    "image": "imagem / image",
    "video": "vídeo / video",
    "gif": "vídeo / video",
    "document": "documento / document",
    "location": "localização / location",
    "product": "produto / product",
}


def as_written(text: str, values: Sequence[VariableValue]) -> str:
    """`text` with values in the place of its variables; what has no value stays as it is."""
    by_name = {value.name or str(number): value.text for number, value in enumerate(values, 1)}
    return _VARIABLE.sub(lambda found: by_name.get(found[1], found[0]), text)


def shown_text(definition: Definition, message: Template) -> str:
    """What the customer reads, as lines. A code that proves who somebody is stays hidden."""
    body, buttons = message.body, message.buttons
    if definition.category == AUTHENTICATION:
        body, buttons = tuple(VariableValue(_HIDDEN, value.name) for value in body), ()
    lines = [
        _header_line(definition.header, message.header),
        as_written(definition.body, body) or " ".join(value.text for value in body),
        definition.footer,
        _buttons_line(definition.buttons, buttons),
        *(_card_line(card, filled) for card, filled in zip(definition.cards, message.cards, strict=False)),
    ]
    return "\n".join(line for line in lines if line)


def sketch(definition: Definition) -> str:
    """What a template says, with its variables as they stand: for somebody who has to choose one."""
    return definition.body or (definition.header.text if definition.header else "")


def _header_line(header: Header | None, filled: FilledHeader | None) -> str:
    if header is None:
        return ""
    if header.format == "text":
        return as_written(header.text, [filled.text] if filled and filled.text else [])
    label = _LABELS.get(header.format, header.format)
    fill = filled.fill if filled else None
    name = fill and ((fill.document and fill.document.filename) or (fill.location and fill.location.name))
    return f"[{label}: {name}]" if name else f"[{label}]"


def _buttons_line(buttons: Iterable[Button], filled: Sequence[FilledButton]) -> str:
    fills = {each.fill.index: each.fill for each in filled}
    return " ".join(
        f"[{_BUTTON_TEXTS.get(button.kind, _label)(button, fills.get(index))}]" for index, button in enumerate(buttons)
    )


def _label(button: Button, _fill: ButtonFill | None) -> str:
    return button.text or button.kind


def _address(button: Button, fill: ButtonFill | None) -> str:
    if button.has_variable and not (fill and fill.text):
        return button.text
    value = [VariableValue(fill.text)] if fill and fill.text else []
    return f"{button.text}: {as_written(button.url, value)}" if button.url else button.text


def _number(button: Button, _fill: ButtonFill | None) -> str:
    return f"{button.text}: {button.phone_number}" if button.phone_number else button.text


_BUTTON_TEXTS: dict[str, Callable[[Button, ButtonFill | None], str]] = {"url": _address, "phone_number": _number}


def _card_line(card: Card, filled: FilledCard) -> str:
    parts = (
        _header_line(card.header, filled.header),
        as_written(card.body, filled.body),
        _buttons_line(card.buttons, filled.buttons),
    )
    return "• " + " ".join(part for part in parts if part)
