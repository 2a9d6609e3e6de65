"""A client of a Redis Cluster with the time limits of `connection.py`.

redis-py's own asks the nodes anew who has what whenever one fails, for each command that failed, in the time of the
caller who met it; and a caller who finds all connections of a node taken is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Self

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode, ClusterPipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError

from zaptrix.broker.connection.address import Host

# To look who has which slot costs six milliseconds of this process, and renews all connections.
LOOK_EVERY_S = 0.25
LOOK_S_MAX = 1.0
# Between the attempts there is a look: about five seconds for a worker, in which another node takes over.
TRIES = 2
WORKER_TRIES = 20
NODE_CONNECTIONS_MAX = 256

_turn_of: ContextVar[object] = ContextVar("turn_of", default=None)


class Cluster(RedisCluster):
    """At most `turns` callers at once, in the order of asking; None: all of them."""

    def __init__(self, hosts: Sequence[Host], *, turns: int | None, **options: Any) -> None:
        super().__init__(
            startup_nodes=[ClusterNode(host.name, host.port) for host in hosts],
            max_connections=options.pop("max_connections", NODE_CONNECTIONS_MAX),
            retry=Retry(NoBackoff(), WORKER_TRIES if turns is None else TRIES),
            **options,
        )
        self._turns = asyncio.Semaphore(turns) if turns is not None else None
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    async def initialize(self, *args: Any, **options: Any) -> Self:
        """Find out who has what; one look for all who wait for it, and not in the time of one of them."""
        if self._initialize:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(*args, **options))
                self._looking.add_done_callback(_noticed)
            with _away():
                await asyncio.shield(self._looking)
        return self

    async def _look(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(self._looked_at + LOOK_EVERY_S - time.monotonic())
        self._looked_at = time.monotonic()
        async with asyncio.timeout(LOOK_S_MAX):
            await super().initialize(*args, **options)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async with self.turn():
            await self.initialize()  # else the first commands go to any node
            with looked_for_anew(self):
                return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Pipeline:  # noqa: ARG002 - redis-py's own
        return Pipeline(self, transaction)  # type: ignore[abstract] # the library's own gap

    def register_script(self, script: Any) -> Script:  # type: ignore[override] # what a script of its own can
        return Script(self, script)

    async def aclose(self) -> None:
        """redis-py's own leaves open what it has while it is to look anew."""
        if self._looking is not None:
            await asyncio.wait({self._looking})
        await super().aclose()
        for which in ("nodes_cache", "startup_nodes"):
            await self.nodes_manager.aclose(which)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Whoever has one needs no other for what belongs to it, such as a redirection."""
        with _away():
            if self._turns is None or _turn_of.get() is self:
                yield
                return
            async with self._turns:
                token = _turn_of.set(self)
                try:
                    yield
                finally:
                    _turn_of.reset(token)


class Pipeline(ClusterPipeline):
    async def execute(self, *args: Any, **options: Any) -> list[Any]:
        client = self.cluster_client
        assert isinstance(client, Cluster)
        async with client.turn():
            with looked_for_anew(client):
                answers: list[Any] = await super().execute(*args, **options)
            return answers


@contextmanager
def looked_for_anew(client: RedisCluster) -> Iterator[None]:
    """Whoever gave up waiting, as for a host that vanished without a word: the next one looks who has its place now.

    redis-py looks again after an error alone.
    """
    try:
        yield
    except asyncio.CancelledError:
        client._initialize = True  # noqa: SLF001 - as redis-py marks it
        raise


async def look_again(client: RedisCluster) -> None:
    """Find out who has what."""
    client._initialize = True  # noqa: SLF001
    await client.initialize()


async def on_primaries(client: RedisCluster, *command: str) -> list[Any]:
    """What each node that may be written to answers. One that does not may have been replaced: that is looked for."""
    await client.initialize()
    with looked_for_anew(client):
        try:
            return await _on_primaries(client, command)
        except (RedisConnectionError, RedisTimeoutError):
            await look_again(client)
            return await _on_primaries(client, command)


async def _on_primaries(client: RedisCluster, command: Sequence[str]) -> list[Any]:
    return list(await asyncio.gather(*(node.execute_command(*command) for node in client.get_primaries())))


class Script:
    """A script that is given to the node that has its keys; redis-py's own gives it to all nodes, or to none."""

    def __init__(self, client: Cluster, script: str) -> None:
        self.registered_client = client
        self.script = script
        self.sha = script_name(script)

    async def __call__(self, keys: Sequence[Any] = (), args: Sequence[Any] = (), client: Any = None) -> Any:
        if client is not None:
            return client.eval(self.script, len(keys), *keys, *args)
        try:
            return await self.registered_client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self.registered_client.eval(self.script, len(keys), *keys, *args)


def script_name(script: str) -> str:
    """As Redis names it."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def _away() -> Iterator[None]:
    """What redis-py says when no node can be reached, or nobody has a slot, is no RedisError."""
    try:
        yield
    except RedisClusterException as exc:
        raise RedisConnectionError(str(exc)) from exc


def _noticed(look: asyncio.Task[None]) -> None:
    """Whoever waited for it was told; nobody may be left to be."""
    if not look.cancelled():
        look.exception()
