"""That `test_error_codes.py` leaves out no code: of our tables, of the simulators', of what is expected."""

from tests.flows.error_codes import BITRIX24, META, OAUTH
from zaptrix.bitrix24.rest import code_table
from zaptrix.whatsapp.codes import codes
from zaptrix_sim.world import bitrix24_errors, meta_error_codes

_FAMILIES = ("200", "132000")  # ranges that Meta keeps for one kind of error: only documented members are driven


def test_every_row_of_the_tables_is_driven_and_nothing_else() -> None:
    tables = ((codes.RULES, META), (code_table.RULES, BITRIX24 | dict.fromkeys(OAUTH)))
    for rules, wanted in tables:
        named = {name for rule in rules for one in rule.codes if not _of_family(one) for name in _names(one)}
        driven = {code for code in wanted if not _in_family(code) or code in named}
        assert named == driven


def test_the_simulators_answer_every_code_that_is_driven() -> None:
    assert set(META) == set(meta_error_codes.DOCUMENTED)
    assert set(BITRIX24) <= set(bitrix24_errors.KNOWN)
    assert set(OAUTH) <= set(bitrix24_errors.OAUTH)


def _names(code: int | range | str) -> set[str]:
    return {str(each) for each in (code if isinstance(code, range) else (code,))}


def _of_family(code: object) -> bool:
    return isinstance(code, range) and str(code[0]) in _FAMILIES


def _in_family(code: str) -> bool:
    return code.isdigit() and (200 <= int(code) < 300 or 132000 <= int(code) < 132100)
