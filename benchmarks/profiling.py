"""Profiles of gateway and workers while a scene is played, where py-spy is at hand."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.cost import family_of

PROFILED = ("gateway", "worker")
ROOM_S = 30.0
ROWS = 12
OURS = "zaptrix"
LOOP = "event loop"  # what no Python frame below the loop accounts for: its own work in C, and the kernel's

# The innermost frame in one of these is what a sample is spent on: whatever it calls works for it.
_SPENT_ON = ("aiohttp", "asyncpg", "bullmq", "redis", "msgspec", "structlog", "sqlalchemy", "cryptography", OURS)
_FRAME = re.compile(r"\(([^():]+):\d+\)$")


@asynccontextmanager
async def profiled(folder: str, what: str, roots: Mapping[str, int], seconds: float) -> AsyncIterator[None]:
    """Writes the stacks of each process into `<folder>/<what>-<process>.folded` (what flame graphs are drawn from), and
    prints what the time was spent on; does nothing without a folder.
    """
    program = shutil.which("py-spy") if folder else None
    if folder and program is None:
        print("profile: there is no py-spy on PATH; going on without")
    recorders: dict[Path, asyncio.subprocess.Process] = {}
    if program:
        for name, root in roots.items():
            if name.startswith(PROFILED):
                for pid in family_of(root):
                    file = Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', what.lower())}-{name}-{pid}.folded"
                    recorders[file] = await asyncio.create_subprocess_exec(
                        program, "record", "--pid", str(pid), "--output", str(file), "--format", "raw", "--rate", "200",
                        "--duration", str(max(1, round(min(seconds, 60.0)))),
                        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                    )  # fmt: skip
    try:
        yield
    finally:
        for file, recorder in recorders.items():
            async with asyncio.timeout(ROOM_S + 60):
                await recorder.wait()
            if file.exists():
                print(shown(file.stem, shares(file.read_text().splitlines())), flush=True)


def shares(folded: Iterable[str]) -> dict[str, float]:
    """What part of the samples was spent on what, most first. A line is frames from the outermost on, and a count."""
    spent: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rpartition(" ")
        spent[_spent_on(stack.split(";"))] += int(count)
    return {name: count / spent.total() for name, count in spent.most_common()}


def shown(name: str, spent: Mapping[str, float]) -> str:
    """One line a process."""
    return f"   {name}: " + ", ".join(f"{what} {100 * part:.0f} %" for what, part in list(spent.items())[:ROWS])


def _spent_on(stack: list[str]) -> str:
    for frame in reversed(stack):
        if match := _FRAME.search(frame):
            package, _, rest = match[1].partition("/")
            if package in _SPENT_ON and "/cli/" not in match[1] and not rest.startswith("__main__"):
                return f"{OURS}/{rest.split('/')[0]}" if package == OURS else package
    return LOOP
