"""Phone numbers: what Meta writes, what people type, and Brazil's ninth digit.

A WhatsApp id that is older than the ninth digit was never renumbered, so Meta names a Brazilian mobile by eight digits
where the telephone network and the CRM have nine. Meta documents that it may alter the prefix of such numbers:
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import phonenumbers

_DDD = {
    *range(11, 20), 21, 22, 24, 27, 28, *range(31, 36), 37, 38, *range(41, 50), 51, 53, 54, 55, *range(61, 70),
    71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
}  # fmt: skip
_HAD_EIGHT_DIGITS = "6789"


def canonical(digits: str) -> str:
    """E.164 without "+": a Brazilian mobile gets its ninth digit, everything else stays as it is."""
    area, subscriber = _brazilian(digits)
    if len(subscriber) == 8 and subscriber[0] in _HAD_EIGHT_DIGITS:
        return f"55{area}9{subscriber}"
    return digits


def candidates(digits: str) -> tuple[str, ...]:
    """All forms under which one and the same person may stand, the given one first."""
    area, subscriber = _brazilian(digits)
    if len(subscriber) == 8 and subscriber[0] in _HAD_EIGHT_DIGITS:
        return digits, f"55{area}9{subscriber}"
    if len(subscriber) == 9 and subscriber[0] == "9" and subscriber[1] in _HAD_EIGHT_DIGITS:
        return digits, f"55{area}{subscriber[1:]}"
    return (digits,)


def e164(wa_id: str) -> str | None:
    """`wa_id` as a canonical phone number with "+", or None when it is no phone number."""
    digits = wa_id.lstrip("+")
    if not (digits.isascii() and digits.isdigit() and 6 <= len(digits) <= 15):
        return None
    return f"+{canonical(digits)}"


def parse_typed(text: str, region: str = "BR") -> str | None:
    """A number as a person typed it, as canonical E.164 with "+"; None when it cannot be one."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return e164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _brazilian(digits: str) -> tuple[str, str]:
    """Area code and subscriber of a Brazilian number, or two empty strings."""
    if digits.startswith("55") and len(digits) in (12, 13) and int(digits[2:4]) in _DDD:
        return digits[2:4], digits[4:]
    return "", ""
