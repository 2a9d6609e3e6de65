"""A worker's heartbeat: who cannot give it stops in time, and who was taken for dead goes on as another."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from proof.tap import Tap
from zaptrix.deadlines import Deadline, Stopping
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import Database, open_database
from zaptrix.tasks import ended
from zaptrix.worker.heartbeat import Heartbeat

LEASE_S = 1.5


class Worker:
    """One process's heart, which beats when it is told to."""

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        self.stopping = Stopping()
        self.took_over = asyncio.Event()
        self.heart = Heartbeat(database, self.stopping, lease_s, self._take_over)
        self.beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.heart.begin()
        self.go_on()

    def go_on(self) -> None:
        self.beating = asyncio.create_task(self.heart.keep())

    async def stand_still(self) -> None:
        if self.beating is not None:
            await ended([self.beating])

    def claim(self) -> Deadline:
        """As long as the longest call may take."""
        return self.stopping.deadline(elapsed_s(), 3600)

    @property
    def half(self) -> bytes:
        return self.stopping.worker.attempt().bytes[:8]

    async def _take_over(self) -> None:
        self.took_over.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_who_was_taken_for_dead_does_nothing_with_what_it_held_and_goes_on_as_another(database: Database) -> None:
    frozen, other = Worker(database), Worker(database)
    await frozen.start()
    held, asked_s, before = frozen.claim(), elapsed_s(), frozen.half
    await frozen.stand_still()
    await other.start()
    await asyncio.wait_for(other.took_over.wait(), 30)
    assert not held.may_begin
    frozen.go_on()
    await until(lambda: frozen.half != before)
    assert not held.may_begin
    assert held.left_s == 0
    # Its rows were asked for before, and come only now.
    assert not frozen.stopping.deadline(asked_s, 3600).may_begin
    await until(lambda: frozen.claim().may_begin)
    await asyncio.gather(frozen.stand_still(), other.stand_still())


async def test_who_is_cut_off_from_postgresql_has_given_up_its_calls_before_they_are_anothers(
    database: Database, tap: Tap
) -> None:
    far = await open_database(tap.url, pool_max=1)
    cut_off, other = Worker(far), Worker(database)
    await cut_off.start()
    await other.start()
    tap.go_dead()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30), cut_off.claim().kept():
            await asyncio.wait_for(other.took_over.wait(), 30)
    assert not other.took_over.is_set()
    assert not cut_off.claim().may_begin
    await asyncio.wait_for(other.took_over.wait(), 30)
    await asyncio.gather(cut_off.stand_still(), other.stand_still())
    await tap.stop()
    with suppress(TimeoutError):
        await far.close()


async def test_after_an_outage_of_postgresqls_everybody_goes_on_as_before(database: Database) -> None:
    """All leases have run out, and nobody was dead."""
    several = [Worker(database) for _ in range(3)]
    for worker in several:
        await worker.start()
    before = [worker.half for worker in several]
    for worker in several:
        await worker.stand_still()
    async with database.connection() as connection, asyncio.timeout(30):
        while await connection.fetchval("SELECT count(*) FROM worker WHERE lease_until > clock_timestamp()"):
            await asyncio.sleep(0.05)
        for worker in several:
            worker.go_on()
        # As long as it takes until one may end others.
        while not await connection.fetchval("SELECT bool_or(lease_until - steady_since > '2.4 s') FROM worker"):
            await asyncio.sleep(0.05)
    assert [worker.half for worker in several] == before
    assert not any(worker.took_over.is_set() for worker in several)
    for worker in several:
        await worker.stand_still()


async def test_who_beats_keeps_its_claims_and_is_gone_at_once_when_it_leaves(database: Database) -> None:
    one = Worker(database, lease_s=6.0)
    await one.start()
    held, leases = one.claim(), set[object]()
    async with database.connection() as connection, asyncio.timeout(30):
        while len(leases) < 3:
            leases.add(await connection.fetchval("SELECT lease_until FROM worker WHERE id = $1", one.half))
            await asyncio.sleep(0.1)
        assert held.may_begin
        await one.stand_still()
        await one.heart.leave()
        assert await connection.fetchval("SELECT id FROM worker WHERE ended_at IS NOT NULL") == one.half


async def test_without_a_heartbeat_a_claim_lasts_by_its_own_time_alone() -> None:
    stopping = Stopping()
    assert stopping.deadline(elapsed_s() - 60, 90).may_begin
    assert stopping.worker.attempt().version == 4
