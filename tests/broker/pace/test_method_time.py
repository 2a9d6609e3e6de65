"""Method time against a simulated portal, by a clock of our own: all of it used, and no call refused."""

import asyncio
import heapq
from collections import defaultdict
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from zaptrix.broker.connection.connection import connect
from zaptrix.broker.pace.pace import US, Buckets, Call
from zaptrix.core import limits
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.ids import PortalId

START_S = 1_800_000_000
FREE = Bucket(key="portal:m", rate_per_s=1_000, burst=1_000, full_when_lost=False)  # here it is method time that counts
SPENDING = Spending(portal_id=PortalId(UUID(int=1)), method="imconnector.send.messages", items=10)


class Portal:
    """What Bitrix24 counts: ten one-minute parts, a call in the minute of its beginning."""

    def __init__(self, limit_s: float, ahead_s: float = 0) -> None:
        self.limit_s = limit_s
        self.ahead_s = ahead_s  # of its clock
        self.parts: dict[int, float] = defaultdict(float)
        self.refusals: list[float] = []
        self.spent_s = 0.0
        self.most_s = 0.0

    def used_s(self, at: float) -> float:
        first = int(at + self.ahead_s) // 60 - 9
        return sum(seconds for minute, seconds in self.parts.items() if minute >= first)

    def begins(self, at: float) -> bool:
        if self.used_s(at) >= self.limit_s:
            self.refusals.append(at)
            return False
        return True

    def ends(self, began: float, cost_s: float, at: float) -> None:
        if cost_s > 0.1:
            self.parts[int(began + self.ahead_s) // 60] += cost_s
            self.spent_s += cost_s
            self.most_s = max(self.most_s, self.used_s(at))

    def tells(self, at: float) -> Operating:
        first = int(at + self.ahead_s) // 60 - 9
        oldest = min((minute for minute in self.parts if minute >= first), default=int(at + self.ahead_s) // 60)
        return Operating(used_s=self.used_s(at), reset_at=(oldest + 10) * 60, at=at + self.ahead_s)


async def under_load(
    paces: list[Buckets], portal: Portal, costs_s: list[float], seconds: float, *, runners: int = 4, since_s: float = 0
) -> None:
    """`runners` that never rest, over all processes; a call takes as long as it costs."""
    now = [START_S + since_s]
    for each in paces:
        each._leases.clock = lambda: now[0]
    reserved: set[str] = set()
    todo: list[tuple[float, int, str]] = [(START_S + since_s, runner, "") for runner in range(runners)]
    began: dict[int, tuple[float, float, bool]] = {}
    calls = 0
    while todo[0][0] < START_S + since_s + seconds:
        at, runner, name = heapq.heappop(todo)
        now[0] = at
        pace = paces[runner % len(paces)]
        if name:
            since, cost_s, good = began.pop(runner)
            if good:
                portal.ends(since, cost_s, at)
            told = portal.tells(at)
            if name in reserved or not good or told.used_s >= limits.OPERATING_S_WATCHED:  # as RedisPace does
                await pace.settle(Call(name, SPENDING), told, refused=not good, now_us=round(at * US))
            heapq.heappush(todo, (at, runner, ""))
            continue
        calls += 1
        call = Call(f"{since_s}.{calls}", SPENDING)
        answer = await pace.book((FREE,), round(at * US), call=call)
        if answer.reserved:
            reserved.add(call.name)
        if not answer.booked:
            assert answer.bucket is None
            assert answer.wait_s > 0
            heapq.heappush(todo, (at + answer.wait_s, runner, ""))
            continue
        cost_s, good = costs_s[calls % len(costs_s)], portal.begins(at)
        began[runner] = (at, cost_s, good)
        heapq.heappush(todo, (at + (max(cost_s, 0.05) if good else 0.05), runner, call.name))


async def test_all_of_the_time_is_used_and_no_call_is_refused(redis: Redis) -> None:
    portal = Portal(480)
    await under_load([Buckets(redis, wait_s_max=2) for _ in range(4)], portal, [1.2, 9.0, 12.0, 4.8], 3_600)
    assert portal.refusals == []
    assert portal.spent_s >= 0.98 * 480 * 6


async def test_a_portal_that_blocks_earlier_is_known_after_one_refusal(redis: Redis) -> None:
    portal = Portal(420)
    await under_load([Buckets(redis, wait_s_max=2) for _ in range(4)], portal, [1.2], 600)
    heard = len(portal.refusals)
    assert 1 <= heard <= 4  # what was under way at the same moment
    spent_s = portal.spent_s
    await under_load([Buckets(redis, wait_s_max=2) for _ in range(4)], portal, [1.2], 3_600, since_s=600)
    assert len(portal.refusals) == heard
    assert portal.spent_s - spent_s >= 0.98 * 420 * 6


async def test_a_redis_that_forgot_is_told_again_by_who_called(redis: Redis) -> None:
    portal, paces = Portal(480), [Buckets(redis, wait_s_max=2)]
    await under_load(paces, portal, [1.2], 480)
    await redis.flushall()
    await under_load(paces, portal, [1.2], 1_200, since_s=480)
    assert portal.refusals == []


async def test_a_call_that_never_answered_counts_as_used(redis: Redis) -> None:
    pace, portal = Buckets(redis, wait_s_max=2), Portal(480)
    await under_load([pace], portal, [1.2], 50)
    at = START_S + 60
    assert (await pace.ask((FREE,), at * US, call=Call("gone", SPENDING))).reserved
    before = await _used_s(redis)
    await pace.ask((FREE,), (at + 100) * US, call=Call("next", SPENDING))
    assert await _used_s(redis) > before


async def _used_s(redis: Redis) -> float:
    names = await redis.hkeys(Call("", SPENDING).key)
    parts = await redis.hmget(Call("", SPENDING).key, [name for name in names if str(name).startswith("p")])
    return sum(float(part or 0) for part in parts)


async def test_a_portal_that_is_far_from_its_limit_leaves_nothing_in_redis(redis: Redis) -> None:
    pace, call = Buckets(redis, wait_s_max=2), Call("1", Spending(portal_id=PortalId(uuid4()), method="m"))
    answer = await pace.ask((FREE,), START_S * US, call=call)
    assert (answer.booked, answer.reserved) == (True, False)
    assert not await redis.exists(*call.keys)


async def test_a_method_that_came_near_is_forgotten_when_its_time_is_free_again(redis: Redis) -> None:
    pace, call = Buckets(redis, wait_s_max=2), Call("1", SPENDING)
    near = Operating(used_s=limits.OPERATING_S_WATCHED, reset_at=START_S + 600, at=START_S)
    await pace.settle(call, near, refused=False, now_us=START_S * US)
    assert await redis.exists(call.key)
    far = Operating(used_s=3, reset_at=START_S + 1_200, at=START_S + 700)
    await pace.settle(call, far, refused=False, now_us=(START_S + 700) * US)
    assert not await redis.exists(call.key)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    costs_s=st.lists(st.floats(0.05, 14), min_size=1, max_size=6),
    runners=st.integers(1, 8),
    ahead_s=st.floats(-1.5, 1.5),
)
def test_whatever_calls_cost_none_is_refused(
    redis_url: str, costs_s: list[float], runners: int, ahead_s: float
) -> None:
    portal = Portal(480, ahead_s)

    async def play() -> None:
        async with connect(redis_url) as client:
            await client.flushall()
            paces = [Buckets(client, wait_s_max=2) for _ in range(4)]
            await under_load(paces, portal, costs_s, 1_200, runners=runners)

    asyncio.run(play())
    assert portal.refusals == []
