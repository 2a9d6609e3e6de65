"""Names as a portal takes them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.customer.display_name import clean_name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("João da Silva", ("João", "da Silva")),
        ("Conceição", ("Conceição", "")),
        ("Ana-Clara D'Ávila", ("Ana-Clara", "D'Ávila")),
        ("Joana D\N{RIGHT SINGLE QUOTATION MARK}Arc", ("Joana", "D'Arc")),
        ("Jose\N{COMBINING ACUTE ACCENT} Lima", ("José", "Lima")),
        ("🌸 Bia 🌸", ("Bia", "")),
        ("❤️ Ana ❤️", ("Ana", "")),  # a heart ends in a variation selector, which is a mark and no letter
        ("Rui 1️⃣", ("Rui", "")),  # a keycap too
        ("👩‍👩‍👧 Família", ("Família", "")),
        ("Zé👍🏽Neto", ("Zé", "Neto")),
        ("Loja 24h | Ofertas", ("Loja", "h Ofertas")),
        ("~ Carlos ~", ("Carlos", "")),
        ("- -", ("", "")),
        ("'Tico'", ("Tico", "")),
        ("Maria.Souza_2", ("Maria", "Souza")),
        ("प्रिया शर्मा", ("प्रिया", "शर्मा")),  # marks that belong to letters
        ("李 小龙", ("李", "小龙")),
        ("🙂", ("", "")),
        ("❤️", ("", "")),
        ("11987654321", ("", "")),
        ("", ("", "")),
        (None, ("", "")),
        ("Wolfeschlegelsteinhausenbergerdorff", ("Wolfeschlegelsteinhausenb", "")),
        ("Ana Aparecida Pereira dos Santos", ("Ana", "Aparecida Pereira dos San")),
        ("Bo " + "x" * 24 + " y", ("Bo", "x" * 24)),  # no blank where it was cut
    ],
)
def test_a_profile_name_becomes_a_first_and_a_last_name(name: str | None, wanted: tuple[str, str]) -> None:
    assert clean_name(name) == wanted


@given(st.text(max_size=80))
def test_whatever_a_customer_is_called_a_portal_can_take_it(name: str) -> None:
    first, last = clean_name(name)
    assert first or not last
    for part in (first, last):
        assert len(part) <= 25
        assert part == part.strip()
        assert not part or any(character.isalpha() for character in part)
        assert all(c.isalpha() or unicodedata.category(c)[0] == "M" or c in " -'" for c in part)
    assert clean_name(name) == (first, last)
