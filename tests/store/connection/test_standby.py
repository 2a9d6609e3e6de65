"""A streaming standby: lists are read from it, and it takes over when the primary dies. Real ones, of one pair."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from proof.engines import Engine, either
from zaptrix.store.connection import dialling, replica
from zaptrix.store.connection.database import Connection, Database, StoreUnavailable, open_database
from zaptrix.store.connection.dialling import Dialler, apart
from zaptrix.store.connection.replica import LagMeter, Reads, ReplicaStanding, ReplicaState
from zaptrix.store.schema import migrate

DATABASE = "zaptrix"
LONG_S = 60  # for a machine with much else to do


class Pair:
    """A primary that answers nothing before its standby has it, as RUNBOOK says."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Engine(folder / "one"), Engine(folder / "two")

    def start(self) -> None:
        self.primary.make()
        self.primary.start()
        asyncio.run(self.primary.execute(f"CREATE DATABASE {DATABASE}"))
        asyncio.run(migrate.upgrade(self.primary.url_of(DATABASE)))
        self.standby.follow(self.primary)
        self.standby.start()
        asyncio.run(self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"))

    def stop(self) -> None:
        for engine in (self.standby, self.primary):
            engine.stop()

    @property
    def url(self) -> str:
        return either(self.primary, self.standby, database=DATABASE)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    pair.start()
    yield pair
    pair.stop()


@pytest.fixture
async def primary(pair: Pair) -> AsyncIterator[Database]:
    database = await open_database(pair.url)
    yield database
    await database.close()


@pytest.fixture
async def reads(pair: Pair, primary: Database) -> AsyncIterator[Reads]:
    async with replica.open_reads(primary, pair.url, pool_max=5) as reads:
        await until_fit(reads)
        yield reads


async def until_fit(reads: Reads) -> None:
    async with asyncio.timeout(LONG_S):
        while (await reads.look() or ReplicaStanding(ReplicaState.OTHER)).state is not ReplicaState.FIT:
            await asyncio.sleep(0.02)


async def who(connection: Connection) -> bool:
    """Whether it is the standby."""
    standby: bool = await connection.fetchval("SELECT pg_is_in_recovery()")
    return standby


async def written(connection: Connection) -> int:
    rows: int = await connection.fetchval("SELECT count(*) FROM audit")
    return rows


async def write(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO audit (actor, action, subject) VALUES ('a', 'b', 'c')")


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_who_writes_and_then_lists_finds_it_on_the_replica(reads: Reads, primary: Database) -> None:
    before = await reads.ask(written)
    for number in range(1, 30):
        await write(primary)

        async def look(connection: Connection) -> tuple[bool, int]:
            return await who(connection), await written(connection)

        assert await reads.ask(look) == (True, before + number)


async def test_a_replica_that_is_behind_is_not_asked_and_its_lag_is_told(
    reads: Reads, primary: Database, pair: Pair
) -> None:
    await pair.standby.execute("SELECT pg_wal_replay_pause()")
    try:
        before = await reads.ask(written)
        await write(primary)
        assert await reads.ask(written) == before + 1
        assert not await reads.ask(who)  # and the next one does not wait for it
        async with asyncio.timeout(LONG_S):
            while (told := await reads.look()) is None or told.state is not ReplicaState.LAGS:
                await asyncio.sleep(0.1)
        assert told.lag_s is not None
        assert told.lag_s > replica.LAG_S_MAX
    finally:
        await pair.standby.execute("SELECT pg_wal_replay_resume()")
    await until_fit(reads)
    assert reads.standing == ReplicaStanding(ReplicaState.FIT, 0.0)


async def test_an_idle_primary_is_no_lag(reads: Reads) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
        assert await reads.look() == ReplicaStanding(ReplicaState.FIT, 0.0)


def test_a_lag_is_the_age_of_the_oldest_position_that_was_not_reached() -> None:
    meter = LagMeter()
    assert meter.lag_s(0.0, told=100, replayed=100) == 0.0
    assert meter.lag_s(5_000.0, told=100, replayed=100) == 0.0  # idle for long
    assert meter.lag_s(5_001.0, told=200, replayed=150) == 0.0
    assert meter.lag_s(5_004.0, told=300, replayed=199) == 3.0
    assert meter.lag_s(5_005.0, told=400, replayed=200) == 1.0  # 300 was told at 5004
    assert meter.lag_s(5_006.0, told=400, replayed=400) == 0.0


async def test_a_replica_that_is_away_or_hangs_costs_its_callers_nothing(pair: Pair, primary: Database) -> None:
    nowhere = f"postgresql://zaptrix@/{DATABASE}?host=/nowhere"
    async with replica.open_reads(primary, nowhere, pool_max=2) as reads:
        assert await reads.look() == ReplicaStanding(ReplicaState.AWAY)
        assert await reads.ask(who) is False
        reads.standing = ReplicaStanding(ReplicaState.FIT, 0.0)  # as before it went away
        assert await reads.ask(who) is False
        reads.standing = ReplicaStanding(ReplicaState.FIT, 0.0)
        asked = []

        async def question(connection: Connection) -> None:
            asked.append(await who(connection))

        await reads.ask(question)
        assert asked == [False]


async def test_a_server_that_is_no_standby_of_the_primary_is_not_read(
    pair: Pair, primary: Database, database_url: str
) -> None:
    for url in (pair.primary.url_of(DATABASE), database_url):
        async with replica.open_reads(primary, url, pool_max=2) as reads:
            assert await reads.look() == ReplicaStanding(ReplicaState.OTHER)
            assert await reads.ask(who) is False


async def test_another_database_of_the_standby_is_not_read(pair: Pair, primary: Database) -> None:
    """It is of the same server, and would show another house's rows."""
    async with replica.open_reads(primary, pair.standby.url_of("postgres"), pool_max=2) as reads:
        assert await reads.look() == ReplicaStanding(ReplicaState.OTHER)
        assert await reads.ask(who) is False


async def test_what_is_wrong_with_the_replica_alone_costs_nobody_his_list(reads: Reads) -> None:
    async def bad_there(connection: Connection) -> bool:
        return bool(await connection.fetchval("SELECT nothing_of_the_kind()")) if await who(connection) else False

    assert await reads.ask(bad_there) is False


async def test_without_a_replica_the_primary_answers(primary: Database) -> None:
    async with replica.open_reads(primary, "", pool_max=2) as reads:
        await reads.keep()
        assert reads.standing is None
        assert await reads.ask(who) is False


# --- addresses of several --------------------------------------------------------------------------------------------


def test_an_address_of_several_hosts_is_one_of_each() -> None:
    assert apart("postgresql://u:p%2C@a:1,b:2/db?sslmode=require") == [
        "postgresql://u:p%2C@a:1/db?sslmode=require",
        "postgresql://u:p%2C@b:2/db?sslmode=require",
    ]
    assert apart("postgres://u@[::1]:5432,b") == ["postgres://u@[::1]:5432", "postgres://u@b"]
    assert apart("postgresql://u@/db?host=/one,/two&port=1,2&sslmode=disable") == [
        "postgresql://u@/db?sslmode=disable&host=/one&port=1",
        "postgresql://u@/db?sslmode=disable&host=/two&port=2",
    ]
    assert apart("postgresql://u@/db?host=a,b&port=7") == [
        "postgresql://u@/db?host=a&port=7",
        "postgresql://u@/db?host=b&port=7",
    ]
    for one in ("postgresql://u:p%40@a/db?x=1,2", "postgresql://u@/db?host=/a", "postgresql://"):
        assert apart(one) == [one]


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """As a host without power: who dials it waits, and is told nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / ".s.PGSQL.5432"))
        listener.listen()
        yield tmp_path


async def test_of_two_the_primary_is_found_beside_a_host_that_never_answers(
    pair: Pair, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "HEAD_START_S", 0.05)
    hosts = f"{silent},{pair.standby.folder},{pair.primary.folder}"
    url = f"postgresql://zaptrix@/{DATABASE}?host={hosts}"
    dial = Dialler(url)
    for _ in range(2):
        connection = await dial(timeout=LONG_S)
        assert await connection.fetchval("SELECT pg_is_in_recovery()") is False
        await connection.close()
    for wanted, standby in (("standby", True), ("primary", False)):
        connection = await Dialler(f"{url}&target_session_attrs={wanted}")(timeout=LONG_S)
        assert await connection.fetchval("SELECT pg_is_in_recovery()") is standby
        await connection.close()
    url = f"postgresql://zaptrix@/{DATABASE}?host={pair.standby.folder},/nowhere"
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await Dialler(url)()
    connection = await Dialler(f"{url}&target_session_attrs=prefer-standby")()
    await connection.close()


# --- fail-over: the last one, as nothing is as before after it -------------------------------------------------------


async def test_nothing_that_was_answered_is_lost_when_the_primary_dies_and_the_standby_is_promoted(
    pair: Pair, primary: Database
) -> None:
    """kill -9 under traffic. The pool that knew the old primary finds the new one by itself."""
    answered: set[str] = set()
    numbers, over = count(), asyncio.Event()

    async def traffic() -> None:
        while not over.is_set():
            name = f"n{next(numbers)}"
            try:
                async with primary.within(3.0) as connection:
                    await connection.execute("INSERT INTO audit (actor, action, subject) VALUES ('t', 'x', $1)", name)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                answered.add(name)

    async def more(than: int) -> None:
        async with asyncio.timeout(LONG_S):
            while len(answered) <= than:
                await asyncio.sleep(0.01)

    busy = [asyncio.create_task(traffic()) for _ in range(8)]
    await more(50)
    pair.primary.kill()
    # Nobody would wait for a second standby: from now on it answers alone, as an admin would set it.
    await pair.standby.execute("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
    await asyncio.to_thread(pair.standby.promote)
    await more(len(answered) + 50)
    over.set()
    await asyncio.gather(*busy)
    async with primary.connection() as connection:
        kept = {row["subject"] for row in await connection.fetch("SELECT subject FROM audit WHERE actor = 't'")}
    assert answered <= kept
