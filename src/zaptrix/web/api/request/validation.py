"""What msgspec finds wrong with a value, as the field's JSON pointer and a sentence for people.

msgspec tells it in one English sentence that ends in a path (https://jcristharif.com/msgspec/usage.html#error-messages).
What the sentence leaves out, the values that an enumeration allows and the fields that an object has, is looked up in
the type that was to be read. Values that came are not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, reduce
from typing import Any, Final

import msgspec
from msgspec import inspect

from zaptrix.core.wording.catalog import Sentence, section
from zaptrix.web.http.problems import WrongField

_PLACE: Final = re.compile(r"^(?P<what>.*?) - at `\$(?P<place>.*)`$", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<number>\d+)\]|\[(?P<any>\.\.\.)\]")
_QUOTED_MAX: Final = 64
_LISTED_MAX: Final = 40

MISSING: Final = Sentence("api.value.missing")
UNKNOWN: Final = Sentence("api.value.unknown")
_ONE_OF: Final = Sentence("api.value.one_of")
_UNUSABLE: Final = Sentence("api.value.unusable")

_TYPES: Final = {name: Sentence(f"api.types.{name}") for name in section("api.types")}


def wrong_field(told: str, wanted: Any) -> WrongField:
    """The field at fault, and why. `told` are msgspec's words, `wanted` is the type that was to be read.

    The field is "" when the whole value is at fault.
    """
    found = _PLACE.match(told)
    what, path = (found["what"], found["place"]) if found else (told, "")
    steps, types = _walk(path, [inspect.type_info(wanted)])
    for code, pattern, words in _PATTERNS:
        if match := pattern.match(what):
            if code in {"missing", "unknown"} and "[...]" not in path:
                steps = [*steps, match["field"][:_QUOTED_MAX]]
            return WrongField(pointer(steps), words(match, types), code)
    return WrongField(pointer(steps), _UNUSABLE, "invalid")


def pointer(steps: Iterable[str]) -> str:
    """https://www.rfc-editor.org/rfc/rfc6901"""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def listed(values: Iterable[str]) -> str:
    """Names one after the other, within bounds."""
    return ", ".join(list(values)[:_LISTED_MAX])


# --- the type at a path ----------------------------------------------------------------------------------------------


def _walk(path: str, types: list[inspect.Type]) -> tuple[list[str], list[inspect.Type]]:
    """The steps of a path and what may stand at its end. msgspec does not name keys: there the steps end."""
    steps: list[str] = []
    named = True
    types = list(_alternatives(types))
    for step in _STEP.finditer(path):
        types = list(_alternatives(_below(types, step["name"])))
        named = named and not step["any"]
        if named:
            steps.append(step["name"] or step["number"])
    return steps, types


def _alternatives(types: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    for each in types:
        if isinstance(each, inspect.Metadata):
            yield from _alternatives([each.type])
        elif isinstance(each, inspect.UnionType):
            yield from _alternatives(each.types)
        else:
            yield each


def _below(types: Iterable[inspect.Type], name: str | None) -> Iterator[inspect.Type]:
    for each in types:
        if isinstance(each, inspect.StructType):
            yield from (field.type for field in each.fields if field.encode_name == name)
        elif isinstance(each, inspect.DictType) and name is None:
            yield each.value_type
        elif isinstance(each, inspect.CollectionType) and name is None:
            yield each.item_type


# --- the words -------------------------------------------------------------------------------------------------------

_Words = Callable[[re.Match[str], list[inspect.Type]], Sentence]


def _fixed(words: Sentence) -> _Words:
    return lambda _match, _types: words


def _with_limit(words: Sentence) -> _Words:
    return lambda match, _types: words.filled(limit=match["limit"].removesuffix(".0"))


def _allowed(_match: re.Match[str], types: list[inspect.Type]) -> Sentence:
    values: list[str] = []
    for each in types:
        if isinstance(each, inspect.EnumType):
            values += [str(member.value) for member in each.cls]
        elif isinstance(each, inspect.LiteralType):
            values += [
                value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in each.values
            ]
        elif isinstance(each, inspect.StructType) and each.tag is not None:
            values.append(str(each.tag))
    return _ONE_OF.filled(values=listed(values)) if values else _UNUSABLE


def _fields(_match: re.Match[str], types: list[inspect.Type]) -> Sentence:
    known = [field.encode_name for each in types if isinstance(each, inspect.StructType) for field in each.fields]
    return UNKNOWN.filled(known=listed(dict.fromkeys(known)))


def _typed(match: re.Match[str], types: list[inspect.Type]) -> Sentence:
    if any(isinstance(each, inspect.EnumType | inspect.LiteralType) for each in types):
        return _allowed(match, types)
    wanted = [_type_words(name) for name in match["wanted"].split(" | ")]
    either = reduce(lambda one, other: Sentence("api.value.or", {"one": one, "other": other}), wanted)
    return Sentence("api.value.type", {"type": either})


@cache
def _type_words(name: str) -> Sentence:
    return _TYPES.get(name, _UNUSABLE)


_PATTERNS: Final[tuple[tuple[str, re.Pattern[str], _Words], ...]] = tuple(
    (code, re.compile(pattern, re.DOTALL), words)
    for code, pattern, words in (
        ("unknown", r"^Object contains unknown field `(?P<field>.*)`$", _fields),
        ("missing", r"^Object missing required field `(?P<field>.*)`$", lambda _match, _types: MISSING),
        ("one_of_values", r"^Invalid (enum )?value", _allowed),
        ("too_short", r"^Expected `str` of length >= 1$", _fixed(Sentence("api.value.empty"))),
        ("too_short", r"^Expected `array` of length >= 1$", _fixed(Sentence("api.value.empty"))),
        ("too_short", r"^Expected `str` of length >= (?P<limit>\d+)$",
         _with_limit(Sentence("api.value.too_short"))),
        ("too_long", r"^Expected `str` of length <= (?P<limit>\d+)$",
         _with_limit(Sentence("api.value.too_long"))),
        ("too_many", r"^Expected `(array|object)` of length <= (?P<limit>\d+)$",
         _with_limit(Sentence("api.value.too_many"))),
        ("too_small", r"^Expected `\w+` >= (?P<limit>\S+)$",
         _with_limit(Sentence("api.value.too_small"))),
        ("too_large", r"^Expected `\w+` <= (?P<limit>\S+)$",
         _with_limit(Sentence("api.value.too_large"))),
        ("pattern", r"^Expected `str` matching regex '(?P<limit>.*)'$",
         _with_limit(Sentence("api.value.pattern"))),
        ("time_zone", r"^Expected `datetime` with a timezone", _fixed(Sentence("api.value.time_zone"))),
        ("type", r"^Expected `(?P<wanted>[^`]+)`, got ", _typed),
        ("uuid", r"^Invalid UUID$", _fixed(Sentence("api.value.uuid"))),
        ("datetime", r"^Invalid RFC3339 encoded datetime$|^Timestamp is out of range",
         _fixed(Sentence("api.value.datetime"))),
        ("out_of_range", r".*out of range", _fixed(Sentence("api.value.out_of_range"))),
    )
)  # fmt: skip
