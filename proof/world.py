"""A whole Zaptrix with both platforms: real servers, real processes, HTTP between all of them.

Nothing here imports the gateway's inside. Tests, seeds and benchmarks speak to the simulators' remote control and to
the gateway's own API, and kill, stop and flush what they like.
"""

import asyncio
import base64
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import redis.asyncio
from cryptography.fernet import Fernet

from proof.ports import free_port
from proof.tap import Tap
from proof.topologies import Engines, Topology, single
from zaptrix.cli.keys.api_keys import create_api_key
from zaptrix.cli.local.children import Child, Program
from zaptrix.settings import Settings
from zaptrix.store.schema.migrate import upgrade

START_S_MAX = 60.0
STOP_S_MAX = 20.0
DRAIN_S_MAX = 90.0
POLL_S = 0.05

# As in production, only sooner: nobody wants to wait a minute for the proof of a hung call.
HASTE = {
    "META_TIMEOUT_S": "2",
    "BITRIX_TIMEOUT_S": "2",
    "CLAIM_LEASE_S": "4",
    "META_VERIFY_WAIT_S": "3",
    "BITRIX_VERIFY_WAIT_S": "0.5",
    "SWEEP_INTERVAL_S": "0.5",
    "LOCK_DURATION_S": "2",
    "STALLED_INTERVAL_S": "1",
    "RETRY_BASE_S": "0.2",
    "SLICE_S": "1",
    "MEDIA_READY_S": "60",
    "LOG_LEVEL": "info",
    "API_RATE_PER_MIN": "100000",
}


def iso(unix: float) -> str:
    """A time as the API takes it."""
    return datetime.fromtimestamp(unix, UTC).isoformat()


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until the condition holds. Raises AssertionError, saying what did not come, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        await asyncio.sleep(POLL_S)


