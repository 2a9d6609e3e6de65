"""Whom a typed recipient means."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.recipient import parse_recipient

BRAZILIAN = "+55 11 91234-5678"
AMERICAN = "+1 555-078-3881"


@pytest.mark.parametrize(
    "typed",
    [
        "+55 41 98888-7777",
        "+554188887777",
        "(41) 98888-7777",
        "041 98888-7777",
        "41988887777",
        "4188887777",
        "5541988887777",
        "554188887777",
        "0055 41 98888 7777",
    ],
)
def test_one_brazilian_in_many_spellings(typed: str) -> None:
    assert parse_recipient(typed, BRAZILIAN) == Customer(phone="+5541988887777")


@pytest.mark.parametrize(
    ("typed", "own", "phone"),
    [
        ("447911123456", BRAZILIAN, "+447911123456"),
        ("12125551234", BRAZILIAN, "+12125551234"),
        ("2125551234", AMERICAN, "+12125551234"),
        ("4733334444", BRAZILIAN, "+554733334444"),  # Joinville at home, Norway from elsewhere
        ("4733334444", "4733330000", "+4733334444"),
        ("41988887777", "no number", "+5541988887777"),
    ],
)
def test_a_number_without_a_plus_is_meant_as_at_home_if_it_is_one_there(typed: str, own: str, phone: str) -> None:
    assert parse_recipient(typed, own) == Customer(phone=phone)


def test_a_user_id_is_taken_whole() -> None:
    assert parse_recipient("BR.7391046285510937264", BRAZILIAN) == Customer(bsuid="BR.7391046285510937264")


@pytest.mark.parametrize("typed", ["", "+", "abc", "123", "15551234567", "br.1", "BR.", "9" * 30, "+1-800-FLOWERS"])
def test_what_may_be_a_stranger_is_nobody(typed: str) -> None:
    assert parse_recipient(typed, BRAZILIAN) is None


@pytest.mark.parametrize(
    "typed",
    [
        "+0055 41 98888-7777",
        "+00 55 41 98888-7777",
        "00 00 55 41 98888-7777",
        "000055 41 98888-7777",
        "00 +55 41 98888-7777",
        "(+55) 41 98888-7777",
        "+(55) (41) 98888.7777",
        "+55 (0) 41 98888-7777",
        "+55 (041) 98888-7777",
        "+55 015 41 98888-7777",
        "tel:+55-41-98888-7777",
        "TEL:41-98888-7777;phone-context=+55",
        "whatsapp:+5541988887777",
        "0 15 41 98888-7777",
        "015 (41) 98888-7777",
        "021 41 8888-7777",
        "0xx41 98888-7777",
        "0XX(41)98888-7777",
        "0055 41 8888-7777",
        "0041 98888-7777",
        "05541988887777",
        "+55\u00a041\u00a098888\u20117777",
        "\u202a+55 41 98888-7777\u202c",
        "\uff0b55 41 98888-7777",
    ],
)
def test_prefixes_end_in_the_right_number(typed: str) -> None:
    assert parse_recipient(typed, BRAZILIAN) == Customer(phone="+5541988887777")


@pytest.mark.parametrize(
    "typed",
    [
        "0051 99876-5432",  # Peru, or Porto Alegre behind two zeros
        "+051 99876-5432",
        "+041 98888-7777",
        "+55 55 41 98888-7777",
        "+55+41988887777",
        "9090 41 98888-7777",
        "98888-7777",
        "tel:+55-41-98888-7777;ext=5",
        "+55 41 98888-7777 8",
        "+55 20 98888-7777",
        "+999 123456789",
        "+٥٥ 41 98888-7777",
    ],
)
def test_what_can_be_two_people_or_nobody_is_refused(typed: str) -> None:
    assert parse_recipient(typed, BRAZILIAN) is None


def test_the_number_of_the_finding_is_in_porto_alegre_and_not_in_peru() -> None:
    assert parse_recipient("+0055 51 99876-5432", BRAZILIAN) == Customer(phone="+5551998765432")


@pytest.mark.parametrize(
    ("typed", "own", "phone"),
    [
        ("+5215587654321", BRAZILIAN, "+525587654321"),
        ("+52 1 55 8765 4321", BRAZILIAN, "+525587654321"),
        ("5215587654321", BRAZILIAN, "+525587654321"),
        ("044 55 8765 4321", "+52 1 55 1234 5678", "+525587654321"),
        ("01 55 8765 4321", "+52 55 1234 5678", "+525587654321"),
        ("+54 9 351 612-3456", BRAZILIAN, "+5493516123456"),
        ("+54 351 15 612-3456", BRAZILIAN, "+5493516123456"),
        ("+54 9 351 15 612-3456", BRAZILIAN, "+5493516123456"),
        ("0351 15 612-3456", "+54 9 11 5555 4444", "+5493516123456"),
        ("+54 351 612-3456", BRAZILIAN, "+543516123456"),
        ("+229 97 12 34 56", BRAZILIAN, "+2290197123456"),
        ("97 12 34 56", "+229 01 97 12 34 57", "+2290197123456"),
        ("+225 07 12 34 56", BRAZILIAN, "+2250707123456"),
        ("+44 (0)7911 123456", BRAZILIAN, "+447911123456"),
        ("+39 06 1234 5678", BRAZILIAN, "+390612345678"),
    ],
)
def test_each_country_is_read_by_its_own_plan(typed: str, own: str, phone: str) -> None:
    assert parse_recipient(typed, own) == Customer(phone=phone)


_REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_REGIONS), st.sampled_from(["+", "+00", "00 00", "+ ", "tel:+", "(+"]), st.data())
def test_a_number_with_its_country_code_never_leaves_the_country(region: str, prefix: str, data: st.DataObject) -> None:
    """Every country's own example, with the digits of another one beside it: right, or refused."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    national = str(example.national_number)
    tail = data.draw(st.integers(0, 10**4 - 1))
    typed = f"{prefix}{example.country_code} {national[:-4]}{tail:04d}" + (")" if "(" in prefix else "")
    found = parse_recipient(typed, BRAZILIAN)
    if found is not None:
        assert found.phone is not None
        read = phonenumbers.parse(found.phone)
        assert read.country_code == example.country_code
        assert phonenumbers.is_valid_number(read)
        assert f"{tail:04d}" == found.phone[-4:]
