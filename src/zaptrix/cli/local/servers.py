"""PostgreSQL and Redis of our own, under one data folder, where the settings name none."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from zaptrix.cli.local.data_folder import private
from zaptrix.cli.local.postgres import EmbeddedPostgres
from zaptrix.cli.local.redis_server import EmbeddedRedis

LOG_BYTES_MAX = 10_000_000

_KEYS = Path("keys") / "encryption.key"


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
    """The data folder's own keys for secrets at rest, as ENCRYPTION_KEYS takes them: one is made the first time.

    Losing them loses the secrets.
    """
    if not kept_keys(folder):
        keep_keys(folder, (Fernet.generate_key().decode("ascii"),))
    return ",".join(kept_keys(folder))


def kept_keys(folder: Path) -> tuple[str, ...]:
    """The keys that a data folder keeps; none: nothing was encrypted there without keys that are given."""
    try:
        kept = (folder / _KEYS).read_text(encoding="ascii")
    except FileNotFoundError:
        return ()
    return tuple(key for key in map(str.strip, kept.split(",")) if key)


def keep_keys(folder: Path, keys: tuple[str, ...]) -> None:
    """Keep these, before those that are there: the first encrypts, all decrypt."""
    file = private((folder / _KEYS).parent) / _KEYS.name
    draft = file.with_name(f".{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(",".join(dict.fromkeys((*keys, *kept_keys(folder)))) + "\n", encoding="ascii")
    draft.rename(file)
