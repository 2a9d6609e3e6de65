"""Checks of PostgreSQL, Redis and the data folder before a process serves.

What can never work is refused here, in one sentence. A server that is only away is no reason to refuse: a gateway takes
in webhooks without PostgreSQL.
"""

from __future__ import annotations

import asyncio
import mmap
from pathlib import Path
from tempfile import TemporaryFile

from zaptrix.broker.connection import fitness as redis_fitness
from zaptrix.cli.errors import StartError
from zaptrix.cli.language import locale
from zaptrix.core.installation.faults import Fault, Unfit
from zaptrix.core.wording.catalog import text_of
from zaptrix.settings import Settings
from zaptrix.store.schema import fitness as postgres_fitness


def check_postgres(settings: Settings, *, migrated: bool = True, may_be_away: bool = False) -> None:
    """Raises StartError, with one line."""
    _refuse(asyncio.run(_postgres_fault(settings, migrated=migrated)), may_be_away=may_be_away)


def check_redis(settings: Settings, *, may_be_away: bool = False) -> None:
    """Raises StartError, with one line."""
    _refuse(asyncio.run(_redis_fault(settings)), may_be_away=may_be_away)


def check_folder(folder: Path) -> None:
    """Make the data folder where there is none, and write in it. Raises StartError, with one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TemporaryFile(dir=folder) as file:
            file.write(b"\0" * mmap.PAGESIZE)  # what a disk without room refuses
    except OSError as exc:
        told = text_of("commands.folder_unwritten", locale())
        raise StartError(told.format(folder=folder, reason=exc.strerror or type(exc).__name__)) from exc


def _refuse(fault: Fault | None, *, may_be_away: bool) -> None:
    if fault is not None and not (may_be_away and fault.may_pass):
        raise StartError(str(fault.words(locale())))


async def _postgres_fault(settings: Settings, *, migrated: bool) -> Fault | None:
    pooled = settings.is_pooled
    try:
        facts = await postgres_fitness.examine(settings.database_url, pooled=pooled)
    except Unfit as exc:
        return exc.fault
    fault = postgres_fitness.fault_of(facts, migrated=migrated, pooled=pooled)
    if fault or migrated or not pooled:
        return fault
    # Only who migrates goes past the pooler.
    return await postgres_fitness.direct_fault(settings.database_direct_url, settings.database_url, migrated=False)


async def _redis_fault(settings: Settings) -> Fault | None:
    try:
        await redis_fitness.examine(settings.redis_url)
    except Unfit as exc:
        return exc.fault
    return None
