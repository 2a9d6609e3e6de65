"""Bells and workers on a real Redis: the promises of a lane, and every trap that BullMQ lays for them."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from tests.broker.conftest import StartWorkers, eventually
from zaptrix.broker.queues.bells import DRAIN, LATER, SOON_MAX, Bells
from zaptrix.broker.stats import bell_counts
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import Waiting

LATER_S = 3.0


def lane(name: str = "a", queue: Queue = Queue.META) -> Lane:
    return Lane(queue, name)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Runner:
    """Drains lanes and remembers how."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.drained: Counter[str] = Counter()
        self.order: list[str] = []
        self.active: Counter[str] = Counter()
        self.most_active = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, lane: Lane) -> None:
        self.active[lane.name] += 1
        self.most_active = max(self.most_active, self.active[lane.name])
        try:
            await asyncio.sleep(self.seconds)
            await self.gate.wait()
        finally:
            self.active[lane.name] -= 1
        self.drained[lane.name] += 1
        self.order.append(lane.name)


async def quiet(bells: Bells) -> bool:
    counts = await bell_counts(bells)
    return counts is not None and not any(
        count[state] for count in counts.values() for state in (Waiting.WAITING, Waiting.ACTIVE, Waiting.DELAYED)
    )


async def test_a_bell_reaches_its_lanes_runner(redis_url: str, bells: Bells, start_workers: StartWorkers) -> None:
    runner = Runner()
    # Before the workers: a lane that is rung while it is drained is drained again.
    await bells.ring([lane("a"), lane("b", Queue.BITRIX24), lane("a")])
    await start_workers(redis_url, runner, bells, Queue.META, Queue.BITRIX24)
    await eventually(lambda: runner.drained == Counter({"a": 1, "b": 1}))
    await eventually(lambda: quiet(bells))


async def test_a_lane_has_one_bell_waiting_however_often_it_is_rung(bells: Bells) -> None:
    for _ in range(50):
        await bells.ring([lane("a"), lane("b")])
    counts = await bell_counts(bells)
    assert counts is not None
    assert counts[Queue.META][Waiting.WAITING] == 2


async def test_a_bell_is_the_job_that_bullmq_itself_would_add(redis: Redis, bells: Bells) -> None:
    await bells.ring([lane("a")])
    options = {"deduplication": {"id": "b", "keepLastIfActive": True}, "removeOnComplete": True}
    await bells.queue(Queue.META).add(DRAIN, {"lane": "b"}, {**options, "removeOnFail": {"count": 100}})
    ours, bullmqs = [await redis.hgetall(f"bull:meta-messages:{number}") for number in (1, 2)]
    assert abs(int(ours.pop("timestamp")) - int(bullmqs.pop("timestamp"))) < 5_000
    assert ours.pop("data") == '{"lane":"a"}'
    assert bullmqs.pop("data") == '{"lane":"b"}'
    assert ours.pop("deid") == "a"
    assert bullmqs.pop("deid") == "b"
    our_options, bullmqs_options = json.loads(ours.pop("opts")), json.loads(bullmqs.pop("opts"))
    assert our_options.pop("de") == {"id": "a", "keepLastIfActive": True}
    assert bullmqs_options.pop("de") == {"id": "b", "keepLastIfActive": True}
    assert our_options == bullmqs_options
    assert ours == bullmqs
    assert await redis.lrange("bull:meta-messages:wait", 0, -1) == ["2", "1"]


async def test_a_bell_that_waits_already_adds_no_job(redis: Redis, bells: Bells) -> None:
    for _ in range(3):
        await bells.ring(lane(f"lane{number}") for number in range(250))
    assert await redis.get(bells.queue(Queue.META).toKey("id")) == "250"


async def test_a_bell_whose_job_was_lost_rings_again(redis: Redis, bells: Bells) -> None:
    """What an outage of Redis can leave behind: the lane's key, and no job that would ever free it."""
    await bells.ring([lane()])
    await redis.delete("bull:meta-messages:1", "bull:meta-messages:wait")
    await bells.ring([lane()])
    assert await redis.lrange("bull:meta-messages:wait", 0, -1) == ["2"]


