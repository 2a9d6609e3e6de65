"""Whom a person means who types a recipient: a phone number in some spelling, a WhatsApp id, or a user id."""

from __future__ import annotations

import re

import phonenumbers

from zaptrix.core.customer import Customer
from zaptrix.core.phone import parse_typed

# <country>.<up to 128 letters and digits>, case-sensitive, to be sent back whole.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
_USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")
_PHONE = re.compile(r"\+?[\d\s().\-/]{6,32}", re.ASCII)
_HOME = "BR"


def parse_recipient(text: str, own_number: str) -> Customer | None:
    """The customer whom `text` names, as seen from `own_number`; None when it can be nobody."""
    text = text.strip()
    if _USER_ID.fullmatch(text):
        return Customer(bsuid=text)
    phone = _phone(text, _region(own_number)) if _PHONE.fullmatch(text) else None
    return Customer(phone=phone) if phone else None


def _phone(text: str, region: str) -> str | None:
    if text.startswith("00"):
        text = f"+{text[2:]}"
    if text.startswith("+"):
        return parse_typed(text)
    # Without a plus it is a number as it is dialled at home, or one with its country code in front, as Meta writes
    # them. A message to a stranger is worse than none: only what is a real number is taken, home first.
    for meant in (parse_typed(text, region), parse_typed(f"+{text}")):
        if meant and phonenumbers.is_valid_number(phonenumbers.parse(meant)):
            return meant
    return None


def _region(own_number: str) -> str:
    try:
        number = phonenumbers.parse("+" + "".join(filter(str.isdigit, own_number)))
    except phonenumbers.NumberParseException:
        return _HOME
    return phonenumbers.region_code_for_country_code(number.country_code or 0)
