"""A streaming replica that lists are read from, as long as it has everything that the primary told anybody of.

Each question is preceded by the primary's position in its log, and asked of the replica once that has come so far: a
list is never older than its request, so who writes and then lists finds what was written. A replica that is behind,
away or none costs its callers nothing: what is known of it is looked up every second, and the primary answers instead.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import NamedTuple, TypeVar

import asyncpg
import structlog

from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import (
    Connection,
    Database,
    Record,
    StoreConflict,
    StoreUnavailable,
    open_database,
)
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import ReadFrom

log = structlog.get_logger(__name__)

LAG_S_MAX = 1.0
"""A replica that is further behind is not asked."""
_CATCH_UP_S_MAX = 0.3
_CATCH_UP_LOOK_S = 0.01
_ANSWER_S_MAX = 5.0
_AGAIN_S = 5.0  # after a question that it did not answer
_LOOK_S = 1.0
_LOOK_S_MAX = 2.0
_MARKS_MAX = 3_600  # an hour of looks: a longer lag is told as at least that

_T = TypeVar("_T")
Question = Callable[[Connection], Awaitable[_T]]

# Of a transaction that was acknowledged, the log was flushed up to here at least.
_POSITION = "SELECT pg_current_wal_flush_lsn()"
# A server has several databases, of which each has a number of its own, the same on its standby.
_TOLD = """
SELECT pg_current_wal_flush_lsn() AS position, system_identifier AS server,
       (SELECT oid FROM pg_database WHERE datname = current_database()) AS database
  FROM pg_control_system()
"""
_REPLAYED = """
SELECT pg_is_in_recovery() AS follows, coalesce(pg_last_wal_replay_lsn(), '0/0') AS position,
       system_identifier AS server, (SELECT oid FROM pg_database WHERE datname = current_database()) AS database,
       has_table_privilege('portal_config', 'SELECT') AS readable
  FROM pg_control_system()
"""
_HAS = "SELECT pg_last_wal_replay_lsn() >= $1"


class ReplicaState(StrEnum):
    """Whether it is asked, and why not."""

    FIT = "fit"
    LAGS = "lags"
    AWAY = "away"
    OTHER = "other"  # no standby of this primary, another database of it, or not ours to read


class ReplicaStanding(NamedTuple):
    """How it stands; without a lag nobody knows."""

    state: ReplicaState
    lag_s: float | None = None


class LagMeter:
    """How old the newest position is that a replica has reached.

    By positions and our own clock: an idle primary has no lag, though its last transaction is hours old.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS_MAX)

    def lag_s(self, now: float, told: int, replayed: int) -> float:
        """`told`: where the primary was when it was asked, before the replica had `replayed` so much."""
        if not self._marks or self._marks[-1][1] < told:
            self._marks.append((now, told))
        while self._marks and self._marks[0][1] <= replayed:
            self._marks.popleft()
        # What is left was not replayed: it lags since the first of them was told.
        return max(0.0, now - self._marks[0][0]) if self._marks else 0.0


class Reads:
    """Where lists are read."""

    def __init__(self, primary: Database, replica: Database | None) -> None:
        self._primary = primary
        self._replica = replica
        self._meter = LagMeter()
        self._again_at = 0.0
        self.standing: ReplicaStanding | None = None if replica is None else ReplicaStanding(ReplicaState.AWAY)
        """None: there is no replica."""

    async def ask(self, question: Question[_T]) -> _T:
        """Ask the replica, or else the primary; so `question` may be asked twice.

        Raises StoreUnavailable and StoreRefused.
        """
        replica, standing = self._replica, self.standing
        if replica and standing and standing.state is ReplicaState.FIT and elapsed_s() >= self._again_at:
            try:
                answer = await self._ask_replica(replica, question)
            except StoreConflict:
                pass  # rows that it reads were just cleared away there: only this question is the primary's
            except StoreUnavailable:
                self._again_at = elapsed_s() + _AGAIN_S  # only those who asked at this moment have waited
            except asyncpg.PostgresError as exc:  # what is wrong with the replica alone
                self._again_at = elapsed_s() + _AGAIN_S
                log.warning("a list was not read on the replica", reason=type(exc).__name__)
            else:
                metrics.list_read(ReadFrom.REPLICA)
                return answer
        async with self._primary.connection() as connection:
            answer = await question(connection)
        metrics.list_read(ReadFrom.PRIMARY)
        return answer

    async def keep(self) -> None:
        """Until cancelled: know how it stands. Runs beside whoever asks."""
        while self._replica is not None:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> ReplicaStanding | None:
        """How it stands now. While the primary cannot be asked, what was known stays."""
        if self._replica is None:
            return None
        try:
            async with self._primary.within(_LOOK_S_MAX) as connection:
                told = await connection.fetchrow(_TOLD)
        except (StoreUnavailable, asyncpg.PostgresError):
            return self.standing
        now = elapsed_s()
        try:
            async with self._replica.within(_LOOK_S_MAX) as connection:
                has = await connection.fetchrow(_REPLAYED)
        except StoreUnavailable:
            return self._is(ReplicaStanding(ReplicaState.AWAY))
        except asyncpg.PostgresError:  # it does not know what a standby is asked
            return self._is(ReplicaStanding(ReplicaState.OTHER))
        if told is None or has is None or not _is_standby(has, told):
            return self._is(ReplicaStanding(ReplicaState.OTHER))
        lag_s = self._meter.lag_s(now, told["position"], has["position"])
        return self._is(ReplicaStanding(ReplicaState.FIT if lag_s <= LAG_S_MAX else ReplicaState.LAGS, lag_s))

    async def _ask_replica(self, replica: Database, question: Question[_T]) -> _T:
        async with self._primary.connection() as connection:
            told = await connection.fetchval(_POSITION)
        async with replica.within(_ANSWER_S_MAX) as connection:
            until = elapsed_s() + _CATCH_UP_S_MAX
            while not await connection.fetchval(_HAS, told):
                if elapsed_s() > until:
                    raise StoreUnavailable("the replica is behind")
                await asyncio.sleep(_CATCH_UP_LOOK_S)
            return await question(connection)

    def _is(self, standing: ReplicaStanding) -> ReplicaStanding:
        before, self.standing = self.standing, standing
        if before is None or before.state is not standing.state:
            told = log.info if standing.state is ReplicaState.FIT else log.warning
            told("replica", state=standing.state.value)
        return standing


def _is_standby(has: Record, told: Record) -> bool:
    same = all(has[name] == told[name] for name in ("server", "database"))
    return bool(same and has["follows"] and has["readable"])


@asynccontextmanager
async def open_reads(primary: Database, url: str, *, pool_max: int) -> AsyncIterator[Reads]:
    """Lists of `primary`, read from the replica at `url` where there is one."""
    if not url:
        yield Reads(primary, None)
        return
    replica = await open_database(url, pooled=primary.pooled, pool_max=pool_max, wanted="standby")
    try:
        yield Reads(primary, replica)
    finally:
        await replica.close()
