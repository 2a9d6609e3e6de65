"""The time by PostgreSQL's clock: due times are written by many hosts and compared with the database's `now()`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from zaptrix.core.limits import CLOCK_LOOK_S, CLOCK_OFF_S, CLOCK_TRIP_S_MAX
from zaptrix.store.database import Database, StoreUnavailable

log = structlog.get_logger(__name__)

_TIME = "SELECT clock_timestamp()"


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """This host's clock, set right by the database's. As long as PostgreSQL was never asked, it is this host's."""

    def __init__(self, database: Database, wall: Callable[[], datetime] = _wall_clock) -> None:
        self._database = database
        self._wall = wall
        self._ahead = timedelta()  # how far the database's clock is ahead of this host's
        self._told = False

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._wall() + self._ahead

    async def look(self) -> None:
        """Compare both clocks. Raises StoreUnavailable; then everything stays as it was."""
        async with self._database.connection() as connection:
            before = self._wall()
            there: datetime = await connection.fetchval(_TIME)
            trip = self._wall() - before
        # A slow answer tells the time of a moment that nobody knows.
        if timedelta() <= trip <= timedelta(seconds=CLOCK_TRIP_S_MAX):
            self._ahead = there - before - trip / 2
            self._tell()

    async def keep(self) -> None:
        """Look again and again; cancel it to stop."""
        while True:
            await asyncio.sleep(CLOCK_LOOK_S)
            try:
                await self.look()
            except StoreUnavailable as exc:
                log.debug("clock not compared", reason=str(exc))

    def _tell(self) -> None:
        off = abs(self._ahead.total_seconds()) > CLOCK_OFF_S
        if off and not self._told:
            log.warning("clock is off", database_ahead_s=round(self._ahead.total_seconds(), 1))
        self._told = off
