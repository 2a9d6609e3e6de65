"""`python -m proof.soak --minutes 10 --rate 10`: a whole Zaptrix at work for a while, with an accident now and then.

Tells the memory of every process as it goes, and in the end whether it stayed flat and whether everything arrived, by
the simulators' own ledger, as for every seed.
"""

import argparse
import asyncio
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from benchmarks.cost import Meter
from proof.acts import Act, Person, named, other
from proof.arena import Arena, make_template
from proof.plan import Episode, Plan, Strike
from proof.run import Fire, Outcome

# What one portal and one pair carry for hours: a portal takes two calls a second, a customer a message in six.
RATE_A_CHANNEL = 1.2
RATE_A_PERSON = 0.1
# Nothing that ends a process, or its memory would begin anew.
ACCIDENTS = ("flush_redis", "cut_redis", "hang_redis", "cut_postgres", "cut_http", "expire_tokens")
ACCIDENT_EVERY_S = 20.0
FAULTS = (
    {"side": "meta", "where": "api", "kind": "status", "status": 503, "probability": 0.005},
    {"side": "bitrix24", "where": "api", "kind": "status", "status": 503, "probability": 0.005},
    {"side": "meta", "where": "webhook", "kind": "double", "copies": 2, "probability": 0.01},
    {"side": "bitrix24", "where": "webhook", "kind": "double", "copies": 2, "probability": 0.01},
)
FILES_SHARE = 0.03
_WITH_A_FILE = {"customer": "sends", "operator": "attaches"}
LOOK_EVERY_S = 10.0
# Growth from the second fifth to the last that is still flat: an allocator breathes.
GROWTH_MAX = 0.10
GROWTH_MB_MAX = 8.0

Sample = dict[str, float]


def soak_plan(seed: int, seconds: float, rate: float) -> Plan:
    """`rate` messages a second, half of them each way, over as many portals and people as platforms ask for."""
    draw = random.Random(seed)
    channels = tuple(range(max(2, math.ceil(rate / RATE_A_CHANNEL))))
    people = tuple(
        Person(channel=nth % len(channels), wa_id=f"55119{60_000_000 + nth}", opened=True, hours_ago=0.0)
        for nth in range(max(len(channels), math.ceil(rate / 2 / RATE_A_PERSON)))
    )
    times = sorted(draw.uniform(0, seconds) for _ in range(round(rate * seconds)))
    texts, files = list[Act](), list[Act]()
    for nth, at_s in enumerate(times):
        kind, who = draw.choice(("customer", "operator")), draw.randrange(len(people))
        if draw.random() < FILES_SHARE:
            files.append(other(draw, at_s, _WITH_A_FILE[kind], who))
        else:
            texts.append(Act(at_s=at_s, kind=kind, who=who, text=f"{kind} {nth:06d}z"))
    return Plan(
        seed=seed,
        seconds=seconds,
        gateways=2,
        workers=2,
        channels=channels,
        people=people,
        acts=tuple(sorted([*texts, *named(files)], key=attrgetter("at_s"))),
        strikes=tuple(_accidents(draw, seconds)),
        episodes=(Episode(at_s=0.0, faults=FAULTS),),
        platforms_ahead_s=0.0,
        worker_ahead_s=0.0,
    )


def _accidents(draw: random.Random, seconds: float) -> list[Strike]:
    times = [ACCIDENT_EVERY_S * nth for nth in range(1, math.ceil(seconds / ACCIDENT_EVERY_S))]
    return [Strike(at_s=at_s, name=draw.choice(ACCIDENTS), pick=draw.random(), lasts_s=1.0) for at_s in times]


def growth(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Of each process: its memory in MB in the second fifth of the time, when it is warm, and in the last."""
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth] or samples[:1], samples[-fifth:]

    def middle(name: str, part: Sequence[Sample]) -> float:
        return statistics.median(sample[name] for sample in part)

    return {name: (middle(name, early), middle(name, late)) for name in samples[-1]}


def is_flat(early_mb: float, late_mb: float) -> bool:
    return late_mb - early_mb <= max(GROWTH_MB_MAX, early_mb * GROWTH_MAX)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second, both ways together")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="zaptrix-soak-"))
    folder.chmod(0o711)  # PostgreSQL has an account of its own, and must find its way
    try:
        good = asyncio.run(soak(soak_plan(given.seed, given.minutes * 60, given.rate), folder))
    except KeyboardInterrupt:
        return 130
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs: {folder}", flush=True)
    return 0 if good else 1


async def soak(plan: Plan, folder: Path) -> bool:
    """Play the plan and tell of it. Whether everything arrived and memory stayed flat."""
    await make_template(folder / "template")
    world = folder / "world"
    world.mkdir(mode=0o711)
    arena = Arena(folder=world, plan=plan)
    try:
        await arena.open(folder / "template")
        told = (
            f"{len(plan.acts)} messages in {plan.seconds:g} s, {len(plan.channels)} portals, {len(plan.people)} people"
        )
        print(told, flush=True)
        watching, samples = asyncio.Event(), list[Sample]()
        watch = asyncio.create_task(_watch(arena, samples, watching))
        outcome = await Fire(arena).burn()
        watching.set()
        await watch
    finally:
        await arena.stop()
    return _told(outcome, samples)


async def _watch(arena: Arena, samples: list[Sample], done: asyncio.Event) -> None:
    """Memory at intervals, and how far everything has come."""
    meter, began = Meter(_roots(arena)), time.monotonic()
    while not done.is_set():
        samples.append({name: cost.pss_mb for name, cost in meter.read().items()})
        ledger = await arena.ledger()
        memory = ", ".join(f"{name} {mb:.0f}" for name, mb in samples[-1].items())
        written = ledger["customers_wrote"] + ledger["operators_wrote"]
        arrived = ledger["in_chats"] + ledger["on_phones"]
        print(
            f"{time.monotonic() - began:6.0f} s  {written} written, {arrived} arrived; PSS in MB: {memory}", flush=True
        )
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await done.wait()
        except TimeoutError:
            continue


def _roots(arena: Arena) -> dict[str, int]:
    processes = {f"gateway {nth}": one.pid for nth, one in enumerate(arena.gateways.values(), 1) if one}
    processes |= {f"worker {nth}": one.pid for nth, one in enumerate(arena.workers, 1)}
    servers = {"postgresql": arena.servers.postgres.pid, "redis": arena.servers.redis.pid}
    servers["simulators"] = arena.simulator.pid if arena.simulator else None
    return processes | {name: pid for name, pid in servers.items() if pid}


def _told(outcome: Outcome, samples: Sequence[Sample]) -> bool:
    arrived = f"{outcome.counts.get('in_chats', 0)} in chats, {outcome.counts.get('on_phones', 0)} on phones"
    print(f"{arrived}, drained after {outcome.drained_after_s:g} s; {len(outcome.violations)} violations", flush=True)
    for violation in outcome.violations[:20]:
        print(f"  {violation}", flush=True)
    flat = True
    for name, (early, late) in growth(samples).items():
        own = name.startswith(("gateway", "worker"))
        verdict = ("flat" if is_flat(early, late) else "GROWS") if own else "not ours"
        flat &= verdict != "GROWS"
        print(f"  {name}: {early:.1f} MB, in the end {late:.1f} MB: {verdict}", flush=True)
    return outcome.good and flat


if __name__ == "__main__":
    sys.exit(main())
