"""What the operator reads when something went wrong."""

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.portal import Locale
from zaptrix.core.wording.notices import NOTICES, is_notice, notice_text

EVERY = [(code, locale) for code in NOTICES for locale in Locale]


@pytest.mark.parametrize(("code", "locale"), EVERY)
def test_every_notice_is_told_in_every_language_even_when_nothing_is_known(code: str, locale: Locale) -> None:
    text = notice_text(code, {}, locale)
    assert len(text) > 20 or code == "sent_by_api"
    assert not re.search(r"[{}]", text)


@pytest.mark.parametrize("code", NOTICES)
def test_a_notice_asks_for_the_same_in_every_language(code: str) -> None:
    asked = [{name for _, name, _, _ in Formatter().parse(NOTICES[code][locale]) if name} for locale in Locale]
    assert asked[0] == asked[1]
    known = {"code", "limit", "text", "count", "hours", "phone", "templates", "minutes", "address", "since", "until"}
    assert asked[0] <= known


def test_a_missing_parameter_shows_as_a_dash() -> None:
    assert "(code -)" in notice_text("refused", {}, Locale.EN)
    assert "(código 131026)" in notice_text("unreachable", {"code": "131026"}, Locale.PT_BR)


def test_an_unknown_notice_is_told_as_the_plainest_true_sentence() -> None:
    assert notice_text("brand_new", {"code": "1"}, Locale.EN) == notice_text("unexpected", {"code": "1"}, Locale.EN)


@pytest.mark.parametrize(("code", "locale"), EVERY)
def test_a_line_of_ours_is_known_again_whatever_stands_in_it(code: str, locale: Locale) -> None:
    params = {
        "code": "131026",
        "limit": "4096",
        "text": "até\nlogo",
        "count": "2",
        "hours": "24",
        "minutes": "9",
        "phone": "+5511955554444",
    }
    assert is_notice(f"Zaptrix\n{notice_text(code, params, locale)}")


def test_what_an_operator_writes_is_no_line_of_ours() -> None:
    assert not is_notice("Bom dia! Mensagem recebida, já envio o código.")


@given(st.text())
def test_what_people_wrote_is_never_read_as_a_template(text: str) -> None:
    assert notice_text("sent_by_api", {"text": text}, Locale.EN).endswith(text)
