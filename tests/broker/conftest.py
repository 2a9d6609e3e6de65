"""A client, bells and workers on the test's own Redis; `own_redis` is one to kill."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from zaptrix.broker.connection.connection import connect
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.queues.workers import LaneWorkers
from zaptrix.cli.local.redis_server import EmbeddedRedis
from zaptrix.cli.local.servers import log_file
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.settings import Settings

Drain = Callable[[Lane], Awaitable[None]]
StartWorkers = Callable[..., Awaitable[LaneWorkers]]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "redis", log=log_file(tmp_path, "redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def own_client(own_redis: EmbeddedRedis) -> AsyncIterator[Redis]:
    client = connect(own_redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Redis]:
    """A client whose Redis is not there."""
    client = connect(f"unix://{tmp_path}/nobody.sock")
    yield client
    await client.aclose()


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[Redis]:
    """A client whose Redis takes the connection and never says a word."""
    path = str(tmp_path / "silent.sock")
    gone = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_unix_server(say_nothing, path)
    client = connect(f"unix://{path}")
    yield client
    await client.aclose()
    gone.set()
    server.close()


@pytest.fixture(params=["away", "silent"])
def absent(request: pytest.FixtureRequest, away: Redis, silent: Redis) -> Redis:
    """A Redis that is no help, in both ways."""
    return away if request.param == "away" else silent


def settings_for(redis_url: str, **changes: object) -> Settings:
    quick = Settings(redis_url=redis_url, lock_duration_s=1.0, stalled_interval_s=0.5, worker_concurrency=8)
    return msgspec.structs.replace(quick, **changes)


@pytest.fixture
async def start_workers() -> AsyncIterator[StartWorkers]:
    """Starts workers that are stopped at the end of the test, whatever came of it."""
    started: list[LaneWorkers] = []

    async def start(url: str, drain: Drain, bells: Bells, *queues: Queue, **changes: object) -> LaneWorkers:
        workers = LaneWorkers(settings_for(url, **changes), queues or (Queue.META,), drain, bells)
        await workers.start()
        started.append(workers)
        return workers

    yield start
    for workers in started:
        await workers.stop(grace_s=1)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 20) -> None:
    """Return as soon as `condition` holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
