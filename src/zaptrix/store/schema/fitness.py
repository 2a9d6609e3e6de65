"""Whether a PostgreSQL is fit for the gateway: looked at before a process serves, by the doctor and by `/health`."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import msgspec

from zaptrix.core.installation import compatibility
from zaptrix.core.installation.compatibility import Fit
from zaptrix.core.installation.faults import Fault, FaultKind, Unfit
from zaptrix.store.connection.database import Connection, Database, StoreRefused, StoreUnavailable
from zaptrix.store.connection.dialling import FAILURES, PLANNING, SESSION, Dialled, Dialler
from zaptrix.store.schema import schema

POSTGRES_OLDEST = 14
DIRECT = "DATABASE_DIRECT_URL"
ANSWER_S = 10.0

_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})


class PostgresFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL tells of itself and of this role."""

    version: int
    read_only: bool
    encoding: str
    fsync: str
    synchronous_commit: str
    planning: str
    """Whether the settings of our sessions arrived: a pooler may drop them."""
    now: datetime
    process: int
    """Of the server's side of this connection."""
    revision: str | None
    works_from: str | None
    """The oldest code that works on this schema, by its own word."""
    lacking: list[str]
    """Tables on which the role may not do what the gateway does; the schema itself, where it may make none."""


_FACTS = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only,
       current_setting('server_encoding') AS encoding,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('plan_cache_mode') AS planning,
       clock_timestamp() AS now,
       pg_backend_pid() AS process,
       to_regclass('alembic_version') IS NOT NULL AS migrated,
       obj_description(to_regclass('alembic_version'), 'pg_class') AS works_from
"""
# The same for each way to one database. Of functions that a hosted PostgreSQL may not allow, only who compares asks.
_IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid
  FROM pg_database WHERE datname = current_database()
"""
_REVISION = "SELECT version_num FROM alembic_version"
# The journal's partitions are made by the workers, which only the owner of the table may do.
_LACKING = """
SELECT c.relname
  FROM pg_class c
 WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('alembic_version'))
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND NOT CASE WHEN c.relname = 'alembic_version' THEN has_table_privilege(c.oid, 'SELECT')
                WHEN c.relname = 'event' THEN pg_has_role(c.relowner, 'USAGE')
                ELSE has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                 AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') END
 ORDER BY c.relname
"""
_MAY_CREATE = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"


async def facts_of(connection: Connection | Dialled) -> PostgresFacts:
    """Four quick statements. Raises what asyncpg raises."""
    found = dict(await connection.fetchrow(_FACTS) or {})
    lacking = [] if await connection.fetchval(_MAY_CREATE) else ["the schema"]
    revision = None
    if found.pop("migrated"):
        lacking += [row["relname"] for row in await connection.fetch(_LACKING)]
        if "alembic_version" not in lacking:
            revision = await connection.fetchval(_REVISION)
    works_from = compatibility.read(found.pop("works_from"))
    return PostgresFacts(**found, revision=revision, works_from=works_from, lacking=lacking)


def fault_of(facts: PostgresFacts, *, migrated: bool = True, pooled: bool = False) -> Fault | None:
    """The first thing that makes it unfit; with `migrated` the schema has to be there, and what a pooled role needs."""
    planned = facts.planning == PLANNING["plan_cache_mode"]
    if facts.version < POSTGRES_OLDEST:
        return Fault(FaultKind.POSTGRES_OLD, str(facts.version))
    if not planned and not pooled:
        return Fault(FaultKind.POSTGRES_POOLER)
    if facts.read_only:
        return Fault(FaultKind.POSTGRES_READ_ONLY)
    if facts.encoding != "UTF8":
        return Fault(FaultKind.POSTGRES_ENCODING, facts.encoding)
    if facts.lacking:
        return Fault(FaultKind.POSTGRES_RIGHTS, ", ".join(facts.lacking[:3]) + (", …" if facts.lacking[3:] else ""))
    fit = compatibility.fit(schema.span(schema.migrations()), facts.revision, facts.works_from)
    if fit is Fit.AHEAD:
        return Fault(FaultKind.POSTGRES_LATER, facts.revision or "")
    if migrated and fit is Fit.BEHIND:
        return Fault(FaultKind.POSTGRES_UNMIGRATED, facts.revision or "-")
    if migrated and not planned:
        return Fault(FaultKind.POSTGRES_ROLE)
    return None


async def examine(url: str, *, pooled: bool = False) -> PostgresFacts:
    """Dial it as the pool does, and look; `pooled`: it is a pooler in transaction mode, as DATABASE_DIRECT_URL says.

    Raises Unfit, also where it is only away for now (`may_pass`).
    """
    _find_files(url)
    try:
        async with _dialled(url, pooled=pooled) as connection, _dialled(url, pooled=pooled) as other:
            facts = await facts_of(connection)
            if pooled:
                await _begin(connection)
            elif connection.get_server_pid() != facts.process:
                await _look_at_pooler(connection, other, facts.process)
            return facts
    except asyncpg.PostgresError as exc:
        fault = refusal(exc)
        mode = pooled and fault.kind is FaultKind.POSTGRES_POOLER
        raise Unfit(Fault(FaultKind.POSTGRES_POOLER_MODE) if mode else fault) from exc
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as exc:
        raise Unfit(_no_talk(exc)) from exc


