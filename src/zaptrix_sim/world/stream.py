"""Server-sent events of /control: "something changed there".

What changes several times in a moment is told once; the page then asks for the state anew.
"""

import asyncio
import json
from typing import Final

from aiohttp import web

COMMENT_EVERY_S: Final = 15.0
GATHER_S: Final = 0.03


class Stream:
    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def tell(self, kind: str, **where: str) -> None:
        if not self._listeners:
            return
        line = json.dumps({"type": kind, **where})
        for listener in self._listeners:
            listener.hear(line)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        listener = _Listener()
        self._listeners.add(listener)
        try:
            await response.write(b": hello\n\n")
            while not listener.closed:
                await response.write(await listener.next())
        except ConnectionResetError:
            pass
        finally:
            self._listeners.discard(listener)
        return response

    def close(self) -> None:
        for listener in list(self._listeners):
            listener.close()


class _Listener:
    def __init__(self) -> None:
        self.closed = False
        self._lines: dict[str, None] = {}
        self._heard = asyncio.Event()

    def hear(self, line: str) -> None:
        self._lines[line] = None
        self._heard.set()

    def close(self) -> None:
        self.closed = True
        self._heard.set()

    async def next(self) -> bytes:
        try:
            await asyncio.wait_for(self._heard.wait(), COMMENT_EVERY_S)
        except TimeoutError:
            return b": still here\n\n"
        if not self.closed:
            await asyncio.sleep(GATHER_S)
        self._heard.clear()
        lines, self._lines = self._lines, {}
        return "".join(f"data: {line}\n\n" for line in lines).encode() or b": bye\n\n"
