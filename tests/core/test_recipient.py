"""Whom a typed recipient means."""

import pytest

from zaptrix.core.customer import Customer
from zaptrix.core.recipient import parse_recipient

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
