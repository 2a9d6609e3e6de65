"""Redis Cluster: what holds on one server holds on several nodes, and a node that falls costs seconds.

The first half are tests of the neighbouring files, which ask for `redis`, `redis_url` and `bells`: here of a cluster.
"""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from proof.redis_nodes import ClusterServers, Node, wait_for
from tests.broker.cache.test_cache import (  # noqa: F401
    cache,
    hits,
    test_a_conversation_is_found_both_ways,
    test_a_forgotten_conversation_is_a_miss_both_ways,
    test_a_forgotten_owner_takes_all_its_conversations_along,
    test_cache_stats_show_redis_and_the_hit_rate,
    test_the_second_time_a_key_is_probably_seen,
    test_what_is_kept_of_tokens_goes_over_to_a_new_key_and_keeps_its_end,
)
from tests.broker.conftest import StartWorkers, eventually
from tests.broker.pace.test_pace import (  # noqa: F401
    test_a_first_start_makes_nobody_wait,
    test_a_throttle_is_shared_by_all_processes,
    test_several_buckets_are_taken_together_or_not_at_all,
)
from tests.broker.queues.test_bells import (  # noqa: F401  # played here, too
    test_a_bell_rung_while_the_lane_is_drained_rings_again_when_it_ends,
    test_a_bell_that_waits_already_adds_no_job,
    test_a_lane_has_never_two_runners_and_no_work_is_left_behind,
    test_a_later_bell_that_is_due_already_rings_at_once,
    test_of_several_later_bells_the_earliest_counts,
    test_ringing_soon_joins_what_comes_meanwhile,
)
from tests.broker.test_stats import test_a_healthy_redis_is_one_that_takes_what_the_queues_write  # noqa: F401
from zaptrix.broker.connection.connection import AWAY, CONNECTIONS_MAX, answering, connect
from zaptrix.broker.connection.fitness import examine, probe
from zaptrix.broker.connection.keys import as_cluster
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.stats import bell_counts, look_at_redis
from zaptrix.core.delivery.errors import TooFast
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.delivery.pace import Bucket
from zaptrix.core.installation.faults import FaultKind, Unfit
from zaptrix.telemetry.metrics import Waiting

# A queue's keys, pace's, and those that stand alone.
TAGGED = re.compile(
    rf"\{{({'|'.join(Queue)})\}}:(bull:(\1|zaptrix):|zx:).*|\{{pace\}}:(zx|bull):.*|\{{zx:.*\}}", re.DOTALL
)


@pytest.fixture(scope="module")
def servers_of_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    """Three masters and a replica of each, behind a password that means something in an address."""
    servers = ClusterServers(tmp_path_factory.mktemp("cluster"), replicas=1, password="p@ss:/?#[%]")
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
async def redis_url(servers_of_cluster: ClusterServers) -> str:
    for node in servers_of_cluster.masters:
        node.told("FLUSHALL")
    return servers_of_cluster.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """The process's client. It has looked who has what, which a busy machine may not do within half a second."""
    client = connect(redis_url)
    await client.ping()
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
async def every_key_is_tagged(servers_of_cluster: ClusterServers) -> AsyncIterator[None]:
    """Whatever a test has left."""
    yield
    keys = [key for node in servers_of_cluster.masters for key in node.told("KEYS", "*")]
    assert [key for key in keys if not TAGGED.fullmatch(key)] == []


async def test_what_belongs_together_is_on_one_node_and_queues_are_on_several(redis: Redis) -> None:
    assert len({await _port_of(redis, queue) for queue in Queue}) > 1


async def test_a_cluster_is_fit_and_each_of_its_nodes_tells_what_to_write(
    servers_of_cluster: ClusterServers, redis_url: str
) -> None:
    facts = await examine(redis_url)
    assert (facts.mode, facts.role, facts.policy, facts.append_only) == ("cluster", "master", "noeviction", True)
    assert (await examine(redis_url.partition(",")[0])).mode == "cluster"  # one node names the others
    with pytest.raises(Unfit) as unfit:
        await examine(servers_of_cluster.nodes[0].url)
    assert unfit.value.fault.kind is FaultKind.REDIS_CLUSTER
    with pytest.raises(Unfit) as unfit:
        await examine(redis_url.replace("p%40ss", "hunter2"))
    assert unfit.value.fault.kind is FaultKind.REDIS_LOGIN


