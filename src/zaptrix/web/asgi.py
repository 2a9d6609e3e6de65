"""The one ASGI callable: webhook doors first, the framework for the rest; each request with its id, counted once."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog

from zaptrix.app import App, open_app
from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.web import answers
from zaptrix.web.answers import REQUEST_ID, Answer, Message, Receive, Scope, Send
from zaptrix.web.beating import begin_beating, keep_beating
from zaptrix.web.doors import BITRIX24_PATH, META_PATH, Doors
from zaptrix.web.problems import INTERNAL, TOO_LARGE, Problem
from zaptrix.web.registering import keep_registering
from zaptrix.web.site import build_site
from zaptrix.web.spooled import keep_replaying

log = structlog.get_logger(__name__)

_GOOD_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_UNMATCHED = "unmatched"  # a label never holds what a caller made up

Door = Callable[[Scope, Receive, str], Awaitable[Answer]]


class Gateway:
    """What the server calls. The house is opened by the lifespan, in the process and loop that will use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._site = build_site(settings)
        self._doors: dict[str, Door] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = _request_id(scope)
        door = self._doors.get(scope["path"])
        if door is None:
            status = await self._through_site(scope, receive, send, request_id)
            route = scope.get("path_template") or _UNMATCHED
        else:
            answer = await _through_door(door, scope, receive, request_id)
            await answers.give(answer, send, request_id)
            status, route = answer.status, scope["path"]
        metrics.http_answered(scope["method"], route, status, time.perf_counter() - began)

    async def _through_site(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        told = _Told(receive, send, request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            scope["request_id"] = request_id
            try:
                await self._site(scope, receive, told)  # type: ignore[arg-type]  # an ASGI scope, by its own name
            except Exception:
                log.exception("request failed", path=scope.get("path_template") or _UNMATCHED, alarm=True)
                if told.status is None:
                    await answers.give(_broken(scope, request_id), send, request_id)
                return INTERNAL.status
        return told.status or INTERNAL.status

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await self._open(stack)
            except Exception as exc:
                log.exception("the gateway did not start", alarm=True)
                await send({"type": "lifespan.startup.failed", "message": type(exc).__name__})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            log.info("gateway stopping")
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self, stack: AsyncExitStack) -> None:
        metrics.start(self._settings.metrics_dir)
        app = await stack.enter_async_context(open_app(self._settings))
        await begin_beating(app)
        await stack.enter_async_context(_background(keep_beating(app)))
        await stack.enter_async_context(_background(keep_replaying(app)))
        await stack.enter_async_context(_background(keep_registering(app)))
        self._site.state["app"] = app
        self._doors = _doors(app)
        log.info("gateway ready", host=self._settings.host, port=self._settings.port)


def _doors(app: App) -> dict[str, Door]:
    doors = Doors(app)
    by_path: dict[str, Door] = {META_PATH: doors.meta, BITRIX24_PATH: doors.bitrix24}
    return by_path


async def _through_door(door: Door, scope: Scope, receive: Receive, request_id: str) -> Answer:
    """Nothing is bound to the log's context here: the group commit that this request starts is everybody's."""
    try:
        return await door(scope, receive, request_id)
    except Problem as problem:
        return answers.of_problem(problem, path=scope["path"], request_id=request_id)
    except Exception:
        log.exception("webhook failed", path=scope["path"], request_id=request_id, alarm=True)
        return _broken(scope, request_id)


def _broken(scope: Scope, request_id: str) -> Answer:
    problem = Problem(INTERNAL, "It is in our log under this request id")
    return answers.of_problem(problem, path=scope["path"], request_id=request_id)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            if _GOOD_ID.fullmatch(value):
                given: str = value.decode("ascii")
                return given
            break
    return os.urandom(16).hex()


class _Told:
    """`send`, with the request's id on the way out and the status kept."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self._header = (REQUEST_ID, request_id.encode())
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._header]
            if self.status == TOO_LARGE.status:
                await answers.linger(self._receive)
        await self._send(message)


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` until the end; should it break down before, that is told."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_breakdown)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _tell_breakdown(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("background work broke down", exc_info=error, alarm=True)
