"""The media store, looked at from a process of its own, which says by its output what is wrong.

The store's library starts threads, which a server that forks must not have; a store that hangs is left behind with the
process; and one of these threads that is not done when an interpreter ends takes the exit code with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping

import msgspec

from zaptrix.app import open_app
from zaptrix.bridge.files.shared_media import SharedMedia, media_fault
from zaptrix.core.installation.faults import Fault, FaultKind, Unfit
from zaptrix.settings import Settings
from zaptrix.store.connection.database import StoreUnavailable

_LOOK = "--look"


class _Said(msgspec.Struct, frozen=True):
    kind: str = ""
    seen: str = ""


def join_media_store() -> None:
    """Before a gateway starts: its files have to be where those of the others are, and it has to be able to keep them.

    By the settings of the environment. Raises Unfit.
    """
    said = _heard(subprocess.run(_program(), check=False, stdout=subprocess.PIPE).stdout)
    if said is not None:
        raise Unfit(said)


async def look_at_media_store(environ: Mapping[str, str], seconds: float) -> Fault | None:
    """What is wrong with it, or None; nothing is changed. A store that takes longer is away."""
    looking = await asyncio.create_subprocess_exec(*_program(_LOOK), stdout=subprocess.PIPE, env=dict(environ))
    try:
        async with asyncio.timeout(seconds):
            told, _ = await looking.communicate()
    except TimeoutError:
        return Fault(FaultKind.MEDIA_AWAY, "TimeoutError")
    finally:
        if looking.returncode is None:
            looking.kill()
            await looking.wait()
    return _heard(told)


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "zaptrix.cli.shared_store", *arguments]


def _heard(told: bytes) -> Fault | None:
    line = told.strip().rpartition(b"\n")[2]
    said = msgspec.json.decode(line, type=_Said) if line else _Said(FaultKind.MEDIA_AWAY, "it could not be looked at")
    return Fault(FaultKind(said.kind), said.seen) if said.kind else None


async def _seen(settings: Settings, *, look: bool) -> Fault | None:
    async with open_app(settings) as app:
        try:
            if look:
                return await media_fault(app.database, app.media.blobs)
            await SharedMedia(app.database, app.media.blobs).join()
        except StoreUnavailable:
            return None  # PostgreSQL's own check tells of it
        except Unfit as exc:
            return exc.fault
    return None


def _main() -> None:
    fault = asyncio.run(_seen(Settings.from_env(os.environ), look=_LOOK in sys.argv))
    sys.stdout.buffer.write(msgspec.json.encode(_Said(fault.kind, fault.seen) if fault else _Said()) + b"\n")
    sys.stdout.flush()
    os._exit(0)  # nothing is left to be done, and the library's threads may not be


if __name__ == "__main__":
    _main()
