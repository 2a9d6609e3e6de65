"""The command line: `python -m benchmarks accept inbound --seconds 10 --runs 3`."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.figures import Measured, Run
from benchmarks.parts import PARTS, hot
from benchmarks.parts.act import Act, Plan, Show
from benchmarks.report import markdown, shown
from benchmarks.stage import Stage, Zaptrix
from benchmarks.yardstick import Marking, NoPeer, Peer, install

RESULTS = Path("var") / "bench"
ACT_S_MAX = 1_800.0


class Defaults(NamedTuple):
    """What a part takes when nothing is said."""

    seconds: float
    runs: int
    systems: str


USUAL = Defaults(seconds=10.0, runs=1, systems="zaptrix")
HOT = Defaults(seconds=4.0, runs=5, systems="zaptrix,peer")
SYSTEMS: dict[str, type[Stage]] = {"zaptrix": Zaptrix, "peer": Peer}


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if given.report:
        print(markdown(_read(given.out)))
        return 0
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        print(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if given.profile:
        (given.out / "profile").mkdir(parents=True, exist_ok=True)
    return 0 if asyncio.run(bench(given)) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    whole = [part for part in PARTS if part != hot.NAME]
    parser.add_argument("parts", nargs="*", default=whole, metavar="part", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, help=f"of each stretch; {USUAL.seconds:g}, in hot {HOT.seconds:g}")
    parser.add_argument("--runs", type=int, help=f"medians are taken over them; {USUAL.runs}, in hot {HOT.runs}")
    parser.add_argument("--act", default="", help="only the acts whose name holds this")
    parser.add_argument("--systems", help=f"with commas, playing in turn: {', '.join(SYSTEMS)} (both in hot)")
    parser.add_argument(
        "--peer-marks", action="store_true", help="the peer plays once more, and marks messages as read"
    )
    parser.add_argument("--gateways", type=int, default=1, help="processes of the gateway")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--connections", type=int, default=128, help="of the load generator")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: everything smaller")
    parser.add_argument("--far-latency-ms", type=float, help="how long both platforms think")
    parser.add_argument("--rate", type=int, default=0, help="messages a second of the open loops, instead of their own")
    parser.add_argument("--busy", action="store_true", help="another process keeps one core busy while it is measured")
    parser.add_argument("--no-read-marks", action="store_true", help="channels without blue ticks")
    parser.add_argument(
        "--set", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="a setting of what is measured"
    )
    parser.add_argument("--profile", action="store_true", help="py-spy of gateway and workers, if it is on PATH")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the JSON results")
    parser.add_argument("--report", action="store_true", help="print the results as Markdown and end")
    return parser


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{given!r} is no NAME=VALUE")
    return name, value


async def bench(given: argparse.Namespace) -> bool:
    """Play everything; whether each delivery check of ours was good, and no platform refused a call."""
    plan = Plan(
        scale=given.scale,
        gateways=given.gateways,
        workers=given.workers,
        connections=given.connections,
        read_marks=not given.no_read_marks,
        far_latency_ms=given.far_latency_ms,
        rate_per_s=given.rate,
        busy=given.busy,
        profile=str(given.out / "profile") if given.profile else "",
        environ=dict(given.set),
    )
    all_good = True
    for part in given.parts:
        usual = HOT if part == hot.NAME else USUAL
        systems = _systems(given.systems or usual.systems, marking=given.peer_marks)
        runs: list[Run] = []
        try:
            its = msgspec.structs.replace(plan, seconds=given.seconds or usual.seconds)
            acts = [act for act in PARTS[part] if given.act in act.name]
            async for run in _runs(acts, systems, given.runs or usual.runs, its):
                runs.append(run)
                print(shown(run), flush=True)
        finally:
            _write(given.out, part, runs)  # what there is, when the rest breaks down
        all_good &= all(m.is_good for run in runs if run.system == Zaptrix.name for m in run.measured)
    return all_good


async def _runs(
    acts: Sequence[Act | Show], systems: Sequence[type[Stage]], count: int, plan: Plan
) -> AsyncIterator[Run]:
    """The systems take turns, so that a machine that changes its mood does so for all of them."""
    for act in acts:
        for number in range(count):
            for system in systems:
                if _plays(act, system, number):
                    yield await _play(act, system, number, plan)


def _systems(names: str, *, marking: bool) -> list[type[Stage]]:
    """Those that can be played here."""
    systems = [SYSTEMS[name] for name in names.split(",")] + [Marking] * marking
    if any(issubclass(system, Peer) for system in systems):
        try:
            install()
        except NoPeer as exc:
            print(f"peer: {exc}; the comparison is left out", file=sys.stderr)
            systems = [system for system in systems if not issubclass(system, Peer)]
    return systems


async def _play(act: Act | Show, system: type[Stage], number: int, plan: Plan) -> Run:
    print(f"== {act.name}: {system.name}, run {number + 1}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="zaptrix-bench-"))
    good = False
    try:
        async with asyncio.timeout(ACT_S_MAX):
            measured = await (act.play(folder, plan) if isinstance(act, Show) else _staged(act, system, folder, plan))
        good = True
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs are kept in {folder}", file=sys.stderr)
    return Run(part=act.name, system=system.name, number=number, settings=msgspec.to_builtins(plan), measured=measured)


def _plays(act: Act | Show, system: type[Stage], number: int) -> bool:
    if isinstance(act, Show):
        return system is Zaptrix
    if number and act.once:
        return False
    return system is Zaptrix or (act.peer and (act.marks or system is not Marking))


async def _staged(act: Act, system: type[Stage], folder: Path, plan: Plan) -> list[Measured]:
    stage = system(folder, act.shape(plan))
    try:
        await stage.start()
        return await act.play(stage, plan)
    finally:
        await stage.stop()


def _write(folder: Path, part: str, runs: list[Run]) -> None:
    if not runs:
        print(f"{part}: nothing was played, and nothing is written", file=sys.stderr)
        return
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "part": part,
        "machine": _machine(),
        "commit": _commit(),
        "at": datetime.now(UTC).isoformat(),
        "command": _command(),
        "runs": runs,
    }
    file = folder / f"{part}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(msgspec.to_builtins(told), indent=1) + "\n", encoding="utf-8")
    print(f"written: {file}")


def _read(folder: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]


def _machine() -> str:
    cores = len([line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")])
    model = next(
        (x.partition(": ")[2] for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), ""
    )
    return f"{cores} cores, {model}, Linux {platform.release()}, Python {platform.python_version()}"


def _command() -> str:
    """As it was given, but for where the results go."""
    command = " ".join(sys.argv[1:])
    return re.sub(r" ?--out[ =]\S+", "", command).strip()


def _commit() -> str:
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
