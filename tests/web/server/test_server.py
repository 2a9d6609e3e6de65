"""The server: several processes, a kind stop, and what happens when something breaks inside."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.gateway import Gateway, a_gateway, a_message, a_request_id, a_webhook, an_event, processes_of, until


@pytest.fixture
async def own(database_url: str, redis_url: str, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway of the test's own, with two processes."""
    gateway = await a_gateway(folder, database_url, redis_url, WEB_PROCESSES="2")
    yield gateway
    gateway.stop()


async def half_a_webhook(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request that is under way: its body is not whole yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    writer.write(b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    await writer.drain()
    return reader, writer


async def test_a_request_under_way_is_answered_before_the_gateway_stops(own: Gateway) -> None:
    reader, writer = await half_a_webhook(own)
    await own.call("GET", "/health", key=None)
    assert own.process is not None
    own.process.terminate()

    async def refuses() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", own.settings.port)) != 0

    await until(refuses, "no new connections")
    assert own.process.poll() is None
    writer.write(b"}")
    await writer.drain()
    assert b" 401 " in await reader.readline()
    writer.close()
    assert await asyncio.to_thread(own.process.wait, 10) == 0


async def test_an_idle_connection_does_not_hold_up_the_stop(own: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", own.settings.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await reader.readline()
    assert await asyncio.to_thread(own.stop) == 0
    writer.close()


async def test_who_is_told_to_stop_says_so_and_takes_requests_meanwhile(
    database_url: str, redis_url: str, folder: Path
) -> None:
    """A balancer hears of it before anything is refused; who cannot wait sends SIGINT."""
    gateway = await a_gateway(folder, database_url, redis_url, SHUTDOWN_DELAY_S="60")
    assert gateway.process is not None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
        assert await asked(reader, writer) == (200, "ready", False)
        gateway.process.terminate()

        async def told() -> bool:
            return (await gateway.call("GET", "/health/ready", key=None)).status == 503

        await until(told, "it is told")
        assert (await gateway.call("GET", "/health/live", key=None)).json["status"] == "live"
        assert (await gateway.meta(a_webhook(a_message("wamid.late")))).status == 200
        assert await asked(reader, writer) == (503, "stopping", True)
        assert await reader.read() == b""
        writer.close()
        assert gateway.process.poll() is None
        for pid in processes_of(gateway):
            os.kill(pid, signal.SIGTERM)  # as service managers do, to each process
            os.kill(pid, signal.SIGINT)
        assert await asyncio.to_thread(gateway.process.wait, 30) == 0
    finally:
        gateway.stop()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str, bool]:
    """What `/health/ready` answers on this connection, and whether it was the last answer of it."""
    writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    told = json.loads(await reader.readexactly(length))
    return int(head.split()[1]), told["status"], "\r\nconnection: close\r\n" in head


async def test_a_killed_process_is_replaced_and_the_other_goes_on(own: Gateway) -> None:
    before = processes_of(own)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)

    async def replaced() -> bool:
        now = processes_of(own)
        return before[0] not in now and len(now) == 2

    await until(replaced, "a new process")
    await own.ready()
    for n in range(20):
        assert (await own.meta(a_webhook(a_message(f"wamid.after.{n}")))).status == 200


async def test_processes_end_with_the_first_one_and_leave_the_port(own: Gateway) -> None:
    assert own.process is not None
    left = processes_of(own)
    own.process.kill()
    own.process.wait()

    async def free() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", own.settings.port)) != 0

    await until(free, "nobody listens")

    async def gone() -> bool:
        return not any(os.path.exists(f"/proc/{pid}/exe") for pid in left)  # noqa: ASYNC240, PTH110

    await until(gone, "the processes are gone")
    own.start()
    await own.ready()


async def test_the_processes_of_a_host_count_together(own: Gateway) -> None:
    for n in range(40):
        await own.meta(a_webhook(a_message(f"wamid.{n}")))
    told = (await own.call("GET", "/metrics", key=None)).body.decode()
    assert 'zaptrix_webhooks_received_total{source="meta"} 40.0' in told


async def test_a_taken_port_is_told_in_a_sentence(own: Gateway) -> None:
    second = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "zaptrix", "serve"],
        env=own.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert f"PORT: 127.0.0.1:{own.settings.port} cannot be used" in second.stderr
    assert "Traceback" not in second.stderr + second.stdout


async def test_what_breaks_inside_is_a_problem_with_its_request_id_and_one_line_in_the_log(own: Gateway) -> None:
    await own.rows("ALTER TABLE portal_config RENAME TO broken")
    request_id = a_request_id()
    reply = await own.call("GET", "/api/portals", headers={"X-Request-Id": request_id})
    assert reply.status == 500
    assert reply.problem["request_id"] == request_id
    assert "portal_config" not in reply.body.decode()
    assert own.log.count(request_id) == 1


async def test_an_event_is_kept_whatever_breaks_and_meta_is_asked_to_send_again(own: Gateway) -> None:
    portal = await own.portal(application_token="token")
    await own.rows("ALTER TABLE event RENAME TO broken")
    reply = await own.bitrix24(an_event(portal["member_id"], "token"), request_id="bitrix-request")
    assert reply.status == 200
    spool = own.folder / "spool"
    assert len([*spool.glob("*.event"), *spool.glob("*.bad")]) == 1
    reply = await own.meta(a_webhook(a_message("wamid.broken")))
    assert reply.status == 500
    assert reply.problem["title"] == "Internal error"
    await own.rows("ALTER TABLE broken RENAME TO event")

    async def replayed() -> bool:
        # A replay in between breaks on the same: then it waits for a person, who puts it back.
        for aside in spool.glob("*.bad"):
            aside.rename(aside.with_suffix(".event"))
        return len(await own.events("bitrix-request")) == 1

    await until(replayed, "the spool is replayed")


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_a_process_that_keeps_files_elsewhere_than_the_others_does_not_start(
    gateway: Gateway, tmp_path: Path, command: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = gateway.environ | {"DATA_DIR": str(tmp_path), "PORT": str(port)}
    arguments = [sys.executable, "-m", "zaptrix", command]
    ended = subprocess.run(arguments, env=environ, capture_output=True, timeout=120, check=False)
    told = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 2
    assert "give all hosts the same MEDIA_URL" in told
    assert "Traceback" not in told
