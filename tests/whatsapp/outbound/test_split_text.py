"""Long texts: nothing lost but space at the cuts, every part within the limit as it is sent, cut where one pauses."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zaptrix.core.message.text import Mark, Span, Text, part_of, plain_text, rich_text
from zaptrix.whatsapp.markup.markup import from_whatsapp, to_whatsapp
from zaptrix.whatsapp.outbound.split_text import in_parts, signed

LIMIT = 4096


def sizes(parts: list[Text], author: str | None = None) -> list[int]:
    signers = [author, *[None] * (len(parts) - 1)]
    sent = [to_whatsapp(signed(*each)) for each in zip(parts, signers, strict=True)]
    return [len(text.encode("utf-16-le")) // 2 for text in sent]


def cut(text: str, author: str | None = None) -> list[str]:
    parts = in_parts(plain_text(text), author)
    assert max(sizes(parts, author)) <= LIMIT
    return [part.plain for part in parts]


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_what_fits_is_one_part() -> None:
    assert cut("x" * LIMIT) == ["x" * LIMIT]
    assert cut("a " * 2000) == ["a " * 2000]


def test_the_operators_name_counts_where_it_is_sent() -> None:
    text = "palavra " * 511 + "fim."
    assert len(text) < LIMIT
    assert len(cut(text)) == 1
    assert len(cut(text, "Bia Lima de Souza")) == 2


@pytest.mark.parametrize(
    ("left", "gap", "right"),
    [
        ("a" * 3000 + ". b" * 100, "\n\n", "c" * 3000),
        ("a" * 3000, "\n", "c" * 3000),
        ("a" * 2000 + " b" * 400 + ".", " ", "c" * 3000),
        ("a" * 2000, " ", "c" * 3000),
    ],
    ids=["paragraph", "line", "sentence", "word"],
)
def test_a_text_is_cut_where_one_pauses(left: str, gap: str, right: str) -> None:
    assert cut(f"{left}{gap}{right}") == [left, right]


def test_a_good_place_that_comes_too_early_is_passed_over() -> None:
    parts = cut("Olá.\n\n" + "palavra " * 1000)
    assert len(parts[0]) > LIMIT - 10


def test_a_link_stays_whole() -> None:
    link = "https://example.com/" + "q" * 200
    parts = cut("x" * 4000 + link + "/fim")
    assert parts == ["x" * 4000, link + "/fim"]


def test_a_link_that_no_message_can_hold_is_cut() -> None:
    assert "".join(cut("https://example.com/" + "q" * 9000)) == "https://example.com/" + "q" * 9000


@pytest.mark.parametrize(
    "sign",
    [
        "\N{MAN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
        "\N{REGIONAL INDICATOR SYMBOL LETTER B}\N{REGIONAL INDICATOR SYMBOL LETTER R}",
        "e\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}",
        "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
        "\N{HANGUL CHOSEONG KIYEOK}\N{HANGUL JUNGSEONG A}\N{HANGUL JONGSEONG KIYEOK}",
    ],
    ids=["family", "flag", "accents", "heart", "syllable"],
)
def test_what_one_sees_as_one_character_stays_whole(sign: str) -> None:
    for shift in range(len(sign)):
        parts = cut("x" * shift + sign * 3000)
        assert len(parts) > 1
        assert all(len(part.lstrip("x")) % len(sign) == 0 for part in parts)


def test_emojis_count_as_utf_16_counts_them() -> None:
    assert [len(part) for part in cut("\N{ROCKET}" * 4096)] == [2048, 2048]


def test_marks_close_with_their_part_and_open_in_the_next() -> None:
    text = rich_text([Span("importante " * 600, (Mark.BOLD,))])
    parts = in_parts(text, None)
    assert max(sizes(parts)) <= LIMIT
    for part in parts:
        sent = to_whatsapp(part)
        assert sent.startswith("*importante")
        assert sent.rstrip().endswith("importante*")
        assert {span.marks for span in from_whatsapp(sent.strip()).spans} == {(Mark.BOLD,)}


def test_what_marks_and_zero_width_spaces_add_is_counted() -> None:
    parts = cut("*a* " * 1200)
    assert len(parts) > 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["oi ", "*", "\N{ROCKET}", "\n\n", "https://a.test/_b_ ", "fim. ", "e\u0301", "x" * 700]),
        max_size=12,
    ),
    st.sampled_from([None, "Bia"]),
)
def test_nothing_is_lost_but_space_at_the_cuts(pieces: list[str], author: str | None) -> None:
    text = "".join(pieces * 9)
    assert bare("".join(cut(text, author))) == bare(text)


def test_a_part_keeps_how_its_characters_are_set() -> None:
    text = Text((Span("ab"), Span("cd", (Mark.BOLD,)), Span("ef")))
    assert part_of(text, 1, 5) == Text((Span("b"), Span("cd", (Mark.BOLD,)), Span("e")))
    assert part_of(text, 2, 4) == Text((Span("cd", (Mark.BOLD,)),))
