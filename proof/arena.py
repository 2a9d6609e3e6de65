"""The world of a seed: several gateways behind a balancer, several workers, and everybody's chats at hand."""

import asyncio
import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from proof.balancer import Balancer
from proof.plan import Plan
from proof.ports import free_port
from proof.skewed import step
from proof.tap import Tap
from proof.world import START_S_MAX, Tenant, World, eventually, iso
from zaptrix.cli.local.children import Child
from zaptrix.cli.local.servers import servers_in
from zaptrix.core.limits import PEER_SILENT_S_MAX
from zaptrix.store.schema.migrate import upgrade

# What the history alone can tell is looked for at once, or a world would take a quarter of an hour to drain. Meta's
# word is waited for, as in production, longer than a silence of ours that passes for none and Meta's next try together.
# A portal's request, with the files that it fetches, is over before our call to it is given up: both last 60 s at most.
HASTE = {
    "RECOVERY_ROUND_S": "1",
    "META_VERIFY_WAIT_S": "9",
    "SIM_RETRY_LONGEST_S": "2",
    "SIM_FETCH_S": "1.5",
    "MEDIA_TIMEOUT_S": "10",
}
ASKED_S_MAX = 120.0


class Rig(NamedTuple):
    """What a worker's faults are done with."""

    clock: Path
    tap: Tap


