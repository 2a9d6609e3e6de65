"""Embedded: one `zaptrix up` on the brief's smallest host (2 processors, 1 GB), at rest and at 50 messages/s.

All of it counts: supervisor, PostgreSQL, Redis, gateway and worker. Where a control group can be made (as root) it
holds the 1 GB, and what was needed at most is the kernel's own figure, pages of files included.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.cost import Meter
from benchmarks.figures import Measured
from benchmarks.letters import customers_write, operators_write
from benchmarks.parts.act import Plan, Scene, Show
from benchmarks.parts.inbound import Cast, opened
from benchmarks.stage import SETTLE_S_MAX, Shape, Zaptrix
from benchmarks.tenants import Terms
from zaptrix.cli.local.servers import servers_in

RATE_PER_S = 50
STRETCHES = 6  # of the plan's seconds
MEMORY_MAX = 1_000_000_000
# Portals of the cloud, each with its two calls a second: as many as 50 messages a second want.
CAST = Cast(terms=Terms(portals=50), customers_each=10, window=500)
GROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class Group(msgspec.Struct, frozen=True):
    """A control group for memory, of version 1 or 2."""

    folder: Path

    @property
    def _names(self) -> tuple[str, str]:
        first = (self.folder / "memory.limit_in_bytes").exists()
        return ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if first else ("memory.max", "memory.peak")

    def limit(self, number: int) -> None:
        (self.folder / self._names[0]).write_text(str(number))

    def peak_mb(self) -> float:
        return round(int((self.folder / self._names[1]).read_text()) / 1e6, 1)


@contextmanager
def limited() -> Iterator[Group | None]:
    """A group with the memory of the smallest host; None where none can be made."""
    for above in GROUPS:
        folder = above / f"zaptrix-bench-{os.getpid()}"
        try:
            folder.mkdir()
            group = Group(folder)
            group.limit(MEMORY_MAX)
        except OSError:
            if folder.is_dir():
                folder.rmdir()
            continue
        try:
            yield group
        finally:
            folder.rmdir()
        return
    yield None


class Embedded(Zaptrix):
    """`zaptrix up`, which brings its own servers, gateway and worker."""

    def __init__(self, folder: Path, shape: Shape, group: Group | None) -> None:
        super().__init__(folder, shape)
        self.servers = servers_in(folder / "data")
        self._group = group

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_far_side()
        given = {name: value for name, value in self.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        command = [sys.executable, "-m", "zaptrix", "up"]
        if self._group is not None:
            join = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
            command = ["/bin/sh", "-c", join, str(self._group.folder), *command]
        self.spawn("all of it", command, given)
        await self._answers(self.port, "/health", "zaptrix up")

    def start_workers(self) -> None:
        """They are there."""

    async def stop(self) -> None:
        for load in self._loads:
            load.close()
        for child in reversed(self._children):
            await asyncio.to_thread(child.stop)


async def play(folder: Path, plan: Plan) -> list[Measured]:
    with limited() as group:
        stage = Embedded(folder, plan.shape(), group)
        try:
            await stage.start()
            scene = await opened(stage, plan, CAST)
            told = [
                await _at_rest(stage, plan),
                await _customers(scene, plan),
                await _operators(scene, plan),
            ]
        finally:
            await stage.stop()
        if group is None:
            return told
        more = {"1 GB: peak MB with files": group.peak_mb()}
        return [*told[:-1], msgspec.structs.replace(told[-1], more=told[-1].more | more)]


async def _at_rest(stage: Embedded, plan: Plan) -> Measured:
    await stage.settled(SETTLE_S_MAX)
    meter = Meter(stage.roots)
    await asyncio.sleep(plan.seconds * STRETCHES)
    costs, seconds = meter.read(), meter.seconds
    more = {"cores used": round(costs["all of it"].cpu_s / seconds, 3)}
    return Measured(what="at rest", messages=0, seconds=round(seconds, 1), rate_per_s=0.0, costs=costs, more=more)


async def _customers(scene: Scene, plan: Plan) -> Measured:
    numbers = scene.numbers(round(RATE_PER_S * plan.seconds * STRETCHES))
    requests = customers_write(scene.talks, numbers)
    measured, _ = await scene.play(f"customers, {RATE_PER_S}/s", numbers, requests, rate_per_s=RATE_PER_S)
    return _with_cores(measured)


async def _operators(scene: Scene, plan: Plan) -> Measured:
    numbers = scene.numbers(round(RATE_PER_S * plan.seconds * STRETCHES))
    requests = operators_write(scene.talks, scene.chats, numbers)
    measured, _ = await scene.play(f"operators, {RATE_PER_S}/s", numbers, requests, rate_per_s=RATE_PER_S)
    return _with_cores(measured)


def _with_cores(measured: Measured) -> Measured:
    used = measured.costs["all of it"].cpu_s / measured.seconds
    return msgspec.structs.replace(measured, more=measured.more | {"cores used": round(used, 3)})


SHOWS = (Show(name="embedded, 2 processors and 1 GB", play=play),)
