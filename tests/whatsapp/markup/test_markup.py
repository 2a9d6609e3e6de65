"""WhatsApp's marks: read as a phone shows them, written so that nothing else is marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.message.text import Mark, Span, Text, plain_text, rich_text
from zaptrix.whatsapp.markup.markup import from_whatsapp, to_whatsapp

B, I, S, C, Q = Mark.BOLD, Mark.ITALIC, Mark.STRIKE, Mark.CODE, Mark.QUOTE  # noqa: E741
Z = "\N{ZERO WIDTH SPACE}"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("oi", [Span("oi")]),
        ("", []),
        ("*oi*", [Span("oi", (B,))]),
        ("_oi_ ~oi~", [Span("oi", (I,)), Span(" "), Span("oi", (S,))]),
        ("(*oi*),", [Span("("), Span("oi", (B,)), Span("),")]),
        ("*_oi_*", [Span("oi", (B, I))]),
        ("*a _b_ c*", [Span("a ", (B,)), Span("b", (B, I)), Span(" c", (B,))]),
        ("```a *b*```", [Span("a *b*", (C,))]),
        ("`a` b", [Span("a", (C,)), Span(" b")]),
        ("> cita *a*", [Span("cita ", (Q,)), Span("a", (B, Q))]),
        ("a\n> b\nc", [Span("a\n"), Span("b", (Q,)), Span("\nc")]),
        ("*a\nb*", [Span("*a\nb*")]),
        ("* a *", [Span("* a *")]),
        ("2*3*4", [Span("2*3*4")]),
        ("snake_case_name", [Span("snake_case_name")]),
        ("**", [Span("**")]),
        ("* item\n- item\n1. item", [Span("* item\n- item\n1. item")]),
        (">sem espaço", [Span(">sem espaço")]),
        ("https://x.example/_a_/*b*", [Span("https://x.example/_a_/*b*")]),
        ("*https://x.example*", [Span("https://x.example", (B,))]),
        ("preço: R$ 5*", [Span("preço: R$ 5*")]),
    ],
)
def test_marks_are_read_as_a_phone_shows_them(written: str, read: list[Span]) -> None:
    assert from_whatsapp(written) == Text(tuple(read))


@pytest.mark.parametrize(
    ("spans", "written"),
    [
        ([Span("oi")], "oi"),
        ([Span("Bia:", (B,)), Span("\noi")], "*Bia:*\noi"),
        ([Span(" oi ", (B,)), Span("!")], " *oi* !"),
        ([Span("um\n\ndois", (B,))], "*um*\n\n*dois*"),
        ([Span("a ", (I,)), Span("b", (B, I)), Span(" c", (I,))], "_a *b* c_"),
        ([Span("x", (C,))], "```x```"),
        ([Span("a\nb", (C,))], "```a```\n```b```"),
        ([Span("x*y_z", (C,))], "```x*y_z```"),
        ([Span("um\ndois", (Q,)), Span("\ntrês")], "> um\n> dois\ntrês"),
        ([Span("foo"), Span("bar", (B,))], "foobar"),
        ([Span("  ", (B,)), Span("x")], "  x"),
        ([Span("", (B,))], ""),
        ([Span("a```b", (C,))], f"a`{Z}`{Z}`b"),
        ([Span("https://x.example/a_b", (B,))], "*https://x.example/a_b*"),
        ([Span("see https://x.example/"), Span("a", (B,))], "see https://x.example/a"),
    ],
)
def test_marks_are_written_where_they_bind(spans: list[Span], written: str) -> None:
    assert to_whatsapp(Text(tuple(spans))) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("*oi*", f"*{Z}oi{Z}*"),
        ("2*3*4 e 5 * 6", "2*3*4 e 5 * 6"),
        ("só um *asterisco", "só um *asterisco"),
        ("snake_case_name", "snake_case_name"),
        ("> não é citação", f"{Z}> não é citação"),
        ("* item\n* item", "* item\n* item"),
        ("```x```", f"`{Z}`{Z}`{Z}x{Z}`{Z}`{Z}`"),
        ("https://x.example/_a_/*b*?c=~d~", "https://x.example/_a_/*b*?c=~d~"),
    ],
)
def test_a_sign_written_for_itself_stays_itself(text: str, written: str) -> None:
    assert to_whatsapp(plain_text(text)).replace(Z + Z, Z) == written


SIGNS = st.text(st.sampled_from("*_~`> ab.\n" + Z), max_size=30)
ANY = st.text(max_size=40) | SIGNS
LINKS = st.lists(SIGNS | st.just("https://x.example/_a_"), max_size=5).map("".join)
MARKS = st.sets(st.sampled_from(list(Mark)), max_size=3).map(lambda marks: tuple(sorted(marks)))
RICH = st.lists(st.builds(Span, ANY | LINKS, MARKS), max_size=6).map(rich_text)


def seen(text: str) -> str:
    return text.replace(Z, "")


@given(ANY | LINKS)
def test_plain_text_arrives_as_it_was_typed(text: str) -> None:
    sent = to_whatsapp(plain_text(text))
    assert seen(sent) == seen(text)
    read = from_whatsapp(sent)
    assert seen(read.plain) == seen(text)
    assert all(not span.marks for span in read.spans), "nothing was marked that was not meant to be"


@given(RICH)
def test_rich_text_shows_its_characters_and_no_mark_that_was_not_meant(text: Text) -> None:
    read = from_whatsapp(to_whatsapp(text))
    assert seen(read.plain) == seen(text.plain)
    meant = {(character, mark) for span in text.spans for mark in span.marks for character in seen(span.text)}
    shown = {(character, mark) for span in read.spans for mark in span.marks for character in seen(span.text)}
    quoted = {character for character, mark in shown if mark is Q}
    assert {pair for pair in shown if pair[1] is not Q} <= meant
    if quoted:
        assert any(Q in span.marks for span in text.spans)


@given(RICH)
def test_writing_what_was_read_changes_nothing_more(text: Text) -> None:
    once = to_whatsapp(from_whatsapp(to_whatsapp(text)))
    assert to_whatsapp(from_whatsapp(once)) == once


WORDS = st.text(st.sampled_from("abcçé12"), min_size=1, max_size=5)
LOOKS = st.sampled_from([(), (B,), (I,), (S,), (B, I), (B, I, S), (C,)])
LINES = st.lists(st.builds(Span, WORDS, LOOKS), min_size=1, max_size=5)


def spaced(line: list[Span]) -> list[Span]:
    return [part for number, span in enumerate(line) for part in ([Span(" ")] if number else []) + [span]]


@given(st.lists(LINES, min_size=1, max_size=3))
def test_marked_words_come_back_as_they_were(lines: list[list[Span]]) -> None:
    spans = [part for number, line in enumerate(lines) for part in ([Span("\n")] if number else []) + spaced(line)]
    text = rich_text(spans)
    assert from_whatsapp(to_whatsapp(text)) == text


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    from_whatsapp(text)


@pytest.mark.parametrize("unit", ["*", " *a", "*a* ", "`", "`a ", "_*~", "*a _b ", "https://", "```", "> "])
@pytest.mark.timeout(20)
def test_a_long_line_of_signs_takes_no_long_time(unit: str) -> None:
    long = unit * (65_536 // len(unit))
    to_whatsapp(from_whatsapp(long))
    to_whatsapp(plain_text(long))
