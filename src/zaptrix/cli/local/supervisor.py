"""Keeps programs running side by side: starts them in order, restarts what ended, stops all in the other order."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from zaptrix.cli.errors import StartError
from zaptrix.cli.local.children import Child, Holder, Program

RESTART_FIRST_S = 0.5
RESTART_MAX_S = 30.0
STEADY_S = 60.0
"""Who ran this long before it fell begins again with the shortest pause."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervised(Protocol):
    """Something that runs: a program of ours or an embedded server."""

    @property
    def name(self) -> str: ...
    def start(self) -> None:
        """Raises StartError."""

    def ask(self) -> None:
        """Ask it to stop, and do not wait."""

    def stop(self) -> None:
        """Stop it, by force if it must be; harmless when it does not run."""

    def exit_code(self) -> int | None:
        """None while it runs."""


class Process(Holder):
    """A part that is one program of ours."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program

    @property
    def name(self) -> str:
        return self._program.name

    def start(self) -> None:
        self.kill()  # what the one before left in its session
        self._child = Child(self._program)


class Signals:
    """Requests to stop, and deaths of children, as something to wait for. One at a time, in the main thread."""

    def __init__(self) -> None:
        self.stop_requested = False
        self.hurry: Callable[[], None] = lambda: None
        """What a second request does."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    @contextlib.contextmanager
    def caught(self) -> Iterator["Signals"]:
        before = {number: signal.signal(number, self._arrived) for number in (*STOPPING, signal.SIGCHLD)}
        wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield self
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._read)
            os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Until a signal comes, or the time is over."""
        select.select([self._read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCHLD:
            return  # the pipe tells
        if self.stop_requested and number == signal.SIGINT:
            self.hurry()
        self.stop_requested = True


@dataclass(kw_only=True)
class _Kept:
    part: Supervised
    started: float
    pause_s: float = RESTART_FIRST_S
    restart_at: float | None = None


@dataclass(kw_only=True)
class Supervisor:
    """Parts in stages. A stage starts after the one before it, and stops, as one, before it does."""

    signals: Signals
    say: Callable[[str], None]
    _stages: list[list[_Kept]] = field(default_factory=list)

    def start(self, *parts: Supervised) -> None:
        """Start a stage; raises StartError."""
        stage: list[_Kept] = []
        self._stages.append(stage)
        for part in parts:
            part.start()
            stage.append(_Kept(part=part, started=time.monotonic()))

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in time. Gives up early when asked to stop or when a part has fallen."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= deadline or self.signals.stop_requested or self.fallen():
                return False
            self.signals.wait(0.05)
        return True

    def fallen(self) -> list[Supervised]:
        """The parts that do not run and should."""
        return [kept.part for stage in self._stages for kept in stage if kept.part.exit_code() is not None]

    def keep(self) -> None:
        """Restart whatever falls, until asked to stop."""
        while not self.signals.stop_requested:
            now = time.monotonic()
            for kept in [kept for stage in self._stages for kept in stage]:
                self._tend(kept, now)
            due = [kept.restart_at for stage in self._stages for kept in stage if kept.restart_at is not None]
            self.signals.wait(max(0.0, min([at - time.monotonic() for at in due], default=5.0)))

    def stop(self) -> None:
        """Stop every stage, the last one first; the parts of one stage together. A second request hurries it."""
        self.signals.hurry = self._hurry
        while self._stages:
            stage = self._stages[-1]
            for kept in stage:
                kept.part.ask()
            for kept in stage:
                kept.part.stop()
            self._stages.pop()

    def _tend(self, kept: _Kept, now: float) -> None:
        if kept.restart_at is not None:
            if now >= kept.restart_at:
                self._restart(kept)
            return
        code = kept.part.exit_code()
        if code is None:
            return
        if now - kept.started >= STEADY_S:
            kept.pause_s = RESTART_FIRST_S
        kept.restart_at = now + kept.pause_s
        self.say(f"{kept.part.name} ended by itself ({_told(code)}); starting it again in {kept.pause_s:g} s")
        kept.pause_s = min(kept.pause_s * 2, RESTART_MAX_S)

    def _restart(self, kept: _Kept) -> None:
        kept.restart_at, kept.started = None, time.monotonic()
        try:
            kept.part.start()
        except StartError as exc:
            kept.restart_at = time.monotonic() + kept.pause_s
            kept.pause_s = min(kept.pause_s * 2, RESTART_MAX_S)
            self.say(f"{kept.part.name} could not be started again: {exc}")

    def _hurry(self) -> None:
        """End our own programs now; the servers keep their orderly stop, as data are theirs."""
        for stage in self._stages:
            for kept in stage:
                if isinstance(kept.part, Process):
                    kept.part.force()


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
