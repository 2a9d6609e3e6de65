"""One seed: a world is made, set on fire, healed, and judged by the simulators' own ledger."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from proof.acts import Act
from proof.arena import Arena
from proof.deeds import do, prepare
from proof.plan import Episode, Plan, Strike
from proof.strikes import strike
from proof.topologies import FAIL_OVER, FAIL_OVER_POSTGRES, Topology, single

DRAIN_S_MAX = 150.0
# Nothing may be held for longer, once everything answers: whatever held it is over in seconds.
HELD_S_MAX = 30.0
OPEN_TOO_LONG = "open_too_long"
SLOW_S = 12.0
# But a Redis that forgot its buckets: so long no portal has a burst, and two requests a second are all there is.
NO_BURST_S = 25.0
LOSE_REDIS = frozenset({"kill_redis", "restart_redis", "flush_redis", FAIL_OVER})
# While no gateway could acknowledge anything Meta's pauses doubled: the status that tells whether a message was taken
# comes for as long after such a silence as that lasted, and the message is not sent again before.
SILENCE = frozenset({"all_gateways_away", "crash_postgres", "restart_postgres", "kill_postgres_backend",
                     "hang_postgres", FAIL_OVER_POSTGRES})  # fmt: skip
LOOK_EVERY_S = 0.3

_OPEN = """
SELECT string_agg(told, '; ') FROM (
    SELECT format('%s message(s) %s %s %s, error %s, attempts %s, due in %s s', count(*), direction, kind, state,
        error_code, max(attempts), round(extract(epoch FROM min(due_at) - now()))) AS told
    FROM message WHERE state IN ('pending', 'sending', 'verifying') GROUP BY direction, kind, state, error_code
    UNION ALL SELECT format('%s event(s) %s %s', count(*), source, state) FROM event WHERE state IN ('new', 'held')
    GROUP BY source, state
    UNION ALL SELECT format('%s file(s) %s, error %s, due in %s s', count(*), state, error_code,
        round(extract(epoch FROM min(due_at) - now()))) FROM file WHERE state = 'wanted' GROUP BY state, error_code
    UNION ALL SELECT format('recovery of %s from %s, ended %s, next in %s s, refused %s', portal_id, away_until,
        ended_at, round(extract(epoch FROM next_at - now())), refused_reason) FROM recovery
    UNION ALL SELECT format('lease %s for %s s', name, round(extract(epoch FROM ends_at - now()))) FROM lease
) open
"""

Told = Callable[[str], None]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed came to. `violations` is empty, or it tells what is wrong."""

    seed: int
    violations: list[Any]
    counts: dict[str, Any]
    refused: dict[str, int]  # how many messages the platform refused for good, by its code
    timeline: list[str]
    drained_after_s: float

    @property
    def good(self) -> bool:
        return not self.violations


