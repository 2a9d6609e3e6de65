"""Translates contact cards: Meta's fields to ours, and to a vCard where the customer's phone sent none.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/contacts
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from zaptrix.core.message.kinds import PersonCard
from zaptrix.whatsapp.items import CardAddress, CardItem, CardName, CardOrg

_VCARD_PHONE = re.compile(r"^(?:item\d{1,3}\.)?TEL[^:\r\n]{0,200}:(?:tel:)?([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def card_of(item: CardItem) -> PersonCard:
    """A card with its vCard: the phone's own, else one that is made of the fields."""
    card = PersonCard(
        name=_name(item.name),
        organisation=_organisation(item.org),
        phones=_entries(entry.phone or _number(entry.wa_id) for entry in item.phones)
        or _entries(_VCARD_PHONE.findall(item.vcard or "")),
        emails=_entries(entry.email for entry in item.emails),
        addresses=_entries(map(_address, item.addresses)),
        urls=_entries(entry.url for entry in item.urls),
        birthday=_line(item.birthday),
    )
    return replace(card, vcard=item.vcard or _vcard(card))


def _number(wa_id: str | None) -> str | None:
    # A user id may stand where a number is hidden.
    return f"+{wa_id}" if wa_id and wa_id.isdigit() else wa_id


def _name(name: CardName | None) -> str | None:
    if name is None:
        return None
    parts = (name.first_name, name.middle_name, name.last_name)
    return _line(name.formatted_name) or _line(" ".join(part for part in parts if part))


def _organisation(org: CardOrg | None) -> str | None:
    return _line(", ".join(part for part in (org.company, org.department, org.title) if part)) if org else None


def _address(address: CardAddress) -> str:
    parts = (address.street, address.city, address.state, address.zip, address.country)
    return ", ".join(part for part in parts if part)


def _entries(texts: Iterable[str | None]) -> tuple[str, ...]:
    lines = (line for text in texts if (line := _line(text)))
    return tuple(dict.fromkeys(lines))


def _line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def _vcard(card: PersonCard) -> str:
    """https://www.rfc-editor.org/rfc/rfc2426"""
    fields = [
        ("FN", card.name or next(iter(card.phones), "")),
        ("N", f"{_escaped(card.name or '')};;;;"),
        *(("TEL", phone) for phone in card.phones),
        *(("EMAIL", email) for email in card.emails),
        *(("ADR", f";;{_escaped(address)};;;;") for address in card.addresses),
        *(("URL", url) for url in card.urls),
        *([("ORG", card.organisation)] if card.organisation else []),
        *([("BDAY", card.birthday)] if card.birthday else []),
    ]
    # N and ADR are lists of parts already: their semicolons separate.
    lines = [f"{name}:{value if name in {'N', 'ADR'} else _escaped(value)}" for name, value in fields]
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
