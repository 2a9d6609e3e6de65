"""Leases: calls that ask nobody, and no bucket the fuller for it, whatever several processes do at the same time."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from tests.broker.pace.test_pace import ENTERPRISE, NUMBER, PORTAL, START_US, most_in_bucket
from zaptrix.broker.pace.pace import US, Buckets, Call, PaceVerdict, forget_pace
from zaptrix.broker.pace.pace_leases import LEASE_S, LEASED_MAX
from zaptrix.core import limits
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.ids import PortalId

METHOD = "imconnector.send.messages"
PAIR = Bucket(key="pair:a", rate_per_s=1 / 6, burst=44, full_when_lost=False)


class Time:
    """One clock for Redis and all processes."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s

    @property
    def us(self) -> int:
        return START_US + round(self.s * US)


class Process:
    """One that calls. It counts what it asks Redis."""

    def __init__(self, redis: Redis, time: Time) -> None:
        self.time = time
        self.asked = 0
        self.buckets = Buckets(redis, wait_s_max=limits.PACE_WAIT_S_MAX, clock=time)
        run = self.buckets._run

        async def counted(commands: Sequence[Any]) -> list[Any]:
            self.asked += len(commands)
            return await run(commands)

        self.buckets._run = counted  # type: ignore[method-assign]

    async def book(self, *buckets: Bucket, call: Call | None = None) -> PaceVerdict:
        return await self.buckets.book(buckets, self.time.us, call=call)


async def leasing(process: Process, bucket: Bucket) -> int:
    """Two calls, as one alone leases nothing; how many tokens the second one has leased."""
    await process.book(bucket)
    await process.book(bucket)
    return process.buckets._leases._of[bucket.key].left


@pytest.fixture
def time() -> Time:
    return Time()


async def leased(redis: Redis, bucket: Bucket) -> int:
    """How many tokens of it are out of everybody's reach."""
    return int(str(await redis.get(f"zx:lease:{bucket.key}") or "0").split()[0])


@pytest.mark.parametrize(
    ("bucket", "processes"),
    [(PORTAL, 1), (PORTAL, 5), (PORTAL, 20), (NUMBER, 2), (NUMBER, 8), (NUMBER, 20), (ENTERPRISE, 4), (ENTERPRISE, 20)],
    ids=str,
)
async def test_no_number_of_processes_overfills_a_bucket(
    redis: Redis, time: Time, bucket: Bucket, processes: int
) -> None:
    """In bursts, in pauses, frozen and killed: what they let through together is what one bucket lets through."""
    draw = random.Random(f"{bucket.key} {processes}")
    house = [Process(redis, time) for _ in range(processes)]
    grants: list[float] = []
    most = asked = 0
    while len(grants) < 200 + 2 * bucket.burst and time.s < 3_000:
        time.s += draw.choice([0, 0, 0, 0, 0.2, 2, LEASE_S - 0.01]) / bucket.rate_per_s
        time.s += draw.choice([0] * 40 + [LEASE_S + 0.5, 60])
        who = draw.randrange(processes) if draw.random() < 0.5 else len(grants) // 10 % processes
        if draw.random() < 0.02:
            asked += house[who].asked
            house[who] = Process(redis, time)  # the old one is gone, with what it had leased
        answer = await house[who].book(bucket)
        if answer.booked:
            grants.append(time.s + answer.wait_s)
        most = max(most, await leased(redis, bucket))
    assert most_in_bucket(grants, bucket.rate_per_s) <= bucket.burst + 1e-3
    assert 0 < most <= bucket.burst / 2
    assert asked + sum(each.asked for each in house) < len(grants) * 1.5


