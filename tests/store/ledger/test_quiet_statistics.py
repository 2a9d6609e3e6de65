"""Statistics that were taken in a quiet minute: indexes of what is open look empty, and are no way to a known row."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.store.ledger.test_claims import a_backlog
from tests.store.ledger_rows import Ledger
from zaptrix.core.limits import ROUNDS
from zaptrix.core.message.message import Direction
from zaptrix.core.portal import Channel
from zaptrix.store.ledger import awaited, claims, confirmations, files, settlements

OPEN = 2_000
ASKED = 50
# A row by its key, its new version and its indexes are a few dozen; the open ones are hundreds for each.
BLOCKS_A_ROW = 60


async def blocks(ledger: Ledger, sql: str, *values: object) -> int:
    """How many blocks a statement looks at."""
    async with ledger.database.transaction() as connection:
        (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *values)
    plan = msgspec.json.decode(row[0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.fixture
async def suddenly(ledger: Ledger) -> Channel:
    """A channel whose messages had all been sent when the rows were counted; then many are to be sent."""
    channel = await ledger.channel()
    await a_backlog(ledger, channel, conversations=OPEN, messages=4)
    await ledger.run("UPDATE message SET state = 'sent'")
    await ledger.run("ANALYZE message, confirmation")
    await ledger.run("UPDATE message SET state = 'pending', due_at = now() WHERE id <= $1::int", OPEN)
    return channel


async def test_a_claim_goes_to_its_messages_by_their_keys(ledger: Ledger, suddenly: Channel) -> None:
    sql = claims._TO_SEND[Direction.OUTBOUND]
    assert await blocks(ledger, sql, [suddenly.id], [uuid4()], [ASKED], UUID(int=0)) <= ASKED * BLOCKS_A_ROW


async def test_a_verdict_goes_to_its_messages_by_their_keys(ledger: Ledger, suddenly: Channel) -> None:
    await ledger.run("UPDATE message SET state = 'sending', attempt_id = $1, claimed_at = now()", attempt := uuid4())
    told: list[list[Any]] = [[value] * ASKED for value in ("sent", 1, None, None, None, None, 0.0)]
    sql, asked = settlements._SETTLE_OF[Direction.OUTBOUND], list(range(1, ASKED + 1))
    alone = await blocks(ledger, sql, asked, [attempt] * ASKED, *told, [None] * ASKED)
    assert alone <= ASKED * BLOCKS_A_ROW
    await ledger.run("UPDATE message SET state = 'sending', attempt_id = $1 WHERE id <= $2::int", attempt, ASKED)
    following = await blocks(ledger, sql, asked, [attempt] * ASKED, *told, [uuid4() for _ in asked])
    assert following <= 2 * ASKED * BLOCKS_A_ROW


async def test_a_plan_of_when_there_were_no_confirmations_does_not_read_all_of_them_for_each(
    ledger: Ledger, suddenly: Channel
) -> None:
    await ledger.run("UPDATE message SET state = 'sent'")
    round_, told = suddenly.portal_id.int % ROUNDS, list(range(1, ASKED + 1))
    statements = {
        "claim": (confirmations._TO_CONFIRM[Direction.OUTBOUND], f"{round_}, {ASKED}, 60, 60, 1"),
        "end": (confirmations._END, f"{_array(told)}, {_array(['NULL'] * ASKED)}, {_array([0] * ASKED)}, 5"),
        "put off": (confirmations._END, f"{_array(told)}, {_array(['now'] * ASKED)}, {_array([1] * ASKED)}, 5"),
        "withdraw": (awaited._WITHDRAW, _array(told)),
    }
    read: dict[str, float] = {}
    async with ledger.database.connection() as connection:
        await connection.execute("VACUUM ANALYZE confirmation")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for name, (sql, values) in statements.items():
            await connection.execute(f'PREPARE "{name}" AS {sql}')
            await connection.execute(f'EXECUTE "{name}"({values})')
        for name, (_, values) in statements.items():
            await ledger.confirm_in(list(range(1, OPEN + 1)), -10)
            row = await connection.fetchval(f'EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "{name}"({values})')
            read[name] = _read(msgspec.json.decode(row)[0]["Plan"])
        await connection.execute("DEALLOCATE ALL")
        await connection.execute("RESET plan_cache_mode")
    assert {name: rows for name, rows in read.items() if rows > 4 * ASKED} == {}


def _array(values: Sequence[object]) -> str:
    return f"'{{{','.join(map(str, values))}}}'"


def _read(plan: dict[str, Any]) -> float:
    """How many rows of confirmations a plan has looked at."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if "Scan" in plan["Node Type"] else 0
    own = own * plan["Actual Loops"] if plan.get("Relation Name") == "confirmation" else 0
    return float(own) + sum(_read(each) for each in plan.get("Plans", ()))


async def test_a_file_that_came_wakes_its_message_by_its_key(ledger: Ledger, suddenly: Channel) -> None:
    await ledger.run("UPDATE message SET due_at = now() + interval '1 hour' WHERE lane_id = $1", suddenly.id)
    assert await blocks(ledger, files._HASTEN, 7) <= BLOCKS_A_ROW
