"""Waiting for another process to get somewhere."""

import threading
import time
from collections.abc import Callable

POLL_S = 0.02


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true within that time. It is asked every few milliseconds, so it must be cheap."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        pause.wait(POLL_S)
    return True