@dataclass(kw_only=True)
class Arena(World):
    """`port` is the balancer's; the gateways listen on ports of their own."""

    plan: Plan
    gateways: dict[int, Child | None] = field(default_factory=dict)
    tenants: list[Tenant] = field(default_factory=list)
    chats: dict[int, int] = field(default_factory=dict)  # by the number of a person
    latest: dict[int, str] = field(default_factory=dict)  # the wamid of a person's latest text
    pictures: dict[str, str] = field(default_factory=dict)  # the id of a number's picture at Meta
    rigs: dict[int, Rig] = field(default_factory=dict)  # by the worker's process
    _rigged: int = 0

    async def open(self, template: Path) -> None:
        """Everything up, the channels joined, the first chats opened; call `stop` also when this fails half-way."""
        # A copy of migrated servers: half a second instead of three of initdb and migrations.
        await asyncio.to_thread(_copy, template, self.folder)
        self.extra |= HASTE | {
            "SIM_CLOCK_SKEW_S": str(self.plan.platforms_ahead_s),
            "MEDIA_READY_S": str(self.plan.media_ready_s),
        }
        self.gateways = {free_port(): None for _ in range(self.plan.gateways)}
        self.balancer = Balancer(self.port, list(self.gateways))
        await self.balancer.start()
        await self.start(workers=0)
        for _ in range(self.plan.workers):
            await self.add_worker()
        homes: dict[int, Tenant] = {}
        for portal in self.plan.channels:
            tenant = await self.tenant(beside=homes.get(portal))
            homes.setdefault(portal, tenant)
            self.tenants.append(tenant)
        await self._open_chats()

    async def stop(self) -> None:
        for gateway in self.gateways.values():
            if gateway is not None:
                await asyncio.to_thread(gateway.stop)
        await super().stop()
        await self.balancer.stop()
        for rig in self.rigs.values():
            await rig.tap.stop()

    def start_gateway(self) -> None:
        """Those that are not there."""
        for port, gateway in self.gateways.items():
            if gateway is None or gateway.exit_code() is not None:
                self.gateways[port] = self._spawn("zaptrix", f"gateway{port}", "serve", extra={"PORT": str(port)})

    async def add_worker(self) -> None:
        """One more, with a tap before PostgreSQL. The first one's clock is the one that the plan has set wrong."""
        self._rigged += 1
        clock = self.folder / f"clock{self._rigged}"
        step(clock, self.plan.worker_ahead_s if not self.workers else 0.0)
        tap = Tap(self.environ["DATABASE_URL"], self.folder / f"tap{self._rigged}", silent_s=PEER_SILENT_S_MAX)
        await tap.start()
        self.rigs[self.start_worker(clock=clock, tap=tap).pid] = Rig(clock, tap)

    async def chat_of(self, who: int) -> int:
        """The chat of a person on the open line, by the simulators' word alone."""
        person = self.plan.people[who]
        tenant = self.tenants[person.channel]
        filters = f"portal={tenant.key}&phone_number_id={tenant.number}&customer={person.wa_id}&messages=1"
        chats = (await self.control("GET", f"state?{filters}"))["chats"]
        return int(chats[0]["chat_id"])

    async def repair_portal(self, tenant: Tenant) -> None:
        """As an admin does who authorises again."""
        told = await self.control("POST", f"portals/{tenant.key}/tokens")
        tokens = {name: told[name] for name in ("access_token", "refresh_token")}
        await self.insist("PUT", f"/api/portals/{tenant.portal_id}", tokens | {"expires_at": iso(told["expires"])})

    async def repair_number(self, tenant: Tenant) -> None:
        told = await self.control("POST", f"numbers/{tenant.number}/tokens")
        await self.insist("PUT", f"/api/channels/{tenant.channel_id}", {"access_token": told["access_token"]})

    async def ask(self, path: str, body: dict[str, Any], key: str, file: bytes | None = None) -> None:
        """A caller who does not know whether she was heard asks again under the same key, and so does one who is told
        that the number's own key is dead."""
        headers = {"Authorization": f"Bearer {self.admin_key}", "Idempotency-Key": key}

        async def answered() -> bool:
            try:
                async with self.session.post(f"{self.url}{path}", headers=headers, **_content(body, file)) as answer:
                    again = answer.status in {409, 429} or answer.status >= 500
                    assert answer.status == 202 or again, (answer.status, await answer.text())
                    return answer.status == 202
            except (aiohttp.ClientError, TimeoutError):
                return False

        await eventually(answered, ASKED_S_MAX, f"POST {path}")

    async def upload(self, tenant: Tenant, picture: bytes) -> str:
        """The id that Meta gives a picture of one number's."""
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "image/png"})
        form.add_field("file", picture, filename="foto.png", content_type="image/png")
        headers = {"Authorization": f"Bearer {tenant.phone['access_token']}"}
        async with self.session.post(
            f"{self.sim}/meta/v26.0/{tenant.number}/media", data=form, headers=headers
        ) as answer:
            return str((await answer.json())["id"])

    async def hash_at(self, link: str) -> str:
        """Of the bytes that anybody gets there; empty when there are none."""
        async with self.session.get(link) as answer:
            return hashlib.sha256(await answer.read()).hexdigest() if answer.status == 200 else ""

    async def insist(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """An admin tries again while the gateway, or what it stands on, is away."""
        answers: list[Any] = []

        async def done() -> bool:
            try:
                answers.append(await self.api(method, path, body))
            except (aiohttp.ClientError, AssertionError, TimeoutError):
                return False
            return True

        await eventually(done, START_S_MAX, f"{method} {path}")
        return answers[0]

    async def _open_chats(self) -> None:
        openers = [(who, person) for who, person in enumerate(self.plan.people) if person.opened]
        await self.control(
            "POST",
            "customers/write_many",
            {
                "writes": [
                    {"phone_number_id": self.tenants[p.channel].number, "from": p.wa_id, "text": f"opens {who:05d}z"}
                    for who, p in openers
                ]
            },
        )
        await self.drained()
        self.chats = {who: await self.chat_of(who) for who, _ in openers}

    async def is_answering(self) -> bool:
        """Whether each gateway is."""
        return all([await self._answers(f"http://127.0.0.1:{port}/health") for port in self.gateways])

    async def gateway_is_up(self) -> None:
        await eventually(self.is_answering, START_S_MAX, "the gateways")


async def make_template(folder: Path) -> None:
    """Servers that were initialised and migrated once, to be copied for each world."""
    servers = servers_in(folder / "servers")
    await asyncio.to_thread(servers.start)
    try:
        await upgrade(servers.postgres.url)
    finally:
        await asyncio.to_thread(servers.stop)


def _content(body: dict[str, Any], file: bytes | None) -> dict[str, Any]:
    """JSON, or a form with a picture in it."""
    if file is None:
        return {"json": body}
    form = aiohttp.FormData(body)
    form.add_field("file", file, filename="foto.png", content_type="image/png")
    return {"data": form}


def _copy(template: Path, folder: Path) -> None:
    # cp keeps owners, which PostgreSQL insists on and shutil loses.
    cp = shutil.which("cp") or "/bin/cp"
    # The folder is there already: without the dot the copy would lie inside it, and be of no use.
    subprocess.run([cp, "-a", "--reflink=auto", f"{template / 'servers'}/.", str(folder / "servers")], check=True)
