"""Redis under Sentinel: the primary is asked for, and when it falls the one that takes its place is used."""

import asyncio
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from proof.redis_nodes import SERVICE, SentinelServers
from tests.broker.conftest import StartWorkers, eventually
from zaptrix.broker.connection.connection import ANSWER_S_MAX, AWAY, CONNECTIONS_MAX, answering, connect
from zaptrix.broker.connection.fitness import examine
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.stats import look_at_redis
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.delivery.pace import Bucket
from zaptrix.core.installation.faults import FaultKind, Unfit


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelServers]:
    """A primary and its replica, and three Sentinels, with passwords of their own."""
    folder = tmp_path_factory.mktemp("sentinel")
    servers = SentinelServers(folder, password="p@ss:/?#[%]", sentinel_password="s&n=t+%41")
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
async def redis_url(watched: SentinelServers) -> str:
    watched.masters[0].told("FLUSHALL")
    return watched.url


async def test_the_primary_that_sentinels_name_is_fit(redis_url: str) -> None:
    facts = await examine(redis_url)
    assert (facts.mode, facts.role, facts.policy) == ("standalone", "master", "noeviction")


async def test_each_slip_has_its_sentence(watched: SentinelServers, redis_url: str) -> None:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in watched.sentinels)
    data = f"127.0.0.1:{watched.nodes[0].port}"
    slips = {
        redis_url.replace(f"/{SERVICE}/", "/another/"): FaultKind.REDIS_SERVICE,
        redis_url.replace("p%40ss", "hunter2"): FaultKind.REDIS_LOGIN,
        redis_url.partition("?")[0]: FaultKind.REDIS_SENTINEL_LOGIN,
        redis_url.replace("s%26n", "hunter2"): FaultKind.REDIS_SENTINEL_LOGIN,
        redis_url.replace(hosts, data).partition("?")[0] + "?sentinel_password=p%40ss%3A%2F%3F%23%5B%25%5D": (
            FaultKind.REDIS_NO_SENTINEL
        ),
        watched.sentinels[0].url: FaultKind.REDIS_SENTINEL,
        f"redis+cluster://:p%40ss%3A%2F%3F%23%5B%25%5D@{data}": FaultKind.REDIS_NO_CLUSTER,
        redis_url.replace(hosts, "127.0.0.1:1,127.0.0.1:2"): FaultKind.REDIS_AWAY,
        redis_url.replace("/0?", "/99?"): FaultKind.REDIS_DB,
    }
    for url, kind in slips.items():
        with pytest.raises(Unfit) as unfit:
            await examine(url)
        assert unfit.value.fault.kind is kind, url
        assert "hunter2" not in str(unfit.value)


async def test_names_of_keys_are_those_of_one_server(redis: Redis, bells: Bells) -> None:
    """As a process of the version before knows them, beside this one during an upgrade."""
    await bells.ring([Lane(Queue.META, "l")])
    await RedisPace(redis).take(Bucket(key="portal:1", rate_per_s=50, burst=5))
    keys = [str(key) for key in await redis.keys("*")]
    names = {key.rpartition(":")[0] if key.startswith("bull") else key for key in keys}
    assert names == {"bull:meta-messages", "bull:meta-messages:de", "zx:pace-birth", "zx:pace:portal:1"}


async def test_a_sentinel_that_does_not_answer_costs_nothing(watched: SentinelServers, redis_url: str) -> None:
    gone = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    client = connect(redis_url.replace("@", f"@127.0.0.1:{port},127.0.0.1:1,", 1))
    try:
        async with answering():
            assert await client.ping()
    finally:
        await client.aclose()
        gone.set()
        silent.close()
        await silent.wait_closed()


async def test_busy_callers_do_not_keep_others_from_redis(redis: Redis) -> None:
    stop = asyncio.Event()

    async def keep_asking() -> None:
        while not stop.is_set():
            await redis.ping()

    busy = [asyncio.create_task(keep_asking()) for _ in range(2 * CONNECTIONS_MAX)]
    for _ in range(20):
        async with answering(4 * ANSWER_S_MAX):
            await redis.ping()
    stop.set()
    await asyncio.gather(*busy)


async def test_a_fallen_primary_costs_seconds_and_no_lane(
    watched: SentinelServers, redis_url: str, redis: Redis, bells: Bells, start_workers: StartWorkers
) -> None:
    drained: set[Lane] = set()
    lanes = [Lane(queue, f"l{nth}") for queue in Queue for nth in range(5)]

    async def drain(lane: Lane) -> None:
        drained.add(lane)

    async def all_drained() -> bool:
        await bells.ring(lane for lane in lanes if lane not in drained)
        return len(drained) == len(lanes)

    await start_workers(redis_url, drain, bells, *Queue)
    await eventually(all_drained)
    fallen = watched.masters[0]
    await asyncio.to_thread(watched.fail_over, fallen)
    drained.clear()
    await eventually(all_drained)
    health = await look_at_redis(redis, bells)
    assert (health.fault, health.worked) == (None, frozenset(Queue))


async def test_without_any_sentinel_redis_is_away_and_not_waited_for() -> None:
    client = connect("redis+sentinel://127.0.0.1:1,127.0.0.1:2/zaptrix/0")
    try:
        with pytest.raises(AWAY):
            async with answering():
                await client.ping()
    finally:
        await client.aclose()
