"""The server: uvicorn in as many processes as the settings say, stopped without dropping a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import multiprocessing
import socket
import sys
from collections.abc import Iterator
from functools import partial

import structlog
import uvicorn
import uvloop

from zaptrix.core import limits
from zaptrix.open_files import allow_open_files
from zaptrix.settings import Settings, SettingsError
from zaptrix.telemetry import log as logs
from zaptrix.web.http.exposure import is_private
from zaptrix.web.server.connections import Connection
from zaptrix.web.server.gateway import Gateway
from zaptrix.web.server.processes import Processes

log = structlog.get_logger(__name__)

# Requests under way get so long once the listener is closed; a supervisor must wait longer, and SHUTDOWN_DELAY_S more.
_FINISH_S = 15
_CLOSE_S = 3
_BACKLOG = 2048
_DATE_S = 1.0
_PLACES_MIN = 128


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Blocks. Raises SettingsError when the port is taken."""
    listening = bound(settings.host, settings.port)
    log.info(
        "monitoring pages", open_to="whoever reaches HOST" if is_private(settings) else "keys of admins, METRICS_TOKEN"
    )
    processes = Processes(
        partial(_run, settings, _places(), listening),
        settings.web_processes,
        stop_s=_FINISH_S + _CLOSE_S + math.ceil(settings.shutdown_delay_s),
    )
    processes.run(closing=listening.close)


def bound(host: str, port: int) -> socket.socket:
    """The socket of all processes. Nobody listens on it before one of them is ready, so that callers go elsewhere.

    Raises SettingsError.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Who does not take an answer is cut off by the kernel; callers' sockets have it from the one that listens.
    # https://man7.org/linux/man-pages/man7/tcp.7.html
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.ANSWER_TAKEN_S_MAX * 1_000))
    try:
        listening.bind((host, port))
    except OSError as exc:
        listening.close()
        raise SettingsError(f"PORT: {host}:{port} cannot be used ({exc.strerror}); set another one") from exc
    return listening


def _places() -> int:
    """How many connections a process can keep open."""
    return max(_PLACES_MIN, allow_open_files() - limits.OPEN_FILES_SPARE)


def _run(settings: Settings, places: int, listening: socket.socket) -> None:
    """One process."""
    logs.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets, stream=sys.stdout)
    # What is sent that is no HTTP is no line of a log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, places, listening))


async def _serve(settings: Settings, places: int, listening: socket.socket) -> None:
    async with Gateway(settings, places).opened() as gateway:
        server = _Server(
            uvicorn.Config(
                gateway,
                http=Connection,
                ws="none",
                interface="asgi3",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                backlog=_BACKLOG,
                timeout_keep_alive=int(limits.HEAD_S_MAX),
                timeout_graceful_shutdown=_FINISH_S,
            )
        )
        gateway.readiness.follow(asyncio.get_running_loop(), server.stop)
        _follow_parent(server)
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Who is told to stop is told by `Readiness`, and not by signals of the server's own.

    Its own loop asks ten times a second whether it was told; this one is woken, and renews the date of the answers.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._told.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._told.set()


def _follow_parent(server: _Server) -> None:
    """Nobody would replace or stop a process whose parent is gone, and the port would stay taken."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent.sentinel)
        log.error("the gateway's first process is gone: stopping", alarm=True)
        server.stop()

    loop.add_reader(parent.sentinel, gone)
