"""What the doctor asks of the platforms: whether each answers, with the keys that are stored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from zaptrix.app import App, open_app
from zaptrix.broker.stats import look_at_redis
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.portal import Channel, Portal
from zaptrix.settings import Settings
from zaptrix.store.accounts import channels, portals, resealing
from zaptrix.store.accounts.resealing import Sealed
from zaptrix.store.connection.replica import LAG_S_MAX, Reads, ReplicaStanding, ReplicaState
from zaptrix.store.journal import recovery
from zaptrix.store.processes import workers
from zaptrix.store.processes.workers import WorkerAtWork

_CHECKED_MAX = 1_000
_FOLLOWS_S = 0.1
_BEAT_S_MAX = 15.0  # a gateway gives its sign of life every two seconds


async def check_platforms(settings: Settings) -> list[tuple[str, str | None]]:
    """Each channel's number and each portal, and what is wrong with it (None: it answers)."""
    async with open_app(settings) as app:
        async with app.database.connection() as connection:
            known = await portals.listed(connection, None, None, _CHECKED_MAX)
            numbers = await channels.listed(connection, None, None, _CHECKED_MAX)
        told = [(f"portal {portal.portal_url}", await _portal_trouble(app, portal)) for portal in known]
        return told + [(f"channel {channel.name}", await _number_trouble(app, channel)) for channel in numbers]


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """How PostgreSQL is set, and how many of its places for connections are taken."""

    full_page_writes: str
    used: int
    places: int
    folder: Path | None
    """Where its data is; None: this role may not know."""
    replica: ReplicaStanding | None
    """How the one of DATABASE_READ_URL stands; None: there is none."""


_INSIDE = """
SELECT current_setting('full_page_writes') AS full_page_writes,
       (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS places,
       CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END AS folder
"""


async def check_inside(settings: Settings) -> Inside:
    """Raises StoreUnavailable."""
    async with open_app(settings) as app:
        async with app.database.connection() as connection:
            found = dict(await connection.fetchrow(_INSIDE) or {})
        replica = await _replica(app.reads)
    folder = found.pop("folder")
    return Inside(**found, folder=Path(folder) if folder else None, replica=replica)


async def _replica(reads: Reads) -> ReplicaStanding | None:
    """Looked at twice: how far it is behind shows once it had the time to follow."""
    standing = await reads.look()
    if standing is None or standing.state is not ReplicaState.FIT:
        return standing
    await asyncio.sleep(LAG_S_MAX + _FOLLOWS_S)
    return await reads.look()


async def check_recovery(settings: Settings) -> list[tuple[str, str]]:
    """Portals that do not let us look for lost replies, and in which words. Raises StoreUnavailable."""
    async with open_app(settings) as app, app.database.connection() as connection:
        return await recovery.refusals(connection, _CHECKED_MAX)


async def check_secrets(settings: Settings) -> Sealed:
    """Under which of ENCRYPTION_KEYS stored secrets are. Raises StoreUnavailable."""
    async with open_app(settings) as app:
        return await resealing.sealed(app.database, app.box)


class AtWork(msgspec.Struct, frozen=True, kw_only=True):
    """Which processes run, beside this one."""

    gateway: bool
    idle: list[str] | None
    """The queues without a worker; None: Redis does not tell."""
    workers: list[WorkerAtWork]


async def check_at_work(settings: Settings) -> AtWork:
    """Who gave a sign of life lately. Raises StoreUnavailable."""
    async with open_app(settings) as app:
        async with app.database.connection() as connection:
            _, silent = await recovery.last_beat(connection, _BEAT_S_MAX)
            at_work = await workers.at_work(connection, limits.WORKER_LATE_S)
        many = None if at_work is None else len(at_work)
        answered = (await look_at_redis(app.redis, app.bells)).answered(many) if settings.redis_url else None
    idle = None if answered is None else [queue.value for queue in Queue if queue not in answered]
    return AtWork(gateway=not silent, idle=idle, workers=at_work or [])


async def _portal_trouble(app: App, portal: Portal) -> str | None:
    if portal.paused_at:
        return f"paused: {portal.paused_reason}"
    try:
        await app.portal_client.call(portal, "app.info", {})
    except PlatformError as exc:
        return str(exc)
    return None


async def _number_trouble(app: App, channel: Channel) -> str | None:
    held = channel.whatsapp_paused_reason or channel.line_paused_reason
    if held:
        return f"paused: {held}"
    if channel.registered_at is None:
        return "its connector does not stand on its open line yet"
    try:
        await app.graph.phone_number(channel)
    except PlatformError as exc:
        return str(exc)
    return await app.subscriptions.trouble(channel)
