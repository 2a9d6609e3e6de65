"""Bring a database to the newest schema. Forward only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from zaptrix.core.faults import Fault, FaultKind, Unfit
from zaptrix.store.fitness import refusal
from zaptrix.store.role_settings import give

_FOLDER = Path(__file__).parent / "migrations"


async def upgrade(database_url: str, revision: str = "head", *, pooled_url: str = "") -> None:
    """Apply what is missing, up to `revision`.

    Safe to run from several processes at once: the first holds a lock, the others wait.
    With a pooler's address its role is given the settings that sessions cannot bring through it.
    Raises Unfit where PostgreSQL refuses a step; what was applied before it stays.
    """
    try:
        await asyncio.to_thread(command.upgrade, _config(database_url), revision)
        if pooled_url:
            await give(pooled_url)
    except asyncpg.PostgresError as exc:
        raise Unfit(refusal(exc)) from exc
    except DBAPIError as exc:
        cause = exc.orig.__cause__ if exc.orig is not None else None
        if isinstance(cause, asyncpg.PostgresError):
            raise Unfit(refusal(cause)) from exc
        raise Unfit(Fault(FaultKind.POSTGRES_REFUSED, type(cause or exc).__name__)) from exc


def newest() -> str | None:
    """The revision that this code expects."""
    return ScriptDirectory.from_config(_config("")).get_current_head()


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["database_url"] = database_url
    return config
