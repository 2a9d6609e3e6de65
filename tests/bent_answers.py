"""Answers that no platform documents: what a portal that anybody may run, or a proxy before Meta, may send back.

`ANSWERS` is a table of whole HTTP answers; `bent(document)` bends each value of a good one. `Bending` serves them.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

TOKENS = ("EAAGm0PX4ZCpsBAKsecretOfSomebody0123456789", "9f8e7d6c5b4a39281706f5e4d3c2b1a0ffeeddccbbaa9988")
PHONE_DIGITS = "5541998765432"
_LEAK = f"token={TOKENS[1]} Bearer {TOKENS[0]} of +{PHONE_DIGITS}, +55 (41) 99876-5432"
_NUL = '"\\u0000"'
_DEEP = 100_000
_HUGE = "1" + "0" * 400
_MUCH = 20 * 1024 * 1024


def head(status: int = 200, *lines: str, length: int | None = None) -> bytes:
    told = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"HTTP/1.1 {status} Odd", *lines, *told, "Connection: close", "", ""]).encode(
        "utf-8", "surrogatepass"
    )


def whole(body: bytes | str, status: int = 200, *lines: str) -> bytes:
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return head(status, "Content-Type: application/json", *lines, length=len(raw)) + raw


# All that both platforms read stands under its name here, so that one body bends every method.
def everything(value: str) -> str:
    names = (
        "result", "time", "operating", "operating_reset_at", "finish", "error", "error_description", "access_token",
        "refresh_token", "expires_in", "messages", "contacts", "data", "paging", "id", "url", "success", "code",
        "health_status", "status", "message",
    )  # fmt: skip
    return "{" + ",".join(f'"{name}":{value}' for name in names) + "}"


_TIMES = '"time":{{"operating":{0},"operating_reset_at":{0},"finish":{0}}}'

ANSWERS: dict[str, bytes] = {
    "nothing at all": b"",
    "half a head": b"HTTP/1.1 20",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status of no meaning": whole("{}", 999),
    "a status that is no number": b"HTTP/1.1 OK OK\r\n\r\n{}",
    "a page": whole("<html>in maintenance</html>"),
    **{f"a page with {status}": whole("<html>no</html>", status) for status in (301, 400, 401, 402, 403, 404, 410)},
    **{f"a page with {status}": whole("<html>no</html>", status) for status in (418, 429, 500, 502, 503, 504)},
    **{f"nothing with {status}": whole("", status) for status in (200, 204, 205, 304, 404, 429, 500)},
    "half of its JSON": whole('{"result":{"a":[1,2'),
    "less than it says": head(length=1000) + b'{"result":',
    "more than it says": head(length=2) + b"{}" + b"x" * 1000,
    "a length that is none": head(200, "Content-Length: -7") + b"{}",
    "two lengths": head(200, "Content-Length: 2", "Content-Length: 7") + b"{}",
    "broken chunks": head(200, "Transfer-Encoding: chunked") + b"ZZZ\r\n{}\r\n0\r\n\r\n",
    "a chunk without an end": head(200, "Transfer-Encoding: chunked") + b"fffffff\r\n{}",
    "false gzip": whole(b"no gzip", 200, "Content-Encoding: gzip"),
    "gzip cut short": whole(gzip.compress(b'{"result":true}' * 100)[:30], 200, "Content-Encoding: gzip"),
    "false deflate": whole(b"\x78\x9cno", 200, "Content-Encoding: deflate"),
    "an unknown coding": whole("{}", 200, "Content-Encoding: snail"),
    "a bomb": whole(gzip.compress(b'{"result":"' + b"0" * (4 * _MUCH) + b'"}'), 200, "Content-Encoding: gzip"),
    "a bomb of deflate": whole(zlib.compress(b"[" * (4 * _MUCH)), 200, "Content-Encoding: deflate"),
    "twenty megabytes": whole(b'{"result":"' + b"x" * _MUCH + b'"}'),
    "twenty megabytes of white space": whole(b" " * _MUCH),
    "a megabyte of lists": whole(b'{"result":[' + b"[]," * 350_000 + b"[]]}"),
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"X-More: more\r\n" * 20_000,
    "a line without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
    "deep lists": whole('{"result":' + "[" * _DEEP + "]" * _DEEP + "}"),
    "deep lists alone": whole("[" * _DEEP),
    "deep maps": whole('{"error":' + '{"a":' * _DEEP + "1" + "}" * _DEEP + "}"),
    "deep templates": whole('{"data":[' + '{"components":[{"cards":[' * 900 + "]}]}" * 900 + "]}"),
    "another charset": whole('{"result":"ação"}'.encode("latin-1"), 200, "Content-Type: application/json; charset=odd"),
    "UTF-16": whole('{"result":true}'.encode("utf-16")),
    "a byte order mark": whole(b'\xef\xbb\xbf{"result":true}'),
    "half a surrogate pair": whole('{"result":"\\ud800","error":"\\udfff","id":"\\ud800"}'),
    "two answers": whole('{"result":true}{"result":true}'),
    "numbers of 400 digits": whole(everything(_HUGE)),
    "numbers of 10,000 digits": whole('{"result":true,"id":' + "9" * 10_000 + "}"),
    "numbers beyond all": whole(everything("1e400")),
    "negative numbers": whole(everything("-1e308")),
    "not a number": whole(everything("NaN")),
    **{
        f"times of {value[:8]}": whole(f'{{"result":[],{_TIMES.format(value)}}}')
        for value in (_HUGE, "1e308", "-5", '"1"', "true", "null", "[]", "9e15")
    },
    **{f"nothing but {value[:8]}": whole(everything(value)) for value in ("null", "true", "[]", "{}", '""', _NUL)},
    "a NUL in an error": whole('{"error":"ERROR_CORE","error_description":"bad\\u0000thing"}', 400),
    "a NUL for a code": whole('{"error":"a\\u0000b","error_description":"bad"}', 400),
    "an error that is a map": whole('{"error":{"error":{"error":1}},"error_description":["a"]}', 400),
    "an error without a code": whole('{"error":{"message":"An unknown error has occurred."}}', 500),
    "an error with a huge code": whole(f'{{"error":{{"message":"no","code":{_HUGE},"error_subcode":{_HUGE}}}}}', 400),
    "an error that leaks": whole(json.dumps({"error": _LEAK, "error_description": _LEAK}), 400),
    "an error of Meta's that leaks": whole(
        json.dumps({"error": {"code": 131009, "message": _LEAK, "fbtrace_id": _LEAK, "error_data": {"details": _LEAK}}})
        , 400,
    ),
    "a code that is a phone's": whole(json.dumps({"error": PHONE_DIGITS, "error_description": ""}), 400),
    "a code that is a token": whole(json.dumps({"error": TOKENS[1], "error_description": ""}), 401),
    "an error of 1 MB": whole(json.dumps({"error": "x" * 500_000, "error_description": "y" * 500_000}), 400),
    "wait for ever": whole('{"error":"SLOW"}', 429, f"Retry-After: {_HUGE}"),
    "wait until then": whole("no", 429, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"),
    **{
        f"a redirect {place}": whole("", 302, f"Location: {where}")
        for place, where in {
            "to nowhere": "", "to a file": "file:///etc/passwd", "to a port that is none": "http://a:99999999/rest/x",
            "to half an address": "http://[::1", "to a user": "http://u:p@127.0.0.1/rest/x", "to itself": "?",
            "to a long place": "/" + "a" * 7_000 + "/rest/", "to a name that is none": "http://xn--\u00ff.example/rest/",
            "to the metadata": "http://169.254.169.254/rest/", "to no scheme": "//rest/",
        }.items()
    },
    "a redirect without a place": whole("", 307),
    "tokens that no header carries": whole(
        json.dumps({"access_token": "a\r\nX-Evil: 1", "refresh_token": "b c", "expires_in": 3600})
    ),
    "tokens for ever": whole('{"access_token":"a","refresh_token":"b","expires_in":9223372036854775807}'),
    "a token of 1 MB": whole(json.dumps({"access_token": "a" * 50_000, "refresh_token": "b"})),
}  # fmt: skip

# What a value may be bent to: beyond every column, header, clock and recursion.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**400, 1e308, "", "\0", "a\0b", "x" * 5_000, "0" * 40, "\u0660\u0661", "\n", "-7",
    "9999-12-31T23:59:59-12:00", [], [[]], [None], {}, {"": None}, {"0": {"0": 1}}, ["a", 1],
)  # fmt: skip


def bent(document: Any) -> Iterator[Any]:
    """`document` with each of its values bent to each of `VALUES`, one at a time."""
    for path in _paths(document):
        for value in VALUES:
            yield _with(document, path, value)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from _paths(below, (*at, key))


def _with(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def raw(document: Any) -> bytes:
    return whole(json.dumps(document))


class Bending:
    """A server that answers every request with `answer(method, path)`; None: it drips, and never ends."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.answer: Callable[[str, str], bytes | None]
        self.always(whole("{}"))
        self._open: set[asyncio.Task[None]] = set()

    def always(self, answer: bytes | None) -> None:
        self.answer = lambda _method, _path: answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bending]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = asked.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        length = next(
            (int(line[15:]) for line in asked.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        self.asked += 1
        answer = self.answer(method, path)
        if answer is not None:
            writer.write(answer)
            await writer.drain()
            return
        writer.write(head(200, "Transfer-Encoding: chunked"))
        while True:
            writer.write(b"1\r\n \r\n")
            await writer.drain()
            await asyncio.sleep(0.01)


def assert_storable(value: Any) -> None:
    """Fails for what no row can hold: NULs, halves of characters, numbers and times beyond all."""
    match value:
        case str():
            assert "\0" not in value
            value.encode()
        case bool() | None | float():
            pass
        case int():
            assert -(2**63) <= value < 2**63
        case datetime():
            assert value.year <= 2200
        case dict():
            for key, below in value.items():
                assert_storable(key)
                assert_storable(below)
        case list() | tuple() | set():
            for below in value:
                assert_storable(below)
        case msgspec.Struct():
            assert_storable(msgspec.structs.asdict(value))


def assert_discreet(text: str) -> None:
    """Fails when somebody's token or phone stands in it."""
    digits = "".join(sign for sign in text if sign.isdigit())
    assert PHONE_DIGITS not in digits
    for token in TOKENS:
        assert token[:12] not in text
