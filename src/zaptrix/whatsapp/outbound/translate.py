"""Translates neutral messages to the Graph API's: a type, and what stands under that name.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zaptrix.core.ids import meta_id
from zaptrix.core.message.interactive import Ask, Choices, Form, Link, Menu, PlaceWanted, Row, Section
from zaptrix.core.message.kinds import Cards, Location, PersonCard, Reaction
from zaptrix.core.message.message import Interactive
from zaptrix.whatsapp.markup.markup import to_whatsapp
from zaptrix.whatsapp.outbound.upload import MediaToSend

Wire = dict[str, object]
Typed = tuple[str, object]
"""A message's type, and what stands under that name."""

FLOW_VERSION = "3"


def text_message(body: str) -> Typed:
    shown = body.lower()
    return "text", {"preview_url": "http://" in shown or "https://" in shown, "body": body}


def media_message(media: MediaToSend) -> Typed:
    return media.kind.value, media.fields()


def location(content: Location) -> Typed:
    place: Wire = {"latitude": content.latitude, "longitude": content.longitude}
    return "location", place | _given(name=content.name, address=content.address)


def contacts(content: Cards) -> Typed:
    return "contacts", [_contact(card) for card in content.cards]


def reaction(content: Reaction) -> Typed:
    """The message is named here, and not by a context; without an emoji the one that was there is taken away."""
    quote = content.marks.quote
    assert quote is not None  # a reaction is to something
    return "reaction", {"message_id": meta_id(quote.whatsapp_id), "emoji": content.emoji or ""}


def interactive(content: Interactive, file: MediaToSend | None) -> Typed:
    kind, action = _ACTIONS[type(content.ask)](content.ask)
    message: Wire = {"type": kind, "body": {"text": to_whatsapp(content.body)}, "action": action}
    if content.header is not None:
        message["header"] = {"type": "text", "text": content.header}
    if file is not None:
        # A header is a picture, a film or a document, without words of its own.
        message["header"] = {"type": file.kind.value, file.kind.value: file.fields()}
    if content.footer is not None:
        message["footer"] = {"text": content.footer}
    return "interactive", message


def _given(**fields: object) -> Wire:
    return {name: value for name, value in fields.items() if value is not None}


def _contact(card: PersonCard) -> Wire:
    """The whole name and one part of it are required; all of it is given as that part."""
    name = card.name or ""
    told: Wire = {"name": {"formatted_name": name, "first_name": name}}
    lists = {
        "phones": [_phone(phone) for phone in card.phones],
        "emails": [{"email": email} for email in card.emails],
        "addresses": [{"street": address} for address in card.addresses],
        "urls": [{"url": url} for url in card.urls],
    }
    told |= {key: entries for key, entries in lists.items() if entries}
    if card.organisation:
        told["org"] = {"company": card.organisation}
    return told | _given(birthday=card.birthday)


def _phone(phone: str) -> Wire:
    """With its WhatsApp id a number can be written to at once; only one with its country code has one."""
    digits = "".join(sign for sign in phone if sign.isascii() and sign.isdigit())
    return _given(phone=phone, wa_id=digits if phone.startswith("+") else None)


# --- what is pressed, picked, opened or given ------------------------------------------------------------------------


def _choices(ask: Choices) -> tuple[str, Wire]:
    return "button", {
        "buttons": [{"type": "reply", "reply": {"id": each.id, "title": each.title}} for each in ask.choices]
    }


def _menu(ask: Menu) -> tuple[str, Wire]:
    return "list", {"button": ask.label, "sections": [_section(each) for each in ask.sections]}


def _section(section: Section) -> Wire:
    return _given(title=section.title) | {"rows": [_row(row) for row in section.rows]}


def _row(row: Row) -> Wire:
    return _given(id=row.id, title=row.title, description=row.description)


def _link(ask: Link) -> tuple[str, Wire]:
    return "cta_url", {"name": "cta_url", "parameters": {"display_text": ask.label, "url": ask.url}}


def _place(_ask: PlaceWanted) -> tuple[str, Wire]:
    return "location_request_message", {"name": "send_location"}


def _form(ask: Form) -> tuple[str, Wire]:
    parameters: Wire = {"flow_message_version": FLOW_VERSION, "flow_cta": ask.label, "flow_action": ask.action.value}
    parameters |= _given(flow_id=ask.id, flow_name=ask.name, flow_token=ask.token)
    if ask.screen is not None:
        parameters["flow_action_payload"] = {"screen": ask.screen} | ({"data": ask.data} if ask.data else {})
    if ask.draft:
        parameters["mode"] = "draft"
    return "flow", {"name": "flow", "parameters": parameters}


# Each function takes its own kind: the table is what joins them.
_ACTIONS: dict[type[Ask], Callable[[Any], tuple[str, Wire]]] = {
    Choices: _choices,
    Menu: _menu,
    Link: _link,
    PlaceWanted: _place,
    Form: _form,
}
