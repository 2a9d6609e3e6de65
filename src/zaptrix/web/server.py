"""The server: Granian, with as many processes as the settings say, stopped without dropping a request."""

from __future__ import annotations

import math
import signal
import socket
import sys
from functools import partial

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from zaptrix.core import limits
from zaptrix.open_files import allow_open_files
from zaptrix.settings import Settings, SettingsError
from zaptrix.telemetry import log as logs
from zaptrix.web.exposure import is_private
from zaptrix.web.gateway import Gateway

log = structlog.get_logger(__name__)

# Requests under way get so long once the doors are closed; a supervisor must wait longer, and SHUTDOWN_DELAY_S more.
_FINISH_S = 15
_BACKLOG = 2048
_PLACES_MIN = 128

# Granian's own lines go the way of all our lines.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"level": "WARNING", "propagate": True}},
}


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Blocks. Raises SettingsError when the port is taken."""
    _check_free(settings.host, settings.port)
    log.info(
        "monitoring pages", open_to="whoever reaches HOST" if is_private(settings) else "keys of admins, METRICS_TOKEN"
    )
    places = _places()
    server = Granian(
        "zaptrix",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.web_processes,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        # Connections, that is: none of them costs more than its place until its request is whole.
        backpressure=places,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(limits.HEAD_S_MAX * 1_000), max_buffer_size=limits.HEAD_BYTES_MAX
        ),
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
        respawn_failed_workers=True,
        workers_kill_timeout=_FINISH_S + math.ceil(settings.shutdown_delay_s),
    )
    server.serve(target_loader=partial(load, settings, places), wrap_loader=False)  # type: ignore[arg-type]  # RSGI takes an object


def _places() -> int:
    """How many connections a process can keep open."""
    return max(_PLACES_MIN, allow_open_files() - limits.OPEN_FILES_SPARE)


def load(settings: Settings, places: int) -> Gateway:
    """The gateway of one server process."""
    # A fork has its parent's handlers, which in it do nothing: until the server sets its own, a stop has to stop.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    logs.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets, stream=sys.stdout)
    return Gateway(settings, places)


def _check_free(host: str, port: int) -> None:
    """Several processes share the port, so the system would let a stranger's in beside ours, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise SettingsError(f"PORT: {host}:{port} cannot be used ({exc.strerror}); set another one") from exc
