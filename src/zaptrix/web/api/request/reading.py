"""Reading bodies: strictly by the type that the handler declares, with errors that name the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from litestar import Request

from zaptrix.core.foreign_json import BROKEN, NESTING_MAX, is_too_deep
from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.api.request.parameters import check_query
from zaptrix.web.api.request.validation import pointer, wrong_field
from zaptrix.web.http.problems import INVALID, MALFORMED, UNSUPPORTED, Problem, WrongField, invalid

T = TypeVar("T")

_NOT_JSON = Sentence("api.body.not_json")
_TOO_DEEP = Sentence("api.body.too_deep", {"limit": NESTING_MAX})


async def strict_request(request: Request[Any, Any, Any]) -> None:
    """Before a handler: does the operation have each parameter, is each given once, and is the body JSON and what the
    handler takes?

    The framework alone would ignore the first, take the last of several, and "1" for 1.
    """
    check_query(request)
    wanted = request.route_handler.parsed_data_field
    if wanted is None:
        return
    if not says_json(request.headers.get("content-type", "")):
        raise Problem(UNSUPPORTED, Sentence("api.body.json_only"))
    decoded(await request.body(), wanted.annotation)


def says_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def decoded(raw: bytes, shape: type[T], broken: Sentence = _NOT_JSON) -> T:
    """JSON that a caller wrote, as `shape`. Raises a Problem; `broken` is what it tells when this is no JSON."""
    try:
        body = msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as exc:
        raise invalid_body(str(exc), shape) from None
    except RecursionError:
        raise Problem(MALFORMED, _TOO_DEEP) from None
    except BROKEN:
        raise Problem(MALFORMED, broken) from None
    if is_too_deep(raw):
        raise Problem(MALFORMED, _TOO_DEEP)
    return body


def converted(told: dict[str, Any], shape: type[T]) -> T:
    """A form's fields as `shape`, where numbers and flags are texts. Raises a Problem."""
    try:
        return msgspec.convert(told, shape, strict=False)
    except msgspec.ValidationError as exc:
        raise invalid_body(str(exc), shape) from None


def invalid_body(told: str, shape: Any) -> Problem:
    """msgspec's words as a field and what is wrong with it."""
    wrong = wrong_field(told, shape)
    if wrong.field:
        return invalid(wrong)
    return Problem(INVALID, Sentence("api.body.whole", {"what": wrong.message}))


# --- what a type cannot say ------------------------------------------------------------------------------------------

Check = Callable[[Any], Sentence | None]
"""What is wrong with a value, or None."""

_CONTROL = Sentence("api.value.control")
_EMPTY = Sentence("api.value.empty")
_SPACES = Sentence("api.value.spaces")
_TOKEN = Sentence("api.value.token")
_ADDRESS = Sentence("api.value.address")
_MORE = Sentence("api.value.address_more")
_NUL = Sentence("api.value.nul")


def check(body: msgspec.Struct, rules: Iterable[tuple[str, Check]]) -> None:
    """Raises a Problem that names every field at fault."""
    errors: list[WrongField] = []
    for field, rule in rules:
        value = getattr(body, field)
        if value is not msgspec.UNSET and value is not None and (wrong := rule(value)):
            errors.append(WrongField(pointer([field]), wrong, "invalid"))
    if errors:
        raise invalid(*errors)


def one_line(text: str) -> Sentence | None:
    if any(not character.isprintable() for character in text):
        return _CONTROL
    return None if text.strip() == text and text else _SPACES


def token(text: str) -> Sentence | None:
    if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
        return _TOKEN
    return None


def http_address(text: str) -> Sentence | None:
    if one_line(text):
        return one_line(text)
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return _ADDRESS
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_good:
        return _ADDRESS
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or " " in text:
        return _MORE
    return None


def message_text(text: str) -> Sentence | None:
    if not text.strip():
        return _EMPTY
    return _NUL if "\0" in text else None
