"""The data folder: who may use it, where its sockets are, and which of its servers outlived an earlier run."""

import contextlib
import fcntl
import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zaptrix.cli.errors import StartError
from zaptrix.cli.local.waiting import wait_until

NAMES = ("graph_url", "keys", "lock", "log", "media", "metrics", "postgres", "redis", "sim", "spool")
"""What we make in a data folder."""

SOCKET_PATH_MAX = 107
"""Linux: sockaddr_un.sun_path holds 108 bytes with its closing zero."""


@contextlib.contextmanager
def data_folder(path: Path) -> Iterator[Path]:
    """Hold a data folder for ourselves; raises StartError when another process holds it."""
    path = path.expanduser().resolve()
    if not path.exists():
        path.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            path.chmod(0o711)  # PostgreSQL runs under an account of its own and has to pass
    close_to_others(path)
    with (path / "lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise StartError(f"{path} is in use by another zaptrix (process {holder}); stop that one first") from exc
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        # The lock is the open file, not its text: it ends with the process, however that ends.
        yield path


def environment_of_holder(path: Path) -> dict[str, str]:
    """The variables that the process which holds a data folder was started with; none when nobody does.

    The kernel shows them to the same account alone: https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html
    """
    try:
        with (path / "lock").open("r", encoding="ascii") as lock:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return {}
            pid = int(lock.read())
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape").split("\0")
    except (OSError, ValueError):
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def open_to_others(path: Path) -> list[Path]:
    """What of ours in a data folder other accounts may read or enter."""
    return [part for part in _ours(path) if part.stat().st_mode & 0o077]


def close_to_others(path: Path) -> None:
    """Tighten what of ours in a data folder an earlier version, or a person, left open; what lies deeper is closed so.

    Only what has our names is touched: the folder itself may be somebody else's, or hold other things.
    """
    for part in open_to_others(path):
        with contextlib.suppress(PermissionError):  # another account's: the doctor tells
            part.chmod(part.stat().st_mode & 0o700)


def _ours(path: Path) -> list[Path]:
    return [path / name for name in NAMES if (path / name).exists() and not (path / name).is_symlink()]


def forget_socket_folder(folder: Path, name: str) -> None:
    """Remove the temporary one, if there was need of it."""
    short = socket_folder(folder, name)
    if short != folder:
        with contextlib.suppress(OSError):
            short.rmdir()


def private(folder: Path) -> Path:
    """The folder, made if need be, closed to everybody else."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def socket_folder(folder: Path, name: str) -> Path:
    """Where the socket `name` is: in `folder`, or in a temporary one if that path is too long for a socket."""
    if len(os.fsencode(folder / name)) <= SOCKET_PATH_MAX:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"zaptrix-{digest}"


def make_socket_folder(folder: Path, name: str, *, owner: tuple[int, int] | None = None) -> Path:
    """The same, made and closed to everybody else; raises StartError when it is somebody else's."""
    short = socket_folder(folder, name)
    if short == folder:
        return folder
    short.mkdir(mode=0o700, exist_ok=True)
    if owner is not None:
        os.chown(short, *owner)
    wanted = owner[0] if owner is not None else os.geteuid()
    if short.is_symlink() or short.stat().st_uid != wanted:
        raise StartError(f"{short} belongs to somebody else; choose a DATA_DIR with a shorter path")
    return short


def stop_leftover(name: str, pid: int, folder: Path, request: signal.Signals, wait_s: float) -> None:
    """Stop, cleanly, a server of ours that outlived an earlier run: who holds the folder's lock decides about it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, request)
    if not wait_until(lambda: not works_in(pid, folder), wait_s):
        raise StartError(f"an earlier {name} (process {pid}) still uses {folder} and does not stop")


def works_in(pid: int, folder: Path) -> bool:
    """Whether that process is alive and works in `folder`, as a server does in its data folder.

    Pid files outlive crashes and pids are used again, so a pid alone proves nothing.
    """
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder
    except OSError:
        return False


def pid_in(file: Path) -> int | None:
    """The pid on the first line of a pid file, if there is one."""
    try:
        return int(file.read_text(encoding="ascii").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
