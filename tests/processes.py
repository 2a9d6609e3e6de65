"""Looking at processes from outside, by what the kernel tells."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

POLL_S = 0.02
# A process may go before its file is opened, and between that and the reading.
GONE = (FileNotFoundError, ProcessLookupError)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie, which only waits to be read, does not."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def parent_of(pid: int) -> int | None:
    """None when it has gone."""
    return int(fields[1]) if (fields := _stat(pid)) else None


def command_of(pid: int) -> str:
    """Its command line; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except GONE:
        return ""


def descendants(pid: int) -> set[int]:
    """Every process below it."""
    everyone = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {child: parent for child in everyone if (parent := parent_of(child)) is not None}
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; none when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except GONE:
        return []


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the condition holds; fails the test, saying what did not come, when it does not in time."""
    pause, deadline = Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        pause.wait(POLL_S)
