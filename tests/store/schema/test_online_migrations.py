"""Migrations beside a busy house: judged by their SQL, and run against writers and transactions that stay open."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.store.ledger_rows import Ledger
from tests.store.schema.migration_judge import judged
from zaptrix.core.installation.faults import Unfit
from zaptrix.store.schema import fitness, migrate, schema
from zaptrix.store.schema.migrate import MigrationWait, Telling
from zaptrix.store.schema.schema import OFFLINE_UP_TO, Migration, migrations

GAP_S_MAX = 3.0  # of a writer's, on a machine that is busy otherwise; the mechanism allows half a second
EXPAND = Migration("9001", "a test's", works_from=None, needed=True)
CHECKED = "ALTER TABLE message ADD CONSTRAINT c CHECK (a IS NOT NULL)"
NOT_NULL = "BEGIN;\nALTER TABLE message ALTER COLUMN a SET NOT NULL;\nCOMMIT"
CONTRACT = EXPAND._replace(works_from="9001")


# --- judged by their SQL ----------------------------------------------------------------------------------------------


def test_each_migration_may_run_beside_a_busy_house(tmp_path: Path) -> None:
    sql = migrate.statements(OFFLINE_UP_TO)
    parts = dict(
        re.findall(r"-- Running upgrade \w+ -> (\w+)\n(.*?)(?=\nBEGIN;\s+-- Running upgrade|\Z)", sql, re.DOTALL)
    )
    later = [each for each in migrations() if each.online]
    assert parts.keys() >= {each.revision for each in later}
    found = {each.revision: judged(f"BEGIN;\n{parts[each.revision]}", each, tmp_path) for each in later}
    assert {revision: wrong for revision, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("sql", [
    "CREATE INDEX x ON message (kind)",
    "CREATE UNIQUE INDEX x ON event (received_on, key)",
    "DROP INDEX message_due",
    "REINDEX INDEX message_due",
    "ALTER TABLE message ADD COLUMN a TEXT NOT NULL",
    "ALTER TABLE message ALTER COLUMN late SET NOT NULL",
    "ALTER TABLE event ADD COLUMN a TIMESTAMPTZ DEFAULT clock_timestamp()",
    "ALTER TABLE event ADD COLUMN a UUID NOT NULL DEFAULT gen_random_uuid()",
    "ALTER TABLE message ADD COLUMN a BIGINT GENERATED ALWAYS AS (attempts + 1) STORED",
    "ALTER TABLE message ADD COLUMN a BIGINT GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE message ALTER COLUMN attempts TYPE BIGINT",
    "ALTER TABLE message ADD CONSTRAINT c CHECK (attempts >= 0)",
    "ALTER TABLE file ADD CONSTRAINT c FOREIGN KEY (portal_id) REFERENCES portal_config (id)",
    "ALTER TABLE audit ADD CONSTRAINT c UNIQUE (at)",
    "ALTER TABLE message ADD CONSTRAINT c CHECK (told_change IS NOT NULL) NOT VALID",
    "ALTER TABLE file ADD CONSTRAINT c FOREIGN KEY (portal_id) REFERENCES portal_config (id) NOT VALID",
    "COMMIT;\nCREATE UNIQUE INDEX CONCURRENTLY x ON audit (at);\nBEGIN",
    "ALTER TABLE message RENAME COLUMN kind TO sort",
    "ALTER TABLE message RENAME TO letter",
    "ALTER TABLE message DROP COLUMN notice_id",
    "ALTER TABLE message ALTER COLUMN kind DROP NOT NULL",
    "DROP TABLE parked_receipt",
    "ALTER TABLE message SET UNLOGGED",
    "UPDATE message SET part = 0",
    "UPDATE conversation_mapping SET username = NULL WHERE username = ''",
    "DELETE FROM audit WHERE at < now()",
    "INSERT INTO audit (actor, action, subject) SELECT 'x', 'y', id::text FROM message",
    "LOCK TABLE message",
    "VACUUM FULL message",
    "CLUSTER message USING message_conversation",
    "TRUNCATE parked_receipt",
    "ALTER TABLE message ADD COLUMN a TEXT;\nALTER TABLE event ADD COLUMN a TEXT",
    "CREATE TABLE x (id BIGINT PRIMARY KEY, m BIGINT REFERENCES message(id));\nALTER TABLE file ADD COLUMN a TEXT",
])  # fmt: skip
def test_what_would_hold_up_a_busy_house_or_break_older_code_is_found(sql: str, tmp_path: Path) -> None:
    assert judged(f"BEGIN;\n{sql};\nCOMMIT;\n", EXPAND, tmp_path) != []


@pytest.mark.parametrize(("sql", "migration"), [
    ("BEGIN;\nCREATE TABLE x (id BIGINT PRIMARY KEY, a TEXT NOT NULL);\nCREATE INDEX x_a ON x (a);\nCOMMIT", EXPAND),
    ("BEGIN;\nALTER TABLE message ADD COLUMN a TEXT, ADD COLUMN b BOOLEAN NOT NULL DEFAULT false;\nCOMMIT", EXPAND),
    (f"BEGIN;\n{CHECKED} NOT VALID;\nCOMMIT;\nALTER TABLE message VALIDATE CONSTRAINT c;\n{NOT_NULL}", CONTRACT),
    ("ALTER TABLE message VALIDATE CONSTRAINT c", EXPAND),
    ("CREATE INDEX CONCURRENTLY x ON message (kind)", EXPAND),
    ("DROP INDEX CONCURRENTLY x", EXPAND),
    ("UPDATE message SET a = b WHERE id IN (SELECT id FROM message WHERE a IS NULL LIMIT 1000)", EXPAND),
    ("BEGIN;\nALTER TABLE message DROP COLUMN notice_id;\nCOMMIT", CONTRACT),
    ("BEGIN;\nDROP TABLE parked_receipt;\nCOMMIT", CONTRACT),
    ("BEGIN;\nALTER TABLE message ADD COLUMN a TEXT;\nCOMMIT;\nBEGIN;\nALTER TABLE event ADD COLUMN a TEXT;\nCOMMIT",
     EXPAND),
])  # fmt: skip
def test_what_holds_up_nobody_is_let_be(sql: str, migration: Migration, tmp_path: Path) -> None:
    assert judged(f"{sql};\n", migration, tmp_path) == []


def test_what_a_migration_says_of_itself_decides_who_may_work_on_its_schema(tmp_path: Path) -> None:
    known = schema.migrations(schema.FOLDER / "versions", tmp_path)
    newest = known[-1].revision
    assert schema.works_from(known, "0003") == "0003"
    assert schema.span(known).newest == newest
    written(tmp_path, "9001", newest, "pass", head="needed = False")
    written(tmp_path, "9002", "9001", "pass")
    written(tmp_path, "9003", "9002", "pass", head='works_from = "9002"')
    written(tmp_path, "9004", "9003", "pass", head="needed = False")
    schema.migrations.cache_clear()
    later = schema.migrations(schema.FOLDER / "versions", tmp_path)
    assert schema.span(later) == ("9003", "9004")
    assert schema.span(later[:-3]).oldest == schema.span(known).oldest
    assert schema.works_from(later, "9002") == schema.works_from(known, newest)
    assert schema.works_from(later, "9004") == "9002"


# --- run --------------------------------------------------------------------------------------------------------------


def written(folder: Path, revision: str, after: str, *body: str, head: str = "") -> Path:
    """A migration in a folder beside the house's own."""
    lines = [
        '"""A test\'s."""',
        "from alembic import op",
        "from zaptrix.store.schema import online_ddl",
        f'revision = "{revision}"',
        f'down_revision = "{after}"',
        head,
        "def upgrade() -> None:",
        *(f"    {line}" for line in body),
    ]
    file = folder / f"{revision}_test.py"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    schema.migrations.cache_clear()
    return file


