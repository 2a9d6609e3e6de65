"""Before a gateway starts: its files have to be where those of the others are. Run as a program it says so by its end.

In a process of its own: the store's library starts threads, which a server that forks must not have.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from zaptrix.app import open_app
from zaptrix.bridge.shared_media import OtherStore, SharedMedia
from zaptrix.settings import Settings

_OTHER_STORE = 3


def join_media_store() -> None:
    """By the settings of the environment. Raises OtherStore when the others keep files elsewhere."""
    ended = subprocess.run([sys.executable, "-m", "zaptrix.cli.shared_store"], check=False, stdout=subprocess.DEVNULL)
    if ended.returncode == _OTHER_STORE:
        raise OtherStore


async def _join(settings: Settings) -> int:
    async with open_app(settings) as app:
        try:
            await SharedMedia(app.database, app.media.blobs).join()
        except OtherStore:
            return _OTHER_STORE
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_join(Settings.from_env(os.environ))))
