"""Brazil's ninth digit, and numbers as people type them. Every number here is invented."""

import pytest

from zaptrix.core.customer.phone import candidates, canonical, e164, parse_typed, same_line

ANA_8, ANA_9 = "554188887777", "5541988887777"


@pytest.mark.parametrize(
    ("digits", "wanted"),
    [
        (ANA_8, ANA_9),
        (ANA_9, ANA_9),
        ("5511987654321", "5511987654321"),
        ("554132221100", "554132221100"),  # a landline
        ("551140041234", "551140041234"),  # a business's landline
        ("5541912345678", "5541912345678"),  # 9 followed by 1: never had eight digits
        ("12025550143", "12025550143"),  # another country
        ("5520988887777", "5520988887777"),  # an area code that does not exist
        ("552088887777", "552088887777"),
    ],
)
def test_only_a_brazilian_mobile_gets_its_ninth_digit(digits: str, wanted: str) -> None:
    assert canonical(digits) == wanted


@pytest.mark.parametrize(
    ("digits", "wanted"),
    [
        (ANA_8, (ANA_8, ANA_9)),
        (ANA_9, (ANA_9, ANA_8)),
        ("5511987654321", ("5511987654321", "551187654321")),
        ("554132221100", ("554132221100",)),
        ("551140041234", ("551140041234",)),
        ("5541912345678", ("5541912345678",)),
        ("12025550143", ("12025550143",)),
        ("5520988887777", ("5520988887777",)),
    ],
)
def test_one_person_is_looked_for_under_every_form_of_the_number(digits: str, wanted: tuple[str, ...]) -> None:
    assert candidates(digits) == wanted


AREAS = [
    *range(11, 20), 21, 22, 24, 27, 28, *range(31, 36), 37, 38, *range(41, 50), 51, 53, 54, 55, *range(61, 70),
    71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
]  # fmt: skip


@pytest.mark.parametrize("area", range(11, 100))
@pytest.mark.parametrize("first", range(2, 10))
def test_the_ninth_digit_is_of_mobiles_in_brazils_areas_and_of_nobody_else(area: int, first: int) -> None:
    """Landlines begin with 2 to 5, and mobiles that had eight digits with 6 to 9, in every area that there is."""
    eight, nine = f"55{area}{first}1234567", f"55{area}9{first}1234567"
    mobile = area in AREAS and first >= 6
    assert canonical(eight) == (nine if mobile else eight)
    assert canonical(nine) == nine
    assert set(candidates(eight)) == ({eight, nine} if mobile else {eight})
    assert set(candidates(nine)) == ({eight, nine} if mobile else {nine})


@pytest.mark.parametrize("digits", ["55", "5541", "55418888777", "55419888877777", "4188887777", "54911234567890"])
def test_what_has_another_length_or_country_stays_as_it_is(digits: str) -> None:
    assert (canonical(digits), candidates(digits)) == (digits, (digits,))


@pytest.mark.parametrize("wa_id", ["", "+", "abc", "12345", "5541 98888 7777", "٥٥٤١٨٨٨٨٧٧٧٧", "1" * 16])
def test_what_is_no_phone_number_has_no_canonical_form(wa_id: str) -> None:
    assert e164(wa_id) is None


def test_a_whatsapp_id_becomes_a_number_that_the_telephone_network_knows() -> None:
    assert e164(ANA_8) == e164(f"+{ANA_8}") == f"+{ANA_9}"


@pytest.mark.parametrize(
    "typed", ["+55 41 98888-7777", "(41) 98888-7777", "041 98888-7777", "41 8888-7777", "+55 (41) 8888 7777"]
)
def test_a_number_is_understood_as_people_type_it(typed: str) -> None:
    assert parse_typed(typed) == f"+{ANA_9}"


@pytest.mark.parametrize("typed", ["", "Ana", "12", "+", "+99999999999999999999"])
def test_what_people_type_that_is_no_number_is_told_apart(typed: str) -> None:
    assert parse_typed(typed) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5215587654321", "525587654321"),  # Mexico's 1
        ("5493516123456", "543516123456"),  # Argentina's 9
        ("22997123456", "2290197123456"),  # Benin, 2024
        ("22507123456", "2250707123456"),  # Ivory Coast, 2021: Orange
        ("22545123456", "2250545123456"),  # MTN
        ("22501123456", "2250101123456"),  # Moov
        (ANA_8, ANA_9),
    ],
)
def test_one_line_has_two_spellings(one: str, other: str) -> None:
    assert set(candidates(one)) == set(candidates(other)) == {one, other}
    assert same_line(f"+{one}", f"+{other}")
    assert same_line(e164(one), e164(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("525587654321", "525587654322"),
        ("2250718139912", "22518139912"),  # given out with ten digits: it never had eight
        ("2250507123456", "22507123456"),  # another operator's
        ("541155554444", "5491155554445"),
        (ANA_9, "5541912345678"),
    ],
)
def test_two_lines_are_two(one: str, other: str) -> None:
    assert not same_line(f"+{one}", f"+{other}")
    assert not same_line(None, f"+{other}")
    assert not same_line(None, None)
