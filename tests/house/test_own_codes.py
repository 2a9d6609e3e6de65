"""Each code that Zaptrix itself gives a message has its row: what it means, and what an admin does about it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from zaptrix.bitrix24.rest.codes import TABLE as BITRIX24
from zaptrix.core.wording.error_codes import own_rule
from zaptrix.whatsapp.codes.codes import TABLE as WHATSAPP

SOURCE = Path(__file__).parents[2] / "src" / "zaptrix"
# What a code is given to, and in which place.
_OUTCOMES = ("Refused", "Unavailable", "Unclear", "TooFast", "OutOfTime", "Unauthorized", "StaleUpload", "Unexpected")
PLACES = (
    dict.fromkeys(_OUTCOMES, 0)
    | {"Bury": 0, "Pause": 0}
    | dict.fromkeys(("Snooze", "Retry", "Verify"), 1)
    | {"put_off": 2}
)
# They end a look at templates, a registration or a contact, and never stand in a message's row.
NOT_OF_MESSAGES = {"left", "endless_list", "connector_not_active", "no_contact_id"}


def _given(source: str) -> Iterator[str]:
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        place = PLACES.get(name)
        if place is not None and len(call.args) > place:
            argument = call.args[place]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def codes() -> set[str]:
    folders = [SOURCE / name for name in ("core", "bridge", "whatsapp", "bitrix24", "media", "broker")]
    files = [*(file for folder in folders for file in folder.rglob("*.py")), SOURCE / "exchange.py"]
    return {code for file in files for code in _given(file.read_text())} - NOT_OF_MESSAGES


@pytest.mark.parametrize("code", sorted(codes()))
def test_an_admin_is_told_what_a_code_of_ours_means(code: str) -> None:
    assert own_rule(code) or BITRIX24.rule_of(code) or WHATSAPP.rule_of(code)


def test_codes_are_found_where_they_are_given() -> None:
    found = set(_given('a.put_off(b, c, "x")\nSnooze(at, "y")\nerrors.Refused("z", "told")\nRefused(code)'))
    assert found == {"x", "y", "z"}
    assert len(codes()) > 20
