"""The time by PostgreSQL's clock: due times are written by many hosts and compared with the database's `now()`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from zaptrix.core.limits import CLOCK_LOOK_S, CLOCK_LOOK_S_FIRST, CLOCK_OFF_S, CLOCK_TRIP_S_MAX
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import Database, StoreUnavailable

log = structlog.get_logger(__name__)

_TIME = "SELECT clock_timestamp()"


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The database's time when it was last asked, and what has elapsed since then.

    This host's wall clock is asked once, at the beginning, for the time until PostgreSQL is there; a worker begins
    nothing by that (`known`). A step of it (NTP after a resume, a clock kept in local time) moves no due time.
    """

    def __init__(
        self,
        database: Database,
        wall: Callable[[], datetime] = _wall_clock,
        elapsed: Callable[[], float] = elapsed_s,
    ) -> None:
        self._database = database
        self._wall = wall
        self._elapsed = elapsed
        self._at, self._since = wall(), elapsed()
        self._known = asyncio.Event()  # the database has told the time
        self._is_near = False  # in an answer that took no time to speak of
        self._told = False

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._at + timedelta(seconds=self._elapsed() - self._since)

    async def look(self) -> None:
        """Ask the database. Raises StoreUnavailable; then everything stays as it was."""
        async with self._database.connection() as connection:
            before = self._elapsed()
            there: datetime = await connection.fetchval(_TIME)
            trip_s = self._elapsed() - before
        # A slow answer tells the time of a moment that nobody knows. That is better than the host's own time, and worse
        # than what an answer told before.
        if trip_s <= CLOCK_TRIP_S_MAX or not self._known.is_set():
            self._at, self._since, self._is_near = there, before + trip_s / 2, trip_s <= CLOCK_TRIP_S_MAX
            self._known.set()
            self._tell()

    async def known(self) -> None:
        """Wait until the database has told the time: who writes due times by another may hold messages for hours."""
        await self._known.wait()

    async def keep(self) -> None:
        """Look again and again; cancel it to stop."""
        while True:
            await asyncio.sleep(CLOCK_LOOK_S if self._is_near else CLOCK_LOOK_S_FIRST)
            try:
                await self.look()
            except StoreUnavailable as exc:
                log.debug("clock not compared", reason=str(exc))

    def _tell(self) -> None:
        ahead_s = (self.now() - self._wall()).total_seconds()
        off = abs(ahead_s) > CLOCK_OFF_S
        if off and not self._told:
            log.warning("clock is off", database_ahead_s=round(ahead_s, 1))
        self._told = off
