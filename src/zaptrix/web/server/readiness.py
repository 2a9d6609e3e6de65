"""Whether this process wants requests: what balancers and orchestrators ask, and how they hear of a stop beforehand.

Who is told to stop (SIGTERM) says so first: `/health/ready` answers 503 while requests are taken for
SHUTDOWN_DELAY_S, long enough for whoever asks to send everything elsewhere; only then the listener closes, and what is
under way is finished. A listener that closes at once resets connections that wait in its queue, and closes idle ones
on which a proxy may just be sending. It is ready without PostgreSQL and Redis, too: what it takes in meanwhile no
other gateway would take any better, and Bitrix24's events would be lost with nobody to take them.

https://kubernetes.io/docs/concepts/workloads/pods/probes/
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Readiness:
    """Of one server process."""

    def __init__(self, delay_s: float) -> None:
        """`delay_s`: how long requests are accepted after SIGTERM."""
        self._delay_s = delay_s
        self.stopping = False

    def follow(self, loop: asyncio.AbstractEventLoop, close: Callable[[], None]) -> None:
        """Call `close` for SIGINT, as from a terminal, at once; for SIGTERM after the delay."""
        loop.add_signal_handler(signal.SIGINT, close)
        loop.add_signal_handler(signal.SIGTERM, self._told_to_stop, loop, close)

    def _told_to_stop(self, loop: asyncio.AbstractEventLoop, close: Callable[[], None]) -> None:
        if self.stopping:
            return  # a service manager tells each process, and so does the server's first one
        self.stopping = True
        log.info("not ready", reason="told to stop", closing_in_s=self._delay_s)
        loop.call_later(self._delay_s, close)
