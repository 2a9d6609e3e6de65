"""The files that the processes of one host count into, so that any one of them can answer for all.

Each process has one file a kind of metric (prometheus_client's multiprocess mode). What a dead process counted is added
to one `*_past.db`, so totals never go back and files do not pile up. Where nobody is alive, a new run begins at zero.
One folder belongs to one host (or container): whether a process lives is asked of this system's process table.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KINDS = ("counter", "histogram")
_PAST = "past"
_SUFFIX = ".db"
_ALIVE = ".alive"

_log = structlog.get_logger(__name__)


def join(folder: Path) -> None:
    """Make this process count into `folder` from now on. Only what is counted afterwards is seen."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_EX):
        if not _living(folder) - {os.getpid()}:
            _forget_everything(folder)
        # The files appear with the first count; the marker holds the folder until then.
        (folder / f"{os.getpid()}{_ALIVE}").touch()
    if os.environ.get(_FOLDER_VARIABLE) == str(folder) and values.ValueClass is not values.MutexValue:
        return  # a fork of a process that had joined: its values move to files of its own by themselves
    os.environ[_FOLDER_VARIABLE] = str(folder)
    # prometheus_client decides this when it is first imported, from the environment, which would make every import in
    # the gateway depend on a variable. Values are made with the first use of a label set, so here is early enough.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def read(folder: Path) -> list[Metric]:
    """What all processes of this host have counted, the dead ones included."""
    if _dead_files(folder):
        with _locked(folder, fcntl.LOCK_EX):
            _fold(folder)
    with _locked(folder, fcntl.LOCK_SH):
        files = [str(file) for file in folder.glob(f"*{_SUFFIX}") if file.stat().st_size]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def _fold(folder: Path) -> None:
    """Add the files of dead processes to the past's."""
    dead = _dead_files(folder)
    for kind in _KINDS:
        files = [file for file in dead if file.name.startswith(f"{kind}_")]
        if files:
            _add(files, folder / f"{kind}_{_PAST}{_SUFFIX}")
    for file in dead:
        file.unlink(missing_ok=True)
    for marker in folder.glob(f"*{_ALIVE}"):
        if not _alive(int(marker.stem)):
            marker.unlink(missing_ok=True)


def _add(files: Iterable[Path], past: Path) -> None:
    totals: defaultdict[str, float] = defaultdict(float)
    for file in files:
        for key, value in _values(file):
            totals[key] += value
    # Written aside and renamed: a process killed here leaves the old past, not half of a new one.
    draft = past.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    for key, value in _values(past) if past.exists() else ():
        totals[key] += value
    book = MmapedDict(str(draft))  # type: ignore[no-untyped-call]
    for key, total in totals.items():
        book.write_value(key, total, 0.0)  # type: ignore[no-untyped-call]
    book.close()  # type: ignore[no-untyped-call]
    draft.replace(past)


def _values(file: Path) -> list[tuple[str, float]]:
    """Keys and values of a file; what a process killed while growing it left unreadable is told and given up."""
    if not file.stat().st_size:
        return []
    try:
        return [
            (key, value)
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        ]
    except (RuntimeError, ValueError, struct.error) as exc:
        _log.warning("metric_file_unreadable", file=file.name, error=type(exc).__name__)
        return []


def _living(folder: Path) -> set[int]:
    pids = {int(marker.stem) for marker in folder.glob(f"*{_ALIVE}")}
    pids.update(pid for pid in map(_owner, folder.glob(f"*{_SUFFIX}")) if pid is not None)
    return {pid for pid in pids if _alive(pid)}


def _dead_files(folder: Path) -> list[Path]:
    owned = ((file, _owner(file)) for file in folder.glob(f"*{_SUFFIX}"))
    return [file for file, pid in owned if pid is not None and not _alive(pid)]


def _owner(file: Path) -> int | None:
    """`histogram_4711.db` -> 4711; None for the past."""
    pid = file.stem.rpartition("_")[2]
    return int(pid) if pid.isdigit() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _forget_everything(folder: Path) -> None:
    for pattern in (f"*{_SUFFIX}", f"*{_ALIVE}", "*.draft"):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, how)
        yield