class Writer:
    """Writes to the journal and to the ledger again and again, and knows its longest pause."""

    def __init__(self, url: str, message: int) -> None:
        self._url, self._message = url, message
        self.gap_s, self.rows = 0.0, 0

    async def run(self) -> None:
        connection = await asyncpg.connect(self._url)
        last = time.monotonic()
        try:
            while True:
                async with connection.transaction():
                    await connection.execute(
                        "INSERT INTO event (source, name, key, lane, body, request_id, state)"
                        " VALUES ('whatsapp', 'x', gen_random_uuid()::text::bytea, 'l.1', '{}', 'r', 'new')"
                    )
                    await connection.execute("UPDATE message SET attempts = 1 WHERE id = $1", self._message)
                now = time.monotonic()
                self.gap_s, last, self.rows = max(self.gap_s, now - last), now, self.rows + 1
                await asyncio.sleep(0.002)
        finally:
            connection.terminate()


@asynccontextmanager
async def busy(ledger: Ledger, url: str) -> AsyncIterator[Writer]:
    (message,) = await ledger.inbound(await ledger.talk(await ledger.channel()))
    writer = Writer(url, message)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def using(url: str, table: str, *, writing: bool = False) -> AsyncIterator[Callable[[], None]]:
    """A transaction that has read, or written, and stays open until it is let go."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await connection.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
    if writing:
        await connection.execute(f"DELETE FROM {table} WHERE request_id = 'nobody'")  # noqa: S608
    try:
        yield connection.terminate
    finally:
        connection.terminate()


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize(("table", "times", "step"), [
    ("message", 2, 'op.execute("ALTER TABLE message ADD COLUMN extra TEXT")'),
    ("event", 1, 'online_ddl.create_index("extra", "event", "(name)")'),  # its first statement waits for writers
])  # fmt: skip
async def test_a_migration_gives_way_to_who_uses_its_table_and_nobody_waits_behind_it(
    ledger: Ledger, database_url: str, tmp_path: Path, table: str, times: int, step: str
) -> None:
    written(tmp_path, "9001", migrate.newest(), step)
    gave_way: list[MigrationWait] = []
    applied: list[str] = []
    async with busy(ledger, database_url) as writer, using(database_url, table, writing=True) as let_go:

        def waiting(told: MigrationWait) -> None:
            gave_way.append(told)
            if len(gave_way) == times:
                let_go()

        telling = Telling(waiting=waiting, applied=applied.append)
        await migrate.upgrade(database_url, telling=telling, beside=tmp_path)
    assert applied == ["9001"]
    assert len(gave_way) >= times
    assert re.match(r"\d+ .*\(\d+ s\)", gave_way[0].holders)
    assert writer.gap_s < GAP_S_MAX
    assert writer.rows > 100


@pytest.mark.parametrize("table", ["message", "event"])
async def test_an_index_is_built_beside_writers_and_one_that_was_broken_off_is_made_anew(
    ledger: Ledger, database_url: str, tmp_path: Path, table: str
) -> None:
    await ledger.run(
        "CREATE TABLE IF NOT EXISTS event_later PARTITION OF event FOR VALUES FROM ('2100-01-01') TO ('2100-01-02')"
    )
    written(tmp_path, "9001", migrate.newest(), f'online_ddl.create_index("extra_index", "{table}", "(request_id)")')
    doing: list[str] = []

    async def migrating() -> None:
        await migrate.upgrade(database_url, telling=Telling(doing=doing.append), beside=tmp_path)

    async with busy(ledger, database_url) as writer:
        async with using(database_url, table):
            first = asyncio.create_task(migrating())
            await until_waiting(database_url)
            broken = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
            assert await value(database_url, broken)
            with pytest.raises(Unfit, match="PostgreSQL"):
                await first
        assert await value(database_url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        assert await value(database_url, "SELECT version_num FROM alembic_version") == migrate.newest()
        await migrating()
    assert writer.gap_s < GAP_S_MAX
    assert await value(database_url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    assert await value(database_url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'extra_index'::regclass")
    assert len(doing) >= 2


async def until_waiting(url: str) -> None:
    """Until an index is waiting for transactions to end."""
    async with asyncio.timeout(30):
        while not await value(url, "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"):
            await asyncio.sleep(0.02)


async def test_a_backfill_goes_in_batches_and_where_it_was_broken_off(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    many = "INSERT INTO audit (actor, action, subject) SELECT 'x', 'old', n::text FROM generate_series(1, 950) n"
    await ledger.run(many)
    batch = "UPDATE audit SET action = 'new' WHERE id IN (SELECT id FROM audit WHERE action = 'old' LIMIT 100)"
    written(tmp_path, "9001", migrate.newest(), f'online_ddl.backfill("{batch}")', 'op.execute("SELECT 1/0")')
    doing: list[str] = []
    telling = Telling(doing=doing.append)
    with pytest.raises(Unfit, match="PostgreSQL"):
        await migrate.upgrade(database_url, telling=telling, beside=tmp_path)
    assert doing[0] == "100 rows"
    assert doing[-1] == "950 rows"
    await ledger.run("UPDATE audit SET action = 'old' WHERE id % 2 = 0")
    written(tmp_path, "9001", migrate.newest(), f'online_ddl.backfill("{batch}")')
    doing.clear()
    await migrate.upgrade(database_url, telling=telling, beside=tmp_path)
    assert doing[-1] == "475 rows"
    assert await value(database_url, "SELECT count(*) FROM audit WHERE action = 'old'") == 0


async def test_the_schema_says_which_code_works_on_it_and_the_statements_can_be_read_before(
    database_url: str, tmp_path: Path
) -> None:
    newest = migrate.newest()
    written(tmp_path, "9001", newest, 'op.execute("ALTER TABLE message ADD COLUMN extra TEXT")')
    written(tmp_path, "9002", "9001", 'op.execute("ALTER TABLE message DROP COLUMN extra")', head='works_from = "9001"')
    written(tmp_path, "9003", "9002", 'online_ddl.create_index("e", "event", "(name)")', head="needed = False")
    sql = migrate.statements(newest, beside=tmp_path)
    assert "ADD COLUMN extra TEXT;" in sql
    assert "CREATE INDEX CONCURRENTLY event_default_e ON event_default (name);" in sql
    assert (await fitness.examine(database_url)).revision == newest
    for last, fit in (("9001", True), ("9003", False)):
        await migrate.upgrade(database_url, last, beside=tmp_path)
        facts = await fitness.examine(database_url)
        assert facts.revision == last
        # This code knows none of them: it goes on after what was added, and not after what was taken away.
        assert (fitness.fault_of(facts) is None) is fit
