"""A stage: one system with everything it needs, as real processes, and the platforms' far side across the street."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import redis.asyncio
from cryptography.fernet import Fernet

from benchmarks.far_record import Arrivals, make_counter, read_told
from benchmarks.letters import APP_SECRET
from benchmarks.load import Counted, Load
from benchmarks.tenants import Tenant, Terms, settle_in, tenants
from proof.ports import free_port
from zaptrix.cli.local.children import Child, Program
from zaptrix.cli.local.servers import servers_in
from zaptrix.store.encryption import SecretBox
from zaptrix.store.ledger.receipts import STANDS
from zaptrix.store.schema.migrate import upgrade

START_S_MAX = 60.0
ARRIVE_POLL_S = 0.02
STOP_S_MAX = 30.0
SETTLE_S_MAX = 180.0
BUSY_S_MAX = 900
FILES_MAX = 65_536  # a far side that takes its time has a socket for each call
# Nothing of a shell that was set up for production may reach a benchmark.
FOREIGN = ("META_", "BITRIX_", "ZAPTRIX_", "DATABASE_", "REDIS_", "ENCRYPTION_", "WEB_", "WORKER_", "PORT", "HOST")


_COMPUTE = """
import sys, time
ends = time.monotonic() + float(sys.argv[1])
while time.monotonic() < ends:
    sum(range(10_000))
"""


class StageError(Exception):
    """The stage did not come up, or broke down."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How many processes of each kind, and what the far side does."""

    gateways: int = 1
    workers: int = 1
    receipts: bool = False  # Meta tells of what was sent and delivered
    far_latency_ms: float = 0.0
    refuse_every: int = 0  # the far side refuses such a part of the texts to WhatsApp
    environ: dict[str, str] = {}  # settings of the system under test that differ from those of a benchmark


class Stage(ABC):
    """Servers, far side and the system under test. `stop` always, also when `start` failed half-way."""

    name: str

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.folder = folder
        self.shape = shape
        self.port, self.far_port = free_port(), free_port()
        self.servers = servers_in(folder / "servers")
        self.roots: dict[str, int] = {"load": os.getpid()}
        self._children: list[Child] = []
        self._loads: list[Load] = []

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _allow_files()
        await asyncio.to_thread(self.servers.start)
        assert self.servers.postgres.pid is not None
        assert self.servers.redis.pid is not None
        self.roots |= {"postgresql": self.servers.postgres.pid, "redis": self.servers.redis.pid}
        self._start_far_side()
        await self._prepare()
        self._start_gateways()
        await self._answers(self.port, "/health", "the gateway")

    def start_workers(self) -> None:
        for place in range(self.shape.workers):
            self._start_worker("worker" if self.shape.workers == 1 else f"worker{place + 1}")

    async def stop_workers(self) -> None:
        """As an administrator would: each finishes what it has under way."""
        workers = [child for child in self._children if child.program.name.startswith("worker")]
        for child in workers:
            child.ask()
        for child in workers:
            await asyncio.to_thread(child.stop)
            self._children.remove(child)
            del self.roots[child.program.name]

    async def stop(self) -> None:
        for load in self._loads:
            load.close()
        for child in reversed(self._children):
            child.ask()
        for child in reversed(self._children):
            await asyncio.to_thread(child.stop)
        await asyncio.to_thread(self.servers.stop)

    @abstractmethod
    async def settle_in(self, terms: Terms) -> list[Tenant]:
        """Make the tenants known to the system."""

    @abstractmethod
    async def kept(self) -> list[int]:
        """Numbers of the customers' messages that were accepted and that no worker has touched, in their order."""

    @abstractmethod
    async def settled(self, seconds: float) -> dict[str, float]:
        """Wait until nothing is under way; figures of what became of the messages."""

    @abstractmethod
    async def _prepare(self) -> None: ...

    @abstractmethod
    def _start_gateways(self) -> None: ...

    @abstractmethod
    def _start_worker(self, name: str) -> None: ...

    # --- the far side and the load -----------------------------------------------------------------------------------

    @property
    def far_url(self) -> str:
        return f"http://127.0.0.1:{self.far_port}"

    def load(self, connections: int) -> Load:
        load = Load("127.0.0.1", self.port, connections=connections)
        self._loads.append(load)
        return load

    async def arrivals(self) -> Arrivals:
        """What arrived at the far side since the start or the last `forget`."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.far_url}/control/record") as answer:
            return read_told(await answer.read())

    async def forget(self) -> None:
        """The far side begins a new record."""
        async with aiohttp.ClientSession() as session, session.delete(f"{self.far_url}/control/record") as answer:
            assert answer.status == 200

    async def far_takes(self, latency_ms: float) -> None:
        """From now on each call to a platform waits so long for its answer."""
        address = f"{self.far_url}/control/latency-ms/{latency_ms:g}"
        async with aiohttp.ClientSession() as session, session.post(address) as answer:
            assert answer.status == 200

    @asynccontextmanager
    async def one_core_busy(self) -> AsyncIterator[None]:
        """A neighbour that computes and computes: with us, or for `BUSY_S_MAX`."""
        child = self.spawn("busy", [sys.executable, "-c", _COMPUTE, str(BUSY_S_MAX)], {})
        try:
            yield
        finally:
            await asyncio.to_thread(child.stop)
            self._children.remove(child)
            del self.roots["busy"]

    async def arrived(self, count: int, seconds: float) -> bool:
        """Whether `count` messages are at the far side within that time after the last progress."""
        seen, last = -1, time.monotonic()
        while (now := self.count()) < count:
            if now > seen:
                seen, last = now, time.monotonic()
            elif time.monotonic() - last > seconds:
                return False
            self.check_alive()
            await asyncio.sleep(ARRIVE_POLL_S)
        return True

    async def quiet(self) -> None:  # noqa: B027  # the yardstick does nothing by itself
        """Before workers start: they shall do nothing but what the load asks for and their chores."""

    def check_alive(self) -> None:
        """Raises StageError when a process has ended."""
        for child in self._children:
            if child.exit_code() is not None:
                raise StageError(f"{child.program.name} ended by itself\n{child.last_words()}")

    def _start_far_side(self) -> None:
        counter = self.folder / "arrived.count"
        self.count = Counted(make_counter(counter))
        arguments = ["-m", "benchmarks.far_side", "--port", str(self.far_port), "--counter", str(counter)]
        if self.shape.receipts:
            arguments += ["--receipts-to", str(self.port)]
        arguments += ["--latency-ms", str(self.shape.far_latency_ms)]
        arguments += ["--refuse-every", str(self.shape.refuse_every)]
        self.spawn("platforms", [sys.executable, *arguments], {})

    # --- processes ---------------------------------------------------------------------------------------------------

    def spawn(self, name: str, argv: Sequence[str | Path], environ: dict[str, str]) -> Child:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        log = self.folder / f"{name}.log"
        whole = clean | environ | self.shape.environ
        child = Child(Program(name=name, argv=argv, environ=whole, log=log, stop_wait_s=STOP_S_MAX))
        self._children.append(child)
        self.roots[name] = child.pid
        return child

    async def _answers(self, port: int, path: str, what: str) -> None:
        deadline = time.monotonic() + START_S_MAX
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                self.check_alive()
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        raise StageError(f"{what} did not start within {START_S_MAX:g} s (logs in {self.folder})")


def _allow_files() -> None:
    """As many open files as may be had, for us and whom we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_KEPT = """
SELECT substring(convert_from(body, 'UTF8') FROM '"body":"([0-9]+) ')::bigint AS number
FROM event WHERE name = 'messages.text' ORDER BY id
"""
_UNDER_WAY = """
SELECT EXISTS (SELECT FROM event WHERE state IN ('new', 'held'))
    OR EXISTS (SELECT FROM message WHERE state IN ('pending', 'sending', 'verifying'))
    OR EXISTS (SELECT FROM confirmation)
    OR EXISTS (SELECT FROM recovery WHERE away_until IS NOT NULL AND ended_at IS NULL)
"""
# A portal without a line here is looked at as soon as a worker starts.
_NO_LOOKS = """
INSERT INTO recovery AS r (portal_id, next_at) SELECT id, now() + interval '1 day' FROM portal_config
ON CONFLICT (portal_id) DO UPDATE SET next_at = greatest(r.next_at, excluded.next_at)
"""
_STATES = f"""
SELECT direction, state, count(*) FROM (SELECT direction, {STANDS} AS state FROM message) AS m
GROUP BY direction, state ORDER BY direction, state
"""  # noqa: S608


