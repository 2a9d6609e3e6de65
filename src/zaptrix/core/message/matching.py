"""Finding the message that is meant by somebody who repeats its words.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_TAIL_MIN = 4  # characters: what is shorter ends too many texts
_HEAD_MIN = 20
_PART_MIN = 40
_ZERO_WIDTH = dict.fromkeys(map(ord, "\u200b\u200c\u2060\ufeff"))


class Candidate(NamedTuple):
    """A message that may be meant: every form in which people may have read it, and whose it is."""

    forms: Sequence[str]
    author: str


def best_match(words: str, author: str | None, candidates: Sequence[Candidate]) -> int | None:
    """The place of the candidate that `words` are of; of several the author's, then the first."""
    sought, name = tidy(words), tidy(author or "")
    ranked = [
        (rank, bool(name) and tidy(each.author) == name, -place)
        for place, each in enumerate(candidates)
        if (rank := max((_rank(sought, tidy(form)) for form in each.forms), default=0))
    ]
    return -max(ranked)[2] if ranked else None


def tidy(text: str) -> str:
    """A text without what a portal changes on the way: case, kinds of space, what is not seen."""
    return " ".join(text.translate(_ZERO_WIDTH).casefold().split())


def bare(text: str) -> str:
    """A text without any space: the same however it was cut."""
    return tidy(text).replace(" ", "")


def _rank(sought: str, form: str) -> int:
    if not sought or not form:
        return 0
    head = sought.rstrip(" .…")
    fits = (
        sought == form,
        len(form) >= _PART_MIN and sought.startswith(form),  # the first part of a long message
        len(form) >= _TAIL_MIN and sought.endswith(f" {form}"),  # with a line of ours above it
        len(head) >= _HEAD_MIN and form.startswith(head),  # cut short by the portal
    )
    return next((len(fits) - place for place, fit in enumerate(fits) if fit), 0)
