"""The load generator: ready requests over keep-alive connections, by epoll alone.

No event loop stands between the socket and the clock: on two cores whatever the generator costs is taken from the
gateway. A connection carries one request at a time, and whoever shares a connection keeps their order.
"""

from __future__ import annotations

import gc
import mmap
import select
import socket
import struct
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

ANSWER_BYTES_MAX = 65_536
OUTSTANDING_S_MAX = 60.0  # an answer that takes longer is a broken stage
WINDOW_POLL_S = 0.001
OK = range(200, 300)


class LoadError(Exception):
    """The other side broke the conversation, so that no figure can be trusted."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Bytes as they go onto the wire. Requests of one line (a conversation) are sent one after another."""

    line: int
    data: bytes


@dataclass(kw_only=True)
class Volley:
    """What became of the requests, each by its place in the list. Times are of `time.monotonic`."""

    began: float = 0.0
    ended: float = 0.0
    cpu_s: float = 0.0
    due: array[float] = field(default_factory=lambda: array("d"))  # when it should have left; closed loop: when it did
    answered: array[float] = field(default_factory=lambda: array("d"))  # 0: not sent
    statuses: Counter[int] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)

    @property
    def accepted(self) -> list[int]:
        """Places of the requests that were answered 2xx."""
        return [place for place, at in enumerate(self.answered) if at and place not in self.refused]

    @property
    def rate_per_s(self) -> float:
        return len(self.accepted) / (self.ended - self.began)

    @property
    def latencies_s(self) -> list[float]:
        """From the moment when a request was due, so that a generator held up by the gateway hides nothing."""
        return [self.answered[place] - self.due[place] for place in self.accepted]

    @property
    def cost_us(self) -> float:
        """CPU of the generator itself for one request."""
        return self.cpu_s / max(len(self.accepted), 1) * 1e6


