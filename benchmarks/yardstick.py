"""The yardstick on its stage: the brief's own design in Node (`peer/`), with the same servers and the same far side."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from pathlib import Path

import asyncpg
import redis.asyncio

from benchmarks.letters import APP_SECRET, number_of
from benchmarks.stage import Stage
from benchmarks.tenants import Tenant, Terms, tenants

SOURCES = Path(__file__).parent / "peer"
INSTALLED = Path("var") / "bench-peer"
INSTALL_S_MAX = 300.0
NODE_OLDEST = 20
CONCURRENCY = 10  # the top of the brief's 5 to 10
JOBS_PER_ASK = 1_000
_QUEUES = ("incoming-messages", "bitrix24-messages", "outbound-messages", "meta-messages")
_LISTS = ("wait", "active", "delayed", "prioritized")


class NoPeer(Exception):
    """The yardstick cannot be run here; the text says why."""


def install() -> Path:
    """A folder with the yardstick and its locked packages; raises NoPeer."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NoPeer("node and npm are not installed here")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    version = re.match(r"v(\d+)", told)
    if version is None or int(version[1]) < NODE_OLDEST:
        raise NoPeer(f"node is older than {NODE_OLDEST}")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    lock = INSTALLED / "node_modules" / ".zaptrix.lock"
    wanted = (SOURCES / "package-lock.json").read_bytes()
    for source in (*SOURCES.glob("*.mjs"), *SOURCES.glob("*.json")):
        shutil.copy(source, INSTALLED)
    if not lock.exists() or lock.read_bytes() != wanted:
        print("peer: npm ci", flush=True)
        done = subprocess.run(
            [npm, "ci", "--omit=dev", "--no-audit", "--no-fund"],
            cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoPeer(f"npm ci failed: {done.stderr.strip()[-300:]}")
        lock.write_bytes(wanted)
    return INSTALLED.resolve()


class Peer(Stage):
    """Fastify, BullMQ with a job a message, ioredis, PostgreSQL for mappings."""

    name = "peer"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "NODE_ENV": "production",
            "PORT": str(self.port),
            "PEER_REDIS": self.servers.redis.url.removeprefix("unix://"),
            "PEER_DATABASE": self.servers.postgres.url,
            "PEER_APP_SECRET": APP_SECRET,
            "PEER_GRAPH_URL": f"{self.far_url}/meta",
            "PEER_CONCURRENCY": str(CONCURRENCY),
            "PEER_PROCESSES": str(self.shape.gateways),
        }

    async def settle_in(self, terms: Terms) -> list[Tenant]:
        them = tenants(terms.portals, self.far_url)
        connection = await asyncpg.connect(self.servers.postgres.url)
        try:
            await connection.copy_records_to_table("portal_config", records=map(_portal, them), columns=_COLUMNS)
        finally:
            await connection.close()
        return them

    async def kept(self) -> list[int]:
        numbers: list[int] = []
        async with redis.asyncio.from_url(self.servers.redis.url, decode_responses=True) as client:
            jobs: list[str] = await client.lrange("bull:incoming-messages:wait", 0, -1)  # type: ignore[assignment]  # decoded
            jobs.reverse()  # the oldest stands at the right
            for start in range(0, len(jobs), JOBS_PER_ASK):
                async with client.pipeline(transaction=False) as pipe:
                    for job in jobs[start : start + JOBS_PER_ASK]:
                        pipe.hget(f"bull:incoming-messages:{job}", "data")
                    numbers += [_number_in(data) for data in await pipe.execute()]
        return numbers

    async def settled(self, seconds: float) -> dict[str, float]:
        async with redis.asyncio.from_url(self.servers.redis.url, decode_responses=True) as client:
            deadline = time.monotonic() + seconds
            while (left := await _left(client)) and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
        return {"jobs left": float(left)}

    async def _prepare(self) -> None:
        self._folder = await asyncio.to_thread(install)
        connection = await asyncpg.connect(self.servers.postgres.url)
        try:
            await connection.execute((SOURCES / "schema.sql").read_text(encoding="utf-8"))
        finally:
            await connection.close()

    def _start_gateways(self) -> None:
        self.spawn("gateway", [_node(), self._folder / "gateway.mjs"], self.environ)

    def _start_worker(self, name: str) -> None:
        self.spawn(name, [_node(), self._folder / "worker.mjs"], self.environ)


class Marking(Peer):
    """The yardstick with one duty more: it marks what it has brought to the portal as read."""

    name = "peer, marking"

    @property
    def environ(self) -> dict[str, str]:
        return super().environ | {"PEER_MARKS": "1"}


_COLUMNS = (
    "id", "portal_url", "client_id", "client_secret", "access_token", "member_id", "application_token",
    "client_endpoint", "connector_id", "line_id", "phone_number_id", "number_token",
)  # fmt: skip


def _portal(tenant: Tenant) -> tuple[object, ...]:
    return (
        tenant.portal_id,
        f"http://{tenant.key}.bitrix24.test",
        "local.bench",
        "client-secret",
        tenant.access_token,
        tenant.member_id,
        tenant.application_token,
        tenant.client_endpoint,
        tenant.connector_id,
        tenant.line_id,
        tenant.number,
        tenant.number_token,
    )


def _node() -> str:
    node = shutil.which("node")
    assert node is not None  # `install` has looked
    return node


def _number_in(data: str) -> int:
    found = re.search(r'"body":"([^"]*)"', data or "")
    return number_of(found[1]) if found else -1


async def _left(client: redis.asyncio.Redis) -> int:
    """Jobs that are not done."""
    async with client.pipeline(transaction=False) as pipe:
        for queue in _QUEUES:
            for each in _LISTS:
                key = f"bull:{queue}:{each}"
                pipe.zcard(key) if each in {"delayed", "prioritized"} else pipe.llen(key)
        return sum(await pipe.execute())
