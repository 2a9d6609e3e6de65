"""A send that is neither text, file nor template: what Meta refuses, and the words on the phone.

What is missing is 131008, a value outside its limits 131009, and what is not built as documented 100. Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

import re
from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.meta.errors import bad_parameter, refusal
from zaptrix_sim.meta.send_interactive import interactive

Json = dict[str, Any]
CONTACTS_MAX: Final = 257
NAME_PARTS: Final = ("first_name", "last_name", "middle_name", "suffix", "prefix")
_BIRTHDAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_KEYCAP: Final = "\N{COMBINING ENCLOSING KEYCAP}"


def line_of(kind: str, sent: Any) -> str:
    """The words on the phone. Raises the refusal."""
    judge, whole = _KINDS[kind]
    if not isinstance(sent, whole):
        raise refusal(131008, f"Parameter of type {kind} is missing.")
    return judge(sent)


def _location(sent: Json) -> str:
    for name, most in (("latitude", 90), ("longitude", 180)):
        if sent.get(name) is None:
            raise refusal(131008, f"Parameter of type location is missing: location['{name}'].")
        try:
            degrees = float(sent[name])
        except (TypeError, ValueError) as exc:
            raise bad_parameter(f"Param location['{name}'] must be a number.") from exc
        if not -most <= degrees <= most:
            raise refusal(131009, f"location['{name}'] is out of range.")
    return f"📍 {sent.get('name') or 'location'}"


def _contacts(sent: list[Any]) -> str:
    if not 1 <= len(sent) <= CONTACTS_MAX:
        raise refusal(131009, f"Param contacts must have 1 to {CONTACTS_MAX} entries.")
    return "👤 " + ", ".join(_contact(one) for one in sent)


def _contact(one: Any) -> str:
    name = one.get("name") if isinstance(one, dict) else None
    if not isinstance(name, dict) or not name.get("formatted_name"):
        raise refusal(131008, "Parameter of type contacts is missing: contacts['name']['formatted_name'].")
    if not any(name.get(part) for part in NAME_PARTS):
        raise refusal(131009, "At least one other name component than formatted_name has to be there.")
    for list_name in ("phones", "emails", "urls", "addresses"):
        entries = one.get(list_name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise bad_parameter(f"Param contacts['{list_name}'] must be an array of objects.")
    if one.get("birthday") and not _BIRTHDAY.fullmatch(str(one["birthday"])):
        raise refusal(131009, "contacts['birthday'] has to be YYYY-MM-DD.")
    return str(name["formatted_name"])


def _reaction(sent: Json) -> str:
    """Which message it names is judged by whom the thread belongs to."""
    if not sent.get("message_id"):
        raise refusal(131008, "Parameter of type reaction is missing: reaction['message_id'].")
    emoji = sent.get("emoji")
    if not isinstance(emoji, str):
        raise refusal(131008, "Parameter of type reaction is missing: reaction['emoji'].")
    if emoji and not is_emoji(emoji):
        raise refusal(131009, "reaction['emoji'] is not a single emoji.")
    return emoji


def is_emoji(text: str) -> bool:
    """One picture, as far as it can be told without Unicode's tables: short, and no writing in it."""
    bare = text.rstrip(_KEYCAP + "\N{VARIATION SELECTOR-16}") if text.endswith(_KEYCAP) else text
    plain = bare in set("0123456789#*") if text.endswith(_KEYCAP) else all(ord(sign) > 0xA8 for sign in text)
    return plain and len(text) <= 16 and not any(sign.isalnum() and sign not in "0123456789" for sign in text)


_KINDS: Final[dict[str, tuple[Callable[[Any], str], type]]] = {
    "location": (_location, dict),
    "contacts": (_contacts, list),
    "reaction": (_reaction, dict),
    "interactive": (interactive, dict),
}
KINDS: Final = frozenset(_KINDS)