@dataclass(kw_only=True)
class World:
    """Servers, simulators, gateways and workers of one test, and the remote controls of all of them."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    haste: Mapping[str, str] = field(default_factory=lambda: HASTE)  # for a measurement: as slow as in production
    topology: Topology = single
    servers: Engines = field(init=False)
    sim_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    files_port: int = field(default_factory=free_port)  # of a server of the admin's own, which a test may stand in for
    admin_key: str = ""
    keys: str = ""  # ENCRYPTION_KEYS of what starts from now on
    workers: list[Child] = field(default_factory=list)
    gateway: Child | None = None
    simulator: Child | None = None
    session: aiohttp.ClientSession = field(init=False)
    _tenants: int = 0

    def __post_init__(self) -> None:
        self.servers = self.topology(self.folder / "servers")

    async def start(self, *, workers: int = 1) -> None:
        """Everything up; call `stop` also when this fails half-way."""
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        await asyncio.to_thread(self.servers.start)
        pooled_url = self.environ["DATABASE_URL"] if "DATABASE_DIRECT_URL" in self.environ else ""
        await upgrade(self.servers.postgres.url, pooled_url=pooled_url)
        self.keys = Fernet.generate_key().decode()
        self.admin_key = await create_api_key(Settings.from_env(self.environ), name="test", portal_id=None)
        self.simulator = self._spawn("zaptrix_sim", "simulator")
        self.start_gateway()
        for _ in range(workers):
            self.start_worker()
        await eventually(lambda: self._answers(f"{self.sim}/control/health"), START_S_MAX, "the simulators")
        await self.gateway_is_up()

    async def stop(self) -> None:
        await self.session.close()
        for process in (*self.workers, self.gateway, self.simulator):
            if process is not None:
                await asyncio.to_thread(process.stop)  # what they stand on may be served by this very loop
        await asyncio.to_thread(self.servers.stop)

    @property
    def sim(self) -> str:
        return f"http://127.0.0.1:{self.sim_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        return (
            dict(self.haste)
            | self.servers.environ
            | {
                "DATA_DIR": str(self.folder / "data"),
                "ENCRYPTION_KEYS": self.keys,
                "PORT": str(self.port),
                "METRICS_PORT": "0",
                "SHUTDOWN_DELAY_S": "0",
                "PUBLIC_URL": self.url,
                "META_APP_SECRET": "demo-app-secret",
                "META_VERIFY_TOKEN": "demo-verify-token",
                "META_GRAPH_URL": f"{self.sim}/meta",
                "MEDIA_PRIVATE_NETWORKS": "127.0.0.1/32",
                "MEDIA_LINK_ORIGINS": f"http://127.0.0.1:{self.files_port}",
                "BITRIX_OAUTH_URL": f"{self.sim}/bitrix24/oauth/token/",
                "SIM_PORT": str(self.sim_port),
                "GATEWAY_URL": self.url,
            }
            | self.extra
        )

    # --- processes -------------------------------------------------------------------------------------------------

    def start_worker(self, *arguments: str, clock: Path | None = None, tap: Tap | None = None) -> Child:
        """`clock`: the file that says how wrong this one's is (`proof.skewed`); `tap`: its way to PostgreSQL."""
        module, wrong = ("proof.skewed", [str(clock)]) if clock else ("zaptrix", [])
        extra = {"DATABASE_URL": tap.url} if tap else {}
        worker = self._spawn(module, f"worker{len(self.workers)}", *wrong, "worker", *arguments, extra=extra)
        self.workers.append(worker)
        return worker

    def kill_worker(self, index: int = 0) -> None:
        """kill -9: nothing is finished, nothing is said."""
        self.workers.pop(index).kill()

    def start_gateway(self) -> None:
        self.gateway = self._spawn("zaptrix", "gateway", "serve")

    def stop_gateway(self) -> None:
        assert self.gateway is not None
        self.gateway.stop()
        self.gateway = None

    def kill_gateway(self) -> None:
        """kill -9, with the process that answers the requests."""
        assert self.gateway is not None
        self.gateway.kill()
        self.gateway = None

    async def gateway_is_up(self) -> None:
        await eventually(lambda: self._answers(f"{self.url}/health"), START_S_MAX, "the gateway")

    async def restart_postgres(self) -> None:
        await asyncio.to_thread(self.servers.postgres.stop)
        await asyncio.to_thread(self.servers.postgres.start)

    async def flush_redis(self) -> None:
        async with redis.asyncio.from_url(self.servers.redis.url) as client:
            await client.flushall()

    async def sql(self, query: str, *values: object) -> Any:
        """One value from the gateway's own database."""
        connection = await asyncpg.connect(self.servers.postgres.url)
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close()

    # --- remote controls -------------------------------------------------------------------------------------------

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """The simulators' remote control."""
        async with self.session.request(method, f"{self.sim}/control/{path}", json=body) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told

    async def api(self, method: str, path: str, body: object = None, *, status: int | None = None) -> Any:
        """The gateway's management API, as an admin."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        async with self.session.request(method, f"{self.url}{path}", json=body, headers=headers) as answer:
            told = await answer.json() if answer.content_length != 0 and answer.status != 204 else None
            assert answer.status == status if status else answer.status < 300, (answer.status, told)
            return told

    async def faults(self, *faults: dict[str, Any], seed: int = 1) -> None:
        await self.control("PUT", "faults", {"seed": seed, "faults": list(faults)})

    async def portal_is_down(self, tenant: "Tenant") -> None:
        """One portal answers 503 to everything."""
        down = {"side": "bitrix24", "where": "api", "kind": "status", "status": 503}
        await self.faults(down | {"match": {"portal": tenant.key}})

    async def heal(self) -> None:
        await self.control("DELETE", "faults")

    async def ledger(self) -> dict[str, Any]:
        told: dict[str, Any] = await self.control("GET", "ledger")
        return told

    async def drained(self, seconds: float = DRAIN_S_MAX) -> dict[str, Any]:
        """Wait until everything has arrived; the ledger, which must know of no violation."""

        async def all_arrived() -> bool:
            return bool((await self.ledger())["drained"])

        await eventually(all_arrived, seconds, "everything to arrive")
        ledger = await self.ledger()
        assert ledger["violations"] == [], ledger["violations"]
        return ledger

    async def tenant(
        self, *, beside: "Tenant | None" = None, own_account: bool = False, enterprise: bool = False, **channel: Any
    ) -> "Tenant":
        """A portal with one line and one number, known to the simulators and to the gateway.

        `beside`: another number and line of that one's portal. `own_account`: its number has a WhatsApp Business
        account of its own, with its own templates. `enterprise`: the portal's plan, with a larger bucket.
        """
        self._tenants += 1
        key, number = beside.key if beside else f"p{self._tenants}", f"2109876543{self._tenants:05d}"
        line = {"id": 15, "name": "Suporte"} if beside else {"id": 14, "name": "Vendas"}
        plan = "enterprise" if enterprise else "standard"
        portal = await self.control("POST", "portals", {"portal": key, "lines": [line], "plan": plan})
        account = {"waba_id": f"1088663334{self._tenants:05d}"} if own_account else {}
        display = f"55114004{self._tenants:04d}"
        phone = await self.control(
            "POST",
            "numbers",
            {"phone_number_id": number, "display_phone_number": display, "subscribed": False, **account},
        )
        tenant = Tenant(world=self, key=key, number=number, portal=portal, phone=phone)
        if beside is None:
            await tenant.join(enterprise=enterprise)
        else:
            tenant.portal_id = beside.portal_id
        await tenant.open_channel(**{"line_id": line["id"], **channel})
        return tenant

    async def _answers(self, url: str) -> bool:
        try:
            async with self.session.get(url) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _spawn(self, module: str, name: str, *arguments: str, extra: Mapping[str, str] | None = None) -> Child:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("META_", "BITRIX_"))}
        return Child(
            Program(
                name=name,
                argv=[sys.executable, "-m", module, *arguments],
                environ=environ | self.environ | dict(extra or {}),
                log=self.folder / f"{name}.log",
                stop_wait_s=STOP_S_MAX,
            )
        )


@dataclass(kw_only=True)
class Tenant:
    """One portal, its line and its number."""

    world: World
    key: str
    number: str
    portal: dict[str, Any]
    phone: dict[str, Any]
    portal_id: UUID = field(default=UUID(int=0))
    channel_id: UUID = field(default=UUID(int=0))

    async def join(self, **portal: Any) -> None:
        """Make the portal known to the gateway, as an admin would."""
        fields = ("portal_url", "member_id", "client_id", "client_secret", "access_token", "refresh_token")
        more = {"application_token": self.portal["application_token"], "expires_at": iso(self.portal["expires"])}
        body = {name: self.portal[name] for name in (*fields, "client_endpoint")} | more | portal
        self.portal_id = UUID((await self.world.api("POST", "/api/portals", body))["id"])

    async def open_channel(self, **channel: Any) -> None:
        """Join the number to its line, as an admin would."""
        joined = await self.world.api(
            "POST",
            "/api/channels",
            {
                "portal_id": str(self.portal_id),
                "name": "Vendas",
                "phone_number_id": self.number,
                "display_phone_number": self.phone["display_phone_number"],
                "access_token": self.phone["access_token"],
                **channel,
            },
        )
        assert joined["registration"] == joined["subscription"] == {"done": True, "error": None}, joined
        self.channel_id = UUID(joined["id"])

    async def customer_writes(self, *texts: str, wa_id: str = "554188887777", name: str = "Ana Souza") -> None:
        """One after another, each webhook on its way before the next is written."""
        for text in texts:
            letter = {"phone_number_id": self.number, "from": wa_id, "name": name, "text": text}
            await self.world.control("POST", "customers/write", letter)

    async def customer_sends(
        self, content: bytes, text: str = "", *, wa_id: str = "554188887777", **media: object
    ) -> dict[str, Any]:
        """A file from the phone; what the simulator knows of it."""
        told = {"type": "image", "mime": "image/jpeg", "content_base64": base64.b64encode(content).decode(), **media}
        letter = {"phone_number_id": self.number, "from": wa_id, "name": "Ana Souza", "text": text, "media": told}
        return dict((await self.world.control("POST", "customers/write", letter))["file"])

    async def operator_sends(self, *files: dict[str, Any], text: str = "", wa_id: str = "554188887777") -> None:
        """Files, with or without words, in one message of the operator's."""
        chat = await self.chat(wa_id)
        letter = {"portal": self.key, "chat_id": chat["chat_id"], "text": text, "operator": "Bia", "files": list(files)}
        await self.world.control("POST", "operators/write", letter)

    async def operator_writes(self, *texts: str, wa_id: str = "554188887777") -> None:
        chat = await self.chat(wa_id)
        for text in texts:
            letter = {"portal": self.key, "chat_id": chat["chat_id"], "text": text, "operator": "Bia"}
            await self.world.control("POST", "operators/write", letter)

    async def customer_reads(self, wa_id: str = "554188887777") -> None:
        await self.world.control("POST", "customers/read", {"phone_number_id": self.number, "from": wa_id})

    async def chat(self, wa_id: str = "554188887777") -> dict[str, Any]:
        """The customer's chat on the open line."""
        chat = await self.chat_if_any(wa_id)
        assert chat is not None, "the customer has no chat yet"
        return chat

    async def chat_if_any(self, wa_id: str = "554188887777") -> dict[str, Any] | None:
        conversation = await self.conversation_if_any(wa_id)
        if conversation is None:
            return None
        state = await self.world.control("GET", f"state?portal={self.key}")
        external = f"zx1-{self.channel_id.hex}-{UUID(conversation['id']).hex}"
        return next((chat for chat in state["chats"] if chat["external_chat_id"] == external), None)

    async def conversation(self, wa_id: str = "554188887777") -> dict[str, Any]:
        conversation = await self.conversation_if_any(wa_id)
        assert conversation is not None, "the gateway has no conversation with the customer yet"
        return conversation

    async def conversation_if_any(self, wa_id: str = "554188887777") -> dict[str, Any] | None:
        told = await self.world.api("GET", f"/api/conversations?portal_id={self.portal_id}")
        return next((one for one in told["items"] if one["meta_whatsapp_id"] == wa_id), None)

    async def said_in_chat(self, author: str, wa_id: str = "554188887777") -> list[str]:
        """What one kind of author said in the chat, in order."""
        chat = await self.chat_if_any(wa_id)
        return [one["text"] for one in chat["messages"] if one["author"] == author] if chat else []

    async def on_phone(self, sender: str = "business", wa_id: str = "554188887777") -> list[dict[str, Any]]:
        """What the customer's phone shows of `customer` or `business`, in order."""
        state = await self.world.control("GET", f"state?phone_number_id={self.number}&customer={wa_id}")
        return [one for phone in state["phones"] for one in phone["messages"] if one["from"] == sender]

    async def opened(self, wa_id: str = "554188887777") -> None:
        """A chat with one message of the customer's in it."""
        await self.customer_writes(f"bom dia de {wa_id}", wa_id=wa_id)
        await self.world.drained()