class Zaptrix(Stage):
    """This gateway, as `zaptrix serve` and `zaptrix worker` run it in production."""

    name = "zaptrix"

    def __init__(self, folder: Path, shape: Shape) -> None:
        super().__init__(folder, shape)
        self._key = Fernet.generate_key().decode()

    @property
    def environ(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.servers.postgres.url,
            "REDIS_URL": self.servers.redis.url,
            "DATA_DIR": str(self.folder / "data"),
            "ENCRYPTION_KEYS": self._key,
            "PORT": str(self.port),
            "METRICS_PORT": "0",
            "SHUTDOWN_DELAY_S": "0",
            "SIM_PORT": "1",
            "META_APP_SECRET": APP_SECRET,
            "META_VERIFY_TOKEN": "bench-verify-token",
            "META_GRAPH_URL": f"{self.far_url}/meta",
            "BITRIX_OAUTH_URL": f"{self.far_url}/bitrix24/oauth/token/",
            "WEB_PROCESSES": str(self.shape.gateways),
        }

    async def settle_in(self, terms: Terms) -> list[Tenant]:
        them = tenants(terms.portals, self.far_url)
        connection = await self.database()
        try:
            await settle_in(connection, them, terms, SecretBox([self._key]), f"http://127.0.0.1:{self.port}")
        finally:
            await connection.close()
        return them

    async def kept(self) -> list[int]:
        connection = await self.database()
        try:
            return [row["number"] for row in await connection.fetch(_KEPT)]
        finally:
            await connection.close()

    async def settled(self, seconds: float) -> dict[str, float]:
        connection = await self.database()
        try:
            deadline = time.monotonic() + seconds
            while await connection.fetchval(_UNDER_WAY) and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
            rows = await connection.fetch(_STATES)
        finally:
            await connection.close()
        return {f"{row['direction']} {row['state']}": float(row["count"]) for row in rows}

    async def quiet(self) -> None:
        """Put off the first looks at the portals' histories."""
        connection = await self.database()
        try:
            await connection.execute(_NO_LOOKS)
        finally:
            await connection.close()

    async def database(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.servers.postgres.url)

    def redis(self) -> redis.asyncio.Redis:
        return redis.asyncio.from_url(self.servers.redis.url)

    async def _prepare(self) -> None:
        await upgrade(self.servers.postgres.url)

    def _start_gateways(self) -> None:
        self.spawn("gateway", [sys.executable, "-m", "zaptrix", "serve"], self.environ)

    def _start_worker(self, name: str) -> None:
        self.spawn(name, [sys.executable, "-m", "zaptrix", "worker"], self.environ)
