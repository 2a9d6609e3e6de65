"""What PostgreSQL and Redis of a world are: `python -m proof 1-20 --on cluster`.

A topology is a function that makes the engines of a world in its folder, not yet started. What a strike on an engine
does is in `proof/strikes.py`, over `Engines.postgres` and `Engines.redis_nodes`; a topology may replace a strike, and
have some of its own, which are drawn beside the others (`OWN_STRIKES`).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from proof.plan import Strike
from proof.pooler import Pooler
from proof.postgres_pair import PostgresPair
from proof.redis_nodes import ClusterServers, RedisServers, SentinelServers, wait_for
from zaptrix.cli.local.servers import Servers, servers_in

Struck = Callable[[Strike], Awaitable[None]]


class Server(Protocol):
    """One that can be started, stopped and killed, again and again."""

    @property
    def url(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def exit_code(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Engines:
    """What a world stands on. The addresses of `postgres` and `redis` are the world's own way to them."""

    postgres: Server
    redis: Server
    redis_nodes: Sequence[Server] = ()
    """Those that strikes hit, each with an address of its own; none: `redis`."""
    beside: Sequence[Server] = ()
    """What else is started after those and stopped before them."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What gateways and workers are given beside, or instead of, DATABASE_URL and REDIS_URL of those."""
    strikes: Mapping[str, Struck] = field(default_factory=dict)
    """Strikes of its own, and those that mean something else here, by name."""
    judged: Callable[[], list[str]] = list
    """What is wrong with what they hold in the end."""

    @property
    def environ(self) -> dict[str, str]:
        return {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url, **self.settings}

    def start(self) -> None:
        """Start all, or none."""
        started: list[Server] = []
        try:
            for server in (self.postgres, self.redis, *self.beside):
                started.append(server)
                server.start()
        except BaseException:
            for server in reversed(started):
                server.stop()
            raise

    def stop(self) -> None:
        for server in reversed((self.postgres, self.redis, *self.beside)):
            server.stop()


Topology = Callable[[Path], Engines]


def single(folder: Path) -> Engines:
    """One PostgreSQL and one Redis, on sockets."""
    servers: Servers = servers_in(folder)
    return Engines(postgres=servers.postgres, redis=servers.redis)


def cluster(folder: Path) -> Engines:
    """A Redis Cluster of three masters with a replica each."""
    servers = ClusterServers(folder, replicas=1)

    def untagged() -> list[str]:
        keys = [key for node in servers.masters for key in node.told("KEYS", "*")]
        return [f"a key without a tag: {key}" for key in keys if not _TAGGED.match(key)]

    return _with(folder, servers, untagged)


def sentinel(folder: Path) -> Engines:
    """A Redis and its replica, which three Sentinels put in its place when it is away."""
    return _with(folder, SentinelServers(folder))


def pgbouncer(folder: Path) -> Engines:
    """A pooler in transaction mode, with fewer sessions of PostgreSQL's than gateways and workers have connections."""
    servers = servers_in(folder)
    pooler = Pooler(servers.postgres, folder / "pooler", "default_pool_size = 8")
    urls = {"DATABASE_URL": pooler.url, "DATABASE_DIRECT_URL": servers.postgres.url}

    async def restart_pooler(what: Strike) -> None:
        """As when its configuration changes: every session through it is gone."""
        await asyncio.to_thread(pooler.kill)
        await asyncio.sleep(what.lasts_s)
        await asyncio.to_thread(pooler.start)

    return Engines(
        postgres=servers.postgres,
        redis=servers.redis,
        beside=(pooler,),
        settings=urls,
        strikes={RESTART_POOLER: restart_pooler},
    )


def promotion(folder: Path) -> Engines:
    """A PostgreSQL and its synchronous standby, which is promoted when it dies."""
    pair = PostgresPair(folder)

    async def fail_over(what: Strike) -> None:
        await asyncio.to_thread(pair.fail_over)
        await asyncio.sleep(what.lasts_s)

    return Engines(postgres=pair, redis=servers_in(folder).redis, strikes={FAIL_OVER_POSTGRES: fail_over})


def _with(folder: Path, servers: RedisServers, judged: Callable[[], list[str]] = list) -> Engines:
    async def fail_over(what: Strike) -> None:
        """A master is gone for longer than it is missed."""
        await asyncio.to_thread(wait_for, servers.is_whole, "what an earlier strike hit")
        masters = await asyncio.to_thread(lambda: servers.masters)
        gone = masters[int(what.pick * len(masters))]
        await asyncio.to_thread(servers.fail_over, gone)
        await asyncio.sleep(what.lasts_s)
        await asyncio.to_thread(gone.start)

    return Engines(
        postgres=servers_in(folder).postgres,
        redis=servers,
        redis_nodes=servers.nodes,
        strikes={FAIL_OVER: fail_over},
        judged=judged,
    )


FAIL_OVER = "fail_over_redis"
# https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
_TAGGED = re.compile(r"\{[^}]+\}")
RESTART_POOLER = "restart_pooler"
FAIL_OVER_POSTGRES = "fail_over_postgres"
TOPOLOGIES: dict[str, Topology] = {
    "single": single,
    "cluster": cluster,
    "sentinel": sentinel,
    "pgbouncer": pgbouncer,
    "promotion": promotion,
}
# How often each is drawn, against the others of its topology: one or two a world.
OWN_STRIKES: dict[str, dict[str, int]] = {
    "cluster": {FAIL_OVER: 1},
    "sentinel": {FAIL_OVER: 1},
    "pgbouncer": {RESTART_POOLER: 1},
    "promotion": {FAIL_OVER_POSTGRES: 1},
}
