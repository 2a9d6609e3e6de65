"""A response to an API call, and what an ordered fault makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import KINDS, Fault

HANG_MAX_S: Final = 300.0
HANG_LOOK_S: Final = 0.05
_API_KINDS: Final = KINDS["api"]


@dataclass(slots=True, frozen=True)
class ApiResponse:
    """What a platform says; a text instead of a document stands for an HTML page."""

    payload: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """Text is sent as a page, as a gateway in front of a platform answers; everything else as JSON."""
        if isinstance(self.payload, str):
            return web.Response(text=self.payload, status=self.status, content_type="text/html")
        body = msgspec.json.encode(self.payload)
        return web.Response(body=body, status=self.status, content_type="application/json", headers=self.headers)


async def under_faults(
    engine: Engine,
    request: web.Request,
    *,
    side: str,
    facts: dict[str, str],
    refuse: Callable[[Fault], ApiResponse],
    act: Callable[[Fault | None], Awaitable[ApiResponse]],
) -> web.StreamResponse:
    """Do the call as the fault in force wants it, if there is one: before the work, instead of it, or after it.
    `refuse` gives the side's own refusal; `act` does the work and is told of a fault that it has to play itself."""
    fault = engine.faults.pick(side, "api", facts, _API_KINDS)
    if fault is None:
        return (await act(None)).response()
    engine.stream.tell("fault", **facts)
    if fault.kind in {"status", "refuse", "throttle", "expired_token"}:
        return refuse(fault).response()
    if fault.kind == "reset":
        return _cut(request)
    if fault.kind == "delay":
        await asyncio.sleep(fault.delay_s)
    answer = await act(fault)
    if fault.kind == "accept_then_reset":
        return _cut(request)
    if fault.kind == "accept_then_hang":
        await _until_given_up(request)
        return _cut(request)
    return answer.response()


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _until_given_up(request: web.Request) -> None:
    waited = 0.0
    while waited < HANG_MAX_S and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(HANG_LOOK_S)
        waited += HANG_LOOK_S