async def test_calls_far_from_the_limit_ask_once_for_several(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    for _ in range(60):
        time.s += 0.3
        assert await process.book(ENTERPRISE) == PaceVerdict(booked=True, wait_s=0, bucket=ENTERPRISE)
    assert process.asked <= 60 / LEASED_MAX


async def test_at_the_limit_each_call_is_asked_for_and_none_of_the_bucket_is_lost(redis: Redis, time: Time) -> None:
    """All of them work: what they had leased is used or given back, and then the bucket is used whole."""
    house, grants = [Process(redis, time) for _ in range(4)], []
    while time.s < 200:
        answers = [await each.book(PORTAL) for each in house]
        grants += [time.s + answer.wait_s for answer in answers if answer.booked]
        time.s += max(0.001, min(answer.wait_s for answer in answers))
    inside = [at for at in grants if at <= 200]
    assert len(inside) >= 0.98 * (PORTAL.burst + PORTAL.rate_per_s * 200)
    assert await leased(redis, PORTAL) == 0


async def test_what_is_leased_and_never_used_is_missing_for_a_moment_only(redis: Redis, time: Time) -> None:
    quiet, busy = Process(redis, time), Process(redis, time)
    held = await leasing(quiet, PORTAL)
    assert held == await leased(redis, PORTAL) == LEASED_MAX - 2  # a sixth of what half of the bucket has
    assert await burst_of(busy, PORTAL) == PORTAL.burst - 2 - held
    time.s += 60
    assert await burst_of(busy, PORTAL) == PORTAL.burst


async def test_a_lease_that_was_used_up_is_counted_when_the_next_one_is_asked_for(redis: Redis, time: Time) -> None:
    process, other = Process(redis, time), Process(redis, time)
    for _ in range(await leasing(process, PORTAL)):
        await process.book(PORTAL)
    assert (process.asked, await leased(redis, PORTAL)) == (2, 3)
    await process.book(PORTAL)
    assert process.asked == 3
    gone = 6 + await leased(redis, PORTAL)
    assert await burst_of(other, PORTAL) == PORTAL.burst - gone


@pytest.mark.parametrize("still_s", [2.1, LEASE_S + 0.1, 3_600])
async def test_who_was_frozen_asks_before_it_uses_what_it_has(redis: Redis, time: Time, still_s: float) -> None:
    process = Process(redis, time)
    await leasing(process, NUMBER)
    asked = process.asked
    await process.book(NUMBER)
    assert process.asked == asked
    time.s += still_s
    await process.book(NUMBER)
    assert process.asked == asked + 1


async def burst_of(process: Process, bucket: Bucket) -> int:
    """How many calls it may make at this moment, taking all of them."""
    answers = [await process.buckets.ask((bucket,), process.time.us) for _ in range(bucket.burst + 5)]
    return sum(not answer.wait_s for answer in answers if answer.booked)


async def test_what_nobody_gave_back_counts_as_used_in_the_last_moment(redis: Redis, time: Time) -> None:
    slow = Bucket(key="portal:slow", rate_per_s=1 / 5, burst=44)
    process, other = Process(redis, time), Process(redis, time)
    held = await leasing(process, slow)
    for time.s in (1.5, 3.0, 4.5, 6.0, 7.5, 9.0, LEASE_S - 0.1):
        await process.book(PAIR)  # so that it hears of Redis
    for _ in range(held):
        await process.book(slow)
    assert await leased(redis, slow) == held  # nobody was asked
    time.s = LEASE_S + 2
    assert await burst_of(other, slow) == slow.burst - held


async def test_a_lease_that_is_given_back_too_late_takes_nobody_elses(redis: Redis, time: Time) -> None:
    late, other = Process(redis, time), Process(redis, time)
    await leasing(late, PORTAL)
    time.s = LEASE_S + 2
    held = await leasing(other, PORTAL)
    await late.buckets.ask((PORTAL,), time.us)
    assert await leased(redis, PORTAL) == held > 0


async def test_who_did_not_hear_that_redis_forgot_uses_nothing_that_is_given_away_again(
    redis: Redis, time: Time
) -> None:
    quiet, other = Process(redis, time), Process(redis, time)
    await leasing(quiet, NUMBER)
    await other.book(PAIR)
    await redis.flushall()
    await other.book(PAIR)
    time.s = LEASE_S - 0.5
    assert await burst_of(other, NUMBER) == NUMBER.burst
    assert (await quiet.book(NUMBER)).wait_s > 0


async def test_a_lease_lasts_for_as_long_as_redis_is_heard_of(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    await leasing(process, PORTAL)
    time.s = LEASE_S - 0.2
    await process.book(PAIR)
    asked = process.asked
    await process.book(PORTAL)
    assert process.asked == asked
    time.s = LEASE_S
    await process.book(PORTAL)
    assert process.asked == asked + 1


@pytest.mark.parametrize("bucket", [PORTAL, ENTERPRISE, NUMBER], ids=str)
async def test_a_redis_that_forgot_makes_no_lease_an_extra(redis: Redis, time: Time, bucket: Bucket) -> None:
    draw = random.Random(bucket.key)
    house, grants = [Process(redis, time) for _ in range(5)], []
    for turn in range(900):
        time.s += draw.choice([0, 0, 0.3, 1]) / bucket.rate_per_s
        if turn % 150 == 100:
            await redis.flushall()
            # Of those that were there before, one asks first (one that is new could not tell of the loss).
            await house[turn % 5].book(PAIR)
        if (answer := await house[draw.randrange(5)].book(bucket)).booked:
            grants.append(time.s + answer.wait_s)
    assert most_in_bucket(grants, bucket.rate_per_s) <= bucket.burst + 1e-3


async def test_a_lost_memory_ends_every_lease_of_a_process_at_once(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    await leasing(process, PORTAL)
    await leasing(process, NUMBER)
    await redis.flushall()
    await process.book(PAIR)
    asked = process.asked
    assert (await process.book(PORTAL)).wait_s > 0
    assert (await process.book(NUMBER)).wait_s > 0
    assert process.asked == asked + 2


async def test_a_refusal_ends_every_lease_of_a_process_and_gives_back_its_own(redis: Redis, time: Time) -> None:
    process, other = Process(redis, time), Process(redis, time)
    await leasing(process, PORTAL)
    await leasing(process, NUMBER)
    await process.buckets.fill((PORTAL,), time.us)
    assert await leased(redis, PORTAL) == 0
    assert (await other.book(PORTAL)).wait_s == pytest.approx(0.5)
    asked = process.asked
    await process.book(NUMBER)
    assert process.asked == asked + 1


async def test_only_what_no_lease_covers_is_asked_for(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    await leasing(process, NUMBER)
    before = await redis.get(f"zx:pace:{NUMBER.key}")
    assert (await process.book(NUMBER, PAIR)).booked
    assert await redis.get(f"zx:pace:{NUMBER.key}") == before
    assert await redis.get(f"zx:pace:{PAIR.key}")


@pytest.mark.parametrize("burst_wait_s", [1, 6])
async def test_a_pair_without_room_leaves_what_is_leased_of_its_number(
    redis: Redis, time: Time, burst_wait_s: float
) -> None:
    """Whether its wait is short enough to be slept or not: it takes nothing from the number."""
    process, pair = Process(redis, time), Bucket(key="pair:b", rate_per_s=1 / burst_wait_s, burst=1)
    await process.book(pair)
    held = await leasing(process, NUMBER)
    for _ in range(10):
        refused = await process.book(NUMBER, pair)
        assert (refused.booked, refused.bucket) == (False, pair)
    still = await leased(redis, NUMBER)
    assert await burst_of(Process(redis, time), NUMBER) == NUMBER.burst - 2 - still
    assert still <= held


async def test_what_is_called_once_in_a_while_leases_nothing(redis: Redis, time: Time) -> None:
    """It would be missing from the bucket for nothing."""
    process = Process(redis, time)
    for _ in range(3):
        await process.book(ENTERPRISE)
        assert await leased(redis, ENTERPRISE) == 0
        time.s += LEASE_S


async def test_no_pair_is_leased(redis: Redis, time: Time) -> None:
    """One process serves it, and a Redis that forgot does not count it as full."""
    process = Process(redis, time)
    for _ in range(5):
        await process.book(PAIR)
    assert (process.asked, await leased(redis, PAIR)) == (5, 0)


async def test_a_method_that_is_watched_is_asked_for_each_time(redis: Redis, time: Time) -> None:
    process, other = Process(redis, time), Process(redis, time)
    spending = Spending(portal_id=PortalId(UUID(int=1)), method=METHOD)
    near = Operating(used_s=limits.OPERATING_S_MAX - 1, reset_at=0, at=0)
    await process.book(ENTERPRISE, call=Call("1", spending))
    await process.book(ENTERPRISE, call=Call("2", spending))
    assert process.asked == 2
    await process.book(ENTERPRISE, call=Call("2", spending))
    assert process.asked == 2
    # Another method, of which nobody knows yet.
    await process.book(ENTERPRISE, call=Call("3", Spending(portal_id=spending.portal_id, method="other")))
    assert process.asked == 3
    await process.buckets.settle(Call("2", spending), near, refused=False, now_us=time.us)
    for name in range(3, 6):
        assert (await process.book(ENTERPRISE, call=Call(str(name), spending))).reserved
    assert process.asked == 6
    held = await leased(redis, ENTERPRISE)
    for name in range(6, 9):
        assert (await other.book(ENTERPRISE, call=Call(str(name), spending))).reserved
    assert (other.asked, await leased(redis, ENTERPRISE)) == (3, held)  # nothing more was leased


async def test_a_method_whose_time_is_used_up_takes_nothing_of_what_is_leased(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    call = Call("1", Spending(portal_id=PortalId(UUID(int=1)), method=METHOD))
    held = await leasing(process, ENTERPRISE)
    full = Operating(used_s=limits.OPERATING_S_MAX, reset_at=0, at=0)
    await process.buckets.settle(call, full, refused=False, now_us=time.us)
    refused = await process.book(ENTERPRISE, call=call)
    assert (refused.booked, refused.bucket) == (False, None)
    assert process.buckets._leases._of[ENTERPRISE.key].left == held


async def test_a_call_that_is_cancelled_gives_back_what_it_had(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    await leasing(process, NUMBER)
    left = process.buckets._leases._of[NUMBER.key].left
    gone = asyncio.create_task(process.book(NUMBER, PAIR))
    await asyncio.sleep(0)
    assert process.buckets._leases._of[NUMBER.key].left == left - 1
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert process.buckets._leases._of[NUMBER.key].left == left


async def test_who_has_gone_before_redis_was_asked_takes_nothing(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    gone = asyncio.create_task(process.book(PAIR))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await process.book(NUMBER)
    assert not await redis.exists(f"zx:pace:{PAIR.key}")


async def test_leases_leave_nothing_behind(redis: Redis, time: Time) -> None:
    process = Process(redis, time)
    assert await leasing(process, NUMBER)
    assert await leasing(process, PORTAL)
    names = await redis.keys("zx:lease:*")
    assert len(names) == 2
    assert all([0 < await redis.pttl(name) <= 30_000 for name in names])


async def test_a_process_knows_how_long_whoever_asks_next_would_wait(redis: Redis, time: Time) -> None:
    """Without asking, so that what would have to wait for a call may share it."""
    process, bucket = Process(redis, time), Bucket(key="portal:slow", rate_per_s=2, burst=3)
    assert process.buckets.wait_s(bucket.key) == 0.0  # nothing is known
    for expected in (0.0, 0.0, 0.5, 1.0):
        await process.buckets.ask((bucket,), time.us)
        assert process.buckets.wait_s(bucket.key) == pytest.approx(expected)
    asked = process.asked
    time.s += 0.75
    assert process.buckets.wait_s(bucket.key) == pytest.approx(0.25)
    time.s += 0.5
    assert process.buckets.wait_s(bucket.key) == 0.0
    assert process.asked == asked


async def test_what_was_called_before_a_restore_is_counted_as_a_whole_burst(redis: Redis) -> None:
    """Its Redis knows of no call, and no process is left that does."""
    await forget_pace(redis)
    buckets = Buckets(redis, wait_s_max=limits.PACE_WAIT_S_MAX)
    assert not (await buckets.ask((PORTAL,))).booked
