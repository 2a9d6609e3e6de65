"""One answer for all who ask at the same time: what is open to everybody costs no more than one call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The answer to a question whose asking costs more than its answer is worth: asked anew when the last is old.

    Who asks while it is being found out waits for that answer and does not ask again (single-flight).
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], good_for_s: float) -> None:
        """`ask` does not raise. `good_for_s`: how old an answer may be, counted from when it was asked for."""
        self._ask = ask
        self._good_for_s = good_for_s
        self._asked_at = 0.0
        self._answer: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """The answer; not older than `good_for_s` when it is given, but for the time that it took."""
        now = time.monotonic()
        if self._answer is None or (self._answer.done() and now - self._asked_at > self._good_for_s):
            self._asked_at = now
            self._answer = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._answer)  # who hangs up does not take it from the others
