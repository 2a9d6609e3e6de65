"""The wire format of templates: Meta's definitions to ours, and a filled one to what a send carries.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/template-messages
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from zaptrix.core.event import Event, Routed, TemplateChange, Unroutable
from zaptrix.core.message.template import (
    Button,
    ButtonFill,
    Card,
    Definition,
    FilledButton,
    FilledCard,
    FilledHeader,
    Header,
    Media,
    ParameterFormat,
    Template,
    VariableValue,
    language_code,
)
from zaptrix.whatsapp.wire import NotJsonObject, Paging, read

Json = dict[str, Any]

# --- shapes ----------------------------------------------------------------------------------------------------------


class WireButton(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    url: str = ""
    phone_number: str = ""


class LimitedTimeOffer(msgspec.Struct, frozen=True):
    text: str | None = None
    has_expiration: object = None


class WireCard(msgspec.Struct, frozen=True):
    components: list[WirePart] = []


class WirePart(msgspec.Struct, frozen=True):
    """One of `components[]`. `type` and `format` come in capitals, mostly."""

    type: str = ""
    format: str = ""
    text: str = ""
    buttons: list[WireButton] = []
    cards: list[WireCard] = []
    limited_time_offer: LimitedTimeOffer | None = None


class Quality(msgspec.Struct, frozen=True):
    score: str | None = None


class WireTemplate(msgspec.Struct, frozen=True):
    """One of `data[]` of a list."""

    id: str = ""
    name: str = ""
    language: str = ""
    status: str = ""
    category: str = ""
    parameter_format: str | None = None
    quality_score: Quality | None = None
    rejected_reason: str | None = None
    components: list[WirePart] = []


class TemplatePage(msgspec.Struct, frozen=True):
    """A page of a list."""

    data: list[WireTemplate] = []
    paging: Paging | None = None

    @property
    def after(self) -> str | None:
        return self.paging.after if self.paging else None


# --- definitions -----------------------------------------------------------------------------------------------------


def definition_of(told: WireTemplate) -> Definition | None:
    """A definition; None when it has no id or name to be known by, or longer ones than any has."""
    if not 0 < len(told.id) <= _ID_MAX or not 0 < len(told.name) <= _NAME_MAX:
        return None
    parts = {part.type.upper(): part for part in told.components}
    body, footer = parts.get("BODY"), parts.get("FOOTER")
    offer, carousel = parts.get("LIMITED_TIME_OFFER"), parts.get("CAROUSEL")
    return Definition(
        id=told.id,
        name=told.name,
        language=language_code(_word(told.language)),
        status=_word(told.status).upper(),
        category=_word(told.category).upper(),
        quality=_word((told.quality_score.score if told.quality_score else None) or "UNKNOWN").upper(),
        rejected_reason=_word(told.rejected_reason) if told.rejected_reason not in {None, "", "NONE"} else None,
        parameter_format=ParameterFormat.NAMED
        if (told.parameter_format or "").upper() == "NAMED"
        else ParameterFormat.POSITIONAL,
        header=_header(parts.get("HEADER")),
        body=body.text if body else "",
        footer=footer.text if footer else "",
        buttons=_buttons(parts.get("BUTTONS")),
        cards=tuple(_card(card) for card in carousel.cards) if carousel else (),
        offer_expires=bool(offer and offer.limited_time_offer and offer.limited_time_offer.has_expiration),
    )


def _word(told: str | None) -> str:
    """One of Meta's words, as the ledger can keep it."""
    return "".join(sign for sign in told or "" if sign.isascii())[:_WORD_MAX]


def _header(part: WirePart | None) -> Header | None:
    return Header(part.format.lower() or "text", part.text) if part else None


def _buttons(part: WirePart | None) -> tuple[Button, ...]:
    if part is None:
        return ()
    return tuple(Button(b.type.lower(), b.text, url=b.url, phone_number=b.phone_number) for b in part.buttons)


def _card(card: WireCard) -> Card:
    parts = {part.type.upper(): part for part in card.components}
    body = parts.get("BODY")
    return Card(_header(parts.get("HEADER")), body.text if body else "", _buttons(parts.get("BUTTONS")))


# --- sending ---------------------------------------------------------------------------------------------------------


def to_wire(message: Template) -> Json:
    """The value of `template` in a send."""
    components = _components(message.header, message.body, message.buttons)
    if message.offer_expires_at_ms is not None:
        offer = {"expiration_time_ms": message.offer_expires_at_ms}
        parameter = {"type": "limited_time_offer", "limited_time_offer": offer}
        components.append({"type": "limited_time_offer", "parameters": [parameter]})
    if message.cards:
        components.append({"type": "carousel", "cards": _cards(message.cards)})
    return {"name": message.name, "language": {"code": message.language}, "components": components}


def _components(
    header: FilledHeader | None, body: Sequence[VariableValue], buttons: Sequence[FilledButton]
) -> list[Json]:
    components: list[Json] = []
    if header is not None:
        components.append({"type": "header", "parameters": [_header_parameter(header)]})
    if body:
        components.append({"type": "body", "parameters": [_text_parameter(value) for value in body]})
    return components + [_button(each) for each in buttons]


def _cards(cards: Sequence[FilledCard]) -> list[Json]:
    return [
        {"card_index": index, "components": _components(card.header, card.body, card.buttons)}
        for index, card in enumerate(cards)
    ]