class Counted:
    """How many have arrived, as the far side counts in a file that both have mapped: asking costs no system call."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    def __call__(self) -> int:
        count: int = struct.unpack_from("q", self._memory)[0]
        return count


class _Connection:
    def __init__(self) -> None:
        self.socket = socket.socket()
        self.waiting: deque[int] = deque()
        self.flying: int | None = None
        self.partial = b""


class Load:
    """Connections to one door. `fire` may be called again and again."""

    def __init__(self, host: str, port: int, *, connections: int) -> None:
        self._address = host, port
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self._connections = [_Connection() for _ in range(connections)]
        for each in self._connections:
            self._connect(each)

    def close(self) -> None:
        for each in self._connections:
            each.socket.close()
        self._epoll.close()

    def _connect(self, connection: _Connection) -> None:
        connection.socket.close()
        connection.socket = socket.create_connection(self._address, timeout=10)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = connection.socket.fileno()
        self._epoll.register(fd, select.EPOLLIN)
        self._by_fd[fd] = connection

    def fire(
        self,
        requests: Sequence[Request],
        *,
        rate_per_s: float | None = None,
        seconds: float = 600.0,
        window: int = 0,
        arrived: Callable[[], int] | None = None,
    ) -> Volley:
        """Send `requests` at a rate or, without one, as fast as they are answered; start no more after `seconds`.

        With a window, at most so many are under way to where `arrived` counts them. Blocks. Raises LoadError.
        """
        for each in self._connections:
            self._connect(each)  # between two scenes a gateway hangs up on who is silent for long
        closed = rate_per_s is None
        shot = _Shot(self._connections, requests, Volley(), closed=closed, window=window, arrived=arrived)
        volley = shot.volley
        volley.answered = array("d", bytes(8 * len(requests)))
        with _undisturbed():
            cpu, volley.began = time.process_time(), time.monotonic()
            interval = 1 / rate_per_s if rate_per_s else 0.0
            volley.due = array("d", [volley.began + place * interval for place in range(len(requests))])
            self._run(shot, volley.began + seconds)
            volley.ended, volley.cpu_s = time.monotonic(), time.process_time() - cpu
        return volley

    def _run(self, shot: _Shot, last_start: float) -> None:
        poll, by_fd, epoll_fd, clock = self._epoll.poll, self._by_fd, self._epoll.fileno(), time.monotonic
        while True:
            now = clock()
            if now > last_start:
                shot.no_more()
            wait_s = shot.start_due(now)
            if shot.under_way == 0 and shot.is_over:
                return
            # epoll's own timeout counts whole milliseconds; select's does not.
            if not select.select([epoll_fd], [], [], wait_s)[0]:
                shot.check_alive(now)
                continue
            for fd, _ in poll(0):
                if not shot.read(by_fd[fd], clock):
                    self._connect(by_fd[fd])


class _Shot:
    """One call of `fire`."""

    def __init__(
        self,
        connections: list[_Connection],
        requests: Sequence[Request],
        volley: Volley,
        *,
        closed: bool,
        window: int,
        arrived: Callable[[], int] | None,
    ) -> None:
        self.volley = volley
        self.under_way = 0
        self._connections = connections
        self._requests = requests
        self._next = 0
        self._closed = closed
        self._held: deque[_Connection] = deque()
        self._window = window
        self._arrived = arrived or (lambda: 0)
        self._base = self._arrived()
        self._sent = 0
        self._over = False
        self._last_answer = time.monotonic()

    @property
    def is_over(self) -> bool:
        return self._over or (self._next >= len(self._requests) and not self._held)

    def no_more(self) -> None:
        if not self._over:
            self._over = True
            self._held.clear()
            for each in self._connections:
                each.waiting.clear()

    def start_due(self, now: float) -> float:
        """Send what is due; seconds until there is something to do that no answer wakes us for."""
        if self._over:
            return 1.0
        due, connections, requests = self.volley.due, self._connections, self._requests
        count, lines, place = len(requests), len(connections), self._next
        while place < count and due[place] <= now:
            connection = connections[requests[place].line % lines]
            connection.waiting.append(place)
            if connection.flying is None and len(connection.waiting) == 1:
                self._start(connection)
            place += 1
        self._next = place
        while self._held and self._has_room():
            self._start(self._held.popleft())
        if self._held:
            return WINDOW_POLL_S
        return max(due[place] - time.monotonic(), 0.0) if place < count else 1.0

    def read(self, connection: _Connection, clock: Callable[[], float]) -> bool:
        """False: the gateway hung up on a connection that carried nothing, as it may."""
        data = connection.socket.recv(ANSWER_BYTES_MAX)
        if not data:
            if connection.flying is None:
                return False
            raise LoadError("the gateway closed a connection")
        if connection.partial:
            data = connection.partial + data
        # Headers and nothing else is what a webhook's answer is, and needs no look inside.
        if not data.endswith(b"\r\n\r\n") and not _is_whole(data):
            connection.partial = data
            return True
        connection.partial = b""
        place = connection.flying
        if place is None:
            raise LoadError("an answer that nobody asked for")
        self.volley.answered[place] = self._last_answer = clock()
        status = int(data[9:12])
        self.volley.statuses[status] += 1
        if status not in OK:
            self.volley.refused.add(place)
        connection.flying = None
        self.under_way -= 1
        if connection.waiting:
            self._start(connection)
        return True

    def check_alive(self, now: float) -> None:
        if self.under_way and now - self._last_answer > OUTSTANDING_S_MAX:
            raise LoadError(f"{self.under_way} requests have had no answer for {OUTSTANDING_S_MAX:g} s")

    def _has_room(self) -> bool:
        return not self._window or self._sent - (self._arrived() - self._base) < self._window

    def _start(self, connection: _Connection) -> None:
        if not self._has_room():
            self._held.append(connection)
            return
        place = connection.waiting.popleft()
        connection.flying = place
        if self._closed:
            self.volley.due[place] = time.monotonic()
        data = self._requests[place].data
        if connection.socket.send(data) != len(data):
            raise LoadError("a request did not fit into its socket")
        self.under_way += 1
        self._sent += 1


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    raise LoadError("an answer without a length")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The collector would walk hundreds of thousands of ready requests in the middle of a latency."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
