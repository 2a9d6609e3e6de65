"""What the server calls: webhooks first, the framework for the rest; each request with its id, counted once."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog

from zaptrix.app import App, open_app
from zaptrix.bridge.files.shared_media import SharedMedia
from zaptrix.core.limits import CONNECTIONS_MAX
from zaptrix.media.signed_links import PREFIX
from zaptrix.settings import Settings
from zaptrix.tasks import ended, spare_the_collector
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.api.monitoring.monitoring import shared_health
from zaptrix.web.api.request.languages import problem_language
from zaptrix.web.api.site import build_site
from zaptrix.web.doors.media import PATH_LABEL, Files
from zaptrix.web.doors.webhooks import BITRIX24_PATH, META_PATH, Doors
from zaptrix.web.http import responses
from zaptrix.web.http.asgi import Exchange
from zaptrix.web.http.bodies import Bodies
from zaptrix.web.http.problems import TOO_LARGE, Problem, broken
from zaptrix.web.http.responses import REQUEST_ID, Response
from zaptrix.web.http.talk import Message, Receive, Scope, Send, Talk
from zaptrix.web.server.beating import begin_beating, keep_beating
from zaptrix.web.server.connections import Connections
from zaptrix.web.server.readiness import Readiness
from zaptrix.web.server.registering import keep_registering
from zaptrix.web.server.spooled import keep_following, keep_replaying

log = structlog.get_logger(__name__)

_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_UNMATCHED = "unmatched"  # a label never holds what a caller made up


Door = Callable[[Scope, Talk, str], Awaitable[Response]]


class Gateway:
    """One server process. Its resources are opened in the loop that will use them."""

    def __init__(self, settings: Settings, places: int = CONNECTIONS_MAX) -> None:
        """`places`: how many connections the server keeps open in this process."""
        self._settings = settings
        self._site = build_site(settings)
        self._doors: dict[str, Door] = {}
        self._files: Files | None = None
        self._bodies = Bodies()
        self.connections = Connections(settings, self._bodies, places)
        self.readiness = Readiness(settings.shutdown_delay_s)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Gateway]:
        """Ready for requests. What keeps it from that is told, and ends the process."""
        async with AsyncExitStack() as stack:
            try:
                await self._open(stack)
            except Exception:
                log.exception("the gateway did not start", alarm=True)
                await stack.aclose()
                sys.exit(1)
            yield self
            log.info("gateway stopping")

    async def __call__(self, told: Message, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/www.html"""
        scope, talk = Scope(told), Talk(receive, send)
        began = time.perf_counter()
        request_id = _request_id(scope)
        path = scope.path
        door = self._doors.get(path)
        if door is None and self._files and path.startswith(PREFIX):
            status = await _through_files(self._files, scope, talk, request_id)
            metrics.http_answered(scope.method, PATH_LABEL, status, time.perf_counter() - began)
            return
        if door is None:
            answer, path = await self._through_site(scope, talk, request_id)
        else:
            answer = await _through_door(door, scope, talk, request_id)
        if self.readiness.stopping:
            answer = responses.last(answer)
        await responses.give(answer, talk, request_id)
        metrics.http_answered(scope.method, path, answer.status, time.perf_counter() - began)

    async def _through_site(self, scope: Scope, talk: Talk, request_id: str) -> tuple[Response, str]:
        """The framework's answer, and the pattern of its route."""
        told = {**scope.asgi, "request_id": request_id}
        exchange = Exchange(talk)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._site(told, exchange.receive, exchange.send)  # type: ignore[arg-type]  # an ASGI scope
            except Exception:
                metrics.alarmed(AlarmKind.BROKE_DOWN)
                log.exception("request failed", path=told.get("path_template") or _UNMATCHED, alarm=True)
        answer = exchange.answer or _broken(scope, request_id)
        if answer.status == TOO_LARGE.status:
            await exchange.linger()
        return answer, told.get("path_template") or _UNMATCHED

    async def _open(self, stack: AsyncExitStack) -> None:
        metrics.start(self._settings.metrics_dir)
        app = await stack.enter_async_context(open_app(self._settings))
        await begin_beating(app)
        await stack.enter_async_context(_background(app.reads.keep()))
        await stack.enter_async_context(_background(keep_beating(app)))
        await stack.enter_async_context(_background(keep_replaying(app)))
        await stack.enter_async_context(_background(keep_following(app)))
        await stack.enter_async_context(_background(keep_registering(app)))
        await stack.enter_async_context(_background(SharedMedia(app.database, app.media.blobs).keep()))
        self._site.state["app"] = app
        self._site.state["health"] = shared_health(app)
        self._site.state["readiness"] = self.readiness
        await stack.enter_async_context(_background(self.connections.keep()))
        self._doors = _doors(app, self._bodies)
        self._files = Files(app)
        spare_the_collector()
        log.info("gateway ready", host=self._settings.host, port=self._settings.port)


def _doors(app: App, bodies: Bodies) -> dict[str, Door]:
    doors = Doors(app, bodies)
    by_path: dict[str, Door] = {META_PATH: doors.meta, BITRIX24_PATH: doors.bitrix24}
    return by_path


async def _through_door(door: Door, scope: Scope, talk: Talk, request_id: str) -> Response:
    """Nothing is bound to the log's context here: the group commit that this request starts is everybody's."""
    try:
        return await door(scope, talk, request_id)
    except Problem as problem:
        return _of_problem(problem, scope, request_id)
    except Exception:
        metrics.alarmed(AlarmKind.BROKE_DOWN)
        log.exception("webhook failed", path=scope.path, request_id=request_id, alarm=True)
        return _broken(scope, request_id)


async def _through_files(files: Files, scope: Scope, talk: Talk, request_id: str) -> int:
    """Files go out in parts, by the endpoint itself; only what went wrong before the first is answered here."""
    try:
        return await files.answer(scope, talk, request_id)
    except Problem as problem:
        # The path holds a signature: it is not repeated.
        answer = _of_problem(problem, scope, request_id, path=PREFIX)
    except Exception:
        if talk.begun:  # the server ends the connection, so that nobody takes a part for the whole
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("file broke off", path=PATH_LABEL, request_id=request_id, alarm=True)
            return 200
        metrics.alarmed(AlarmKind.BROKE_DOWN)
        log.exception("file failed", path=PATH_LABEL, request_id=request_id, alarm=True)
        answer = _of_problem(broken(), scope, request_id, path=PREFIX)
    await responses.give(answer, talk, request_id)
    return answer.status


def _broken(scope: Scope, request_id: str) -> Response:
    return _of_problem(broken(), scope, request_id)


def _of_problem(problem: Problem, scope: Scope, request_id: str, *, path: str | None = None) -> Response:
    locale = problem_language(scope.headers.get("accept-language"), scope.query_string)
    return responses.of_problem(problem, path=path or scope.path, request_id=request_id, locale=locale)


def _request_id(scope: Scope) -> str:
    given: str | None = scope.headers.get(REQUEST_ID)
    return given if given and _GOOD_ID.fullmatch(given) else os.urandom(16).hex()


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` until the end; should it break down before, that is told."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_breakdown)
    try:
        yield
    finally:
        await ended([task])


def _tell_breakdown(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        metrics.alarmed(AlarmKind.BROKE_DOWN)
        log.error("background work broke down", exc_info=error, alarm=True)