def _text_parameter(value: VariableValue) -> Json:
    named = {"parameter_name": value.name} if value.name else {}
    return {"type": "text", **named, "text": value.text}


def _header_parameter(header: FilledHeader) -> Json:
    if header.text is not None:
        return _text_parameter(header.text)
    fill = header.fill
    assert fill is not None
    if fill.location is not None:
        # As text: so the platform's own samples write degrees.
        place = fill.location
        told = {"latitude": str(place.latitude), "longitude": str(place.longitude)}
        return {"type": "location", "location": told | {"name": place.name, "address": place.address}}
    if fill.product is not None:
        return {"type": "product", "product": msgspec.to_builtins(fill.product)}
    for kind, media in (("image", fill.image), ("video", fill.video), ("document", fill.document)):
        if media is not None:
            return {"type": kind, kind: _media(kind, media)}
    raise AssertionError(header.format)


def _media(kind: str, media: Media) -> Json:
    told = {"id": media.id} if media.id is not None else {"link": media.link}
    return told | ({"filename": media.filename} if kind == "document" and media.filename else {})


def _button(button: FilledButton) -> Json:
    sub_type, parameters = _BUTTON_PARAMETERS[button.kind]
    told = {"type": "button", "sub_type": sub_type, "index": str(button.fill.index)}
    found = parameters(button.fill)
    return told | ({"parameters": [found]} if found else {})


def _payload(fill: ButtonFill) -> Json | None:
    return {"type": "payload", "payload": fill.payload} if fill.payload else None


def _suffix(fill: ButtonFill) -> Json | None:
    return {"type": "text", "text": fill.text}


def _coupon(fill: ButtonFill) -> Json | None:
    return {"type": "coupon_code", "coupon_code": fill.coupon_code}


def _flow(fill: ButtonFill) -> Json | None:
    data = {"flow_action_data": fill.flow_data} if fill.flow_data is not None else {}
    return {"type": "action", "action": {"flow_token": fill.flow_token or "unused", **data}}


def _products(fill: ButtonFill) -> Json | None:
    action: Json = {}
    if fill.thumbnail_product is not None:
        action["thumbnail_product_retailer_id"] = fill.thumbnail_product
    if fill.sections is not None:
        action["sections"] = [
            {"title": each.title, "product_items": [{"product_retailer_id": one} for one in each.products]}
            for each in fill.sections
        ]
    return {"type": "action", "action": action} if action else None


def _order(fill: ButtonFill) -> Json | None:
    return {"type": "action", "action": {"order_details": fill.order_details}}


_BUTTON_PARAMETERS: dict[str, tuple[str, Callable[[ButtonFill], Json | None]]] = {
    "quick_reply": ("quick_reply", _payload),
    "url": ("url", _suffix),
    "otp": ("url", _suffix),
    "copy_code": ("copy_code", _coupon),
    "flow": ("flow", _flow),
    "catalog": ("catalog", _products),
    "mpm": ("mpm", _products),
    "order_details": ("order_details", _order),
    "voice_call": ("voice_call", _payload),
}


# --- webhooks --------------------------------------------------------------------------------------------------------


class ChangeValue(msgspec.Struct, frozen=True):
    """All that the four fields of templates tell. https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/message_template_status_update"""

    event: str | None = None
    message_template_id: str = ""
    message_template_name: str = ""
    message_template_language: str = ""
    reason: str | None = None
    previous_quality_score: str | None = None
    new_quality_score: str | None = None
    previous_category: str | None = None
    new_category: str | None = None
    correct_category: str | None = None


class TemplateChangeBody(msgspec.Struct, frozen=True):
    """An event's body."""

    entry_id: str = ""
    value: ChangeValue = ChangeValue()


CHANGES = frozenset(
    f"account.{field}"
    for field in (
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
    )
)

_ID_MAX = 32
_NAME_MAX = 512
_WORD_MAX = 64


def template_change(event: Event) -> Routed:
    """What a webhook tells of a template. By its keys: Meta's own samples carry one field's value under another."""
    try:
        told = read(event.body, TemplateChangeBody)
    except NotJsonObject as error:
        return Unroutable(str(error))
    value = told.value
    if not value.message_template_id or not told.entry_id or len(value.message_template_id) > _ID_MAX:
        return Unroutable("a template's change without its id or account")
    what, new = _news(value)
    return TemplateChange(
        waba_id=told.entry_id,
        template_id=value.message_template_id,
        name=value.message_template_name[:_NAME_MAX],
        language=language_code(value.message_template_language)[:_WORD_MAX],
        what=what,
        new=new[:_WORD_MAX],
        reason=(value.reason or "")[:_WORD_MAX] if value.reason not in {None, "NONE"} else None,
        at=event.received_at,
        old=(value.previous_quality_score or value.previous_category or "").upper()[:_WORD_MAX] or None,
    )


def _news(value: ChangeValue) -> tuple[str, str]:
    if value.event:
        return "status", value.event.upper()
    if value.new_quality_score:
        return "quality", value.new_quality_score.upper()
    if value.correct_category:
        # A day before the change, `new_category` is still the one that holds.
        return "category_soon", value.correct_category.upper()
    if value.new_category:
        return "category", value.new_category.upper()
    return "components", ""