async def test_a_lane_has_never_two_runners_and_no_work_is_left_behind(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    """3,000 pieces of work on four lanes, two processes' worth of workers: what is rung after work came is drained."""
    work: defaultdict[str, int] = defaultdict(int)
    active: Counter[str] = Counter()
    most = 0

    async def drain(lane: Lane) -> None:
        nonlocal most
        active[lane.name] += 1
        most = max(most, active[lane.name])
        taken, work[lane.name] = work[lane.name], 0
        await asyncio.sleep(0.001 if taken else 0)
        active[lane.name] -= 1

    for _ in range(2):
        await start_workers(redis_url, drain, bells)
    for number in range(3_000):
        work[f"lane{number % 4}"] += 1
        bells.ring_soon([lane(f"lane{number % 4}")])
        if number % 7 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: not any(work.values()))
    await eventually(lambda: quiet(bells))
    assert most == 1


async def test_a_bell_rung_while_the_lane_is_drained_rings_again_when_it_ends(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    runner = Runner()
    runner.gate.clear()
    await start_workers(redis_url, runner, bells)
    await bells.ring([lane()])
    await eventually(lambda: runner.active["a"] == 1)
    for _ in range(5):
        await bells.ring([lane()])
    runner.gate.set()
    await eventually(lambda: runner.drained["a"] == 2)
    await eventually(lambda: quiet(bells))
    assert runner.drained["a"] == 2
    assert runner.most_active == 1


async def test_a_runner_that_rings_itself_goes_behind_the_others(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    order: list[str] = []

    async def drain(lane: Lane) -> None:
        order.append(lane.name)
        if order.count(lane.name) < 3:
            await bells.ring([lane])

    await bells.ring([lane("busy")])
    await bells.ring([lane("small1")])
    await bells.ring([lane("small2")])
    await start_workers(redis_url, drain, bells, worker_concurrency=1)
    await eventually(lambda: len(order) == 9)
    assert order == ["busy", "small1", "small2"] * 3


async def test_a_lane_whose_drain_raised_rings_again(
    redis_url: str, redis: Redis, bells: Bells, start_workers: StartWorkers
) -> None:
    tries = 0

    async def drain(_lane: Lane) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await bells.ring([lane()])
            raise ValueError("text of +5511987654321")

    await start_workers(redis_url, drain, bells)
    await bells.ring([lane()])
    await eventually(lambda: tries == 2)
    await bells.ring([lane()])
    await eventually(lambda: tries == 3)
    await eventually(lambda: quiet(bells))
    counts = await bell_counts(bells)
    assert counts is not None
    assert (counts[Queue.META][Waiting.COMPLETED], counts[Queue.META][Waiting.FAILED]) == (2, 1)
    kept = [await redis.dump(key) for key in await redis.keys("bull:*")]
    assert not any(b"5511987654321" in str(value).encode() for value in kept)
    [failed] = await bells.queue(Queue.META).getFailed()
    assert failed.failedReason == "ValueError"
    assert "5511987654321" not in str(await redis.hgetall(f"bull:meta-messages:{failed.id}"))
    assert "5511987654321" not in str(await redis.xrange("bull:meta-messages:events"))


async def test_drains_are_counted_by_queue_and_ending(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    async def drain(lane: Lane) -> None:
        if lane.name == "bad":
            raise KeyError

    def count(status: str) -> float:
        return (
            metrics.REGISTRY.get_sample_value(
                "zaptrix_queue_job_status_total", {"queue": "meta-messages", "status": status}
            )
            or 0.0
        )

    completed, failed = count("completed"), count("failed")
    await start_workers(redis_url, drain, bells)
    await bells.ring([lane("good"), lane("bad")])
    await eventually(lambda: count("completed") == completed + 1 and count("failed") == failed + 1)


async def test_a_later_bell_rings_when_it_is_due_and_does_not_swallow_immediate_ones(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    runner = Runner()
    await start_workers(redis_url, runner, bells)
    began = time.monotonic()
    await bells.later(lane(), soon(LATER_S))
    await bells.ring([lane()])
    await eventually(lambda: runner.drained["a"] == 1)
    assert time.monotonic() - began < LATER_S
    await eventually(lambda: runner.drained["a"] == 2)
    assert time.monotonic() - began >= LATER_S
    await eventually(lambda: quiet(bells))


async def test_of_several_later_bells_the_earliest_counts(bells: Bells) -> None:
    for seconds in (300, 100, 200, 150):
        await bells.later(lane(), soon(seconds))
        await bells.later(lane("b"), soon(seconds))
    jobs = await bells.queue(Queue.META).getDelayed()
    assert sorted(job.data["lane"] for job in jobs) == ["a", "b"]
    assert all(99_000 < job.delay <= 100_000 for job in jobs)


async def test_a_later_bell_that_is_due_already_rings_at_once(bells: Bells) -> None:
    await bells.later(lane(), soon(-1))
    counts = await bell_counts(bells)
    assert counts is not None
    assert counts[Queue.META][Waiting.WAITING] == 1


async def test_a_later_bell_never_gives_a_lane_a_second_runner(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    runner = Runner()
    runner.gate.clear()
    await start_workers(redis_url, runner, bells)
    await bells.ring([lane()])
    await eventually(lambda: runner.active["a"] == 1)
    await bells.later(lane(), soon(0.05))
    await eventually(lambda: later_is_gone(bells))
    runner.gate.set()
    await eventually(lambda: runner.drained["a"] == 2)
    assert runner.most_active == 1


async def later_is_gone(bells: Bells) -> bool:
    jobs = await bells.queue(Queue.META).getJobs(["delayed", "waiting", "active"])
    return not any(job.name == LATER for job in jobs)


async def test_a_later_bell_set_while_the_last_one_rings_is_kept(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    """A drain that finds nothing due sets its next bell, again and again."""
    rung: list[float] = []

    async def drain(lane: Lane) -> None:
        rung.append(time.monotonic())
        if len(rung) < 5:
            await bells.later(lane, soon(0.02))

    await start_workers(redis_url, drain, bells)
    began = time.monotonic()
    await bells.ring([lane()])
    await eventually(lambda: len(rung) == 5)
    assert time.monotonic() - began < 10
    await eventually(lambda: quiet(bells))


async def test_ringing_soon_joins_what_comes_meanwhile(bells: Bells) -> None:
    for number in range(2_000):
        bells.ring_soon([lane(f"lane{number % 3}")])
    await eventually(lambda: waiting(bells, 3))


async def waiting(bells: Bells, number: int) -> bool:
    counts = await bell_counts(bells)
    return counts is not None and counts[Queue.META][Waiting.WAITING] == number


async def test_ringing_soon_does_not_grow_without_bound(away: Redis) -> None:
    bells = Bells(away)
    bells.ring_soon(lane(f"lane{number}") for number in range(SOON_MAX + 500))
    assert len(bells._soon) == SOON_MAX
    await bells.close()


async def test_without_redis_a_bell_is_counted_and_dropped(away: Redis) -> None:
    bells = Bells(away)
    labels = {"queue": "meta-messages"}
    before = metrics.REGISTRY.get_sample_value("zaptrix_bells_unrung_total", labels) or 0.0
    await bells.ring([lane("a"), lane("b")])
    await bells.later(lane(), soon(10))
    assert metrics.REGISTRY.get_sample_value("zaptrix_bells_unrung_total", labels) == before + 3


async def test_a_redis_that_says_nothing_holds_a_bell_for_half_a_second(silent: Redis) -> None:
    bells = Bells(silent)
    began = time.monotonic()
    await bells.ring([Lane(queue, f"lane{number}") for queue in Queue for number in range(300)])
    assert time.monotonic() - began < 20  # half a second for each of 1,200 would be ten minutes
    bells.ring_soon([lane()])
    await bells.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_the_order_of_bells_no_work_waits_for_ever(
    redis_url: str, bells: Bells, start_workers: StartWorkers, seed: int
) -> None:
    """Work due now or later; a drain takes what is due and asks for the rest, as a runner does."""
    chance = random.Random(seed)
    due: defaultdict[str, list[float]] = defaultdict(list)
    active: Counter[str] = Counter()
    most = 0

    async def drain(lane: Lane) -> None:
        nonlocal most
        active[lane.name] += 1
        most = max(most, active[lane.name])
        now = time.monotonic()
        due[lane.name] = [at for at in due[lane.name] if at > now]
        await asyncio.sleep(chance.random() / 200)
        if due[lane.name]:
            await bells.later(lane, soon(min(due[lane.name]) - time.monotonic()))
        active[lane.name] -= 1

    await start_workers(redis_url, drain, bells)
    for _ in range(300):
        name = chance.choice("abcde")
        due[name].append(time.monotonic() + chance.choice((0, 0, 0.05, 0.2)))
        bells.ring_soon([lane(name)])
        await asyncio.sleep(chance.random() / 500)
    await eventually(lambda: not any(due.values()))
    assert most == 1
