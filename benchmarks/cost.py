"""What processes cost: CPU and memory of whole families, out of /proc."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

BESIDE = frozenset({"load", "platforms", "busy"})  # families that no production needs
_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one family of processes, over a stretch of time."""

    cpu_s: float
    pss_mb: float
    rss_mb: float


class Meter:
    """Counts from its making on. `roots` are the first process of each family, by its name."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = {name: _cpu_s(root) for name, root in self._roots.items()}
        self._began = time.monotonic()

    def add(self, roots: Mapping[str, int]) -> None:
        """Families that have only begun: all that they cost counts."""
        self._roots |= roots
        self._before |= dict.fromkeys(roots, 0.0)

    def read(self) -> dict[str, Cost]:
        """What each family has cost since; memory is that of now."""
        costs = {}
        for name, root in self._roots.items():
            family = _family(root)
            costs[name] = Cost(
                cpu_s=round(_cpu_s(root) - self._before[name], 3),
                pss_mb=round(sum(map(_pss_bytes, family)) / 1e6, 1),
                rss_mb=round(sum(map(_rss_bytes, family)) / 1e6, 1),
            )
        return costs

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def family_of(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    family, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        family.append(pid)
        waiting += children.get(pid, ())
    return family


def _family(root: int) -> list[int]:
    """All of them; of ourselves, who started everything, only us."""
    return [root] if root == os.getpid() else family_of(root)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on; empty when the process has gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_s(root: int) -> float:
    """CPU of a family, the ended children included: each parent has their time beside its own."""
    ours = root == os.getpid()
    seconds = 0.0
    for pid in _family(root):
        if fields := _stat(pid):
            own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
            seconds += max(own * _TICK_S, _threads_s(pid)) + (0 if ours else children) * _TICK_S
    return seconds


def _threads_s(pid: int) -> float:
    """CPU of a process's living threads to the nanosecond, where the kernel tells it.

    A lone message takes less than one of the ticks that `stat` counts.

    https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    """
    total = 0
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):  # it has just ended
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def _pss_bytes(pid: int) -> int:
    """Shared pages are counted by their share; where that may not be read, wholly."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", (_PROC / str(pid) / "smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return _rss_bytes(pid)
    return int(found[1]) * 1024 if found else 0


def _rss_bytes(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0
