"""Migrates a database to the newest schema, beside processes that use it.

Forward only.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from zaptrix.core.installation.faults import Fault, FaultKind, Unfit
from zaptrix.store.connection.dialling import Dialler
from zaptrix.store.schema import schema
from zaptrix.store.schema.fitness import refusal
from zaptrix.store.schema.role_settings import give
from zaptrix.store.schema.schema import FOLDER, Migration

_AGAIN_S, _AGAIN_S_MAX = 1.0, 10.0
# Somebody has the table, or each waits for the other. Who gave way comes again, and whoever stood behind it goes first.
_GAVE_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_HOLDERS = """
SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::int AS s
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '300 ms'
 ORDER BY xact_start LIMIT 3
"""


class MigrationWait(NamedTuple):
    """A migration gave way to transactions that use its tables; `holders`: the oldest that are open."""

    again_s: float
    holders: str


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What somebody who watches is told."""

    applied: Callable[[str], None] = lambda _revision: None
    doing: Callable[[str], None] = lambda _seen: None
    waiting: Callable[[MigrationWait], None] = lambda _waiting: None
    busy: Callable[[], None] = lambda: None
    """Another process migrates this database."""


_QUIET = Telling()


async def upgrade(
    database_url: str,
    revision: str = "head",
    *,
    pooled_url: str = "",
    telling: Telling = _QUIET,
    beside: Path | None = None,
) -> None:
    """Apply what is missing, up to `revision`. Several processes may do so at once: one does it, and the others wait.

    A step that does not get its tables within moments gives way, and is tried again until it does. What was applied
    before a failure stays, and what was broken off is gone on with by the next run. With a pooler's
    address its role is given the settings that sessions cannot bring through it. `beside`: a folder of further
    migrations. Raises Unfit where PostgreSQL refuses a step.
    """
    again_s = _AGAIN_S
    while True:
        try:
            await asyncio.to_thread(command.upgrade, _config(database_url, telling, beside), revision)
            if pooled_url:
                await give(pooled_url)
        except (asyncpg.PostgresError, SQLAlchemyError) as exc:
            cause = _cause(exc)
            if not isinstance(cause, _GAVE_WAY):
                fault = refusal(cause) if isinstance(cause, asyncpg.PostgresError) else None
                raise Unfit(fault or Fault(FaultKind.POSTGRES_REFUSED, type(cause).__name__)) from exc
        else:
            return
        telling.waiting(MigrationWait(again_s, await _holders(database_url)))
        await asyncio.sleep(again_s)
        again_s = min(again_s * 2, _AGAIN_S_MAX)


def pending(revision: str | None) -> list[Migration]:
    """What a database of this revision (None: an empty one) lacks, in its order."""
    return [each for each in schema.migrations() if revision is None or int(each.revision) > int(revision)]


def statements(revision: str | None, *, beside: Path | None = None) -> str:
    """The SQL that a database of this revision is waiting for; nothing is run."""
    config = _config("", _QUIET, beside)
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{revision or 'base'}:head", sql=True)
    return config.output_buffer.getvalue()


def newest() -> str:
    """The revision that this code brings."""
    return schema.migrations()[-1].revision


def _cause(exc: BaseException) -> BaseException:
    """What asyncpg raised, below what wraps it and what was raised because of it."""
    found: BaseException | None = exc
    while found is not None and not isinstance(found, asyncpg.PostgresError):
        found = found.__cause__ or found.__context__
    return found or exc


async def _holders(url: str) -> str:
    """Which processes of PostgreSQL's have been in a transaction for longest; never what they do."""
    try:
        connection = await Dialler(url)(timeout=5, command_timeout=5)
        try:
            rows = await connection.fetch(_HOLDERS)
        finally:
            connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ""
    return ", ".join(f"{row['pid']} {row['application_name']} ({row['s']} s)" for row in rows)


def _config(database_url: str, telling: Telling, beside: Path | None) -> Config:
    folders = [FOLDER / "versions", *([beside] if beside else [])]
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(folder).replace("%", "%%") for folder in folders))
    config.attributes |= {
        "database_url": database_url,
        "known": schema.migrations(*folders),
        "applied": telling.applied,
        "doing": telling.doing,
        "busy": telling.busy,
    }
    return config
