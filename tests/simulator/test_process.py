"""The program: it starts, answers, keeps its world over a stop, and says why when it cannot start."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp

from proof.ports import free_port

SOURCES = Path(__file__).parents[2] / "src"


async def started(port: int, **more: str) -> Process:
    environ = os.environ | {"SIM_PORT": str(port), "PYTHONPATH": str(SOURCES)} | more
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zaptrix_sim", env=environ, stdout=PIPE, stderr=PIPE
    )


async def demo_of(process: Process, port: int) -> str:
    """The demo portal's member id and token, once the program says that it serves."""
    assert process.stdout is not None
    assert f"http://127.0.0.1:{port}/" in (await process.stdout.readline()).decode()
    url = f"http://127.0.0.1:{port}/control/demo"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        portal = (await response.json())["portal"]
        return f"{portal['member_id']} {portal['access_token']}"


async def test_the_program_serves_until_it_is_told_to_stop_and_remembers(tmp_path: Path) -> None:
    port, seen = free_port(), []
    for number in (signal.SIGTERM, signal.SIGINT):
        process = await started(port, SIM_DATA_DIR=str(tmp_path))
        seen.append(await demo_of(process, port))
        process.send_signal(number)
        _, complaint = await process.communicate()
        assert (process.returncode, complaint) == (0, b"")

    assert seen[0] == seen[1]


async def test_a_taken_port_is_a_clear_error() -> None:
    port = free_port()
    first = await started(port)
    await demo_of(first, port)

    second = await started(port)
    _, complaint = await second.communicate()
    first.terminate()
    await first.communicate()

    assert second.returncode == 1
    assert f"127.0.0.1:{port} cannot be used" in complaint.decode()


async def test_a_setting_that_cannot_be_read_is_a_clear_error() -> None:
    process = await started(free_port(), SIM_META_LATENCY_S="soon")
    _, complaint = await process.communicate()

    assert process.returncode == 2
    assert "meta_latency_s" in complaint.decode()
