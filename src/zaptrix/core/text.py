"""Neutral rich text: what both platforms' markup is turned into and made from."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Mark(StrEnum):
    """How a run of characters is set."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    QUOTE = "quote"  # of the whole line


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run of characters with one look. `marks` is sorted, without repeats."""

    text: str
    marks: tuple[Mark, ...] = ()


class Text(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rich text: spans in order; line ends are `\\n` inside the spans."""

    spans: tuple[Span, ...] = ()

    @property
    def plain(self) -> str:
        return "".join(span.text for span in self.spans)

    def __bool__(self) -> bool:
        return bool(self.plain.strip())


def plain_text(text: str) -> Text:
    """Text without any marks."""
    return Text((Span(text),)) if text else Text()


def rich_text(spans: Iterable[Span]) -> Text:
    """Text of `spans`, with empty ones dropped and neighbours of one look joined."""
    joined: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if joined and joined[-1].marks == span.marks:
            joined[-1] = Span(joined[-1].text + span.text, span.marks)
        else:
            joined.append(span)
    return Text(tuple(joined))


def in_a_line(words: str, most: int) -> str:
    """`words` in one line of at most so many characters; what is cut off is an ellipsis."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def part_of(text: Text, start: int, end: int) -> Text:
    """The characters from `start` to before `end`, as they are set."""
    spans: list[Span] = []
    at = 0
    for span in text.spans:
        spans.append(Span(span.text[max(start - at, 0) : max(end - at, 0)], span.marks))
        at += len(span.text)
    return rich_text(spans)
