"""PostgreSQL and Redis of our own, under one data folder, for whoever has none to give."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from zaptrix.cli.folders import private
from zaptrix.cli.postgres import EmbeddedPostgres
from zaptrix.cli.redis_server import EmbeddedRedis

LOG_BYTES_MAX = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Both servers of one data folder. The folder's lock is the caller's to hold (`folders.data_folder`)."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    folder: Path = field(repr=False)

    def start(self) -> None:
        """Start both, or none; raises StartError."""
        self.postgres.start()
        try:
            self.redis.start()
        except BaseException:
            self.postgres.stop()
            raise

    def stop(self) -> None:
        self.redis.stop()
        self.postgres.stop()


def servers_in(folder: Path) -> Servers:
    """The servers of a data folder, not yet started."""
    return Servers(
        postgres=EmbeddedPostgres(folder / "postgres", log=log_file(folder, "postgres")),
        redis=EmbeddedRedis(folder / "redis", log=log_file(folder, "redis")),
        folder=folder,
    )


def log_file(folder: Path, name: str) -> Path:
    """Where a child writes; a file that has grown large is put aside once, and the one before it is forgotten."""
    log = private(folder / "log") / f"{name}.log"
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
    return log


def encryption_key(folder: Path) -> str:
    """The data folder's own key for secrets at rest, made the first time. Losing it loses the secrets."""
    file = private(folder / "keys") / "encryption.key"
    if not file.exists():
        draft = file.with_name(f".{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(Fernet.generate_key().decode("ascii") + "\n", encoding="ascii")
        draft.rename(file)
    return file.read_text(encoding="ascii").strip()
