"""Gathering: when it pays to let what comes come together before it is worked on.

A batch costs much more than what is in it. While little comes, nobody waits: each is worked on at once. While much
comes, the next batch takes what came in a moment.
"""

from __future__ import annotations

import math

from zaptrix.core.limits import ROUTE_GATHER_S, ROUTE_TOGETHER

_REMEMBERED_S = 0.2  # by then a rate counts for a third of what it did


def rate_after(rate: float, events: int, elapsed_s: float) -> float:
    """Events a second, of late: `rate`, as it was `elapsed_s` ago, and `events` since then."""
    return rate * math.exp(-elapsed_s / _REMEMBERED_S) + events / _REMEMBERED_S


def pause_at(rate: float) -> float:
    """How long after one batch began the next one does; 0: fewer than are worth waiting for would come together."""
    return ROUTE_GATHER_S if rate * ROUTE_GATHER_S >= ROUTE_TOGETHER else 0.0
