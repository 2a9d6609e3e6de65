"""The framework's side of a request: a body that keeps its time, and an answer that is given as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from zaptrix.web.http import responses
from zaptrix.web.http.bodies import UploadClock, too_slow
from zaptrix.web.http.responses import Response
from zaptrix.web.http.talk import HungUp, Message, Talk


class Exchange:
    """One request of the framework's: its `receive` and `send`, and the answer that they came to."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._parts: AsyncIterator[bytes] | None = responses.parts_of(talk)
        self._clock = UploadClock()
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    async def receive(self) -> Message:
        """Raises a Problem when the body does not come in time."""
        if self._parts is None:
            await self._talk.gone()
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(self._clock.left_s()):
                part = await anext(self._parts, b"")
        except HungUp:
            return {"type": "http.disconnect"}
        except TimeoutError:
            raise too_slow() from None
        self._clock.came(len(part))
        if not part:
            self._parts = None
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            self._body.append(message.get("body", b""))

    async def linger(self) -> None:
        if self._parts is not None:
            await responses.linger(self._parts)

    @property
    def answer(self) -> Response | None:
        """The whole answer; pages are small, so none is streamed. None: the framework gave none."""
        if self._status is None:
            return None
        return Response(self._status, b"".join(self._body), tuple(self._headers))
