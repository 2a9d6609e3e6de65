"""What every test may ask for.

`database_url` and `redis_url` are a test's own, on servers that one test process shares; `own_servers` are for a test
that kills or restarts them. Each process of `pytest -n` has its own pair.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from redis.asyncio import Redis

from proof.tap import Tap
from tests.pure import is_pure, keeps_to_python
from tests.servers import empty_redis, fresh_database, migrate_template, running
from zaptrix.broker.connection.connection import connect
from zaptrix.broker.queues.bells import Bells
from zaptrix.cli.local.servers import Servers
from zaptrix.store.connection.database import Database, open_database

# The same examples every time: a run that fails can be run again. How long one takes is a benchmark's matter.
hypothesis.settings.register_profile(
    "zaptrix", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("zaptrix")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pure", action="store_true", help="only tests that need Python alone: tests/pure.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --pure, a file that is not is never read."""
    left_out = config.getoption("pure") and collection_path.match("test_*.py") and not is_pure(collection_path)
    return True if left_out else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --pure, neither is a test that asks for a server, directly or by another fixture."""
    if config.getoption("pure"):
        config.hook.pytest_deselected(items=[item for item in items if not keeps_to_python(item)])
        items[:] = [item for item in items if keeps_to_python(item)]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One PostgreSQL and one Redis for this test process."""
    with running(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> str:
    """The name of a migrated database to copy."""
    return migrate_template(servers)


@pytest.fixture
async def database_url(servers: Servers, migrated: str) -> AsyncIterator[str]:
    """A migrated, empty database of the test's own."""
    async with fresh_database(servers, template=migrated) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the test's own database."""
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def tap(database_url: str, tmp_path: Path) -> AsyncIterator[Tap]:
    """A way to it that can go dead."""
    tap = Tap(database_url, tmp_path / "tap")
    await tap.start()
    yield tap
    await tap.stop()


@pytest.fixture
async def redis_url(servers: Servers) -> str:
    """A Redis with nothing in it."""
    return await empty_redis(servers)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """The process's client, as the gateway makes it."""
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def bells(redis: Redis) -> AsyncIterator[Bells]:
    bells = Bells(redis)
    yield bells
    await bells.close()


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Servers]:
    """Servers of the test's own, not migrated, to kill and restart as it likes."""
    with running(tmp_path / "servers") as servers:
        yield servers
