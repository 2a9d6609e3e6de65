"""Interactive messages: what a customer is asked to press, pick, open or give, and what WhatsApp allows of it.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-cta-url-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/location-request-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/flows/guides/sendingaflow
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import msgspec

from zaptrix.core import limits
from zaptrix.core.message.validation import Misfits


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reply button. `id` comes back when it is pressed; people see `title`."""

    id: str
    title: str


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line of a list. `id` comes back when it is picked."""

    id: str
    title: str
    description: str | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows under one title, which only a list of one section can do without."""

    rows: tuple[Row, ...]
    title: str | None = None


class Choices(msgspec.Struct, frozen=True, tag="buttons"):
    """Up to three reply buttons."""

    choices: tuple[Choice, ...]


class Menu(msgspec.Struct, frozen=True, tag="list", kw_only=True):
    """A list that opens by a button with `label` on it."""

    label: str
    sections: tuple[Section, ...]


class Link(msgspec.Struct, frozen=True, tag="link", kw_only=True):
    """A button with `label` on it that opens an address."""

    label: str
    url: str


class PlaceWanted(msgspec.Struct, frozen=True, tag="location_request"):
    """A button by which the customer sends where he or she is."""


class FlowAction(StrEnum):
    """Where a form begins: on a named screen, or where its endpoint says."""

    NAVIGATE = "navigate"
    DATA_EXCHANGE = "data_exchange"


class Form(msgspec.Struct, frozen=True, tag="flow", kw_only=True, omit_defaults=True):
    """A Flow, by its id or its name. `token` comes back with what was filled in; `data` is for the first screen."""

    label: str
    id: str | None = None
    name: str | None = None
    token: str | None = None
    action: FlowAction = FlowAction.NAVIGATE
    screen: str | None = None
    data: dict[str, Any] | None = None
    draft: bool = False


Ask = Choices | Menu | Link | PlaceWanted | Form


def judge_ask(ask: Ask, noted: Misfits) -> None:
    """Notes what WhatsApp would not take of `ask`."""
    match ask:
        case Choices(choices):
            _choices(choices, noted)
        case Menu():
            _menu(ask, noted)
        case Link(label=label, url=url):
            noted.text("/link/label", label, limits.LABEL_MAX)
            if not is_address(url):
                noted.note("/link/url", "address")
        case Form():
            _form(ask, noted)
        case PlaceWanted():
            pass


def body_max(ask: Ask) -> int:
    """How long the words above `ask` may be, in characters."""
    return limits.LIST_BODY_MAX if isinstance(ask, Menu) else limits.INTERACTIVE_BODY_MAX


def is_address(url: str) -> bool:
    """Whether an address leads to the web. What a browser would refuse is not looked for."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url


def _choices(choices: tuple[Choice, ...], noted: Misfits) -> None:
    _count("/buttons", choices, limits.CHOICES_MAX, noted)
    for number, choice in enumerate(choices):
        noted.text(f"/buttons/{number}/id", choice.id, limits.CHOICE_ID_MAX)
        noted.text(f"/buttons/{number}/title", choice.title, limits.LABEL_MAX)
    noted.each_once("/buttons", [each.id for each in choices], "id")
    noted.each_once("/buttons", [each.title for each in choices], "title")


def _menu(menu: Menu, noted: Misfits) -> None:
    noted.text("/list/label", menu.label, limits.LABEL_MAX)
    _count("/list/sections", menu.sections, limits.SECTIONS_MAX, noted)
    ids: set[str] = set()
    for number, section in enumerate(menu.sections):
        place = f"/list/sections/{number}"
        if section.title is not None:
            noted.text(f"{place}/title", section.title, limits.ROW_TITLE_MAX)
        elif len(menu.sections) > 1:
            noted.note(f"{place}/title", "missing")
        if not section.rows:
            noted.note(f"{place}/rows", "empty")
        for at, row in enumerate(section.rows):
            _row(f"{place}/rows/{at}", row, noted)
            if row.id in ids:
                noted.note(f"{place}/rows/{at}/id", "twice")
            ids.add(row.id)
    if sum(len(section.rows) for section in menu.sections) > limits.ROWS_MAX:
        noted.note("/list/sections", "too_many", limit=limits.ROWS_MAX)


def _row(place: str, row: Row, noted: Misfits) -> None:
    noted.text(f"{place}/id", row.id, limits.ROW_ID_MAX)
    noted.text(f"{place}/title", row.title, limits.ROW_TITLE_MAX)
    if row.description is not None:
        noted.text(f"{place}/description", row.description, limits.ROW_DESCRIPTION_MAX)


def _form(form: Form, noted: Misfits) -> None:
    noted.text("/flow/label", form.label, limits.LABEL_MAX)
    if (form.id is None) == (form.name is None):
        noted.note("/flow", "one_of", names="id, name")
    for name in ("id", "name", "token", "screen"):
        value = getattr(form, name)
        if value is not None:
            noted.text(f"/flow/{name}", value, limits.FLOW_TEXT_MAX)
    if form.data is not None and form.screen is None:
        noted.note("/flow/screen", "missing")


def _count(place: str, given: tuple[object, ...], most: int, noted: Misfits) -> None:
    if not given:
        noted.note(place, "empty")
    elif len(given) > most:
        noted.note(place, "too_many", limit=most)
