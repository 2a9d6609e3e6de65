import pytest

from zaptrix_sim.meta.phonebook import bsuid_of, country_code_of, dialled, wa_id_of


@pytest.mark.parametrize(
    ("digits", "wa_id"),
    [
        ("5541988887777", "554188887777"),
        ("554188887777", "554188887777"),
        ("5511987654321", "5511987654321"),
        ("5541912345678", "5541912345678"),
        ("554132221100", "554132221100"),
        ("12025550143", "12025550143"),
    ],
)
def test_brazilian_mobiles_of_ddd_31_and_above_lose_their_ninth_digit(digits: str, wa_id: str) -> None:
    assert wa_id_of(digits) == wa_id


@pytest.mark.parametrize(
    ("to", "digits"),
    [
        ("+5541988887777", "5541988887777"),
        ("+55 (41) 98888-7777", "5541988887777"),
        ("41988887777", "5541988887777"),
        ("554188887777", "55554188887777"),
        ("ana", None),
        ("+1", None),
        ("", None),
    ],
)
def test_without_a_plus_the_number_gets_the_business_country_code(to: str, digits: str | None) -> None:
    assert dialled(to, "55") == digits


def test_the_country_code_is_that_of_the_business_number() -> None:
    assert country_code_of("551140041234") == "55"
    assert country_code_of("+1 202 555 0143") == "1"


def test_a_user_id_is_stable_for_one_business_and_another_for_the_next() -> None:
    assert bsuid_of("w1", "554188887777") == bsuid_of("w1", "554188887777")
    assert bsuid_of("w1", "554188887777") != bsuid_of("w2", "554188887777")
    assert bsuid_of("w1", "554188887777").startswith("BR.")
    assert bsuid_of("w1", "12025550143").startswith("US.")
