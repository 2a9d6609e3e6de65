"""Open connections: none may keep a place that others need, and no address all of them.

The server keeps a connection for as long as its caller likes, and knows no limit by address. It bounds how long one may
be idle after an answer, `bodies.py` how long a body may take. This is what is left: how long a request's head may take,
how large it may be and what comes beside a body (extensions of chunks, trailers), and too many connections at once:
those that were silent for longest are closed. A request that is being worked on is never cut off, nor one that has come
and was not read yet.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from http import HTTPStatus
from typing import Protocol, cast

import msgspec
import structlog
from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zaptrix.core import limits
from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.http.address import address_of, is_in
from zaptrix.web.http.bodies import Bodies
from zaptrix.web.http.talk import Client

log = structlog.get_logger(__name__)

_FULL = 0.9  # of all places: from here on those silent for longest make room, whoever they are
_TOLD_EVERY = 40  # looks
_AGAIN_S = 1.0
_REST = 20  # a look is followed by so many times its own time without one, however many come
_REFUSALS = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    for status in (400, 431)
}


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


class _Served(Protocol):
    """What the server serves."""

    connections: Connections


class Connection(HttpToolsProtocol):
    """The server's protocol, which keeps time: when something last came, and since when a head is waited for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server's own
        super().connection_made(transport)
        self.heard = self.waits_since = time.monotonic()
        self._under_way = False
        self._beside = 0
        self._again = b""
        self._refusal = 0
        self._connections = cast("_Served", self.app).connections
        self._connections.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.went(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            return  # flows past until the caller has read why, or its time is over
        self.heard = time.monotonic()
        self._coming = data
        self._is_body = False
        super().data_received(data)
        if self._under_way and not self._is_body:
            self._beside += len(data)
            if self._beside > limits.HEAD_BYTES_MAX and not self._refusal:
                self._refuse(431)

    def on_message_begin(self) -> None:
        self._under_way = True
        self._beside = 0
        self.waits_since = self.heard
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._beside + len(self._coming) > limits.HEAD_BYTES_MAX and self._head_size() > limits.HEAD_BYTES_MAX:
            self._refuse(431)
            raise ValueError("the head is too large")  # ends the parser's work
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._again = self._plain_head()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._is_body = True
        self._beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._under_way = False
        if not self._again and self.cycle is not None:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """The parser takes what follows a wish for another protocol for that protocol, and not for the body it is.

        Java's client utters that wish with every request. https://www.rfc-editor.org/rfc/rfc9110#name-upgrade
        """
        wish = sys.exception()
        if self._again and isinstance(wish, HttpParserUpgrade):
            head, self._again = self._again, b""
            self.parser = HttpRequestParser(self)
            self.data_received(head + self._coming[wish.args[0] :])

    def _plain_head(self) -> bytes:
        """The head that came, without the wish."""
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_response_complete(self) -> None:
        self.heard = self.waits_since = time.monotonic()
        super().on_response_complete()

    @property
    def is_waiting(self) -> bool:
        """Whether no request of this connection is under way."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None until the first

    def has_unread(self) -> bool:
        """Whether something has come that a busy process has not got to yet."""
        if self.transport.is_closing():
            return False
        handle = self.transport.get_extra_info("socket")
        ours = socket.socket(handle.family, handle.type, handle.proto, fileno=handle.fileno())
        try:
            return bool(ours.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False
        finally:
            ours.detach()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # what it would say is no language of ours
        if not self._refusal:
            self._refuse(400)

    def _refuse(self, status: int) -> None:
        """The last word on this connection; an answer that is owed comes first, and then is the last one."""
        self._refusal = status
        if not self.is_waiting and self.cycle.more_body:
            self.transport.abort()  # of a request that will not be whole
        elif not self.is_waiting:
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self.transport.write(_REFUSALS[status])
            self.transport.write_eof()


class Connections:
    """The connections of one server process."""

    def __init__(self, settings: Settings, bodies: Bodies, places: int) -> None:
        self._trusted = settings.trusted_proxies
        self._bodies = bodies
        self._places = places
        self._per_address = max(1, places // limits.CONNECTIONS_SHARE)
        self._all: set[Connection] = set()
        self._next_look = 0.0
        self._closed = 0
        self._looks = 0

    def came(self, connection: Connection) -> None:
        self._all.add(connection)
        if len(self._all) > self._per_address and connection.heard >= self._next_look:
            self._look()

    def went(self, connection: Connection) -> None:
        self._all.discard(connection)

    async def keep(self) -> None:
        """Look again and again; runs beside requests."""
        while True:
            self._bodies.tick()
            try:
                self._close_slow_heads()
                self._look()
                self._tell()
            except Exception:
                metrics.alarmed(AlarmKind.BROKE_DOWN)
                log.exception("connections not counted", alarm=True)
                await asyncio.sleep(_AGAIN_S)
            await asyncio.sleep(limits.CONNECTIONS_LOOK_S)

    def _close_slow_heads(self) -> None:
        since = time.monotonic() - limits.HEAD_S_MAX
        for each in [each for each in self._all if each.waits_since <= since and each.is_waiting]:
            if not each.has_unread():
                each.transport.abort()

    def _look(self) -> None:
        """Close what is too many; those whose bodies are on their way are answered instead."""
        if len(self._all) <= self._per_address:
            return
        began = time.monotonic()
        reading = self._bodies.clients()
        by_number = dict(enumerate(self._all))
        working = {_name(each.client) for each in self._all if not each.is_waiting and each.client not in reading}
        found = list(self._open(by_number, began))
        given_up: set[Client] = set()
        for each in too_many(found, places=self._places, per_address=self._per_address, working=working):
            connection = by_number[each.handle]
            if connection.client in reading:
                given_up.add(connection.client)
            elif not connection.has_unread():
                connection.transport.abort()
                self._all.discard(connection)
                self._closed += 1
        self._closed += len(given_up)
        self._bodies.give_up(given_up)
        self._next_look = time.monotonic() + (time.monotonic() - began) * _REST

    def _open(self, by_number: dict[int, Connection], now: float) -> Iterable[Open]:
        of_host: dict[str, tuple[str, bool]] = {}
        for number, each in by_number.items():
            host = each.client[0] if each.client else ""
            if host not in of_host:
                of_host[host] = address_of(host), is_in(host, self._trusted)
            address, trusted = of_host[host]
            yield Open(number, _name(each.client), address, int((now - each.heard) * 1_000), trusted)

    def _tell(self) -> None:
        """At most once in some seconds, however many it were."""
        self._looks += 1
        if self._closed and self._looks % _TOLD_EVERY == 0:
            log.warning("connections closed", reason="too many at once", count=self._closed)
            self._closed = 0


def _name(client: Client | None) -> str:
    return f"{client[0]}:{client[1]}" if client else ""
