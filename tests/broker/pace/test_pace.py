"""The buckets against a simulated platform: never over its limit, and next to nothing of it left unused."""

import asyncio
import heapq
import time
from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from zaptrix.broker.connection.connection import AWAY, connect
from zaptrix.broker.pace.pace import LATE_S_MAX, LOCAL_BUCKETS_MAX, US, Buckets, PaceVerdict, RedisPace
from zaptrix.broker.pace.throttle import LocalBuckets, Throttle
from zaptrix.cli.local.redis_server import EmbeddedRedis
from zaptrix.core import limits
from zaptrix.core.delivery.errors import TooFast
from zaptrix.core.delivery.pace import Bucket
from zaptrix.telemetry import metrics

START_US = 1_800_000_000 * US

PORTAL = Bucket(key="portal:p", rate_per_s=limits.PORTAL_RATE_PER_S, burst=limits.PORTAL_BURST - 1)
ENTERPRISE = Bucket(key="portal:e", rate_per_s=5.0, burst=249)
NUMBER = Bucket(key="number:n", rate_per_s=80, burst=40)
FAST_NUMBER = Bucket(key="number:f", rate_per_s=1_000, burst=500)


def most_in_bucket(grants_s: list[float], rate_per_s: float) -> float:
    """How full the platform's bucket got: each call fills by one, time drains."""
    level = most = last = 0.0
    for at in sorted(grants_s):
        level = max(0.0, level - (at - last) * rate_per_s) + 1
        most, last = max(most, level), at
    return most


async def race(pace: Buckets, bucket: Bucket, *, workers: int, seconds: float) -> list[float]:
    """When `workers` that never rest were let through, in seconds from the start, by a clock of our own."""
    grants = []
    awake = [(0.0, worker) for worker in range(workers)]
    heapq.heapify(awake)
    while awake[0][0] < seconds:
        now_s, worker = heapq.heappop(awake)
        answer = await pace.ask((bucket,), START_US + round(now_s * US))
        if answer.booked:
            grants.append(now_s + answer.wait_s)
        heapq.heappush(awake, (now_s + max(answer.wait_s, 0.000_1), worker))
    return grants


@pytest.mark.parametrize(
    ("bucket", "seconds"),
    [(PORTAL, 600), (ENTERPRISE, 200), (NUMBER, 20), (FAST_NUMBER, 2)],
    ids=str,
)
async def test_four_workers_use_all_of_a_bucket_and_never_more(redis: Redis, bucket: Bucket, seconds: float) -> None:
    pace = Buckets(redis, wait_s_max=limits.PACE_WAIT_S_MAX)
    grants = [at for at in await race(pace, bucket, workers=4, seconds=seconds) if at <= seconds]
    assert most_in_bucket(grants, bucket.rate_per_s) <= bucket.burst + 1e-3
    assert len(grants) >= 0.98 * (bucket.burst + bucket.rate_per_s * seconds)


async def patiently(pace: Buckets, bucket: Bucket, now_us: int) -> PaceVerdict:
    """On a crowded machine Redis may be later than the half second after which it counts as away."""
    for _ in range(20):
        with suppress(*AWAY):
            return await pace.ask((bucket,), now_us)
    pytest.fail("Redis never answered")


