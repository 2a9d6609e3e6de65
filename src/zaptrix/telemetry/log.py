"""Logs: one line an event, JSON for machines or text for people, redacted, libraries' lines included.

A line is a verb and ids: `log.info("delivered", message_id=..., attempts=2)`. What is bound with
`bound(request_id=...)` goes into every line below it, across awaits.
"""

import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import msgspec
import structlog
from structlog.contextvars import bound_contextvars as bound
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from zaptrix.telemetry.redact import redactor

__all__ = ["bound", "configure", "logger"]

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# Each says on every request what our own line says once a step.
CHATTERING = ("aiohttp.access", "asyncpg", "alembic", "httpcore", "httpx")


def logger(**ids: Any) -> FilteringBoundLogger:
    """A log to write to; `ids` go into each of its lines."""
    found: FilteringBoundLogger = structlog.get_logger(**ids)
    return found


def configure(
    *, level: str = "info", style: str = "json", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Set up logging for this process, once, before the first line. No line shows one of the `secrets`."""
    stream = stream or sys.stdout
    clean = redactor(secrets)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return clean(event)

    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    after: list[Processor] = [redact, _renderer(style, stream)]
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    _route_libraries(before, after, level=LEVELS[level], stream=stream)


def _renderer(style: str, stream: TextIO) -> Processor:
    if style == "text":
        return structlog.dev.ConsoleRenderer(colors=stream.isatty())
    encoder = msgspec.json.Encoder(enc_hook=str)
    return lambda _logger, _method, event: encoder.encode(event).decode()


def _route_libraries(before: list[Processor], after: list[Processor], *, level: int, stream: TextIO) -> None:
    """Lines that libraries write by way of `logging` go the same way as ours."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTERING:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
