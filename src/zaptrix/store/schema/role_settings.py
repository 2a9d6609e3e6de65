"""Behind a pooler our sessions cannot bring their settings: their role has them instead, in this one database.

`ALTER ROLE ... IN DATABASE ...` needs no rights but to be that role, and leaves what else the role is used for alone:
https://www.postgresql.org/docs/current/sql-alterrole.html
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg

from zaptrix.store.connection.dialling import SESSION, Dialled, Dialler, session

_ANSWER_S = 10.0
_LOOKS = 20
_LOOK_S = 0.25

_HERE = "setrole = current_user::regrole AND setdatabase = (SELECT oid FROM pg_database WHERE datname = d.name)"
_GIVEN = f"""
SELECT d.name, (SELECT setconfig FROM pg_db_role_setting WHERE {_HERE}) AS settings
  FROM (SELECT current_database() AS name) d
"""  # noqa: S608 - a constant
# Sessions that were begun before keep what they began with. A pooler holds them for an hour, and dials a new one in the
# place of each that is ended while nobody uses it. A role may end its own sessions; ours is the last.
_END = """
SELECT count(pg_terminate_backend(pid))
  FROM (SELECT pid FROM pg_stat_activity
         WHERE usename = current_user AND datname = current_database() AND backend_start < $1 AND state = 'idle'
           AND pid <> pg_backend_pid()) idle
"""
_LEFT = """
SELECT count(*) FROM pg_stat_activity
 WHERE usename = current_user AND datname = current_database() AND backend_start < $1 AND pid <> pg_backend_pid()
"""


async def give(url: str) -> bool:
    """Give the role in `url`, a pooler's address, what our sessions need, and end its idle sessions that are without.

    False: it had all of it. Raises what asyncpg raises.
    """
    connection = await Dialler(url)(timeout=_ANSWER_S, command_timeout=_ANSWER_S, **session(pooled=True))
    try:
        async with connection.transaction():
            name, given = await connection.fetchrow(_GIVEN) or ("", None)
            if set(given or ()) >= {f"{key}={value}" for key, value in SESSION.items()}:
                return False
            for key, value in SESSION.items():
                await connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {_quoted(name)} SET {key} = '{value}'")
        await _end_older(connection)
    finally:
        connection.terminate()
    return True


async def _end_older(connection: Dialled) -> None:
    """Those that work are waited for, some seconds."""
    now = await connection.fetchval("SELECT clock_timestamp()")
    for _ in range(_LOOKS):
        await connection.fetchval(_END, now)
        if await connection.fetchval(_LEFT, now) == 0:
            break
        await asyncio.sleep(_LOOK_S)
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
