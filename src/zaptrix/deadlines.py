"""Deadlines: what was claimed may be acted on for a while only; then somebody else may hold it.

A claim and a lease last by the database's time. Whoever holds one counts from *before* he asked for it, by a clock that
goes on while a process is stopped or its host sleeps, and no request leaves when too little is left: a worker that
stood still between its claim and its call would do again what another did meanwhile. The deadline follows a task and
those that it starts (a context variable), and is asked in the last moment before a request is written: behind waits for
pace, files, names and handshakes. No platform offers a fence behind that moment.

A worker's own lease (its row in `worker`, `store/processes/workers.py`) limits all of its claims: once it has run out
the others may take them over, however long each of them lasts by itself.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID, uuid4
from weakref import WeakSet

import aiohttp

from zaptrix.core.delivery.errors import OutOfTime
from zaptrix.core.ids import AttemptId, WorkerId
from zaptrix.elapsed import elapsed_s

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

# Of a lease: a request may begin until the first, and is given up at the second. The rest is for telling its end.
_BEGIN_SHARE, _END_SHARE = 0.7, 0.8
_LOOKS = 3  # for a connection that is clean


# An attempt begins with the id of its worker, so that a claim tells whose it is and needs no column for it.
# Version 8 is the one of one's own making: https://www.rfc-editor.org/rfc/rfc9562#section-5.8
_WORKER_BYTES, _VERSION = 8, 8


def new_worker_id() -> WorkerId:
    """The first half of a UUID of version 8."""
    drawn = bytearray(os.urandom(_WORKER_BYTES))
    drawn[6] = _VERSION << 4 | drawn[6] & 0x0F
    return WorkerId(bytes(drawn))


def new_attempt_id(worker: WorkerId | None) -> AttemptId:
    """One of this worker's. Without a worker, of version 4: nobody is asked whether its holder lives."""
    drawn = uuid4()  # its second half has the variant's bits already
    return AttemptId(UUID(bytes=worker + drawn.bytes[_WORKER_BYTES:]) if worker else drawn)


class WorkerLease:
    """How long the others take this process for alive, and with it its claims for its own.

    A process that does not register as a worker has none: its claims last by their own time alone.
    """

    def __init__(self) -> None:
        self._id: WorkerId | None = None
        self._since_s = -math.inf
        self._begin_by_s = self._end_by_s = math.inf
        self.lasts, self.is_out = asyncio.Event(), asyncio.Event()
        """Whether it is ours to work; each may be waited for."""
        self.lasts.set()

    def registered(self, worker: WorkerId, asked_s: float, lease_s: float) -> None:
        """From now on this is our id; what was claimed under another is not ours any more."""
        self._id, self._since_s = worker, elapsed_s()
        self.renewed(asked_s, lease_s)

    def renewed(self, asked_s: float, lease_s: float) -> None:
        """It lasts for `lease_s` from when that was asked for."""
        self._begin_by_s, self._end_by_s = asked_s + lease_s * _BEGIN_SHARE, asked_s + lease_s * _END_SHARE
        self.lasts.set()
        self.is_out.clear()

    def ran_out(self) -> None:
        """The work is others' from now on."""
        self.is_out.set()
        self.lasts.clear()

    def lost(self) -> None:
        """The others took us for dead. No claim is acted on before this process is registered anew."""
        self._begin_by_s = self._end_by_s = -math.inf
        self._since_s = math.inf

    def attempt(self) -> AttemptId:
        """A new attempt of this worker's. Take the time of its claim before it, or ask by it (`holds`)."""
        return new_attempt_id(self._id)

    def holds(self, claimed_s: float, attempts: Iterable[AttemptId] = ()) -> bool:
        """Whether what was claimed then, or by these attempts, is still ours."""
        return claimed_s >= self._since_s and all(map(self._made, attempts))

    def _made(self, attempt: AttemptId) -> bool:
        """Under the id that is ours now; of version 4 it names nobody."""
        half = attempt.bytes[:_WORKER_BYTES]
        return half == self._id or half[6] >> 4 != _VERSION

    @property
    def may_begin(self) -> bool:
        """Whether enough is left for a request to begin."""
        return elapsed_s() < self._begin_by_s

    @property
    def left_s(self) -> float:
        """Until what is under way is given up."""
        return max(0.0, self._end_by_s - elapsed_s())


class Deadline:
    """How long something that was claimed may be acted on."""

    def __init__(self, claimed_s: float, lease_s: float, worker: WorkerLease | None = None) -> None:
        """`claimed_s`: `elapsed_s()` before it was claimed, for `lease_s`; `worker`: whose claim it is."""
        self._worker = worker
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
        return elapsed_s() < self._begin_by_s and (self._worker is None or self._worker.may_begin)

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
        self.worker = WorkerLease()
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

    def deadline(self, claimed_s: float, lease_s: float, attempts: Iterable[AttemptId] = ()) -> Deadline:
        """One that a stop cuts short, as the end of this worker's lease does.

        `attempts`: where they may have been made long before `claimed_s`, as for what a settlement claims when it
        succeeds at last: made under an id that is ended, they are others' by now.
        """
        deadline = Deadline(claimed_s, lease_s, self.worker)
        self._deadlines.add(deadline)
        if not self.worker.holds(claimed_s, attempts):
            deadline.cut(0.0)
        elif self.told:
            deadline.cut(self._call_s)
        return deadline

    def give_up(self) -> None:
        """This worker's lease has run out: whatever it has claimed may be another's."""
        self.worker.ran_out()
        for deadline in list(self._deadlines):
            deadline.cut(0.0)

    async def pause(self, seconds: float) -> None:
        """So long, or until it was told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def begin() -> None:
    """To be called in the last moment before a request is written. Raises OutOfTime when its deadline is too near."""
    deadline = _current.get()
    if deadline is not None and not deadline.may_begin:
        raise OutOfTime("claim_ran_out", "not begun: too little was left of its time")


class TimelyConnector(aiohttp.TCPConnector):
    """Hands out a connection only while the deadline lets a request begin. Raises OutOfTime."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        connection = await self._clean(req, traces, timeout)
        try:
            begin()
        except OutOfTime:
            connection.close()
            raise
        return connection

    async def _clean(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """One on which nothing came while nobody asked: that would be taken for the answer to the next request."""
        for _ in range(_LOOKS):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("what answers there speaks unasked")
