"""What is wrong with a value, in words: for each thing that msgspec can find."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from zaptrix.core.wording.catalog import Locale
from zaptrix.web.api.request.validation import wrong_field


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Struct, forbid_unknown_fields=True):
    number: int = 0
    words: tuple[Annotated[str, Meta(min_length=2)], ...] = ()


class Outer(Struct, forbid_unknown_fields=True, kw_only=True):
    needed: str
    anything: Any = None
    number: Annotated[float, Meta(ge=1, le=90)] = 1
    colour: Colour | None = None
    flag: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    id: UUID | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    text: Annotated[str, Meta(pattern="^a", max_length=3, min_length=1)] = "a"
    inner: Annotated[list[Inner], Meta(max_length=2)] = []
    named: dict[str, Inner] = {}
    either: list[str] | dict[str, str] = []


FAULTS: dict[str, tuple[str, str]] = {
    '"anything": 1e400': ("/anything", "is too large a number"),
    f'"anything": {"1" * 5000}': ("/anything", "is too large a number"),
    '"number": "x"': ("/number", "has to be a number"),
    '"number": 0': ("/number", "is less than 1"),
    '"number": 91': ("/number", "is more than 90"),
    '"colour": "green"': ("/colour", "has to be one of: red, blue"),
    '"colour": 5': ("/colour", "has to be one of: red, blue"),
    '"flag": false': ("/flag", "has to be one of: true"),
    '"id": "x"': ("/id", "is not a UUID"),
    '"at": "2026-01-31T12:00:00"': ("/at", "has no time zone"),
    '"at": "today"': ("/at", "is not a date with a time like 2026-01-31T12:00:00Z"),
    '"text": "b"': ("/text", "does not have the form ^a"),
    '"text": "abcd"': ("/text", "is longer than 3 characters"),
    '"text": ""': ("/text", "is empty"),
    '"inner": [{}, {}, {}]': ("/inner", "has more than 2"),
    '"inner": [{}, {"number": 1.5}]': ("/inner/1/number", "has to be a whole number"),
    '"inner": [{"words": ["ab", "a"]}]': ("/inner/0/words/1", "is shorter than 2 characters"),
    '"inner": [{"a/b~c": 1}]': ("/inner/0/a~1b~0c", "does not exist here; there are: number, words"),
    '"named": {"k": {"number": "x"}}': ("/named", "has to be a whole number"),
    '"named": {"k": {"z": 1}}': ("/named", "does not exist here; there are: number, words"),
    '"either": 5': ("/either", "has to be an object or a list"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[:30])
def test_a_fault_is_told_with_its_place(fault: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(f'{{"needed": "x", {fault}}}', type=Outer)
    wrong = wrong_field(str(refused.value), Outer)
    assert (wrong.field, wrong.message.of(Locale.EN)) == FAULTS[fault]
    assert wrong.message.of(Locale.PT_BR) != wrong.message.of(Locale.EN)


def test_what_is_missing_is_named_and_a_whole_value_has_no_field() -> None:
    for body, expected in (("{}", ("/needed", "is missing")), ("[]", ("", "has to be an object"))):
        with pytest.raises(msgspec.ValidationError) as refused:
            msgspec.json.decode(body, type=Outer)
        wrong = wrong_field(str(refused.value), Outer)
        assert (wrong.field, wrong.message.of(Locale.EN)) == expected
