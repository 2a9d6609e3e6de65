"""Neutral rich text."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.message.text import Mark, Span, Text, plain_text, rich_text

SPANS = st.lists(
    st.builds(
        Span, st.text(max_size=5), st.sets(st.sampled_from(list(Mark)), max_size=2).map(lambda m: tuple(sorted(m)))
    )
)


@given(SPANS)
def test_joining_spans_loses_no_character_and_no_look(spans: list[Span]) -> None:
    text = rich_text(spans)
    assert text.plain == "".join(span.text for span in spans)
    assert _looks(text.spans) == _looks(tuple(spans))


@given(SPANS)
def test_no_span_is_empty_and_no_two_neighbours_look_alike(spans: list[Span]) -> None:
    joined = rich_text(spans).spans
    assert all(span.text for span in joined)
    assert all(a.marks != b.marks for a, b in itertools.pairwise(joined))


def _looks(spans: tuple[Span, ...]) -> list[tuple[str, tuple[Mark, ...]]]:
    return [(character, span.marks) for span in spans for character in span.text]


def test_plain_text_has_one_span_and_empty_text_none() -> None:
    assert plain_text("oi").spans == (Span("oi"),)
    assert plain_text("") == Text()


def test_text_of_blanks_alone_says_nothing() -> None:
    assert not plain_text(" \n\t")
    assert plain_text(" a ")