@given(
    rate_per_s=st.sampled_from([1 / 6, 2, 5, 20, 80, 333, 1_000]),
    burst=st.integers(1, 60),
    gaps_ms=st.lists(st.integers(0, 3_000), min_size=1, max_size=120),
    wait_s_max=st.sampled_from([0.0, 0.5, 2.0]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_pattern_of_calls_overfills_a_bucket(
    redis_url: str, rate_per_s: float, burst: int, gaps_ms: list[int], wait_s_max: float
) -> None:
    async def let_through() -> list[float]:
        redis = connect(redis_url)
        pace = Buckets(redis, wait_s_max=wait_s_max)
        bucket = Bucket(key=f"pair:{uuid4()}", rate_per_s=rate_per_s, burst=burst)
        grants, now_us = [], START_US
        for gap_ms in gaps_ms:
            now_us += gap_ms * 1000
            answer = await patiently(pace, bucket, now_us)
            assert not answer.booked or answer.wait_s <= wait_s_max
            if answer.booked:
                grants.append((now_us - START_US) / US + answer.wait_s)
        await redis.aclose()
        return grants

    assert most_in_bucket(asyncio.run(let_through()), rate_per_s) <= burst + 1e-3


async def test_several_buckets_are_taken_together_or_not_at_all(redis: Redis) -> None:
    pace = Buckets(redis, wait_s_max=2)
    pair = Bucket(key="pair:a", rate_per_s=1 / 6, burst=1)
    assert (await pace.ask((NUMBER, pair), START_US)).booked
    refused = await pace.ask((NUMBER, pair), START_US)
    assert not refused.booked
    assert refused.wait_s == pytest.approx(6)
    assert refused.bucket == pair
    for _ in range(NUMBER.burst - 1):  # nothing of the number's was taken by the refusal
        assert (await pace.ask((NUMBER,), START_US)).wait_s == 0
    assert (await pace.ask((NUMBER,), START_US)).wait_s > 0


async def test_a_pair_that_has_to_wait_takes_nothing_from_its_number(redis: Redis) -> None:
    """A pair's wait, though short enough to sleep, would hold the number's tokens until then."""
    pace = Buckets(redis, wait_s_max=2)
    pair = Bucket(key="pair:a", rate_per_s=1, burst=1)
    assert (await pace.ask((NUMBER, pair), START_US)).booked
    refused = await pace.ask((NUMBER, pair), START_US)
    assert not refused.booked
    assert 0 < refused.wait_s <= 1
    assert (await pace.ask((NUMBER,), START_US)).wait_s == 0


async def test_a_busy_numbers_wait_is_booked_for_all_its_pairs(redis: Redis) -> None:
    pace = Buckets(redis, wait_s_max=2)
    for _ in range(NUMBER.burst):
        await pace.ask((NUMBER,), START_US)
    waits = []
    for name in range(20):
        answer = await pace.ask((NUMBER, Bucket(key=f"pair:{name}", rate_per_s=1 / 6, burst=45)), START_US)
        assert answer.booked
        waits.append(answer.wait_s)
    assert waits == pytest.approx([(turn + 1) / 80 for turn in range(20)])


async def test_a_clock_that_went_back_does_not_close_a_bucket(redis: Redis) -> None:
    pace = Buckets(redis, wait_s_max=2)
    await pace.ask((PORTAL,), START_US + 3600 * US)
    answer = await pace.ask((PORTAL,), START_US)
    assert answer.wait_s <= limits.PACE_WAIT_S_MAX + 1 / PORTAL.rate_per_s


async def drawn(pace: Buckets, bucket: Bucket, seconds: float, since_s: float = 0) -> list[float]:
    """When one that never rests was let through between `since_s` and `seconds`."""
    grants, at = [], since_s
    while at < seconds:
        answer = await pace.ask((bucket,), START_US + round(at * US))
        at += answer.wait_s
        if answer.booked and at < seconds:
            grants.append(at)
    return grants


@pytest.mark.parametrize("bucket", [PORTAL, ENTERPRISE, NUMBER], ids=str)
async def test_a_redis_that_was_flushed_refills_no_bucket(redis: Redis, bucket: Bucket) -> None:
    one, other = Buckets(redis, wait_s_max=2), Buckets(redis, wait_s_max=2)
    grants = await drawn(other, bucket, 3) + await drawn(one, bucket, 6, 3)
    await redis.flushall()
    # Who was never there before comes first: that hides the loss from nobody.
    assert (await Buckets(redis, wait_s_max=2).ask((bucket,), START_US + 6 * US)).booked
    grants += [6.0, *await drawn(other, bucket, 20, 6)]
    assert most_in_bucket(grants, bucket.rate_per_s) <= bucket.burst + 2
    # Two seconds may have been booked ahead; from then on nothing of the rate is given away.
    assert len([at for at in grants if at > 6]) >= 0.98 * 12 * bucket.rate_per_s - 1


async def test_what_was_booked_ahead_when_redis_was_flushed_is_not_given_away_again(redis: Redis) -> None:
    one, other = Buckets(redis, wait_s_max=2), Buckets(redis, wait_s_max=2)
    grants = []

    async def all_that_it_gets(pace: Buckets, at: float) -> None:
        while (answer := await pace.ask((NUMBER,), START_US + round(at * US))).booked:
            grants.append(at + answer.wait_s)

    await other.ask((NUMBER,), START_US)  # it knows of the birth, and of none of what comes now
    await all_that_it_gets(one, 0)
    await redis.flushall()
    for tenth in range(100):
        await all_that_it_gets(other, tenth / 10)
    assert most_in_bucket(sorted(grants), NUMBER.rate_per_s) <= NUMBER.burst + 1e-3
    assert len(grants) >= 0.98 * (10 - 2) * NUMBER.rate_per_s


async def test_a_pair_is_remembered_by_who_sends_to_it(redis: Redis) -> None:
    pace = Buckets(redis, wait_s_max=2)
    pair = Bucket(key="pair:a", rate_per_s=1 / 6, burst=44, full_when_lost=False)
    grants = await drawn(pace, pair, 60)
    await redis.flushall()
    grants += await drawn(pace, pair, 120, 60)
    assert most_in_bucket(grants, pair.rate_per_s) <= pair.burst + 1e-3


async def test_a_first_start_makes_nobody_wait(redis: Redis) -> None:
    assert len(await drawn(Buckets(redis, wait_s_max=2), PORTAL, 0.1)) == PORTAL.burst


async def test_a_redis_that_was_restarted_may_have_lost_its_last_second(
    own_redis: EmbeddedRedis, own_client: Redis
) -> None:
    pace = Buckets(own_client, wait_s_max=2)
    assert (await pace.ask((PORTAL,))).wait_s == 0
    own_redis.stop()
    own_redis.start()
    # Even one that was never there before notices.
    newcomer = Buckets(own_client, wait_s_max=2)
    assert (await newcomer.ask((PORTAL,))).wait_s > 0
    assert (await pace.ask((PORTAL,))).wait_s > 0


async def test_a_refusal_fills_the_bucket_for_everybody(redis: Redis) -> None:
    one, other = RedisPace(redis), Buckets(redis, wait_s_max=2)
    await one.take(PORTAL)
    await one.refused(PORTAL)
    assert 0.3 < (await other.ask((PORTAL,))).wait_s <= 0.5
    await one.refused()


async def test_a_call_is_one_round_trip(redis: Redis) -> None:
    pace = Buckets(redis, wait_s_max=2)
    await pace.ask((PORTAL,))
    before = await redis.info("commandstats")
    await pace.ask((PORTAL,))
    after = await redis.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] == 1
    assert after.get("cmdstat_script|exists") == before.get("cmdstat_script|exists")


async def test_taking_waits_by_redis_own_clock(redis: Redis) -> None:
    pace = RedisPace(redis)
    bucket = Bucket(key="number:1", rate_per_s=50, burst=5)
    began = time.monotonic()
    await asyncio.gather(*(pace.take(bucket) for _ in range(15)))
    assert 0.19 <= time.monotonic() - began < 10


async def test_a_wait_that_is_too_long_is_told_instead_of_slept(redis: Redis) -> None:
    pace = RedisPace(redis)
    bucket = Bucket(key="pair:x", rate_per_s=1 / 6, burst=1)
    await pace.take(bucket)
    began = time.monotonic()
    with pytest.raises(TooFast) as told:
        await pace.take(NUMBER, bucket)
    slept_s = time.monotonic() - began
    assert told.value.code == "pace"
    assert told.value.wait_s is not None
    assert 0 < told.value.wait_s <= 6
    assert slept_s < told.value.wait_s
    assert "pair:x" not in str(told.value)


@pytest.mark.parametrize(("still_s", "booked"), [(0, 1), (0.2 + 2 * LATE_S_MAX, 2)])
async def test_who_stood_still_until_its_time_was_over_books_anew(redis: Redis, still_s: float, booked: int) -> None:
    pace, bucket = RedisPace(redis), Bucket(key="number:1", rate_per_s=5, burst=1)
    await pace.take(bucket)
    before, asked = _asked(), _asked() + 1
    taking = asyncio.create_task(pace.take(bucket))
    while _asked() < asked:
        await asyncio.sleep(0)
    until = time.monotonic() + still_s
    while time.monotonic() < until:
        pass  # the whole process stands still
    await taking
    assert _asked() - before == booked


def _asked() -> float:
    return metrics.REGISTRY.get_sample_value("zaptrix_pace_wait_seconds_count", {"bucket": "number"}) or 0.0


async def test_taking_nothing_asks_nobody(away: Redis) -> None:
    await RedisPace(away).take()


async def test_buckets_leave_nothing_behind(redis: Redis) -> None:
    await RedisPace(redis).take(NUMBER, PORTAL)
    keys = await redis.keys("zx:pace:*")  # beside the one birth mark
    assert len(keys) == 2
    assert all([0 < await redis.pttl(key) <= 6_000 for key in keys])


async def test_waits_are_counted_by_the_bucket_that_asked_for_them(redis: Redis) -> None:
    before = _asked()
    await RedisPace(redis).take(NUMBER)
    assert _asked() == before + 1


async def test_without_redis_nobody_may_call(absent: Redis) -> None:
    began = time.monotonic()
    with pytest.raises(TooFast) as told:
        await RedisPace(absent).take(PORTAL)
    assert (told.value.code, told.value.wait_s) == ("pace_unknown", 1.0)
    assert time.monotonic() - began < 10


async def test_a_throttle_lets_a_minutes_budget_in_and_then_says_when(redis: Redis) -> None:
    throttle = Throttle(redis)
    answers = [await throttle.allow("key:1", 10) for _ in range(12)]
    assert answers[:10] == [None] * 10
    assert all(answer is not None and 0 < answer <= 6 for answer in answers[10:])
    assert await throttle.allow("key:2", 10) is None


async def test_a_throttle_is_shared_by_all_processes(redis: Redis) -> None:
    first, second = Throttle(redis), Throttle(redis)
    answers = [await each.allow("address", 6) for each in (first, second) * 4]
    assert answers.count(None) == 6


async def test_without_redis_each_process_throttles_for_itself(absent: Redis) -> None:
    throttle = Throttle(absent)
    answers = [await throttle.allow("key", 2) for _ in range(3)]
    assert answers[:2] == [None, None]
    assert answers[2] is not None
    assert answers[2] > 0


def test_local_buckets_fill_again_and_forget_the_oldest() -> None:
    local = LocalBuckets()
    bucket = Bucket(key="a", rate_per_s=1, burst=2)
    assert [local.take(bucket, at) for at in (0.0, 0.0, 0.0, 1.0)] == [None, None, 1.0, None]
    for number in range(LOCAL_BUCKETS_MAX + 10):
        local.take(Bucket(key=f"other{number}", rate_per_s=1, burst=1), 1.0)
    assert len(local._empty_at) == LOCAL_BUCKETS_MAX
    assert local.take(bucket, 1.0) is None