async def test_the_policy_of_every_node_counts(servers_of_cluster: ClusterServers, redis_url: str) -> None:
    last = servers_of_cluster.masters[-1]
    last.told("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert (await examine(redis_url)).policy == "allkeys-lru"
    finally:
        last.told("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_later_bell_and_one_of_a_worker_that_vanished_ring(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    """Delayed jobs, and those whose lock ran out."""
    drained = Counter[str]()

    async def drain(lane: Lane) -> None:
        drained[lane.name] += 1

    queue = bells.queue(Queue.META)
    await bells.ring([Lane(Queue.META, "stalled")])
    # As by a worker that took it and died: it is active, and its lock has run out.
    taken = await queue.client.lmove(queue.toKey("wait"), queue.toKey("active"), "RIGHT", "LEFT")
    assert taken
    await bells.later(Lane(Queue.META, "later"), datetime.now(UTC) + timedelta(seconds=0.3))
    await start_workers(redis_url, drain, bells)
    await eventually(lambda: drained == {"stalled": 1, "later": 1})


async def test_busy_callers_wait_for_their_turn_and_are_not_refused(redis: Redis, bells: Bells) -> None:
    """redis-py's own pool of a node refuses whoever finds all connections taken."""
    stop = asyncio.Event()
    failed = list[BaseException]()

    async def keep_asking(number: int) -> None:
        while not stop.is_set():
            try:
                async with answering(), redis.pipeline(transaction=False) as pipe:
                    for nth in range(3):
                        pipe.set(f"{{zx:{number}-{nth}}}", "1")
                    await pipe.execute()
            except AWAY as exc:
                failed.append(exc)

    async def all_rung() -> bool:
        await bells.ring(Lane(Queue.META, f"l{nth}") for nth in range(10))
        counts = await bell_counts(bells)
        return counts is not None and counts[Queue.META][Waiting.WAITING] == 10

    busy = [asyncio.create_task(keep_asking(number)) for number in range(2 * CONNECTIONS_MAX)]
    await eventually(all_rung)
    stop.set()
    await asyncio.gather(*busy)
    assert [exc for exc in failed if not isinstance(exc, TimeoutError)] == []
    cluster = as_cluster(redis)
    assert cluster is not None
    assert all(len(node._connections) <= CONNECTIONS_MAX for node in cluster.get_nodes())


async def test_a_fallen_master_costs_seconds_and_no_lane(
    servers_of_cluster: ClusterServers, redis_url: str, redis: Redis, bells: Bells, start_workers: StartWorkers
) -> None:
    """Its replica takes over. What was rung is rung again by the sweep; nobody restarts anything."""
    drained: set[Lane] = set()
    lanes = [Lane(queue, f"l{nth}") for queue in Queue for nth in range(5)]

    async def drain(lane: Lane) -> None:
        drained.add(lane)

    async def all_drained() -> bool:
        await bells.ring(lane for lane in lanes if lane not in drained)
        return len(drained) == len(lanes)

    await start_workers(redis_url, drain, bells, *Queue)
    await eventually(all_drained)
    pace, bucket = RedisPace(redis), Bucket(key="portal:1", rate_per_s=50, burst=5)
    await pace.take(bucket)
    port = await _port_of(redis, Queue.META)
    fallen = next(node for node in servers_of_cluster.nodes if node.port == port)
    await asyncio.to_thread(servers_of_cluster.fail_over, fallen)
    drained.clear()
    await eventually(all_drained)
    await eventually(lambda: _takes(pace, bucket))
    health = await look_at_redis(redis, bells)
    assert health.fault is None
    assert health.worked == frozenset(Queue)
    fallen.start()  # not in a thread: it would end with that
    drained.clear()
    await eventually(all_drained)


async def test_a_client_that_asks_nothing_hears_of_a_fallen_and_of_a_silent_master_all_the_same(
    servers_of_cluster: ClusterServers, redis_url: str, redis: Redis, bells: Bells
) -> None:
    """A gateway that only tells of its health, or that rings a host which vanished without a word."""
    assert (await look_at_redis(redis, bells)).fault is None
    port = await _port_of(redis, Queue.META)
    await asyncio.to_thread(wait_for, servers_of_cluster.is_whole, "a fallen node to follow")
    before = {node.port for node in servers_of_cluster.masters}
    silent = next(node for node in servers_of_cluster.nodes if node.port == port)
    assert silent.pid is not None
    os.kill(silent.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: _has_another(servers_of_cluster, silent, before))

        async def healthy() -> bool:
            return (await look_at_redis(redis, bells)).fault is None

        await eventually(healthy)
        await eventually(lambda: _rings(bells))
    finally:
        os.kill(silent.pid, signal.SIGCONT)
    await eventually(lambda: silent.role() == "slave")
    assert (await look_at_redis(redis, bells)).fault is None


async def test_a_cluster_that_is_not_whole_is_away_and_not_waited_for() -> None:
    client = connect("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    try:
        with pytest.raises(AWAY):
            async with answering():
                await probe(client)
        assert (await look_at_redis(client, Bells(client))).fault is not None
    finally:
        await client.aclose()


async def _port_of(redis: Redis, queue: Queue) -> int:
    """Of the node that has the keys of a queue."""
    cluster = as_cluster(redis)
    assert cluster is not None
    await cluster.initialize()
    node = cluster.get_node_from_key(Bells(redis).queue(queue).toKey("wait"))
    assert node is not None
    return int(node.port)


async def _has_another(servers: ClusterServers, silent: Node, before: set[int]) -> bool:
    roles = await asyncio.to_thread(lambda: {n.port for n in servers.nodes if n is not silent and n.role() == "master"})
    return bool(roles - before)


async def _rings(bells: Bells) -> bool:
    await bells.ring([Lane(Queue.META, "l")])
    counts = await bell_counts(bells)
    return counts is not None and counts[Queue.META][Waiting.WAITING] == 1


async def _takes(pace: RedisPace, bucket: Bucket) -> bool:
    try:
        await pace.take(bucket)
    except TooFast:
        return False
    return True
