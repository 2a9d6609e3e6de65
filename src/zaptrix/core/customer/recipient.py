"""Whom a person means who types a recipient: a phone number in some spelling, a WhatsApp id, or a user id.

A message to the wrong person is worse than none: what can be read in two ways, or is no valid number, is refused.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.phone import canonical, parse_typed

# <country>.<up to 128 letters and digits>, case-sensitive, to be sent back whole; a managed business's have a ".ENT."
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}", re.ASCII)
_SCHEME = re.compile(r"(?:tel|whatsapp|callto|phone):(?://)?", re.IGNORECASE)
# https://www.rfc-editor.org/rfc/rfc3966
_CONTEXT = re.compile(r";phone-context=(\+[\d.-]{1,20})\Z", re.IGNORECASE | re.ASCII)
_CARRIER_HERE = re.compile(r"\A\(?0[xX]{2}\)?(?=[\s(.\-]*\d)")  # how Brazilians write "0, the carrier, then"
_PHONE = re.compile(r"[\d\s().\-/]*\+?[\d\s().\-/]{4,40}", re.ASCII)
_ZEROS = re.compile(r"\A(0*)(\d*)\Z", re.ASCII)
_HOME = "BR"
# Mexico's trunk prefixes until 2019, which phonenumbers does not know any more.
_MEXICAN_TRUNK = re.compile(r"(?:044|045|01)(\d{10})", re.ASCII)
# In Argentina a mobile is dialled with a 15 behind the area code, which the 9 from abroad replaces. Some write both.
_ARGENTINE_TWICE = re.compile(r"549(\d{12})", re.ASCII)


def parse_recipient(text: str, own_number: str) -> Customer | None:
    """The customer whom `text` names, as seen from `own_number`; None when it can be nobody."""
    text = text.strip()
    if USER_ID.fullmatch(text):
        return Customer(bsuid=text)
    typed = _typed(text)
    phone = _phone(typed, _region(own_number)) if _PHONE.fullmatch(typed) else None
    return Customer(phone=phone) if phone else None


def _typed(text: str) -> str:
    """`text` without what is not of the number: its scheme, signs of other scripts, and "0xx"."""
    plain = "".join("-" if unicodedata.category(sign) == "Pd" else sign for sign in unicodedata.normalize("NFKC", text))
    plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")
    plain = _SCHEME.sub("", plain, count=1) if _SCHEME.match(plain) else plain
    if context := _CONTEXT.search(plain):
        plain = f"{context[1]} {plain[: context.start()].removeprefix(context[1])}"
    return _CARRIER_HERE.sub("0", plain.strip())


def _phone(typed: str, region: str) -> str | None:
    before, plus, after = typed.rpartition("+")
    zeros, rest = _zeros(before + after)
    if plus and not before.strip(" 0().-/"):
        # "+00", "00 +": both prefixes together. One zero behind a plus may be the country's or the trunk's.
        return _abroad(rest) if zeros != 1 else None
    if plus:
        return None
    if zeros >= 2:
        # 00 is the way abroad, and some type it before the area code at home.
        found = {phone for phone in (_abroad(rest), _at_home(rest, region, whole=True)) if phone}
        return found.pop() if len(found) == 1 else None
    # Without a prefix it is a number as it is dialled at home, or one with its country code in front, as Meta writes
    # them: home first.
    return _at_home("0" * zeros + rest, region) or (None if zeros else _abroad(rest))


def _zeros(text: str) -> tuple[int, str]:
    """How many zeros the number begins with, and the digits behind them."""
    found = _ZEROS.match("".join(filter(str.isdigit, text)))
    return (len(found[1]), found[2]) if found else (0, "")


def _abroad(digits: str) -> str | None:
    """A number that begins with its country code."""
    if twice := _ARGENTINE_TWICE.fullmatch(digits):
        digits = f"54{twice[1]}"
    return parse_typed(f"+{canonical(digits)}", None)


def _at_home(digits: str, region: str, *, whole: bool = False) -> str | None:
    """A number as it is dialled at home. `whole`: with its area code, and without anything before it."""
    if whole and len(digits) not in {10, 11}:
        return None
    if region == "MX" and (trunk := _MEXICAN_TRUNK.fullmatch(digits)):
        digits = trunk[1]
    phone = parse_typed(digits, region)
    code = phonenumbers.country_code_for_region(region)
    # phonenumbers takes a prefix for the way abroad where a person meant another one.
    return phone if phone and phone.startswith(f"+{code}") else None


def _region(own_number: str) -> str:
    digits = "".join(filter(str.isdigit, own_number))
    try:
        number = phonenumbers.parse(f"+{canonical(digits)}")
    except phonenumbers.NumberParseException:
        return _HOME
    return phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