async def direct_fault(direct_url: str, pooled_url: str, *, migrated: bool = True) -> Fault | None:
    """What makes DATABASE_DIRECT_URL unfit beside DATABASE_URL, which is fit itself: for the doctor and `migrate`."""
    try:
        facts = await examine(direct_url)
    except Unfit as exc:
        return exc.fault._replace(url=DIRECT)
    if await _identity(direct_url, pooled=False) != await _identity(pooled_url, pooled=True):
        return Fault(FaultKind.POSTGRES_OTHER)
    fault = fault_of(facts, migrated=migrated)
    return fault and fault._replace(url=DIRECT)


async def _identity(url: str, *, pooled: bool) -> str | None:
    """None where it is not told."""
    try:
        async with _dialled(url, pooled=pooled) as connection:
            return str(await connection.fetchval(_IDENTITY))
    except FAILURES:
        return None


async def fault_now(database: Database) -> Fault | None:
    """The same of a pool that is in use, without a look at poolers."""
    try:
        async with database.connection() as connection:
            return fault_of(await facts_of(connection), pooled=database.pooled)
    except asyncpg.PostgresError as exc:
        return refusal(exc)
    except (StoreUnavailable, StoreRefused) as exc:
        return Fault(FaultKind.POSTGRES_AWAY, str(exc))


@asynccontextmanager
async def _dialled(url: str, *, pooled: bool) -> AsyncIterator[Dialled]:
    # Without the cache its statements have no name that would stay behind in a pooler.
    connection = await Dialler(url)(
        timeout=ANSWER_S,
        command_timeout=ANSWER_S,
        statement_cache_size=0,
        server_settings=None if pooled else SESSION,
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def _begin(connection: Dialled) -> None:
    """What a pooler in statement mode refuses."""
    async with connection.transaction():
        await connection.execute("SELECT 1")


async def _look_at_pooler(connection: Dialled, other: Dialled, process: int) -> None:
    """A pooler is between, as the server's process is not the one that was announced. It is of use only if it leaves
    each session its own process: while another session is in a transaction, ours has to be where it was.

    Raises Unfit.
    """
    ask = "SELECT pg_backend_pid()"
    async with other.transaction():
        theirs, ours = await other.fetchval(ask), await connection.fetchval(ask)
    if theirs == process or ours != process:
        raise Unfit(Fault(FaultKind.POSTGRES_POOLER))


def refusal(exc: asyncpg.PostgresError) -> Fault:
    """What an error of PostgreSQL's, or of a pooler before it, means. Only its kind is ever shown: texts quote."""
    told = str(exc).lower()
    for kind, classes, words in _REFUSALS:
        if isinstance(exc, classes) and (not words or any(word in told for word in words)):
            return Fault(kind, "what it has to use" if kind is FaultKind.POSTGRES_RIGHTS else _kind(exc))
    return Fault(FaultKind.POSTGRES_REFUSED, _kind(exc))


# The first that fits. A pooler answers what it cannot do as a violation of the protocol, whatever it is:
# https://www.pgbouncer.org/config.html#ignore_startup_parameters
_REFUSALS: tuple[tuple[FaultKind, tuple[type[Exception], ...], tuple[str, ...]], ...] = (
    (FaultKind.POSTGRES_POOLER, (asyncpg.PostgresError,), ("startup parameter", "pooling mode", "prepared statement")),
    (FaultKind.POSTGRES_LOGIN, (asyncpg.InvalidAuthorizationSpecificationError,), ()),
    (FaultKind.POSTGRES_LOGIN, (asyncpg.ProtocolViolationError,), ("auth", "no such user", "password")),
    (FaultKind.POSTGRES_NO_DATABASE, (asyncpg.InvalidCatalogNameError,), ()),
    (FaultKind.POSTGRES_NO_DATABASE, (asyncpg.ProtocolViolationError,), ("no such database", "bouncer config error")),
    (FaultKind.POSTGRES_RIGHTS, (asyncpg.InsufficientPrivilegeError,), ()),
    (FaultKind.POSTGRES_READ_ONLY, (asyncpg.ReadOnlySQLTransactionError,), ()),
    (
        FaultKind.POSTGRES_AWAY,
        (
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,  # coming up, going down
            asyncpg.InsufficientResourcesError,  # too many connections
            asyncpg.PostgresSystemError,
        ),
        (),
    ),
)


def _no_talk(exc: Exception) -> Fault:
    """What it means that no talk came about."""
    if isinstance(exc, ssl.SSLError) or "ssl upgrade" in str(exc).lower():
        return Fault(FaultKind.POSTGRES_TLS, _kind(exc))
    if isinstance(exc, asyncpg.ClientConfigurationError) and "certificate" in str(exc):
        return Fault(FaultKind.POSTGRES_TLS_FILE)
    if isinstance(exc, ValueError):  # a configuration error is one, too
        return Fault(FaultKind.POSTGRES_URL, _kind(exc))
    if isinstance(exc, asyncpg.InterfaceError):
        return Fault(FaultKind.POSTGRES_REFUSED, _kind(exc))
    return Fault(FaultKind.POSTGRES_AWAY, _kind(exc))


def _find_files(url: str) -> None:
    """Raises Unfit when a file for TLS that the address names cannot be read."""
    for name, path in parse_qsl(urlsplit(url).query):
        if name in _FILES and not os.access(path, os.R_OK):
            raise Unfit(Fault(FaultKind.POSTGRES_TLS_FILE))


def _kind(exc: Exception) -> str:
    return type(exc).__name__
