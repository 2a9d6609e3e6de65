"""The platforms' rate limits: a leaky bucket, and the operating time of a method.

Values that are asked with the time in hand, so that they survive a restart and need no timer.
"""

from dataclasses import dataclass, field

# https://apidocs.bitrix24.com/limits.html : ten one-minute parts, and calls up to 0.1 s are not counted.
OPERATING_PARTS = 10
OPERATING_PART_S = 60
OPERATING_FREE_S = 0.1
# Seconds since 1970 leave a double with less than a microsecond; a drop that is due must not fail for that.
ROUNDING = 1e-4


@dataclass(slots=True)
class Bucket:
    """A leaky bucket: it holds `size` and loses `rate` a second. `taken` counts the drops that were ever let in."""

    rate: float
    size: float
    level: float = 0.0
    at: float = 0.0
    taken: int = 0

    def take(self, now: float) -> bool:
        """Add one drop if it fits; False leaves the bucket as it was."""
        self._leak(now)
        if self.level + 1.0 > self.size + ROUNDING:
            return False
        self.level += 1.0
        self.taken += 1
        return True

    def pour(self, now: float) -> None:
        """Add one drop that nobody can refuse; the bucket is never more than full."""
        self._leak(now)
        self.level = min(self.size, self.level + 1.0)
        self.taken += 1

    def level_at(self, now: float) -> float:
        return max(0.0, self.level - (now - self.at) * self.rate)

    def _leak(self, now: float) -> None:
        self.level = self.level_at(now)
        self.at = now


@dataclass(slots=True)
class OperatingTime:
    """The run time of one method of one portal, in the last ten minutes."""

    parts: dict[int, float] = field(default_factory=dict)

    def used(self, now: float) -> float:
        first = int(now) // OPERATING_PART_S - OPERATING_PARTS + 1
        for part in [part for part in self.parts if part < first]:
            del self.parts[part]
        return sum(self.parts.values())

    def add(self, now: float, seconds: float) -> None:
        if seconds > OPERATING_FREE_S:
            part = int(now) // OPERATING_PART_S
            self.parts[part] = self.parts.get(part, 0.0) + seconds

    def reset_at(self, now: float) -> int:
        oldest = min(self.parts, default=int(now) // OPERATING_PART_S)
        return (oldest + OPERATING_PARTS) * OPERATING_PART_S
