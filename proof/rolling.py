"""`python -m proof.rolling --rate 100`: everything is restarted, host after host, under load, and nobody notices.

Several gateways behind a balancer that asks `/health/ready`, as nginx, Caddy, HAProxy and Kubernetes do, and several
workers; each process with a data folder of its own, as on a host of its own, and one store of files for all. Customers
and operators write all the while. Judged by the simulators alone: each webhook was answered with 200 at once (Bitrix24
posts an event once, Meta again), and nothing is lost, doubled or out of order.
"""

import argparse
import asyncio
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from proof.balancer import Balancer
from proof.ports import free_port
from proof.world import HASTE, START_S_MAX, STOP_S_MAX, Tenant, World, eventually
from zaptrix.cli.local.children import Child

DELAY_S = 2.0  # SHUTDOWN_DELAY_S: the balancer asks eight times in it
ASK_EVERY_S = 0.25
# What one portal and one pair carry for as long as one likes: `proof/soak.py`.
RATE_A_CHANNEL = 1.2
RATE_A_PERSON = 0.1
WRITES_AT_ONCE = 64


class Person(NamedTuple):
    """A customer in a chat."""

    tenant: Tenant
    wa_id: str
    chat_id: int


class Told(NamedTuple):
    """How it went. `posts`: webhooks by platform and whether they were taken at once."""

    written: int
    arrived: int
    posts: dict[str, int]
    restarts: int
    seconds: float
    drained_after_s: float

    @property
    def refused(self) -> int:
        return sum(count for name, count in self.posts.items() if name.endswith("_refused"))


@dataclass(kw_only=True)
class Rolling(World):
    """`port` is the balancer's; the gateways listen on ports of their own."""

    many: int = 2
    """Gateways, and workers."""
    gateways: dict[int, Child] = field(default_factory=dict)
    haste: Mapping[str, str] = field(default_factory=lambda: HASTE | {"LOG_LEVEL": "warning"})
    hosts: list[Path] = field(default_factory=list)
    """The data folder of each process that was started."""

    async def open(self) -> None:
        """Everything up; call `stop` also when this fails half-way."""
        media = self.folder / "media"
        media.mkdir()
        self.extra |= {"MEDIA_URL": media.as_uri(), "SHUTDOWN_DELAY_S": f"{DELAY_S:g}"}
        self.ports = [free_port() for _ in range(self.many)]
        self.balancer = Balancer(self.port, self.ports, asks="/health/ready", every_s=ASK_EVERY_S)
        await self.balancer.start()
        await self.start(workers=self.many)

    async def stop(self) -> None:
        for gateway in self.gateways.values():
            await asyncio.to_thread(gateway.stop)
        await super().stop()
        await self.balancer.stop()

    def start_gateway(self) -> None:
        for port in self.ports:
            self.gateways[port] = self._on_own_host("gateway", "serve", PORT=str(port))

    def start_worker(self, *_arguments: str, **_rigs: object) -> Child:
        worker = self._on_own_host("worker", "worker")
        self.workers.append(worker)
        return worker

    def _on_own_host(self, kind: str, command: str, **extra: str) -> Child:
        self.hosts.append(self.folder / f"{kind}{len(self.hosts)}")
        return self._spawn(
            "zaptrix", f"{kind}{len(self.hosts)}", command, extra=extra | {"DATA_DIR": str(self.hosts[-1])}
        )

    async def restart_all(self) -> int:
        """Host after host, a gateway and a worker at a time, the next when these are ready. How many processes."""
        for port in self.ports:
            await asyncio.gather(self._restart_gateway(port), self._restart_worker())
        return 2 * self.many

    async def _restart_gateway(self, port: int) -> None:
        await _ended(self.gateways[port])
        self.gateways[port] = self._on_own_host("gateway", "serve", PORT=str(port))
        await eventually(lambda: self.balancer_has(port), START_S_MAX, "a gateway that is ready")

    async def _restart_worker(self) -> None:
        worker = self.workers.pop(0)
        await _ended(worker)
        self.start_worker()

    async def balancer_has(self, port: int) -> bool:
        return port in self.balancer.ready

    async def posts(self) -> dict[str, int]:
        """Webhooks so far, by what became of them."""
        return dict((await self.control("GET", "health"))["posts"])


