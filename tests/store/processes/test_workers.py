"""Workers: whose lease has run out is ended once, by one who kept his own, and nothing that he held waits for more."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.store.ledger_rows import START, Ledger, to_bitrix24, to_whatsapp
from zaptrix.core.ids import AttemptId, WorkerId
from zaptrix.core.message.message import MediaContent, MediaKind
from zaptrix.core.portal import Channel
from zaptrix.deadlines import new_attempt_id, new_worker_id
from zaptrix.store.ledger import claims, expiry, files
from zaptrix.store.ledger.claims import ClaimedRow, Way
from zaptrix.store.processes import workers
from zaptrix.store.processes.workers import Renewal, WorkerAtWork, WorkerPlace

LEASE_S = 10.0
NOBODY = Renewal(others_late=False)


async def registered(ledger: Ledger, **row: Any) -> WorkerId:
    """A worker, whose row is then changed."""
    worker = new_worker_id()
    async with ledger.database.connection() as connection:
        await workers.register(connection, worker, LEASE_S, WorkerPlace("host-1", 7), "1.2.3")
    for column, seconds in row.items():
        change = f"UPDATE worker SET {column} = {column} + make_interval(secs => $2) WHERE id = $1"  # noqa: S608
        await ledger.run(change, worker, float(seconds))
    return worker


async def beat(ledger: Ledger, worker: WorkerId) -> tuple[Renewal | None, int]:
    """Renew, and end whom this one may end; how many."""
    async with ledger.database.connection() as connection:
        renewal = await workers.renew(connection, worker, LEASE_S)
        return renewal, len(await workers.end_late(connection)) if renewal and renewal.others_late else 0


async def ended(ledger: Ledger) -> list[WorkerId]:
    async with ledger.database.connection() as connection:
        return await workers.ended(connection)


async def test_whose_lease_has_run_out_is_ended_once_and_never_comes_back_under_that_id(ledger: Ledger) -> None:
    steady, other = [await registered(ledger, steady_since=-60) for _ in range(2)]
    late = await registered(ledger, lease_until=-LEASE_S - 1)
    assert await beat(ledger, steady) == (Renewal(others_late=True), 1)
    assert await beat(ledger, other) == (NOBODY, 0)
    assert await ended(ledger) == [late]
    assert await beat(ledger, late) == (None, 0)
    assert await beat(ledger, steady) == (NOBODY, 0)


async def test_a_lease_that_ran_out_is_renewed_when_nobody_has_ended_its_holder(ledger: Ledger) -> None:
    late = await registered(ledger, lease_until=-LEASE_S - 60)
    assert await beat(ledger, late) == (NOBODY, 0)
    assert await beat(ledger, await registered(ledger, steady_since=-60)) == (NOBODY, 0)
    assert await ended(ledger) == []


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        ({"lease_until": -LEASE_S - 1, "steady_since": -60}, "its own ran out, too"),
        ({"lease_until": -LEASE_S * 0.6, "steady_since": -60}, "it was late itself"),
        ({}, "it has only just begun"),
        ({"steady_since": -LEASE_S * 0.4}, "it has renewed for a while only"),
    ],
)
async def test_after_an_outage_everybody_has_time_to_renew_before_anybody_is_ended(
    ledger: Ledger, judge: dict[str, float], why: str
) -> None:
    """PostgreSQL was away, or its clock stepped: then everybody's lease has run out, and nobody is dead."""
    judging = await registered(ledger, **judge)
    await registered(ledger, lease_until=-LEASE_S - 1)
    assert await beat(ledger, judging) == (NOBODY, 0), why
    await ledger.run("UPDATE worker SET steady_since = steady_since - interval '6 seconds' WHERE id = $1", judging)
    assert await beat(ledger, judging) == (Renewal(others_late=True), 1)


async def test_who_leaves_is_ended_and_forgotten_later(ledger: Ledger) -> None:
    worker, other = await registered(ledger), await registered(ledger)
    async with ledger.database.connection() as connection:
        await workers.leave(connection, worker)
        assert await workers.at_work(connection, 5) == [WorkerAtWork(WorkerPlace("host-1", 7), "1.2.3")]
        await workers.forget(connection, 60)
        assert await workers.ended(connection) == [worker]
        await workers.forget(connection, -1)
        assert await workers.ended(connection) == []
    assert await beat(ledger, other) == (NOBODY, 0)


async def test_who_is_late_for_long_is_not_at_work_and_where_nobody_ever_was_nobody_can_tell(ledger: Ledger) -> None:
    async with ledger.database.connection() as connection:
        assert await workers.at_work(connection, 5) is None
        await registered(ledger, lease_until=-LEASE_S - 60)
        assert await workers.at_work(connection, 5) == []
        await registered(ledger, lease_until=-LEASE_S - 1)
        assert len(await workers.at_work(connection, 5) or ()) == 1


# --- what they held ---------------------------------------------------------------------------------------------------


async def claimed(ledger: Ledger, way: Way, worker: WorkerId | None) -> list[ClaimedRow]:
    async with ledger.database.transaction() as connection:
        ask = claims.Ask(way.lane_id, new_attempt_id(worker), 10)
        (rows,) = await claims.claim_to_send(connection, way.direction, [ask], after=START)
        return rows


