"""Reading bodies: strictly by the type that the handler declares, with errors that name the field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request

from zaptrix.web.problems import INVALID, MALFORMED, UNSUPPORTED, FieldError, Problem, invalid

_PLACE = re.compile(r"^(?P<what>.*) - at `\$(?P<place>.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<field>.*)`$", re.DOTALL)
_QUOTED_MAX = 64
_TOLD_MAX = 10


async def strict_request(request: Request[Any, Any, Any]) -> None:
    """Before a handler: is each parameter given once, and is the body JSON and what the handler takes?

    The framework alone would take the last of several, and "1" for 1.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := sorted(name[:_QUOTED_MAX] for name, count in counts.items() if count > 1):
        raise invalid(*(FieldError(name, "is given more than once") for name in repeated[:_TOLD_MAX]))
    wanted = request.route_handler.parsed_data_field
    if wanted is None:
        return
    if not says_json(request.headers.get("content-type", "")):
        raise Problem(UNSUPPORTED, "The body has to be application/json")
    body = await request.body()
    try:
        msgspec.json.decode(body, type=wanted.annotation)
    except msgspec.ValidationError as exc:
        raise invalid_body(str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(MALFORMED, "The body is not JSON") from None


def says_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def invalid_body(told: str) -> Problem:
    """msgspec's words as a field and what is wrong with it."""
    found = _PLACE.match(told)
    what, place = (found["what"], found["place"].lstrip(".")) if found else (told, "")
    for pattern, words in ((_UNKNOWN, "is not a field of this request"), (_MISSING, "is missing")):
        if named := pattern.match(what):
            field = ".".join(filter(None, (place, named["field"][:_QUOTED_MAX])))
            return invalid(FieldError(field, words))
    return Problem(INVALID, f"{place or 'The body'}: {what}", errors=[FieldError(place, what)])


# --- what a type cannot say ------------------------------------------------------------------------------------------

Check = Callable[[Any], str | None]
"""What is wrong with a value, or None."""


def check(body: msgspec.Struct, rules: Iterable[tuple[str, Check]]) -> None:
    """Raises a Problem that names every field at fault."""
    errors: list[FieldError] = []
    for field, rule in rules:
        value = getattr(body, field)
        if value is not msgspec.UNSET and value is not None and (wrong := rule(value)):
            errors.append(FieldError(field, wrong))
    if errors:
        raise invalid(*errors)


def one_line(text: str) -> str | None:
    if any(not character.isprintable() for character in text):
        return "holds a character that cannot be shown"
    return None if text.strip() == text and text else "is empty, or has spaces at its ends"


def token(text: str) -> str | None:
    if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
        return "holds a space or a character that no token has"
    return None


def http_address(text: str) -> str | None:
    if one_line(text):
        return one_line(text)
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return "is not an address"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_good:
        return "is not an address like https://company.bitrix24.com.br"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or " " in text:
        return "holds a user, a query or a fragment"
    return None


def message_text(text: str) -> str | None:
    if not text.strip():
        return "is empty"
    return "holds a NUL character" if "\0" in text else None
