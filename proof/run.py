"""One seed: a world is made, set on fire, healed, and judged by the simulators' own ledger."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from proof.arena import Arena
from proof.plan import Act, Episode, Plan, Strike
from proof.strikes import strike

DRAIN_S_MAX = 150.0
LOOK_EVERY_S = 0.3

Told = Callable[[str], None]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed came to. `violations` is empty, or it tells what is wrong."""

    seed: int
    violations: list[Any]
    counts: dict[str, Any]
    timeline: list[str]
    drained_after_s: float

    @property
    def good(self) -> bool:
        return not self.violations


async def run(plan: Plan, folder: Path, template: Path) -> Outcome:
    """Play `plan` in `folder`, which holds every log afterwards."""
    arena = Arena(folder=folder, plan=plan)
    try:
        await arena.open(template)
        return await Fire(arena).burn()
    finally:
        await arena.stop()


class Fire:
    """The fire in a world that stands; it burns once."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._plan = arena.plan
        self._began = time.monotonic()
        self._timeline: list[str] = []

    async def burn(self) -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._act())
            group.create_task(self._strike())
            group.create_task(self._misbehave())
        self._note("the fire is out: the world heals")
        await self._heal()
        healed = time.monotonic()
        left = await self._drain()
        counts = await self._arena.ledger()
        return Outcome(
            seed=self._plan.seed,
            violations=left + counts["violations"] + await self._held() + await self._buried(),
            counts=counts["counts"],
            timeline=self._timeline,
            drained_after_s=round(time.monotonic() - healed, 1),
        )

    # --- the fire --------------------------------------------------------------------------------------------------

    async def _act(self) -> None:
        for act in self._plan.acts:
            await self._until(act.at_s)
            await self._do(act)

    async def _do(self, act: Act) -> None:
        person = self._plan.people[act.who]
        tenant = self._arena.tenants[person.channel]
        phone = {"phone_number_id": tenant.number, "from": person.wa_id}
        match act.kind:
            case "customer":
                letter = phone | {"text": act.text, "hours_ago": person.hours_ago}
                await self._arena.control("POST", "customers/write", letter)
            case "operator":
                letter = {"portal": tenant.key, "chat_id": self._arena.chats[act.who], "text": act.text}
                await self._arena.control("POST", "operators/write", letter | {"operator": "Bia"})
            case _:
                await self._arena.control("POST", "customers/read", phone)

    async def _strike(self) -> None:
        for what in self._plan.strikes:
            await self._until(what.at_s)
            self._note(_told(what))
            await strike(self._arena, what)
            self._note(f"{what.name} is over")

    async def _misbehave(self) -> None:
        for episode in self._plan.episodes:
            await self._until(episode.at_s)
            self._note(_told(episode))
            await self._arena.faults(*episode.faults, seed=self._plan.seed)
        await self._until(self._plan.seconds)
        await self._arena.heal()

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self._began + at_s - time.monotonic()))

    def _note(self, text: str) -> None:
        self._timeline.append(f"{time.monotonic() - self._began:7.2f} s  {text}")

    # --- afterwards ------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        await self._arena.heal()
        self._arena.start_gateway()
        await self._arena.gateway_is_up()
        revoked = {what.name for what in self._plan.strikes}
        for tenant in self._arena.tenants if "revoke_portal" in revoked else ():
            if (await self._arena.api("GET", f"/api/portals/{tenant.portal_id}"))["paused_at"]:
                await self._arena.repair_portal(tenant)
        for tenant in self._arena.tenants if "revoke_number" in revoked else ():
            if (await self._arena.api("GET", f"/api/channels/{tenant.channel_id}"))["whatsapp_paused_at"]:
                await self._arena.repair_number(tenant)

    async def _drain(self) -> list[dict[str, Any]]:
        """Wait for the last message; what did not arrive in time is a violation."""
        deadline = time.monotonic() + DRAIN_S_MAX
        while not (await self._arena.ledger())["drained"]:
            if time.monotonic() > deadline:
                return [{"kind": "not_drained", "detail": f"not everything arrived within {DRAIN_S_MAX:g} s"}]
            await asyncio.sleep(LOOK_EVERY_S)
        return []

    async def _held(self) -> list[dict[str, Any]]:
        """Nobody is paused when all keys are good."""
        portals = (await self._arena.api("GET", "/api/portals?limit=200"))["items"]
        channels = (await self._arena.api("GET", "/api/channels?limit=200"))["items"]
        reasons = [one["paused_reason"] for one in portals]
        reasons += [one[f"{side}_paused_reason"] for one in channels for side in ("whatsapp", "line")]
        return [{"kind": "held", "detail": reason} for reason in reasons if reason]

    async def _buried(self) -> list[dict[str, Any]]:
        letters = (await self._arena.api("GET", "/api/dead-letters?limit=200"))["items"]
        return [{"kind": "buried", "detail": f"{one['error_code']}: message {one['id']}"} for one in letters]


def _told(what: Strike | Episode) -> str:
    if isinstance(what, Strike):
        return f"{what.name} ({what.pick:.2f}, {what.lasts_s:.1f} s)"
    faults = [f"{one['side']} {one['where']} {one['kind']} p={one['probability']}" for one in what.faults]
    return f"faults: {'; '.join(faults) or 'none'}"
