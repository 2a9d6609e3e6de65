"""The tables of error codes: whole, in both languages, and the same as what docs/ERRORS.md says."""

from collections import Counter

import pytest

from tests.house.error_page import PAGE, written
from zaptrix.bitrix24.rest import code_table
from zaptrix.core.portal import Locale
from zaptrix.core.wording.error_codes import OWN, UNKNOWN_FIX, ErrorClass, Rule, notice_of
from zaptrix.core.wording.notices import NOTICES
from zaptrix.whatsapp.codes import codes as meta

EVERY = [*meta.RULES, *code_table.RULES, *OWN]


def test_the_page_of_errors_says_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == written(), "write it anew: python -m tests.house.error_page"


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: str(rule.codes[0]))
def test_a_row_tells_operator_and_admin_in_both_languages(rule: Rule) -> None:
    assert notice_of(rule) in NOTICES
    assert notice_of(rule, late=True) in NOTICES
    portuguese, english = rule.fix.of(Locale.PT_BR), rule.fix.of(Locale.EN)
    assert len(portuguese) > 20
    assert len(english) > 20
    assert portuguese != english
    assert (rule.wait_s is not None) <= (rule.kind is ErrorClass.TOO_FAST)


@pytest.mark.parametrize("rules", [meta.RULES, code_table.RULES, OWN], ids=["meta", "bitrix24", "own"])
def test_a_code_has_one_row(rules: tuple[Rule, ...]) -> None:
    # A range at the end takes what its family may still get.
    alone = [rule for rule in rules if not (len(rule.codes) == 1 and isinstance(rule.codes[0], range))]
    counts = Counter(name.casefold() for rule in alone for name in rule.names())
    assert [code for code, times in counts.items() if times > 1] == []


def test_a_code_without_a_row_is_unexpected_and_says_what_to_do() -> None:
    assert meta.rule_of("777777") is None
    assert notice_of(None) == "unexpected"
    assert notice_of(None, late=True) == "refused"
    assert UNKNOWN_FIX.of(Locale.PT_BR) != UNKNOWN_FIX.of(Locale.EN)


def test_a_subcode_without_a_row_is_its_codes() -> None:
    assert meta.rule_of("190/999") is meta.rule_of("190")
    assert meta.rule_of("190/463") is not meta.rule_of("190")
