"""The processes of a gateway: made by one that does nothing else, replaced when they die, stopped together.

They are forks, so what all of them have read is in memory once, and they share one listening socket, so a caller whom
a dying process has not taken yet is taken by another.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess

import structlog

log = structlog.get_logger(__name__)

_WATCHED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_AGAIN_S = 1.0  # one that dies young may do so again
_YOUNG_S = 5.0
_fork = multiprocessing.get_context("fork")


class Processes:
    """So many processes that run `target`."""

    def __init__(self, target: Callable[[], None], count: int, *, stop_s: float) -> None:
        """`stop_s`: how long one may take to stop; after that it is killed."""
        self._target = target
        self._count = count
        self._stop_s = stop_s
        self._began: dict[ForkProcess, float] = {}

    def run(self, *, closing: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT. `closing` is called when no more processes will be made. From the main thread."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            due = [0.0] * self._count
            while True:
                due = self._make(due)
                told = self._next_signal(due)
                if told in _STOPS:
                    break
                due += self._bury()
            closing()
            self._stop(told)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _make(self, due: list[float]) -> list[float]:
        """Make those whose time has come; the times of the others."""
        now = time.monotonic()
        for _ in range(sum(each <= now for each in due)):
            process = _fork.Process(target=self._become)
            process.start()
            self._began[process] = now
        return [each for each in due if each > now]

    def _become(self) -> None:
        # A stop has to stop one that is not ready for it yet.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        self._target()

    def _next_signal(self, due: list[float]) -> int | None:
        if not due:
            return signal.sigwait(_WATCHED)
        told = signal.sigtimedwait(_WATCHED, max(0.0, min(due) - time.monotonic()))
        return told.si_signo if told else None

    def _bury(self) -> list[float]:
        """When the successors of those that have died are due."""
        now = time.monotonic()
        due = []
        for process in [each for each in self._began if not each.is_alive()]:
            lived_s = now - self._began.pop(process)
            log.error("a gateway process died", exit_code=process.exitcode, lived_s=round(lived_s, 1), alarm=True)
            due.append(now + (_AGAIN_S if lived_s < _YOUNG_S else 0.0))
        return due

    def _stop(self, told: int | None) -> None:
        """Each is told what we were told, also when that changes: who is in a hurry says SIGINT."""
        latest = time.monotonic() + self._stop_s
        while living := [each for each in self._began if each.is_alive()]:
            left_s = latest - time.monotonic()
            if left_s <= 0:
                log.error("gateway processes did not stop", count=len(living), after_s=self._stop_s)
                for process in living:
                    process.kill()
                    process.join()
                return
            if told in _STOPS:
                for process in living:
                    assert process.pid is not None
                    os.kill(process.pid, told)
            heard = signal.sigtimedwait(_WATCHED, left_s)
            told = heard.si_signo if heard else None
