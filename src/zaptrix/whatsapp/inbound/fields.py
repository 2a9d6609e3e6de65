"""Reads values that stand in an item in no fixed form: amounts, degrees, and the fields of an unknown kind.

What cannot be read is shown as it came, and nothing is rounded or made up: a person decides by it. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec import Raw

from zaptrix.core.limits import UNKNOWN_FIELD_CHARACTERS_MAX, UNKNOWN_FIELDS_MAX
from zaptrix.core.message.kinds import FormAnswer

_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_DEGREES = re.compile(r"[+-]?\d{1,3}(?:\.\d{1,40})?", re.ASCII)
_CENTS = 2

# What stands beside every kind, and what only programs read.
_BESIDE = frozenset({"context", "referral", "errors"})
_OF_PROGRAMS = frozenset({"id", "type", "sha256", "flow_token", "messaging_product"})


def amount_of(came: object, *, cents: bool = False) -> str | None:
    """A quantity or a price as text, None when there is none. `cents`: a number with two decimals, if it has fewer."""
    text = shown_value(came).strip() if came is not None else ""
    plain = None if isinstance(came, bool | str) else _plain_decimal(text)
    if plain is None:
        return text or None
    whole, _, part = plain.partition(".")
    if cents:
        return f"{whole}.{part:0<{_CENTS}}"
    return plain if part.strip("0") else whole


def _plain_decimal(text: str) -> str | None:
    """`text` as a decimal without an exponent; None when it is no number, or one that nobody writes."""
    if _DECIMAL.fullmatch(text):
        return text
    try:
        plain = format(Decimal(text), "f") if re.fullmatch(r"-?[\d.]{1,20}[eE][+-]?\d{1,2}", text, re.ASCII) else ""
    except ArithmeticError:
        return None
    return plain if _DECIMAL.fullmatch(plain) else None


def degrees_of(came: object, most: int) -> float | None:
    """Degrees of a latitude (`most` 90) or a longitude (180); None when there are none that can be on the earth."""
    if isinstance(came, bool) or not isinstance(came, int | float | str):
        return None
    if isinstance(came, str) and not _DEGREES.fullmatch(came.strip()):
        return None
    try:
        degrees = float(came)
    except (ValueError, OverflowError):
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= most else None


def shown_value(value: object) -> str:
    """Any value of JSON as people can read it: texts as they are, the rest as JSON; what is too deep for that, an
    ellipsis."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "…"
    # Half a surrogate pair is no Unicode, and NUL cannot be stored.
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def fields_of(body: Raw | bytes) -> tuple[FormAnswer, ...]:
    """What people can read in the item of an event of an unknown kind, field by field.

    A kind of tomorrow still has its words, names and numbers; only how they are told is not known.
    """
    try:
        found = list(_leaves(_item(body)))
    except RecursionError:
        return ()
    answers = [FormAnswer(name, _bounded(value)) for name, value in found[:UNKNOWN_FIELDS_MAX]]
    left_out = len(found) - len(answers)
    return (*answers, FormAnswer("", f"… (+{left_out})")) if left_out else tuple(answers)


def _item(body: Raw | bytes) -> dict[str, Any]:
    try:
        item = json.loads(bytes(body).decode("utf-8", "replace"), strict=False)["value"]["messages"][0]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    if not isinstance(item, dict):
        return {}
    return {name: value for name, value in item.items() if _holds_fields(name, value, item.get("type"))}


def _holds_fields(name: str, value: object, kind: object) -> bool:
    return name not in _BESIDE and (isinstance(value, dict | list) or name == kind)


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """The values at the ends, in their order, each with the name of its field. An item of Meta's is not deep."""
    match value:
        case dict():
            for key, inner in value.items():
                if key not in _OF_PROGRAMS:
                    yield from _leaves(inner, shown_value(key))
        case list():
            for inner in value:
                yield from _leaves(inner, name)
        case None | "" | bool():
            return
        case _:
            yield name, shown_value(value)


def _bounded(value: str) -> str:
    over = len(value) - UNKNOWN_FIELD_CHARACTERS_MAX
    return f"{value[:UNKNOWN_FIELD_CHARACTERS_MAX]}… (+{over})" if over > 0 else value
