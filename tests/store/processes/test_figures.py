"""Figures that one worker works out for all: hours are counted once, and a number is silent by its own past."""

from datetime import timedelta

from tests.store.ledger_rows import Ledger
from zaptrix.core import limits
from zaptrix.store.processes import figures

_LONG_AGO = "UPDATE channel_hour SET hour = hour - interval '7 days' - make_interval(hours => $1)"


async def counted(ledger: Ledger) -> list[tuple[str, int]]:
    async with ledger.database.transaction() as connection:
        await figures.count_hours(connection)
    rows = await ledger.rows("SELECT channel_id, messages FROM channel_hour ORDER BY messages")
    return [(str(row["channel_id"]), row["messages"]) for row in rows]


async def test_customers_messages_are_counted_once_by_number_and_hour(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel)
    await ledger.inbound(talk, 5)  # before anybody counted: a large ledger is not read from its beginning
    assert await counted(ledger) == []
    await ledger.inbound(talk, 3)
    await ledger.outbound(talk, 2)
    assert await counted(ledger) == [(str(channel.id), 3)]
    assert await counted(ledger) == [(str(channel.id), 3)]
    await ledger.inbound(talk, 1)
    assert await counted(ledger) == [(str(channel.id), 4)]


async def numbers(ledger: Ledger) -> figures.Numbers:
    async with ledger.database.connection() as connection:
        return await figures.numbers(connection)


async def test_a_number_is_silent_that_was_busy_a_week_ago_and_hears_nothing_now(ledger: Ledger) -> None:
    busy, quiet = await ledger.channel(), await ledger.channel()
    await counted(ledger)
    await ledger.inbound(await ledger.talk(busy), limits.BUSY_MESSAGES_MIN)
    await ledger.inbound(await ledger.talk(quiet), limits.BUSY_MESSAGES_MIN - 1)
    await counted(ledger)
    # A number that had its first customers today has no past to be judged by.
    assert await numbers(ledger) == figures.Numbers(connected=2, busy=0, silent=frozenset())
    await ledger.run(_LONG_AGO, 1)
    assert await numbers(ledger) == figures.Numbers(connected=2, busy=1, silent=frozenset({busy.id}))
    await ledger.inbound(await ledger.talk(busy), 1)
    await counted(ledger)
    assert await numbers(ledger) == figures.Numbers(connected=2, busy=1, silent=frozenset())


async def test_hours_that_nobody_asks_for_any_more_are_forgotten(ledger: Ledger) -> None:
    await counted(ledger)
    await ledger.inbound(await ledger.talk(await ledger.channel()), 1)
    await counted(ledger)
    await ledger.run("UPDATE channel_hour SET hour = hour - $1::interval", timedelta(days=limits.HOURS_KEPT_DAYS))
    assert await counted(ledger) == []


async def test_a_figure_is_told_for_as_long_as_it_is_good(ledger: Ledger) -> None:
    async with ledger.database.connection() as connection:
        await figures.put(connection, {"a": 1.5, "b": 2.0}, 60.0)
        await figures.put(connection, {"b": 3.0}, -1.0)
        assert await figures.read(connection) == {"a": 1.5}
        facts = await figures.database_facts(connection)
    assert facts.size_bytes > 1_000_000
    assert 0 < facts.sessions <= facts.sessions_max
    assert facts.oldest_transaction_s >= 0
