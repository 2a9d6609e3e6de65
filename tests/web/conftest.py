"""Gateways to call. One serves most tests; who kills servers or counts calls starts one of their own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import execute
from tests.web.gateway import Gateway, a_gateway
from zaptrix.cli.local.servers import Servers


@pytest.fixture(scope="session")
def gateway(servers: Servers, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a database of its own, shared by the tests of this process."""
    name = "web_tests"
    asyncio.run(execute(servers, f'CREATE DATABASE "{name}" TEMPLATE "{migrated}"'))
    gateway = asyncio.run(
        a_gateway(tmp_path_factory.mktemp("gateway"), servers.postgres.url_of(name), servers.redis.url)
    )
    yield gateway
    gateway.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "gateway"
    made.mkdir()
    return made
