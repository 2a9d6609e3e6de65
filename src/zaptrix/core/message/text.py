"""Neutral rich text: what both platforms' markup is turned into and made from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from itertools import accumulate, groupby
from operator import attrgetter

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
    runs = groupby((span for span in spans if span.text), key=attrgetter("marks"))
    return Text(tuple(Span("".join(span.text for span in run), marks) for marks, run in runs))


def in_a_line(words: str, most: int) -> str:
    """`words` in one line of at most so many characters; what is cut off is an ellipsis."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def part_of(text: Text, start: int, end: int) -> Text:
    """The characters from `start` to before `end`, as they are set."""
    return Slices(text).between(start, end)


class Slices:
    """A text of which many parts are taken, each at the cost of that part alone."""

    def __init__(self, text: Text) -> None:
        self.plain = text.plain
        self.length = len(self.plain)
        self._spans = text.spans
        self._ends = list(accumulate(len(span.text) for span in text.spans))

    def between(self, start: int, end: int) -> Text:
        """The characters from `start` to before `end`, as they are set."""
        spans: list[Span] = []
        place = bisect_right(self._ends, start)
        while place < len(self._spans) and (first := self._ends[place] - len(self._spans[place].text)) < end:
            span = self._spans[place]
            spans.append(Span(span.text[max(start - first, 0) : end - first], span.marks))
            place += 1
        return rich_text(spans)