async def taken_over(ledger: Ledger, *gone: WorkerId) -> list[Way]:
    async with ledger.database.transaction() as connection:
        return await expiry.take_over(connection, gone, 5.0, 60.0)


async def held_by(ledger: Ledger, worker: WorkerId | None) -> tuple[Channel, int, int]:
    """A customer's and an operator's message, both being sent."""
    channel = await ledger.channel()
    talk = await ledger.talk(channel)
    (asked,), (answered,) = await ledger.inbound(talk), await ledger.outbound(talk)
    await claimed(ledger, to_bitrix24(channel.portal_id), worker)
    await claimed(ledger, to_whatsapp(channel), worker)
    return channel, asked, answered


async def test_what_an_ended_worker_was_sending_is_verified_after_its_sides_wait(ledger: Ledger) -> None:
    gone, lives = new_worker_id(), new_worker_id()
    channel, asked, answered = await held_by(ledger, gone)
    _, *others = await held_by(ledger, lives)
    _, *olders = await held_by(ledger, None)  # of the release before, whose attempts name nobody
    before = await ledger.value("SELECT now()")
    assert set(await taken_over(ledger, gone)) == {to_whatsapp(channel), to_bitrix24(channel.portal_id)}
    for message_id, wait_s in ((asked, 5), (answered, 60)):
        row = await ledger.row(message_id)
        assert (row["state"], row["attempts"], row["attempt_id"]) == ("verifying", 1, None)
        assert timedelta(0) < row["due_at"] - before - timedelta(seconds=wait_s) < timedelta(seconds=30)
    assert [await ledger.state(each) for each in (*others, *olders)] == ["sending"] * 4
    assert await taken_over(ledger, gone) == []


async def test_a_late_runner_of_an_ended_worker_settles_nothing(ledger: Ledger) -> None:
    gone, channel = new_worker_id(), await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    (row,) = await claimed(ledger, to_whatsapp(channel), gone)
    await taken_over(ledger, gone)
    assert not await ledger.end(row, "sent", whatsapp_id="wamid.late")


async def test_who_settles_right_now_is_not_taken_over(ledger: Ledger) -> None:
    gone, channel = new_worker_id(), await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    (row,) = await claimed(ledger, to_whatsapp(channel), gone)
    async with ledger.database.transaction() as settling:
        await settling.execute("UPDATE message SET state = 'sent', attempt_id = NULL WHERE id = $1", row.fields["id"])
        assert await taken_over(ledger, gone) == []


async def test_a_proof_that_an_ended_worker_looked_for_is_looked_for_anew_at_once(ledger: Ledger) -> None:
    gone, channel = new_worker_id(), await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    (row,) = await ledger.claim(to_whatsapp(channel))
    await ledger.end(row, "verifying", due_at=await ledger.value("SELECT now()"))
    assert len(await prove(ledger, to_whatsapp(channel), new_attempt_id(gone))) == 1
    assert await prove(ledger, to_whatsapp(channel), new_attempt_id(None)) == []
    assert await taken_over(ledger, gone) == [to_whatsapp(channel)]
    (again,) = await prove(ledger, to_whatsapp(channel), new_attempt_id(None))
    assert again.fields["attempts"] == row.fields["attempts"]  # it cost none


async def prove(ledger: Ledger, way: Way, attempt_id: AttemptId) -> Sequence[ClaimedRow]:
    async with ledger.database.transaction() as connection:
        return await claims.claim_to_prove(connection, way, attempt_id, limit=5, lease_s=90)


async def test_a_file_that_an_ended_worker_fetched_is_fetched_anew_at_once(ledger: Ledger) -> None:
    gone, channel = new_worker_id(), await ledger.channel()
    picture = MediaContent(kind=MediaKind.IMAGE, source="media-1")
    (message_id,) = await ledger.inbound(await ledger.talk(channel), content=picture)
    async with ledger.database.transaction() as connection:
        await files.want(connection, [message_id], 60)
    (late,) = await fetched(ledger, new_attempt_id(gone))
    assert await fetched(ledger, new_attempt_id(None)) == []
    await taken_over(ledger, gone)
    async with ledger.database.connection() as connection:
        assert await files.renew(connection, [message_id], [late.attempt_id], 20) == set()
    assert [wanted.message_id for wanted in await fetched(ledger, new_attempt_id(None))] == [message_id]


async def fetched(ledger: Ledger, attempt_id: AttemptId) -> list[files.Wanted]:
    async with ledger.database.transaction() as connection:
        return await files.claim(connection, attempt_id, limit=5, lease_s=20, busy=[])


def test_an_attempt_tells_whose_it_is() -> None:
    worker = new_worker_id()
    attempts = {new_attempt_id(worker) for _ in range(100)}
    assert len(attempts) == 100
    assert {each.bytes[:8] for each in attempts} == {worker}
    assert {(each.version, each.variant) for each in attempts} == {(8, UUID(int=0, version=4).variant)}
    assert new_attempt_id(None).version == 4
