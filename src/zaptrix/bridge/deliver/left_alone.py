"""Back-off in memory: the portals and channels that are to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from zaptrix.core import limits


class LeftAlone:
    """Who is to be left alone, since when and until when, as far as this process knows."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._times: dict[UUID, tuple[datetime, datetime]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def __contains__(self, owner: UUID) -> bool:
        return self.until(owner) is not None

    def until(self, owner: UUID) -> datetime | None:
        """None: not any more."""
        _, until = self._times.get(owner, (None, None))
        if until is not None and until <= self._now():
            del self._times[owner]
            return None
        return until

    def put(self, owner: UUID, until: datetime) -> None:
        """From now on."""
        self._times.pop(owner, None)
        self._times[owner] = self._now(), until
        for each in list(islice(self._times, 2)):  # the oldest: nobody may ask for them any more
            self.until(each)

    def in_doubt_until(self, owner: UUID, asked_at: datetime) -> datetime | None:
        """The ledger, which was asked then, leaves it alone no more: somebody has repaired it. None: so do we.

        Of a moment ago the ledger may not know yet: until this time nobody can tell.
        """
        since, until = self._times.get(owner, (asked_at, None))
        if until is None:
            return None
        sure_at = since + timedelta(seconds=limits.STORE_AGAIN_S)
        if asked_at < sure_at:
            return min(sure_at, until)
        del self._times[owner]
        return None
