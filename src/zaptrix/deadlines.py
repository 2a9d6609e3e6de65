"""Deadlines: what was claimed may be acted on for a while only; then somebody else may hold it.

A claim and a lease last by the database's time. Whoever holds one counts from *before* he asked for it, by a clock that
goes on while a process is stopped or its host sleeps, and no request leaves when too little is left: a worker that
stood still between its claim and its call would do again what another did meanwhile. The deadline follows a task and
those that it starts (a context variable), and is asked in the last moment before a request is written: behind waits for
pace, files, names and handshakes. No platform offers a fence behind that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp

from zaptrix.core.errors import OutOfTime
from zaptrix.elapsed import elapsed_s

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

# Of a lease: a request may begin until the first, and is given up at the second. The rest is for telling its end.
_BEGIN_SHARE, _END_SHARE = 0.7, 0.8


class Deadline:
    """How long something that was claimed may be acted on."""

    def __init__(self, claimed_s: float, lease_s: float) -> None:
        """`claimed_s`: `elapsed_s()` before it was claimed, for `lease_s`."""
        self._timeout: asyncio.Timeout | None = None
        self._cut = False
        self.renew(claimed_s, lease_s)

    def renew(self, asked_s: float, lease_s: float) -> None:
        """It is ours for `lease_s` from when that was asked for. What was cut stays cut."""
        if self._cut:
            return
        self._begin_by_s = asked_s + lease_s * _BEGIN_SHARE
        self._end_by_s = asked_s + lease_s * _END_SHARE
        self._reschedule()

    def cut(self, seconds: float) -> None:
        """Begin nothing more, and give up what is under way in `seconds`, if it would not end before."""
        self._cut = True
        self._begin_by_s = 0.0
        self._end_by_s = min(self._end_by_s, elapsed_s() + seconds)
        self._reschedule()

    @property
    def may_begin(self) -> bool:
        """Whether enough is left for a request to begin."""
        return elapsed_s() < self._begin_by_s

    @property
    def left_s(self) -> float:
        """Until what is under way is given up; 0 when that moment has passed."""
        return max(0.0, self._end_by_s - elapsed_s())

    def _reschedule(self) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self.left_s)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Whatever is asked of a platform in here goes by this deadline. Raises TimeoutError at its end."""
        try:
            with self.guarding():
                async with asyncio.timeout(self.left_s) as self._timeout:
                    yield
        finally:
            self._timeout = None

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """The same for what is to be seen through once it was begun: it is not cut off."""
        before = _current.set(self)
        try:
            yield
        finally:
            _current.reset(before)


class Stopping:
    """Whether this process was told to stop: then nothing new is begun, and what is under way has a short time."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._call_s = 0.0
        self._deadlines: WeakSet[Deadline] = WeakSet()

    @property
    def told(self) -> bool:
        return self._told.is_set()

    def tell(self, call_s: float) -> None:
        """Stop; calls under way are given up in `call_s`."""
        self._call_s = call_s
        self._told.set()
        for deadline in list(self._deadlines):
            deadline.cut(call_s)

    def deadline(self, claimed_s: float, lease_s: float) -> Deadline:
        """One that a stop cuts short."""
        deadline = Deadline(claimed_s, lease_s)
        self._deadlines.add(deadline)
        if self.told:
            deadline.cut(self._call_s)
        return deadline

    async def pause(self, seconds: float) -> None:
        """So long, or until it was told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class TimelyConnector(aiohttp.TCPConnector):
    """Hands out a connection only while the deadline lets a request begin. Raises OutOfTime."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        deadline = _current.get()
        if deadline is not None and not deadline.may_begin:
            connection.close()
            raise OutOfTime("claim_ran_out", "not begun: too little was left of its time")
        return connection
