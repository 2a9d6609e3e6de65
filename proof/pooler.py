"""A pgbouncer before a PostgreSQL of ours, on a socket of its own; Debian's of 1.18 knows no statement by its name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import quote

from yarl import URL

from zaptrix.cli.local.children import Child, Holder, Program, account_for
from zaptrix.cli.local.postgres import DATABASE, EmbeddedPostgres, programs
from zaptrix.cli.local.waiting import wait_until

START_WAIT_S = 20
_PORT = 6432


class Pooler(Holder):
    """`url_of(database)` leads through it."""

    def __init__(
        self, postgres: EmbeddedPostgres, folder: Path, *options: str, mode: str = "transaction", only: str = "*"
    ) -> None:
        super().__init__()
        self._server = URL(postgres.url).query["host"]
        self._data, self._folder = postgres.data, folder
        self._only = only
        self._options = (*options, f"pool_mode = {mode}")

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql://zaptrix@/{quote(database)}?host={self._folder}&port={_PORT}"

    def start(self) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "pgbouncer is missing; `make pgbouncer` installs it on Debian"
        self._folder.mkdir(parents=True, exist_ok=True)
        account = account_for(self._data, must_run=programs() / "postgres")
        if account is not None:
            os.chown(self._folder, account.uid, account.gid)
        ini, socket = self._folder / "ini", self._folder / f".s.PGSQL.{_PORT}"
        fixed = ("listen_addr =", f"unix_socket_dir = {self._folder}", f"listen_port = {_PORT}", "auth_type = any")
        ini.write_text(
            f"[databases]\n{self._only} = host={self._server} user=zaptrix\n[pgbouncer]\n"
            + "\n".join((*fixed, "max_client_conn = 500", *self._options)),
            encoding="utf-8",
        )
        self._child = Child(Program(name="pgbouncer", argv=[program, ini], log=self._folder / "log", account=account))
        assert wait_until(socket.exists, START_WAIT_S), "pgbouncer did not start"
