"""The world on disk: a snapshot every few seconds, written by a forked child.

A child, because the simulator goes on answering while it is written. A snapshot that cannot be read, as another
release's, is set aside.
"""

import asyncio
import logging
import os
import pickle
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from zaptrix_sim.world.world import SHAPE, World

EVERY_S: Final = 2.0
PATIENCE: Final = 10.0
LOOK_S: Final = 0.05
NAME: Final = "world.pickle"

log = logging.getLogger(__name__)


def load(folder: Path) -> World | None:
    """The world of the last run; None when there is none, or when an older simulator wrote it: it is set aside."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        world = pickle.loads(path.read_bytes())  # noqa: S301 our own file, in our own folder
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError, IndexError):
        world = None
    if not isinstance(world, World) or getattr(world, "shape", None) != SHAPE:
        path.rename(path.with_suffix(".unreadable"))
        return None
    return world


def save(folder: Path, world: World) -> None:
    """Whole or not at all: written beside the old one, then put in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    fresh = path.with_suffix(".part")
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
    with warnings.catch_warnings():
        # The child only writes a file and ends, so it does not care which locks other threads hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _save_and_end(folder, world)
    try:
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):  # noqa: ASYNC222 it does not wait: WNOHANG
            await asyncio.sleep(LOOK_S)
    except asyncio.CancelledError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)  # noqa: ASYNC222 it has just been killed
        raise
    if ended[1]:
        log.warning("the world could not be written to %s", folder)


def _save_and_end(folder: Path, world: World) -> NoReturn:
    code = 1
    try:
        save(folder, world)
        code = 0
    finally:
        os._exit(code)
