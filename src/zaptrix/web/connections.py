"""Open connections: none may keep a place that others need, and no address all of them.

The server gives each connection a place as long as it is open, and knows no limit by address. It bounds how long a
request's head may take (`server.py`), `bodies.py` how long a body. This is what is left: too many at once. The kernel
tells which sockets are ours, whose they are, and how long they have been silent; those that were silent for longest
are closed. A request that is being worked on is never cut off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec
import structlog

from zaptrix.core import limits
from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.address import address_of, is_in
from zaptrix.web.bodies import Bodies

log = structlog.get_logger(__name__)

_FULL = 0.9  # of all places: from here on those silent for longest make room, whoever they are
_TOLD_EVERY = 40  # looks
_AGAIN_S = 1.0
# struct tcp_info of linux/tcp.h: milliseconds since data was last sent, and since some last came.
_LAST_SENT, _LAST_CAME = struct.Struct("=44xI"), struct.Struct("=52xI")
_TCP_INFO_BYTES = 56


class Open(msgspec.Struct, frozen=True):
    """A connection. `client`: as the server names it; `address`: what limits count by."""

    handle: int
    client: str
    address: str
    silent_ms: int
    trusted: bool = False


def too_many(
    connections: Sequence[Open], *, places: int, per_address: int, working: Collection[str] = frozenset()
) -> list[Open]:
    """Which connections to close, those silent for longest first. Pure.

    An address has `per_address`, unless it is a trusted proxy, which speaks for many; all have nine tenths of `places`
    together. `working`: clients whose requests are being worked on; they stay.
    """
    count = Counter(each.address for each in connections)
    left = len(connections)
    spare: list[Open] = []
    closed: list[Open] = []
    for each in sorted(connections, key=lambda each: each.silent_ms, reverse=True):
        if each.client in working:
            continue
        if count[each.address] > per_address and not each.trusted:
            count[each.address] -= 1
            left -= 1
            closed.append(each)
        else:
            spare.append(each)
    return closed + spare[: max(0, left - int(places * _FULL))]


class Connections:
    """The connections of one server process."""

    def __init__(self, settings: Settings, bodies: Bodies, places: int) -> None:
        self._port = settings.port
        self._family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._trusted = settings.trusted_proxies
        self._bodies = bodies
        self._places = places
        self._per_address = max(1, places // limits.CONNECTIONS_SHARE)
        self._closed = 0
        self._looks = 0
        self._seen: frozenset[str] = frozenset()
        self.inside: set[str] = set()
        """Clients whose requests have reached us and were not answered yet."""

    async def keep(self) -> None:
        """Look again and again; runs beside the doors."""
        bounded = False
        while True:
            self._bodies.tick()
            try:
                if not bounded:
                    await asyncio.to_thread(self._bound_answers)
                    bounded = True
                await self._look()
            except Exception:
                metrics.alarmed(AlarmKind.BROKE_DOWN)
                log.exception("connections not counted", alarm=True)
                await asyncio.sleep(_AGAIN_S)
            await asyncio.sleep(limits.CONNECTIONS_LOOK_S)

    async def _look(self) -> None:
        reading = self._bodies.clients()
        # What is not one of these is idle, or has sent no whole head yet.
        working = self.inside - reading
        self._bodies.give_up(await asyncio.to_thread(self._close, working, reading))
        self._tell()

    def _close(self, working: Collection[str], reading: Collection[str]) -> set[str]:
        """Close what is too many; returns the clients to be answered instead, as their bodies are on their way."""
        handles = _handles()
        if len(handles) <= self._per_address:
            self._seen = frozenset()
            return set()
        found = list(self._open(handles))
        # One that has just come may have a request in it that a busy process has not got to yet.
        before, self._seen = self._seen, frozenset(each.client for each in found)
        staying = (self._seen - before) | set(working)
        closing = too_many(found, places=self._places, per_address=self._per_address, working=staying)
        self._closed += len(closing)
        for each in closing:
            if each.client not in reading:
                self._shut(each)
        return {each.client for each in closing if each.client in reading}

    def _open(self, handles: Iterable[int]) -> Iterator[Open]:
        of_host: dict[str, tuple[str, bool]] = {}
        for handle in handles:
            with suppress(OSError):  # no socket of ours, or gone
                host, client = self._peer(handle)
                if host not in of_host:
                    of_host[host] = address_of(host), is_in(host, self._trusted)
                address, trusted = of_host[host]
                yield Open(handle, client, address, self._silent_ms(handle), trusted)

    def _peer(self, handle: int) -> tuple[str, str]:
        """The host of a caller, and its name at the server. Raises OSError for whatever is no caller's socket."""
        ours = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=handle)
        try:
            peer, own = ours.getpeername(), ours.getsockname()
            # PostgreSQL's may be a socket in the file system, whose name is text.
            if not isinstance(own, tuple) or own[1] != self._port:
                raise OSError(f"{handle} is not a caller's")
            host, port = peer[:2]
        finally:
            ours.detach()
        return host, f"[{host}]:{port}" if self._family is socket.AF_INET6 else f"{host}:{port}"

    def _silent_ms(self, handle: int) -> int:
        ours = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=handle)
        try:
            told = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        finally:
            ours.detach()
        return int(min(_LAST_SENT.unpack_from(told)[0], _LAST_CAME.unpack_from(told)[0]))

    def _shut(self, each: Open) -> None:
        """The server finds the connection at its end, and closes it. One that has spoken meanwhile stays."""
        with suppress(OSError):
            handle = os.dup(each.handle)  # whatever the number means by now, it stays the same socket from here on
            try:
                if self._peer(handle)[1] == each.client and self._silent_ms(handle) >= each.silent_ms:
                    with socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=os.dup(handle)) as theirs:
                        theirs.shutdown(socket.SHUT_RDWR)
            finally:
                os.close(handle)

    def _bound_answers(self) -> None:
        """Who does not take an answer is cut off by the kernel; callers' sockets have it from the one that listens.

        TCP_USER_TIMEOUT: https://man7.org/linux/man-pages/man7/tcp.7.html
        """
        for handle in _handles():
            with suppress(OSError):
                ours = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=handle)
                try:
                    if ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and ours.getsockname()[1] == self._port:
                        ours.setsockopt(
                            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.ANSWER_TAKEN_S_MAX * 1_000)
                        )
                finally:
                    ours.detach()

    def _tell(self) -> None:
        """At most once in some seconds, however many it were."""
        self._looks += 1
        if self._closed and self._looks % _TOLD_EVERY == 0:
            log.warning("connections closed", reason="too many at once", count=self._closed)
            self._closed = 0


def _handles() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # names are enough
