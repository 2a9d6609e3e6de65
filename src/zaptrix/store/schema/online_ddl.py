"""Changes of a schema that is in use, for migrations: what takes long holds up nobody, and may be broken off.

Outside of transactions, so each can stand half done: whoever comes again finds what is there, and goes on.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from zaptrix.core import limits

PARTITIONED = frozenset({"event"})
"""PostgreSQL builds no index concurrently on these, but on each partition:
https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE"""

LOCK_TIMEOUT = f"{limits.TABLE_LOCK_WAIT_MS}ms"
"""A statement that waits for a table stands before everybody who comes after it. It gives up after this, they go on,
and it is tried again (`migrate.py`)."""

_STATE = """
SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relname = :name AND c.relnamespace = current_schema()::regnamespace
"""
# Those that were made since the parent's index was have theirs already, and so have those that were done before.
_PARTITIONS = """
SELECT c.relname FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
 WHERE p.inhparent = to_regclass(:table) AND NOT EXISTS (
    SELECT FROM pg_inherits a JOIN pg_index i ON i.indexrelid = a.inhrelid
     WHERE a.inhparent = to_regclass(:name) AND i.indrelid = c.oid)
 ORDER BY c.relname
"""


def create_index(name: str, table: str, columns: str, *, unique: bool = False) -> None:
    """`columns`: all that follows the table's name. One that was broken off is there, and invalid: it is made anew."""
    context, kind = op.get_context(), "UNIQUE INDEX" if unique else "INDEX"
    with context.autocommit_block():
        if table not in PARTITIONED:
            _build(name, table, columns, kind)
            return
        if context.as_sql:
            context.impl.static_output("-- squawk-ignore-next-statement require-concurrent-index-creation")
        op.execute(f"CREATE {kind} IF NOT EXISTS {name} ON ONLY {table} {columns}")
        for partition in _partitions(name, table):
            _build(f"{partition}_{name}", partition, columns, kind)
            op.execute(f"ALTER INDEX {name} ATTACH PARTITION {partition}_{name}")


def backfill(statement: str) -> None:
    """Run it until it changes nothing: it changes a batch, and finds no row that was changed before.

    `UPDATE t SET b = a WHERE id IN (SELECT id FROM t WHERE b IS NULL LIMIT 1000)`, without SKIP LOCKED: what is locked
    would be left out. Each batch is a transaction.
    """
    context = op.get_context()
    with context.autocommit_block():
        if context.as_sql:
            context.impl.static_output("-- again and again, until it changes nothing:")
            op.execute(statement)
            return
        done = 0
        while changed := op.get_bind().execute(text(statement)).rowcount:
            done += changed
            _tell(f"{done} rows")


def _build(name: str, table: str, columns: str, kind: str) -> None:
    """It waits for the transactions that are open, but nobody waits for it: so it waits as long as it takes."""
    if op.get_context().as_sql:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY {name} ON {table} {columns}")
        return
    valid = op.get_bind().execute(text(_STATE), {"name": name}).scalar()
    if valid:
        return
    _tell(f"index {name}")
    op.execute("SET lock_timeout = 0")
    if valid is not None:
        op.execute(f"DROP INDEX CONCURRENTLY {name}")
    op.execute(f"CREATE {kind} CONCURRENTLY {name} ON {table} {columns}")
    op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def _partitions(name: str, table: str) -> list[str]:
    if op.get_context().as_sql:
        return [f"{table}_default"]  # and so on: only the database knows them
    return list(op.get_bind().execute(text(_PARTITIONS), {"table": table, "name": name}).scalars())


def _tell(seen: str) -> None:
    config = op.get_context().config
    if config is not None and (tell := config.attributes.get("doing")):
        tell(seen)
