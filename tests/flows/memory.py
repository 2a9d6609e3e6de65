"""How much memory programs come to hold at the most while something goes on. Linux: /proc."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zaptrix.cli.local.children import Child

PROC = Path("/proc")
MIB = 1024 * 1024
_RESET_PEAK = "5"  # https://docs.kernel.org/filesystems/proc.html, clear_refs


class Peaks:
    """By how much each program outgrew what it held before, in bytes, its child processes counted in."""

    def __init__(self, programs: Iterable[Child]) -> None:
        self._before = {program.program.name: (program.pid, _held(program.pid, "VmRSS")) for program in programs}
        for pid, _ in self._before.values():
            for process in _family(pid):
                (process / "clear_refs").write_text(_RESET_PEAK)

    def growth(self) -> dict[str, int]:
        return {name: _held(pid, "VmHWM") - before for name, (pid, before) in self._before.items()}


@contextmanager
def bounded(programs: Iterable[Child], growth_max: int) -> Iterator[None]:
    """None of them grows by more meanwhile."""
    peaks = Peaks(programs)
    yield
    growth = peaks.growth()
    assert max(growth.values()) < growth_max, growth


def _held(pid: int, field: str) -> int:
    return sum(_told(process, field) for process in _family(pid))


def _told(process: Path, field: str) -> int:
    with suppress(OSError):
        found = re.search(rf"^{field}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def _family(session: int) -> list[Path]:
    """The processes of a program: it has a session of its own."""
    return [process for process in PROC.iterdir() if process.name.isdigit() and _session(process) == session]


def _session(process: Path) -> int:
    with suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    return -1
