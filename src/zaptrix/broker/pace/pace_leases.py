"""What a process may call without asking Redis: tokens that it has leased, and methods far from their limit.

The arithmetic is in `pace.lua`, which keeps what is leased out of everybody else's reach (docs/adr/0037). Here is what
one process remembers of it, by a clock that goes on while the process or its host stands still.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from zaptrix.core import limits
from zaptrix.core.delivery.pace import Bucket
from zaptrix.elapsed import elapsed_s

LEASE_S = 10.0
"""How long a lease may be used: two or three calls of a portal that gets a message in two seconds. Longer, and what an
idle process holds would be missing for so long where another is busy."""
COUNTED_S = LEASE_S + 1.0
"""How long Redis counts it: what is taken in the last moment is still on its way."""
LEASED_MAX = 5
"""Tokens of a lease: it saves five of six questions, and ten would save hardly more."""
# A Redis that forgot takes buckets for full, with as much booked ahead as this: so long its leases are covered. Who has
# not heard of it for longer asks first.
HEARD_S_MAX = limits.PACE_WAIT_S_MAX
ENTRIES_MAX = 10_000

_NEVER = (-LEASE_S, -LEASE_S)

_Value = TypeVar("_Value")


class Lease:
    """Tokens of one bucket. `counted_until` is Redis's time, in microseconds."""

    __slots__ = ("counted_until", "left", "size", "until")

    def __init__(self, size: int, until: float, counted_until: str) -> None:
        self.size = self.left = size
        self.until = until
        self.counted_until = counted_until


class LeasedCall(NamedTuple):
    """What of a call is covered. `asked` is what is not, and `method` whether its method is one of that."""

    spent: tuple[Lease, ...]
    asked: tuple[Bucket, ...]
    method: bool

    def give_back(self) -> None:
        """The call is not made."""
        for lease in self.spent:
            lease.left += 1


class Leases:
    """Of one process. Whatever is dropped here stays reserved in Redis until it ends, and counts as used then."""

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self.clock = clock
        self._birth = ""
        self._heard_at = -HEARD_S_MAX  # when Redis was asked that answered last
        self._of: OrderedDict[str, Lease] = OrderedDict()
        self._far: OrderedDict[str, float] = OrderedDict()  # methods far from their limit, and until when
        self._called: OrderedDict[str, tuple[float, float]] = OrderedDict()  # when a bucket was for: before last, last
        self._dropped_at = -LEASE_S

    @property
    def birth(self) -> str:
        """Since when Redis remembers, as it said last; empty: it never did."""
        return self._birth

    def spend(self, buckets: Sequence[Bucket], method: str | None) -> LeasedCall:
        """A token of each bucket that one is leased of."""
        now = self.clock()
        for bucket in buckets:
            _remember(self._called, bucket.key, (self._called.get(bucket.key, _NEVER)[1], now))
        if now - self._heard_at > HEARD_S_MAX:
            return LeasedCall((), tuple(buckets), method is not None)
        spent, asked = [], []
        for bucket in buckets:
            lease = self._of.get(bucket.key)
            if lease is None or not lease.left or lease.until <= now:
                asked.append(bucket)
            else:
                lease.left -= 1
                spent.append(lease)
        return LeasedCall(tuple(spent), tuple(asked), method is not None and self._far.get(method, now) <= now)

    def wished(self, bucket: Bucket) -> int:
        """How many tokens are leased of it at most: it has to be called again before they end, or they are in vain.

        None of what counts as empty when Redis has forgotten it, such as a pair's.
        """
        before, last = self._called.get(bucket.key, _NEVER)
        return LEASED_MAX if bucket.full_when_lost and last - before < LEASE_S else 0

    def returned(self, key: str) -> str:
        """The lease of a bucket that is asked for, as `pace.lua` reads it: "size used until". It ends with that."""
        lease = self._of.pop(key, None)
        return f"{lease.size} {lease.size - lease.left} {lease.counted_until}" if lease else ""

    def heard(self, birth: str, asked_at: float) -> None:
        """Redis has answered. One that forgot what it was asked before knows of no lease."""
        if self._birth and birth != self._birth:
            self.drop()
        self._birth = birth
        self._heard_at = max(self._heard_at, asked_at)

    def add(self, key: str, size: int, asked_at: float, counted_until: str) -> None:
        if asked_at > self._dropped_at:
            _remember(self._of, key, Lease(size, asked_at + LEASE_S, counted_until))

    def is_far(self, method: str, asked_at: float) -> None:
        """Redis has reserved nothing for it."""
        if asked_at > self._dropped_at:
            _remember(self._far, method, asked_at + LEASE_S)

    def comes_near(self, method: str) -> None:
        self._far.pop(method, None)

    def drop(self) -> None:
        """A platform has refused, or Redis has forgotten: from now on everything is asked for."""
        self._of.clear()
        self._far.clear()
        self._dropped_at = self.clock()  # what is on its way was given before


def _remember(entries: OrderedDict[str, _Value], key: str, value: _Value) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > ENTRIES_MAX:
        entries.popitem(last=False)
