"""The platforms' far side as one lean process: `python -m benchmarks.far_side --port N --counter FILE`.

It parses every call, checks its token, writes down what arrived, and posts status webhooks as Meta does.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.far_answers import FarAnswers
from benchmarks.far_receipts import Receipts
from benchmarks.far_record import FarRecord

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_JSON = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class FarSide:
    """What the connections share."""

    def __init__(self, record: FarRecord, receipts: Receipts | None, latency_s: float, refuse_every: int) -> None:
        self._record = record
        self._answers = FarAnswers(record, refuse_every)
        self._receipts = receipts
        self._latency_s = latency_s

    def handle(self, method: bytes, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/control/"):
            return self._control(method, path.removeprefix("/control/"))
        posted = self._answers.answer(path, token, body)
        if posted.sent and self._receipts:
            self._receipts.add(*posted.sent)
        return posted.status, posted.body

    def answered(self, late_s: float) -> None:
        self._record.answered(late_s)

    def takes_s(self, path: str) -> float:
        """How long the answer waits: a platform thinks, a look into its record does not."""
        if path.startswith("/control/") or not self._latency_s:
            return 0.0
        self._record.waits()
        return self._latency_s

    def _control(self, method: bytes, what: str) -> tuple[int, bytes]:
        if what.startswith("latency-ms/"):
            self._latency_s = float(what.removeprefix("latency-ms/")) / 1000
            return 200, b"{}"
        if method == b"DELETE":
            self._record.clear()
            return 200, b"{}"
        return 200, self._record.told()


class Line(asyncio.Protocol):
    """One kept-alive connection of the gateway's."""

    def __init__(self, far_side: FarSide) -> None:
        self._far_side = far_side
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head, start = self._buffer[:end], end + 4
            whole = start + int(_header(head, b"content-length") or 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[start:whole], self._buffer[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b" ", 2)
        token = _header(head, b"authorization").removeprefix(b"Bearer ").decode()
        path = target.decode()
        status, answer = self._far_side.handle(method, path, token, body)
        whole = _JSON % (status, _REASONS[status].encode(), len(answer), answer)
        takes_s = self._far_side.takes_s(path)
        if takes_s:
            # A timer, so that any number of calls wait at the same time.
            loop = asyncio.get_running_loop()
            loop.call_later(takes_s, self._answer_late, loop.time() + takes_s, whole)
        else:
            self._transport.write(whole)

    def _answer_late(self, due: float, whole: bytes) -> None:
        self._far_side.answered(asyncio.get_running_loop().time() - due)
        if not self._transport.is_closing():  # who gave the call up hears nothing
            self._transport.write(whole)


def _header(head: bytes, name: bytes) -> bytes:
    lowered = head.lower()
    start = lowered.find(b"\r\n%b:" % name)
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return (head[start:] if end < 0 else head[start:end]).strip()


async def serve(port: int, counter: Path, gateway_port: int, latency_s: float, refuse_every: int) -> None:
    """Until the process is stopped."""
    receipts = Receipts(gateway_port) if gateway_port else None
    far_side = FarSide(FarRecord(counter), receipts, latency_s, refuse_every)
    server = await asyncio.get_running_loop().create_server(lambda: Line(far_side), "127.0.0.1", port, backlog=2048)
    async with server:
        if receipts is not None:
            await receipts.keep_posting()
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--counter", type=Path, required=True)
    parser.add_argument("--receipts-to", type=int, default=0, help="the gateway's port; 0: no status webhooks")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--refuse-every", type=int, default=0, help="texts to WhatsApp, by their number; 0: none")
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.counter, given.receipts_to, given.latency_ms / 1000, given.refuse_every))


if __name__ == "__main__":
    main()