async def _ended(process: Child) -> None:
    process.ask()
    await asyncio.to_thread(process.wait, DELAY_S + 2 * STOP_S_MAX)
    assert process.exit_code() == 0, (process.exit_code(), process.last_words())


async def peopled(world: Rolling, rate: float) -> list[Person]:
    """As many portals and customers as carry the rate, each in a chat."""
    tenants = [await world.tenant() for _ in range(max(2, math.ceil(rate / RATE_A_CHANNEL)))]
    many = max(len(tenants), math.ceil(rate / 2 / RATE_A_PERSON))
    homes = [(tenants[nth % len(tenants)], f"55119{60_000_000 + nth}") for nth in range(many)]
    for tenant, wa_id in homes:
        await tenant.customer_writes(f"bom dia de {wa_id}", wa_id=wa_id)
    await world.drained()
    people = []
    for tenant, wa_id in homes:
        filters = f"portal={tenant.key}&phone_number_id={tenant.number}&customer={wa_id}"
        (chat,) = (await world.control("GET", f"state?{filters}"))["chats"]
        people.append(Person(tenant, wa_id, int(chat["chat_id"])))
    return people


async def rolled(world: Rolling, people: Sequence[Person], rate: float, rounds: int) -> Told:
    """Write at the rate, half of it each way, until everything was restarted so many times; then let it drain.

    Raises AssertionError on a violation.
    """
    before, began, enough = await world.posts(), time.monotonic(), asyncio.Event()
    writing = asyncio.create_task(_write(world, people, rate, enough))
    restarts = 0
    try:
        for _ in range(rounds):
            restarts += await world.restart_all()
    finally:
        enough.set()
        written = await writing
    seconds, ended = time.monotonic() - began, time.monotonic()
    ledger = await world.drained(120 + seconds)
    after = await world.posts()
    posts = {name: count - before.get(name, 0) for name, count in after.items()}
    arrived = ledger["in_chats"] + ledger["on_phones"] - len(people)
    return Told(written, arrived, posts, restarts, seconds, time.monotonic() - ended)


async def _write(world: Rolling, people: Sequence[Person], rate: float, enough: asyncio.Event) -> int:
    """One message after another at its time, customers' and operators' in turns; how many."""
    began, nth, places = time.monotonic(), 0, asyncio.Semaphore(WRITES_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        while not enough.is_set():
            await asyncio.sleep(max(0.0, began + nth / rate - time.monotonic()))
            await places.acquire()
            write = _customer if nth % 2 else _operator
            task = group.create_task(write(world, people[nth // 2 % len(people)], nth))
            task.add_done_callback(lambda _task: places.release())
            nth += 1
    return nth


async def _customer(world: Rolling, who: Person, nth: int) -> None:
    letter = {"phone_number_id": who.tenant.number, "from": who.wa_id, "name": "Ana Souza", "text": f"c{nth:06d}z"}
    await world.control("POST", "customers/write", letter)


async def _operator(world: Rolling, who: Person, nth: int) -> None:
    letter = {"portal": who.tenant.key, "chat_id": who.chat_id, "text": f"o{nth:06d}z", "operator": "Bia"}
    await world.control("POST", "operators/write", letter)


async def play(folder: Path, rate: float, rounds: int, many: int) -> Told:
    world = Rolling(folder=folder, many=many)
    try:
        await world.open()
        people = await peopled(world, rate)
        return await rolled(world, people, rate, rounds)
    finally:
        await world.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.rolling", description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second, both ways together")
    parser.add_argument("--rounds", type=int, default=2, help="how often everything is restarted")
    parser.add_argument("--many", type=int, default=2, help="gateways, and workers")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="zaptrix-rolling-"))
    folder.chmod(0o711)  # PostgreSQL has an account of its own, and must find its way
    try:
        told = asyncio.run(play(folder, given.rate, given.rounds, given.many))
    except AssertionError as exc:
        print(f"{exc}\nlogs: {folder}", flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    posts = ", ".join(f"{name} {count}" for name, count in sorted(told.posts.items()))
    print(
        f"{told.restarts} restarts in {told.seconds:.0f} s under {told.written / told.seconds:.0f} messages/s; "
        f"webhooks: {posts}; {told.arrived} of {told.written} arrived, the last after {told.drained_after_s:.1f} s",
        flush=True,
    )
    good = told.refused == 0 and told.arrived == told.written
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs: {folder}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
