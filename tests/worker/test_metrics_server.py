"""A worker's own `/metrics`: to whom it answers, and who takes over when another's process ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker import metrics_server
from zaptrix.worker.metrics_server import serve_metrics

TOKEN = "metrics-token-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving(**environ: object) -> AsyncIterator[str]:
    """The address of a server that answers."""
    settings = Settings.from_env({name: str(value) for name, value in environ.items()})
    task = asyncio.create_task(serve_metrics(settings))
    address = f"http://127.0.0.1:{settings.metrics_port}/metrics"
    try:
        while (await answer(address))[0] == 0:
            await asyncio.sleep(0.01)
        yield address
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def answer(address: str, **headers: str) -> tuple[int, str]:
    """Status and text; 0 when nobody listens."""
    try:
        async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as response:
            return response.status, await response.text()
    except aiohttp.ClientConnectorError:
        return 0, ""


async def test_what_a_worker_counts_is_told_on_its_own_port(tmp_path: Path) -> None:
    metrics.start(tmp_path)
    before = metrics.ALARMS.labels(AlarmKind.DRAIN_FAILED)._value.get()
    metrics.alarmed(AlarmKind.DRAIN_FAILED)
    async with serving(METRICS_PORT=free_port()) as address:
        status, told = await answer(address)
    assert status == 200
    assert f'zaptrix_alarms_total{{kind="drain_failed"}} {before + 1}' in told
    assert "zaptrix_queue_size{" not in told  # the gateway's to tell: told by every host it would be added up


@pytest.mark.parametrize("host", ["metrics.example.com", "192.0.2.7", "127.0.0.1.example.com"])
async def test_behind_a_public_name_it_takes_the_token(host: str) -> None:
    async with serving(METRICS_PORT=free_port(), METRICS_TOKEN=TOKEN) as address:
        assert (await answer(address, Host=host))[0] == 401
        assert (await answer(address, Host=host, Authorization=f"Bearer {TOKEN}x"))[0] == 401
        assert (await answer(address, Host=host, Authorization=f"Bearer {TOKEN}"))[0] == 200


async def test_on_all_addresses_it_takes_the_token_and_without_one_nobody_gets_in() -> None:
    everywhere = {"HOST": "0.0.0.0", "METRICS_PORT": free_port()}  # noqa: S104
    async with serving(**everywhere) as address:
        assert (await answer(address))[0] == 401
        assert (await answer(address, Authorization="Bearer "))[0] == 401
        assert (await answer(address.replace("metrics", "health/live")))[0] == 200  # an orchestrator has no token
    async with serving(**everywhere, METRICS_TOKEN=TOKEN) as address:
        assert (await answer(address, Authorization=f"Bearer {TOKEN}"))[0] == 200


async def test_a_second_worker_takes_over_when_the_first_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_AGAIN_S", 0.01)
    settings = Settings.from_env({"METRICS_PORT": str(free_port())})
    async with serving(METRICS_PORT=settings.metrics_port) as address:
        second = asyncio.create_task(serve_metrics(settings))
        await asyncio.sleep(0)
        assert (await answer(address))[0] == 200
    async with asyncio.timeout(30):
        while (await answer(address))[0] != 200:
            await asyncio.sleep(0.01)
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second
