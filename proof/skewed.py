"""`python -m proof.skewed FILE worker`: `zaptrix worker` on a host whose wall clock is as far ahead as FILE says.

The process is a real one; what it is told of the time is wrong, and steps when another writes to the file. It needs no
tool that a machine may not have.
"""

import inspect
import mmap
import struct
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType

_SECONDS = struct.Struct("d")


def step(file: Path, ahead_s: float) -> None:
    """Set the clock of whoever was started with `file` so far ahead of the right time."""
    if not file.exists():
        file.write_bytes(_SECONDS.pack(ahead_s))
        return
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), _SECONDS.size) as seen:
        _SECONDS.pack_into(seen, 0, ahead_s)


def _ahead_of(file: Path) -> Callable[[], float]:
    with file.open("rb") as opened:
        seen = mmap.mmap(opened.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    return lambda: float(_SECONDS.unpack_from(seen)[0])


def set_wrong(ahead_s: Callable[[], float], modules: list[ModuleType]) -> None:
    """From here on `time.time()` is wrong everywhere, and `datetime.now()` in these modules."""
    right = time.time

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as everybody expects
            return datetime.now(tz) + timedelta(seconds=ahead_s())

    time.time = lambda: right() + ahead_s()
    for module in modules:
        # Only who asks for the time: elsewhere it is the type of a field, and a decoder would find another one.
        if getattr(module, "datetime", None) is datetime and "datetime.now(" in inspect.getsource(module):
            module.__dict__["datetime"] = Wrong


def main() -> None:
    ahead_s = _ahead_of(Path(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    import zaptrix.worker.worker  # noqa: F401, PLC0415  # every module is there before its clock is set
    from zaptrix.cli.main import app  # noqa: PLC0415

    ours = [module for name, module in list(sys.modules.items()) if name.startswith("zaptrix.")]
    set_wrong(ahead_s, [module for module in ours if "datetime.now(" in inspect.getsource(module)])
    app()


if __name__ == "__main__":
    main()
