"""`python -m proof.skewed 150 worker`: `zaptrix worker` on a host whose clock is 150 seconds ahead.

The process is a real one; what it is told of the time is wrong. It needs no tool that a machine may not have.
"""

import inspect
import sys
import time
from datetime import datetime, timedelta, tzinfo
from types import ModuleType


def set_wrong(ahead_s: float, modules: list[ModuleType]) -> None:
    """From here on `time.time()` is wrong everywhere, and `datetime.now()` in these modules."""
    right = time.time

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as everybody expects
            return datetime.now(tz) + timedelta(seconds=ahead_s)

    time.time = lambda: right() + ahead_s
    for module in modules:
        # Only who asks for the time: elsewhere it is the type of a field, and a decoder would find another one.
        if getattr(module, "datetime", None) is datetime and "datetime.now(" in inspect.getsource(module):
            module.__dict__["datetime"] = Wrong


def main() -> None:
    ahead_s = float(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    import zaptrix.worker.worker  # noqa: F401, PLC0415  # every module is there before its clock is set
    from zaptrix.cli.main import app  # noqa: PLC0415

    ours = [module for name, module in list(sys.modules.items()) if name.startswith("zaptrix.")]
    set_wrong(ahead_s, [module for module in ours if "datetime.now(" in inspect.getsource(module)])
    app()


if __name__ == "__main__":
    main()
