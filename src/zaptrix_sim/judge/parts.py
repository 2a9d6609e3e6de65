"""What all parts of the judge share: one message's passage, the violations, and a text without its markup.

Pure.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from zaptrix_sim.judge.facts import Room, Thread

VIOLATIONS_SHOWN_MAX: Final = 500

_BBCODE = re.compile(r"\[/?[a-zA-Z*]+(?:=([^\]\[]*))?\]")
_WORD = re.compile(r"\w+")
# Marks of either platform, blanks and zero-width characters: a translation may add or drop any of them.
_MARKS: Final = {ord(sign): None for sign in "*_~`>-•\u200b\u200c\u200d\u2060\ufeff \t\r\n\u00a0:"}


@dataclass(slots=True)
class Passage:
    """When a message was written, when the far side first heard of it, and when it said that it had it: moments of the
    ledger's own clock."""

    written: int = 0
    posted: int | None = None
    acknowledged: int | None = None

    def must_precede(self, other: "Passage") -> bool:
        """Whether a gateway had to put it before `other`: it had it before it heard of `other`, which is younger.

        An older one that was told late may be put where it belongs, before what came first, or at the end.
        """
        if self.acknowledged is None or other.posted is None:
            return False
        return self.acknowledged < other.posted and self.written < other.written


@dataclass(slots=True)
class Violations:
    """Every violation is counted; the first ones of each run are kept to be shown."""

    totals: Counter[str] = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, detail: str, *ids: Any) -> None:
        self.totals[kind] += 1
        if len(self.shown) < VIOLATIONS_SHOWN_MAX:
            self.shown.append({"kind": kind, "detail": detail, "ids": list(ids)})

    def as_list(self) -> list[dict[str, Any]]:
        return list(self.shown)


@dataclass(slots=True)
class Books:
    """What both halves of the judge write into: the clock that each fact moves on, the counts, who owns which chat."""

    clock: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    violations: Violations = field(default_factory=Violations)
    thread_of_room: dict[Room, Thread] = field(default_factory=dict)
    rooms_of_thread: dict[Thread, list[Room]] = field(default_factory=dict)

    def owner(self, room: Room, thread: Thread) -> Thread:
        """Whose chat this is; the first text in it settles that."""
        known = self.thread_of_room.get(room)
        if known is not None:
            return known
        self.thread_of_room[room] = thread
        self.rooms_of_thread.setdefault(thread, []).append(room)
        return thread


def normalized(text: str) -> str:
    """A text without markup, blanks and case, so that its two translations compare equal."""
    plain = _BBCODE.sub("", text).translate(_MARKS).lower()
    return plain or text.strip()


def words(text: str) -> frozenset[str]:
    """The words of a text, those of its links' addresses too."""
    return frozenset(_WORD.findall(_BBCODE.sub(r" \1 ", text).lower()))
