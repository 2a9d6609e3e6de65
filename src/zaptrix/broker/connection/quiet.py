"""A rate-limited log: a trouble that comes a thousand times a second is told once a second."""

from __future__ import annotations

import time
from collections import defaultdict

import structlog

_EVERY_S = 1.0


class RateLimitedLog:
    """Warnings, at most one a kind and second; the next one tells how many were kept back."""

    def __init__(self, name: str) -> None:
        self._log = structlog.get_logger(name)
        self._next_at: dict[tuple[str, str], float] = {}
        self._kept_back: defaultdict[tuple[str, str], int] = defaultdict(int)

    def warning(self, event: str, error: BaseException, **ids: object) -> None:
        """`error` is told by its type: its text may quote what was sent."""
        kind = event, type(error).__name__
        now = time.monotonic()
        if now < self._next_at.get(kind, 0.0):
            self._kept_back[kind] += 1
            return
        self._next_at[kind] = now + _EVERY_S
        self._log.warning(event, error=kind[1], kept_back_count=self._kept_back.pop(kind, 0), **ids)
