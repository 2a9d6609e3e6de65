"""`zaptrix doctor`: is everything that the gateway stands on as it must be, and if not, what to do."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import asyncpg
import redis.asyncio
from redis.exceptions import RedisError
from rich.table import Table

from zaptrix.settings import Settings, slips

POSTGRES_OLDEST = 14
REDIS_OLDEST = (6, 2)
ANSWER_S = 5.0
UNREACHED = ("no_connection", "connection_lost", "timeout")
"""How the platforms' clients begin the trouble of a call that nobody answered."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `fix` says what to do when it is not good."""

    what: str
    good: bool
    told: str
    fix: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which it stands on one another. Never raises for what it examines."""
    found = _environment(settings)
    postgres = await _postgres(settings)
    found += [*postgres, *await _redis(settings)]
    if all(finding.good for finding in postgres):
        found += await _platforms(settings)
    return found


def table(findings: list[Finding]) -> Table:
    """As a person reads it."""
    shown = Table(title="zaptrix doctor", show_lines=False)
    for column in ("", "what", "found", "what to do"):
        shown.add_column(column, overflow="fold")
    for finding in findings:
        sign = "[green]ok[/green]" if finding.good else "[red]wrong[/red]"
        shown.add_row(sign, finding.what, finding.told, "" if finding.good else finding.fix)
    return shown


def _environment(settings: Settings) -> list[Finding]:
    unread = slips(os.environ)
    https = settings.public_url.startswith("https://") or not settings.has_credentials
    return [
        Finding(
            what="settings",
            good=not unread,
            told="; ".join(unread) or "each one is read and can be used",
            fix="mend or remove these variables",
        ),
        Finding(
            what="encryption keys",
            good=bool(settings.encryption_keys),
            told=f"{len(settings.encryption_keys)} given" if settings.encryption_keys else "none",
            fix="set ENCRYPTION_KEYS to the output of `zaptrix new-encryption-key`, and keep a copy",
        ),
        Finding(
            what="public address",
            good=https,
            told=settings.public_url,
            fix="set PUBLIC_URL to the https address by which Meta and Bitrix24 reach the gateway",
        ),
    ]


async def _postgres(settings: Settings) -> list[Finding]:
    if not settings.database_url:
        return [_unset("PostgreSQL", "DATABASE_URL")]
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=ANSWER_S, command_timeout=ANSWER_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
        return [_away("PostgreSQL", "DATABASE_URL", exc)]
    try:
        version = await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000")
        fsync, commit = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
        exists = await connection.fetchval("SELECT to_regclass('alembic_version')")
        revision = await connection.fetchval("SELECT version_num FROM alembic_version") if exists else None
    finally:
        await connection.close()
    return [
        Finding(
            what="PostgreSQL",
            good=version >= POSTGRES_OLDEST,
            told=f"version {version}",
            fix=f"use PostgreSQL {POSTGRES_OLDEST} or later",
        ),
        Finding(
            what="durability",
            good=fsync == "on" and commit != "off",
            told=f"fsync {fsync}, synchronous_commit {commit}",
            fix="set fsync and synchronous_commit to on: a webhook is answered when it is safe, and this makes it safe",
        ),
        _schema(revision),
    ]


def _schema(revision: str | None) -> Finding:
    from zaptrix.store.migrate import newest

    return Finding(
        what="schema",
        good=revision is not None and revision == newest(),
        told=revision or "never migrated",
        fix="run `zaptrix migrate`",
    )


async def _redis(settings: Settings) -> list[Finding]:
    if not settings.redis_url:
        return [_unset("Redis", "REDIS_URL")]
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            redis.asyncio.from_url(settings.redis_url, decode_responses=True) as client,
        ):
            info: dict[str, Any] = await client.info()
    except (RedisError, OSError) as exc:
        return [_away("Redis", "REDIS_URL", exc)]
    version = str(info.get("redis_version", "0.0"))
    policy, appends = info.get("maxmemory_policy"), info.get("aof_enabled")
    oldest = ".".join(map(str, REDIS_OLDEST))
    return [
        Finding(
            what="Redis",
            good=tuple(int(part) for part in version.split(".")[:2]) >= REDIS_OLDEST,
            told=f"version {version}",
            fix=f"use Redis {oldest} or later",
        ),
        Finding(
            what="eviction",
            good=policy == "noeviction",
            told=str(policy),
            fix="set maxmemory-policy to noeviction: evicted keys are bells that nobody hears",
        ),
        Finding(
            what="append-only file",
            good=appends == 1,
            told="on" if appends == 1 else "off",
            fix="set appendonly to yes: without it a restart of Redis waits for the next sweep",
        ),
    ]


async def _platforms(settings: Settings) -> list[Finding]:
    """Each number's token and each portal's, as the platforms see them."""
    from zaptrix.cli.checks import check_platforms, check_recovery

    secrets = await _secrets(settings)
    refused = [
        Finding(
            what=f"history of {portal_url}",
            good=False,
            told=reason,
            fix="let the application's user see all conversations of its open lines; lost replies cannot be found",
        )
        for portal_url, reason in await check_recovery(settings)
    ]
    return [secrets, *refused] + [
        Finding(what=what, good=trouble is None, told=trouble or "answers", fix=_platform_fix(trouble or ""))
        for what, trouble in await check_platforms(settings)
    ]


async def _secrets(settings: Settings) -> Finding:
    """Under which keys secrets are: one that holds none may be taken out of ENCRYPTION_KEYS."""
    from zaptrix.cli.checks import check_secrets

    found = await check_secrets(settings)
    told = [f"{found.by_key[0]} under the first key"]
    for place in range(1, len(settings.encryption_keys)):
        used = found.by_key[place]
        told.append(f"key {place + 1}: {f'{used}, run `zaptrix keys rotate`' if used else 'none, it may be taken out'}")
    lost = found.unreadable
    if lost:
        told.append(f"{len(lost)} under none of them, such as {lost[0]}")
    return Finding(
        what="secrets",
        good=not lost,
        told="; ".join(told),
        fix="put their key back into ENCRYPTION_KEYS, or give them anew by the API; `zaptrix keys list` names them",
    )


def _platform_fix(trouble: str) -> str:
    if trouble.startswith(UNREACHED):
        return "can this machine reach it? If so, is its address right (META_GRAPH_URL, the portal's portal_url)?"
    if "WhatsApp Business account" in trouble:
        return "PUT /api/channels/{id} with {} subscribes it again; see who took it away in Meta's Business settings"
    return "give it a valid token by the API"


def _unset(what: str, name: str) -> Finding:
    return Finding(what=what, good=False, told=f"{name} is not set", fix=f"set {name}, or run `zaptrix up`")


def _away(what: str, name: str, exc: BaseException) -> Finding:
    # The kind of error alone: its text may quote the address, and with it the password.
    return Finding(
        what=what, good=False, told=f"no answer ({type(exc).__name__})", fix=f"is {name} right, and is it up?"
    )
