"""Call limit: how many calls to platforms may be under way, by how late this process is.

A loop that is late has more to do than it can; then fewer calls are begun, what waits for the same portal meanwhile
comes together, and shares a call. A call that waits for a slow platform costs nothing, so after `_YOUNG_S` it takes no
place: however many platforms do not answer, nobody waits behind them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

_LEAST, _FIRST, _MOST = 12, 64, 2_000
_YOUNG_S = 0.25
_PULSE_S = 0.05  # how often the limit is thought over while there are calls
_LATE_S = 0.01
_BUSY = 0.8  # of one core


class _Place:
    """One call's place: given back when the call ends, or taken from it when it waits."""

    __slots__ = ("held", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.held = True


class CallLimit:
    """One for all calls of a process."""

    def __init__(self) -> None:
        self._most = _FIRST
        self._held = 0
        self._places: deque[_Place] = deque()  # the oldest first
        self._waiting: list[Callable[[], None]] = []
        self._pulse: asyncio.TimerHandle | None = None
        self._due = self._began = self._cpu = 0.0

    @property
    def free(self) -> int:
        """How many more calls may be begun."""
        return max(0, self._most - self._held)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for as long as a call takes, or until it waits.

        Whoever holds a claim may go beyond the limit: who claims has asked for `free` before.
        """
        now = time.monotonic()
        place = _Place(now)
        self._held += 1
        self._places.append(place)
        if self._pulse is None:
            self._watch(now)
        try:
            yield
        finally:
            if place.held:
                self._give_back(place)
                self._tell()

    def when_free(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, as soon as a call may be begun again."""
        if tell not in self._waiting:
            self._waiting.append(tell)
        if self._pulse is None:
            self._watch(time.monotonic())

    def _give_back(self, place: _Place) -> None:
        place.held = False
        self._held -= 1

    def _tell(self) -> None:
        if self._waiting and self.free:
            waiting, self._waiting = self._waiting, []
            for tell in waiting:
                tell()

    def _watch(self, now: float) -> None:
        self._began, self._cpu, self._due = now, time.process_time(), now + _PULSE_S
        self._pulse = asyncio.get_running_loop().call_later(_PULSE_S, self._think_over)

    def _think_over(self) -> None:
        now = time.monotonic()
        busy = (time.process_time() - self._cpu) / max(now - self._began, _PULSE_S)
        late = now - self._due > _LATE_S or busy > _BUSY
        self._most = max(_LEAST, self._most // 2) if late else min(_MOST, self._most + self._most // 4)
        while self._places and (not self._places[0].held or now - self._places[0].since > _YOUNG_S):
            place = self._places.popleft()
            if place.held:
                self._give_back(place)
        self._pulse = None
        if self._places or self._waiting:
            self._watch(now)
        self._tell()


class CallBounds(NamedTuple):
    """What every call keeps to: how many are under way in this process, and how many seconds a claim lasts."""

    limit: CallLimit
    lease_s: float
