"""The world on disk: a snapshot every few seconds, written by a forked child so that nobody waits for it."""

import asyncio
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Final

from zaptrix_sim.world import World

EVERY_S: Final = 2.0
PATIENCE: Final = 10.0
NAME: Final = "world.pickle"


def load(folder: Path) -> World | None:
    """The world of the last run; None when there is none, or when an older simulator wrote it (then it is set aside)."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        world = pickle.loads(path.read_bytes())  # noqa: S301 our own file, in our own folder
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError, IndexError):
        path.rename(path.with_suffix(".unreadable"))
        return None
    return world if isinstance(world, World) else None


def save(folder: Path, world: World) -> None:
    """Whole or not at all: written beside the old one, then put in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(pickle.dumps(world, protocol=pickle.HIGHEST_PROTOCOL))
    fresh.replace(path)


class Snapshots:
    """Writes while something changes, at most a tenth of the time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved = -1

    async def run(self, current: Callable[[], World]) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            world = current()
            if world.changes == self._saved:
                continue
            self._saved = world.changes
            began = asyncio.get_running_loop().time()
            await _saved_by_child(self._folder, world)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(took * PATIENCE)


async def _saved_by_child(folder: Path, world: World) -> None:
    child = os.fork()
    if child == 0:
        try:
            save(folder, world)
        finally:
            os._exit(0)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        await asyncio.sleep(0.05)
