"""Bring a database to the newest schema. Forward only."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

_FOLDER = Path(__file__).parent / "migrations"


async def upgrade(database_url: str) -> None:
    """Apply what is missing. Safe to run from several processes at once: the first holds a lock, the others wait."""
    await asyncio.to_thread(command.upgrade, _config(database_url), "head")


def newest() -> str | None:
    """The revision that this code expects."""
    return ScriptDirectory.from_config(_config("")).get_current_head()


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["database_url"] = database_url
    return config
