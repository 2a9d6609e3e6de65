"""Phone numbers: what Meta writes, what people type, and countries whose numbers have two spellings.

A WhatsApp id is never renumbered. One that is older than a change of its country's numbers keeps the old form, so that
Meta names a person by a number that the telephone network and the CRM do not have. Meta documents it for Brazil and
Mexico: https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers

_DDD = {
    *range(11, 20), 21, 22, 24, 27, 28, *range(31, 36), 37, 38, *range(41, 50), 51, 53, 54, 55, *range(61, 70),
    71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
}  # fmt: skip
_HAD_EIGHT_DIGITS = "6789"


def canonical(digits: str) -> str:
    """E.164 without "+" as the country's plan writes it today; what stands in no table stays as it is."""
    forms = _forms(digits)
    return forms[0] if forms else digits


def candidates(digits: str) -> tuple[str, ...]:
    """All forms under which one and the same line may stand, the given one first."""
    return tuple(dict.fromkeys((digits, *_forms(digits))))


def same_line(one: str | None, other: str | None) -> bool:
    """Whether two numbers in E.164 are those of one line, in whichever form."""
    if not one or not other:
        return False
    return one == other or other.removeprefix("+") in candidates(one.removeprefix("+"))


def forms_of(phone: str) -> tuple[str, ...]:
    """`candidates` of a number with "+", each with it."""
    return tuple(f"+{digits}" for digits in candidates(phone.removeprefix("+")))


def e164(wa_id: str) -> str | None:
    """`wa_id` as a canonical phone number with "+", or None when it is no phone number."""
    digits = wa_id.lstrip("+")
    if not (digits.isascii() and digits.isdigit() and 6 <= len(digits) <= 15):
        return None
    return f"+{canonical(digits)}"


def parse_typed(text: str, region: str | None = "BR") -> str | None:
    """A number as a person typed it, as canonical E.164 with "+"; None when it is no valid one.

    `region` None: only one that begins with "+".
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    phone = e164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return phone if phone and is_valid(phone) else None


def is_valid(phone: str) -> bool:
    """Whether a number with "+" can be somebody's, digit for digit: nothing in it is a prefix that is not dialled."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return False
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written == phone and phonenumbers.is_valid_number(number)


# --- two spellings ---------------------------------------------------------------------------------------------------


def _forms(digits: str) -> tuple[str, ...]:
    """The forms of a number whose country has two, today's first; empty for all others."""
    for code, forms in _COUNTRIES.items():
        if digits.startswith(code):
            return forms(digits)
    return ()


def _brazil(digits: str) -> tuple[str, ...]:
    """Mobiles got a ninth digit, 2012 to 2016; landlines did not."""
    if len(digits) not in {12, 13} or int(digits[2:4]) not in _DDD:
        return ()
    area, subscriber = digits[2:4], digits[4:]
    if len(subscriber) == 9 and subscriber[0] == "9":
        subscriber = subscriber[1:]
    if len(subscriber) != 8 or subscriber[0] not in _HAD_EIGHT_DIGITS:
        return ()
    return f"55{area}9{subscriber}", f"55{area}{subscriber}"


def _mexico(digits: str) -> tuple[str, ...]:
    """The 1 of mobiles ended in 2019; WhatsApp ids kept it."""
    found = _MEXICAN.fullmatch(digits)
    return (f"52{found[1]}", f"521{found[1]}") if found else ()


def _argentina(digits: str) -> tuple[str, ...]:
    """A mobile has a 9 in front when it is called from abroad. Who leaves it out may mean a landline, which no mobile
    shares its ten digits with: so either form stays what it is, and both are one line."""
    found = _ARGENTINE.fullmatch(digits)
    if not found:
        return ()
    return (digits, f"54{found[2]}" if found[1] else f"549{found[2]}")


def _benin(digits: str) -> tuple[str, ...]:
    """Eight digits got a 01 in front, on 2024-11-30. https://github.com/mobi/telephone_number/issues/138"""
    found = _BENINESE.fullmatch(digits)
    return (f"22901{found[1]}", f"229{found[1]}") if found else ()


def _ivory_coast(digits: str) -> tuple[str, ...]:
    """Eight digits got two in front, on 2021-01-31; which ones tells the second of the eight, the operator's.

    WhatsApp kept the old form of those that it knew: https://github.com/devlikeapro/waha/issues/1894
    """
    found = _IVORIAN.fullmatch(digits)
    if not found or (found[1] and found[1] != _IVORIAN_OPERATORS[found[2][1]]):
        return ()
    return f"225{_IVORIAN_OPERATORS[found[2][1]]}{found[2]}", f"225{found[2]}"


_MEXICAN = re.compile(r"521?(\d{10})", re.ASCII)
_ARGENTINE = re.compile(r"54(9?)([1-8]\d{9})", re.ASCII)
_BENINESE = re.compile(r"229(?:01)?([24-9]\d{7})", re.ASCII)
_IVORIAN = re.compile(r"225(01|05|07)?([04-9]\d{7})", re.ASCII)
_IVORIAN_OPERATORS = {
    **dict.fromkeys("0123", "01"),
    **dict.fromkeys("456", "05"),
    **dict.fromkeys("789", "07"),
}
_COUNTRIES: dict[str, Callable[[str], tuple[str, ...]]] = {
    "55": _brazil,
    "52": _mexico,
    "54": _argentina,
    "229": _benin,
    "225": _ivory_coast,
}