async def run(plan: Plan, folder: Path, template: Path, topology: Topology = single) -> Outcome:
    """Play `plan` in `folder`, which holds every log afterwards."""
    arena = Arena(folder=folder, plan=plan, topology=topology)
    try:
        await arena.open(template)
        await prepare(arena)
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
        self._redis_lost_at = -NO_BURST_S
        self._silences: list[tuple[float, float]] = []

    async def burn(self) -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._act([act for act in self._plan.acts if act.kind != "asks"]))
            for calls in self._calls():
                group.create_task(self._act(calls))
            group.create_task(self._strike())
            group.create_task(self._misbehave())
        self._note("the fire is out: the world heals")
        await self._heal()
        healed = time.monotonic()
        left = await self._drain()
        ledger = await self._arena.ledger()
        return Outcome(
            seed=self._plan.seed,
            violations=left
            + ledger["violations"]
            + await self._held()
            + await self._buried(ledger["refused"])
            + [{"kind": "engine", "detail": each} for each in await asyncio.to_thread(self._arena.servers.judged)],
            counts=ledger["counts"],
            refused=ledger["refused"],
            timeline=self._timeline,
            drained_after_s=round(time.monotonic() - healed, 1),
        )

    # --- the fire --------------------------------------------------------------------------------------------------

    async def _act(self, acts: Sequence[Act]) -> None:
        for act in acts:
            await self._until(act.at_s)
            await do(self._arena, act)

    def _calls(self) -> Iterable[list[Act]]:
        """What is asked of the API: for each customer one after the other, and nobody else waits meanwhile."""
        calls: dict[int, list[Act]] = {}
        for act in self._plan.acts:
            if act.kind == "asks":
                calls.setdefault(act.who, []).append(act)
        return calls.values()

    async def _strike(self) -> None:
        for what in self._plan.strikes:
            await self._until(what.at_s)
            self._note(_told(what))
            began = time.monotonic()
            await strike(self._arena, what)
            if what.name in LOSE_REDIS:
                self._redis_lost_at = time.monotonic()
            if what.name in SILENCE:
                self._silences.append((began, time.monotonic()))
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
            if (await self._arena.insist("GET", f"/api/portals/{tenant.portal_id}"))["paused_at"]:
                await self._arena.repair_portal(tenant)
        for tenant in self._arena.tenants if "revoke_number" in revoked else ():
            if (await self._arena.insist("GET", f"/api/channels/{tenant.channel_id}"))["whatsapp_paused_at"]:
                await self._arena.repair_number(tenant)

    async def _drain(self) -> list[dict[str, Any]]:
        """Wait for the last message, file and notice; what did not arrive in time is a violation."""
        began, held, slow = time.monotonic(), list[dict[str, Any]](), False
        most_s = open_s_max(began, self._redis_lost_at, self._silences)
        while left := await self._left():
            waited_s = time.monotonic() - began
            if waited_s > SLOW_S and not slow:
                slow = True
                self._note(f"still open: {', '.join(left)}; {await self._open()}")
            if waited_s > most_s and not held:
                held = [
                    {"kind": OPEN_TOO_LONG, "detail": f"after {most_s:.0f} s: {', '.join(left)}; {await self._open()}"}
                ]
            if waited_s > DRAIN_S_MAX:
                said = f"not within {DRAIN_S_MAX:g} s: "
                return held + [{"kind": kind, "detail": said + detail} for kind, detail in left.items()]
            await asyncio.sleep(LOOK_EVERY_S)
        return held

    async def _open(self) -> str:
        """What waits for what, in the ledger and the journal."""
        return str(await self._arena.sql(_OPEN))

    async def _left(self) -> dict[str, str]:
        """What the ledger still waits for, by the kind of violation that it is if it never comes."""
        ledger = await self._arena.ledger()
        files = ledger["files_left"]
        if files and ledger["drained"]:
            files -= await self._given_as_links(ledger["files_of_customers_left"])
        waits = {
            "not_drained": "" if ledger["drained"] else "every message",
            "file_lost": f"{files} files" if files else "",
            "untold": f"a notice of a refusal, of {ledger['untold']}" if ledger["untold"] else "",
            "buried": await self._open_refusals(ledger["refused"]) if ledger["drained"] else "",
        }
        return {kind: detail for kind, detail in waits.items() if detail}

    async def _given_as_links(self, files: list[dict[str, Any]]) -> int:
        """How many files a portal could not fetch, and its operator can open all the same: byte by byte."""
        given = 0
        for file in files:
            # A place has a link, too: a map's, which nobody opens here.
            ours = [link for link in file["links"] if link.startswith(self._arena.url)]
            opened = [await self._arena.hash_at(link) for link in ours]
            given += file["sha256"] in opened
        return given

    async def _held(self) -> list[dict[str, Any]]:
        """Nobody is paused when all keys are good."""
        portals = (await self._arena.api("GET", "/api/portals?limit=200"))["items"]
        channels = (await self._arena.api("GET", "/api/channels?limit=200"))["items"]
        reasons = [one["paused_reason"] for one in portals]
        reasons += [one[f"{side}_paused_reason"] for one in channels for side in ("whatsapp", "line")]
        return [{"kind": "held", "detail": reason} for reason in reasons if reason]

    async def _open_refusals(self, refused: dict[str, int]) -> str:
        """Codes of messages that were refused and are not dead yet: whoever sent one died, and it is looked for."""
        told = Counter(one["error_code"] for one in await self._dead_letters())
        return ", ".join(code for code, times in refused.items() if told[code] < times)

    async def _dead_letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._arena.api("GET", "/api/dead-letters?limit=200"))["items"]
        return found

    async def _buried(self, refused: dict[str, int]) -> list[dict[str, Any]]:
        """Dead are those messages that the platform has refused for good by its own rules, and no others."""
        letters = await self._dead_letters()
        told = Counter(one["error_code"] for one in letters)
        buried = [
            {"kind": "buried", "detail": f"{one['error_code']}: message {one['id']}"}
            for one in letters
            if one["error_code"] not in refused
        ]
        return buried + [
            {"kind": "buried", "detail": f"{code}: {told[code]} dead letters, {times} messages refused"}
            for code, times in refused.items()
            if told[code] != times
        ]


def open_s_max(healed_at: float, redis_lost_at: float, silences: Iterable[tuple[float, float]]) -> float:
    """How long something may be open in a world that has healed; `silences`: from when to when nobody could answer."""
    waits = [redis_lost_at + NO_BURST_S, *(until + (until - since) for since, until in silences)]
    return HELD_S_MAX + max(0.0, *(until - healed_at for until in waits))


def _told(what: Strike | Episode) -> str:
    if isinstance(what, Strike):
        return f"{what.name} ({what.pick:.2f}, {what.lasts_s:.1f} s)"
    faults = [f"{one['side']} {one['where']} {one['kind']} p={one['probability']}" for one in what.faults]
    return f"faults: {'; '.join(faults) or 'none'}"
