"""The delivery check: each accepted message is accounted for, once, in order, in its own conversation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from benchmarks.far_record import Arrivals


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were accepted, and what was wrong with them; a good run has zeros only."""

    accepted: int
    lost: int
    doubled: int
    disordered: int
    strange: int  # in another conversation than their own, or never accepted
    faults: dict[str, int]

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.strange or self.faults)


def check(accepted: Iterable[int], arrivals: Arrivals, line_of: Callable[[int], int]) -> Delivery:
    """`accepted` are the numbers of the messages; `line_of` tells the conversation of each."""
    wanted = set(accepted)
    times = Counter(arrivals.numbers)
    return Delivery(
        accepted=len(wanted),
        lost=len(wanted - times.keys()),
        doubled=sum(count - 1 for number, count in times.items() if count > 1),
        disordered=_disordered(arrivals, line_of),
        strange=_strange(arrivals, wanted, line_of),
        faults=arrivals.faults,
    )


def _disordered(arrivals: Arrivals, line_of: Callable[[int], int]) -> int:
    """Numbers of one conversation count up, as they were written."""
    newest: dict[int, int] = {}
    late = 0
    for number in arrivals.numbers:
        line = line_of(number)
        if number < newest.get(line, -1):
            late += 1
        newest[line] = max(number, newest.get(line, -1))
    return late


def _strange(arrivals: Arrivals, wanted: set[int], line_of: Callable[[int], int]) -> int:
    """One conversation here is one there, both ways."""
    there: dict[int, int] = {}
    here: dict[int, int] = {}
    strange = 0
    for number, thread in zip(arrivals.numbers, arrivals.threads, strict=True):
        if number not in wanted:
            strange += 1
            continue
        line = line_of(number)
        if there.setdefault(line, thread) != thread or here.setdefault(thread, line) != line:
            strange += 1
    return strange
