"""A PostgreSQL of any version, as a primary or as a streaming standby of one, to be killed and promoted."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import asyncpg

from zaptrix.cli.local.children import Account, Child, Holder, Program, account_for, run
from zaptrix.cli.local.postgres import programs
from zaptrix.cli.local.waiting import wait_until

ROLE = "zaptrix"
START_WAIT_S = 60.0
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "jit": "off",
    "lc_messages": "C",
    "log_error_verbosity": "terse",
}


class Engine(Holder):
    """`url_of(database)` leads to it. `folder` is made with it, and is its socket's."""

    name = "PostgreSQL"

    def __init__(
        self, folder: Path, *, data: Path | None = None, binaries: Path | None = None, **settings: str
    ) -> None:
        super().__init__()
        self.folder = folder
        self._data = data or folder / "data"
        self._binaries = binaries or programs()
        self._settings = {**_SETTINGS, **settings, "unix_socket_directories": str(folder)}

    @property
    def data(self) -> Path:
        return self._data

    def url_of(self, database: str, *, role: str = ROLE) -> str:
        return f"postgresql://{role}@/{quote(database)}?host={self.folder}&port={self._settings['port']}"

    def make(self, *arguments: str) -> None:
        """An empty one, as a primary that standbys may follow."""
        account = self._prepare()
        self._run(account, "initdb", "-D", self._data, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--no-locale",
                  "--no-sync", *arguments)  # fmt: skip

    def follow(self, primary: Engine) -> None:
        """A copy of a running primary that follows it; it is known there by the name of its folder."""
        account = self._prepare()
        source = (
            f"host={primary.folder} port={primary._settings['port']} user={ROLE} application_name={self.folder.name}"
        )
        self._run(account, "pg_basebackup", "-D", self._data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                  "-d", source)  # fmt: skip

    def start(self) -> None:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self._child = child = Child(self._program(self._account(), "postgres", "-D", self._data, *settings))
        wait_until(lambda: self._is_ready() or child.exit_code() is not None, START_WAIT_S)
        assert child.exit_code() is None, child.last_words()

    def promote(self) -> None:
        self._run(self._account(), "pg_ctl", "promote", "-D", self._data, "-w", "-t", "30")

    @property
    def is_made(self) -> bool:
        return (self._data / "PG_VERSION").exists()

    def forget(self) -> None:
        """What an admin does with a primary that died, before it may follow the new one."""
        for each in self._data.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.url_of(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def value(self, query: str, *values: object, database: str = "postgres") -> object:
        connection = await asyncpg.connect(self.url_of(database))
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close()

    def _prepare(self) -> Account | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        account = self._account()
        if account is not None:
            os.chown(self.folder, account.uid, account.gid)
        return account

    def _account(self) -> Account | None:
        return account_for(self.folder, must_run=programs() / "postgres")

    def _run(self, account: Account | None, name: str, *arguments: str | Path) -> None:
        run(self._program(account, name, *arguments))

    def _program(self, account: Account | None, name: str, *arguments: str | Path) -> Program:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
        return Program(
            name=name,
            argv=[self._binaries / name, *arguments],
            environ={**environ, "LC_ALL": "C", "HOME": str(self.folder)},
            log=self.folder.with_name(f"{self.folder.name}.log"),  # the folder may be its data
            stop_signal=signal.SIGINT,
            account=account,
        )

    def _is_ready(self) -> bool:
        """Line 8 of postmaster.pid, as pg_ctl reads it."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == self.pid and lines[7].strip() in {"ready", "standby"}


def either(*engines: Engine, database: str, **parameters: str) -> str:
    """The address of several, for a fail-over."""
    hosts = ",".join(str(engine.folder) for engine in engines)
    told = "".join(f"&{name}={value}" for name, value in parameters.items())
    return f"postgresql://{ROLE}@/{quote(database)}?host={hosts}{told}"
