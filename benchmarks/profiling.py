"""Profiles of gateway and workers while a scene is played, where py-spy is at hand."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.cost import family_of

PROFILED = ("gateway", "worker")
ROOM_S = 30.0


@asynccontextmanager
async def profiled(folder: str, what: str, roots: Mapping[str, int], seconds: float) -> AsyncIterator[None]:
    """Writes `<folder>/<what>-<process>.svg` for each process; does nothing without a folder."""
    program = shutil.which("py-spy") if folder else None
    if folder and program is None:
        print("profile: there is no py-spy on PATH; going on without")
    recorders: list[asyncio.subprocess.Process] = []
    if program:
        for name, root in roots.items():
            if name.startswith(PROFILED):
                for pid in family_of(root):
                    file = Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', what.lower())}-{name}-{pid}.svg"
                    recorders.append(
                        await asyncio.create_subprocess_exec(
                            program, "record", "--pid", str(pid), "--output", str(file), "--rate", "200",
                            "--duration", str(max(1, round(min(seconds, 60.0)))),
                            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                        )
                    )  # fmt: skip
    try:
        yield
    finally:
        for recorder in recorders:
            async with asyncio.timeout(ROOM_S + 60):
                await recorder.wait()
