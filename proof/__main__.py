"""`python -m proof 7 --seconds 20`, `python -m proof 1-200 --jobs 4`: worlds under fire, drawn by seeds.

Seeded, not deterministic: a seed draws the same workload, the same faults at the same times and the same victims; the
servers and processes are real ones, so what meets what is never twice the same. A seed that failed is therefore worth
several tries.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from proof.arena import make_template
from proof.plan import plan_of
from proof.run import SLOW_S, Outcome, run
from proof.topologies import OWN_STRIKES, TOPOLOGIES
from zaptrix.cli.local.children import Child, Program

SECONDS = 20.0
WORLD_S_MAX = 420.0
STOP_S_MAX = 60.0
LOOK_EVERY_S = 0.2
WORLDS_OWN = ("seconds", "on", "gateways", "workers")


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        return asyncio.run(_main(given))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("seeds", nargs="+", help="seeds and ranges of them: 7 or 1-200")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each world burns")
    parser.add_argument("--jobs", type=int, default=2, help="worlds at a time")
    parser.add_argument("--on", choices=list(TOPOLOGIES), default="single", help="what PostgreSQL and Redis are")
    parser.add_argument("--gateways", type=int, default=0, help="so many instead of those that are drawn")
    parser.add_argument("--workers", type=int, default=0, help="so many instead of those that are drawn")
    parser.add_argument("--folder", type=Path, default=None, help="where the worlds of failed seeds are kept")
    parser.add_argument("--template", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=None, help=argparse.SUPPRESS)
    return parser


async def _main(given: argparse.Namespace) -> int:
    if given.out is not None:
        return await _alone(given)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="zaptrix-proof-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # PostgreSQL has an account of its own, and must find its way
    template = folder / "template"
    await make_template(template)
    try:
        return await _many(given, folder, template)
    finally:
        shutil.rmtree(template, ignore_errors=True)


async def _many(given: argparse.Namespace, folder: Path, template: Path) -> int:
    seeds = [seed for text in given.seeds for seed in _range(text)]
    places, failed = asyncio.Semaphore(given.jobs), list[int]()
    print(
        f"{len(seeds)} seeds of {given.seconds:g} s on {given.on}, {given.jobs} worlds at a time, in {folder}",
        flush=True,
    )

    async def one(seed: int) -> None:
        async with places:
            outcome = await _in_a_process(seed, given, folder, template)
        if outcome is None or not outcome.good:
            failed.append(seed)
        print(_line(seed, outcome, folder, given), flush=True)

    await asyncio.gather(*map(one, seeds))
    print(f"{len(seeds)} seeds: {len(failed)} with violations{': ' if failed else ''}{_numbers(failed)}", flush=True)
    return 1 if failed else 0


async def _in_a_process(seed: int, given: argparse.Namespace, folder: Path, template: Path) -> Outcome | None:
    """A world of its own process: whatever happens to it, the others go on. None when it broke down."""
    world, out = folder / f"seed-{seed}", folder / f"seed-{seed}.json"
    shutil.rmtree(world, ignore_errors=True)
    world.mkdir(mode=0o711)
    out.unlink(missing_ok=True)
    arguments = [str(seed), "--folder", str(world), "--template", str(template)]
    for name in WORLDS_OWN:
        arguments += [f"--{name}", str(getattr(given, name))]
    child = Child(
        Program(
            name=f"seed {seed}",
            argv=[sys.executable, "-m", "proof", *arguments, "--out", str(out)],
            log=folder / f"seed-{seed}.log",
            stop_signal=signal.SIGINT,  # it ends its servers, then itself; also when we are killed
            stop_wait_s=STOP_S_MAX,
        )
    )
    ends = time.monotonic() + WORLD_S_MAX + given.seconds
    try:
        while child.exit_code() is None and time.monotonic() < ends:
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await asyncio.to_thread(child.stop)
    if not out.exists():
        return None
    outcome = msgspec.json.decode(out.read_bytes(), type=Outcome)
    if outcome.good:
        shutil.rmtree(world, ignore_errors=True)
        (folder / f"seed-{seed}.log").unlink()
    return outcome


async def _alone(given: argparse.Namespace) -> int:
    plan = plan_of(
        int(given.seeds[0]),
        given.seconds,
        gateways=given.gateways,
        workers=given.workers,
        strikes=OWN_STRIKES.get(given.on),
    )
    outcome = await run(plan, given.folder, given.template, TOPOLOGIES[given.on])
    given.out.write_bytes(msgspec.json.encode(outcome))
    return 0 if outcome.good else 1


def _line(seed: int, outcome: Outcome | None, folder: Path, given: argparse.Namespace) -> str:
    again = f"  again: make sim SEED={seed} {_as_told(given)}; logs: {folder / f'seed-{seed}'}"
    if outcome is None:
        return f"seed {seed}: broke down, see {folder / f'seed-{seed}.log'}\n{again}"
    counts = outcome.counts
    told = (
        f"{counts.get('in_chats', 0)} in chats, {counts.get('on_phones', 0)} on phones, "
        f"{counts.get('events_lost', 0)} events lost on their way, drained after {outcome.drained_after_s:g} s"
    )
    if outcome.good:
        slow = outcome.timeline[-1:] if outcome.drained_after_s > SLOW_S else []
        return "\n".join([f"seed {seed}: good; {told}", *slow])
    lines = [f"seed {seed}: {len(outcome.violations)} VIOLATIONS; {told}", again]
    lines += [f"  {one}" for one in outcome.violations[:10]] + [f"  {moment}" for moment in outcome.timeline]
    return "\n".join(lines)


def _as_told(given: argparse.Namespace) -> str:
    """What a world was like, for `make sim`."""
    return " ".join(f"{name.upper()}={getattr(given, name)}" for name in WORLDS_OWN if getattr(given, name))


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


if __name__ == "__main__":
    sys.exit(main())
