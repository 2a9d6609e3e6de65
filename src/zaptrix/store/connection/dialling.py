"""Dial PostgreSQL: the first of several hosts that takes writes, and with what a session of ours begins.

An address may name several hosts, as libpq's may, for a fail-over without a proxy:
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

import asyncpg

from zaptrix.core import limits

Dialled: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Every statement of ours goes by an index, whatever the table's size; a plan that was made while a table was small, or
# before anybody counted its rows, must not read all of it later. And planning a settlement anew cost 0.3 ms each time.
# Measured with 1,000 portals: PostgreSQL's CPU a message went from 2,143 to 1,360 us at 500/s.
PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # What is off counts as very dear, and what is dear would be compiled: tens of milliseconds for a statement of one.
    "jit": "off",
}


# Nobody's locks outlive him by more than seconds, whether he dies, stands still or is cut off without a goodbye: by the
# defaults PostgreSQL believes in a silent host for two hours, and in an open transaction for ever. Behind a pooler the
# silent host is the pooler's to notice (docs/RUNBOOK.md).
_ENDINGS = {
    "idle_in_transaction_session_timeout": f"{limits.TRANSACTION_IDLE_S_MAX}s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{limits.PEER_SILENT_S_MAX}s",
    "client_connection_check_interval": "5s",  # while a statement waits, for a lock as well
}

SESSION = PLANNING | _ENDINGS
"""What each session of ours asks for as it begins; behind a pooler its role has it (`role_settings.py`)."""

# Who is cut off in the middle of a statement's messages, as between asyncpg's preparing one and running it, is not idle
# by PostgreSQL's word: its session waits for the rest, with all of its locks, and only this bounds it. PostgreSQL 17
# knows it, and an older one refuses a session that asks for it as it begins. Nor does the role behind a pooler have it:
# a backup and a migration, which last, have the same role.
# https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-TRANSACTION-TIMEOUT
_TRANSACTION = f"SET transaction_timeout = '{limits.TRANSACTION_S_MAX}s'"
_KNOWN_SINCE = 17

HEAD_START_S = 0.5
"""How long a host has before the next one is dialled beside it."""


def session(*, pooled: bool) -> dict[str, Any]:
    """What asyncpg is told beside an address.

    A pooler in transaction mode refuses or drops settings at the start of a session, and gives the next transaction to
    another server process, which does not know a statement by its name: https://www.pgbouncer.org/features.html
    """
    return {"statement_cache_size": 0} if pooled else {"server_settings": SESSION}


class Dialler:
    """Connects as `asyncpg.connect` does, also for a pool; of several hosts the one that was good last goes first.

    asyncpg alone tries them one after the other in one time for all: a first host without power would use it up, and a
    fail-over to the second would never be seen. And a host that only reads is no use unless one was asked for.
    """

    def __init__(self, url: str, wanted: str = "read-write") -> None:
        """`wanted`: which of several hosts will do, where the address does not say it (`target_session_attrs`)."""
        self._url = url
        self._hosts = apart(url)
        self._wanted = dict(_parameters(url)).get("target_session_attrs", wanted)

    async def __call__(self, dsn: str | None = None, **options: Any) -> Dialled:  # noqa: ARG002 - its own
        """Raises what asyncpg raises."""
        connection = await self._dial(**options)
        if options.get("server_settings") and connection.get_server_version().major >= _KNOWN_SINCE:
            try:
                await connection.execute(_TRANSACTION, timeout=options.get("timeout"))
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _dial(self, **options: Any) -> Dialled:
        if len(self._hosts) == 1:
            return await asyncpg.connect(self._url, **options)
        async with asyncio.timeout(options.get("timeout")):
            if self._wanted != "prefer-standby":
                return await self._first(**options, target_session_attrs=self._wanted)
            try:
                return await self._first(**options, target_session_attrs="standby")
            except FAILURES:
                return await self._first(**options, target_session_attrs="any")

    async def _first(self, **options: Any) -> Dialled:
        """The first that is as wanted; each has a head start before the next one."""

        async def dial(place: int, host: str) -> tuple[str, Dialled]:
            await asyncio.sleep(place * HEAD_START_S)
            return host, await asyncpg.connect(host, **options)

        tasks = [asyncio.create_task(dial(*each)) for each in enumerate(self._hosts)]
        failed: list[Exception] = []
        chosen: Dialled | None = None
        try:
            for ended in asyncio.as_completed(tasks):
                try:
                    host, chosen = await ended
                except FAILURES as exc:
                    failed.append(exc)
                    continue
                self._hosts.sort(key=lambda each: each != host)
                return chosen
        finally:
            await _hang_up(tasks, but=chosen)
        # What a server said tells more than that another one did not answer.
        raise next((exc for exc in failed if isinstance(exc, asyncpg.PostgresError)), failed[0])


FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What comes of a host that does not answer, refuses, or is not as wanted."""


async def _hang_up(tasks: Sequence[asyncio.Task[tuple[str, Dialled]]], but: Dialled | None) -> None:
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(ended, BaseException) and ended[1] is not but:
            ended[1].terminate()


def apart(url: str) -> list[str]:
    """The address of each host of one that names several, before the path or as the parameter `host`."""
    scheme, _, rest = url.partition("://")
    cut = min((rest.index(sign) for sign in "/?" if sign in rest), default=len(rest))
    place, behind = rest[:cut], rest[cut:]
    account, at, hosts = place.rpartition("@")
    if "," in hosts:
        return [f"{scheme}://{account}{at}{host}{behind}" for host in hosts.split(",")]
    told = _parameters(url)
    named = dict(told)
    if "," not in named.get("host", ""):
        return [url]
    several, path = named["host"].split(","), behind.partition("?")[0]
    ports = named.get("port", "").split(",")
    kept = [(name, value) for name, value in told if name not in {"host", "port"}]
    return [
        f"{scheme}://{place}{path}?"
        + urlencode([*kept, ("host", host), *([("port", port)] if port else [])], safe="/:")
        for host, port in zip(several, ports if len(ports) > 1 else ports * len(several), strict=False)
    ]


def _parameters(url: str) -> list[tuple[str, str]]:
    return parse_qsl(url.partition("?")[2], keep_blank_values=True)
