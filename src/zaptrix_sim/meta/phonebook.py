"""WhatsApp's names for people: the id of a number (Brazil's ninth digit), BSUIDs, country codes.

They differ from what a portal writes, as on the real platforms: a gateway cannot compare the two as text. Pure.
"""

import hashlib
import re

import phonenumbers

from zaptrix_sim.world.world import digits_of

# Meta: "the prefix of Brazilian and Mexican numbers may be altered by the API"
# https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
FIRST_DDD_WITHOUT_NINTH_DIGIT = 31
DIGITS_MIN = 7
DIGITS_MAX = 15

_BRAZIL_WITH_NINE = re.compile(r"55([1-9][0-9])9([6-9][0-9]{7})")
_DIALLED = re.compile(r"\+?[0-9 ().-]+")


def wa_id_of(digits: str) -> str:
    """The id under which WhatsApp knows a number: Brazilian mobiles of DDD 31 and above lose their ninth digit."""
    found = _BRAZIL_WITH_NINE.fullmatch(digits)
    if found and int(found[1]) >= FIRST_DDD_WITHOUT_NINTH_DIGIT:
        return f"55{found[1]}{found[2]}"
    return digits


def country_code_of(display_phone_number: str) -> str:
    try:
        return str(phonenumbers.parse("+" + digits_of(display_phone_number)).country_code)
    except phonenumbers.NumberParseException:
        return "55"


def dialled(to: str, country_code: str) -> str | None:
    """The digits that Meta dials for `to`, or None when it is no number. Without a `+` the business number's own
    country code is put in front, even when it is there already."""
    if not _DIALLED.fullmatch(to):
        return None
    digits = digits_of(to)
    if not to.startswith("+"):
        digits = country_code + digits
    return digits if DIGITS_MIN <= len(digits) <= DIGITS_MAX else None


def bsuid_of(waba_id: str, key: str) -> str:
    """A business-scoped user id: stable for one person and one business, different for another business."""
    number = int.from_bytes(hashlib.sha256(f"{waba_id}/{key}".encode()).digest()[:8], "big")
    region = phonenumbers.region_code_for_country_code(_country_of(key)) if key.isdigit() else "BR"
    return f"{region if region.isalpha() else 'BR'}.{number}"


def _country_of(digits: str) -> int:
    try:
        return phonenumbers.parse("+" + digits).country_code or 55
    except phonenumbers.NumberParseException:
        return 55
