"""Elapsed time: seconds by a clock that no step of the wall clock moves, and that goes on while the host sleeps."""

from __future__ import annotations

import time

# Linux counts suspended time by this one only; elsewhere the monotonic clock is the best there is.
# https://man7.org/linux/man-pages/man2/clock_gettime.2.html
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_s() -> float:
    """Seconds since some moment before this process began; for spans, not for dates."""
    return time.clock_gettime(_CLOCK)
