"""Rounds that a process routes together: one batch for all that were rung, no bell lost, and no waiting for another
process."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.bridge.house import House, a_customer, asked
from tests.bridge.route.test_inbound import texts
from zaptrix.bridge.route.router import Elsewhere, Overtaken, Route, TranslatedEvent
from zaptrix.core.delivery.lanes import Lane, Queue, incoming_lane
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.connection.database import StoreConflict, StoreRefused
from zaptrix.store.journal import events as journal


class Counting:
    """Makes the route's steps, notes their batches, and can hold one up before it is written."""

    def __init__(self, route: Route) -> None:
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self._made = route._step_of
        route._step_of = self

    def __call__(self, items: Sequence[TranslatedEvent]) -> Any:
        self.batches.append(len(items))
        step = self._made(items)
        prepare = step.prepare

        async def prepared() -> None:
            await prepare()
            self.waiting.set()
            await self.gate.wait()

        step.prepare = prepared  # type: ignore[method-assign]
        return step


@pytest.fixture
def counting(house: House) -> Counting:
    return Counting(house.routes[Queue.INCOMING])


@pytest.fixture
async def numbers(house: House, portal: Portal) -> list[Channel]:
    """One number in each round."""
    found: dict[str, Channel] = {}
    for n in range(100):
        number = f"21098765432{n:04d}"
        if (round_ := incoming_lane(number).round.name) not in found:
            found[round_] = await house.ledger.channel(portal, phone_number_id=number)
    return [found[str(n)] for n in range(4)]


async def say(house: House, numbers: Sequence[Channel], text: str = "oi") -> list[Lane]:
    return [await house.customer_says(channel, text, customer=a_customer()) for channel in numbers]


async def test_all_rounds_that_were_rung_are_one_batch(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    await asyncio.gather(*map(house.drain, await say(house, numbers)))
    assert counting.batches == [4]
    assert await texts(house) == ["oi"] * 4


async def test_a_bell_during_a_batch_is_answered_behind_it(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    counting.gate.clear()
    first, second, *_ = numbers
    (lane,) = await say(house, [first])
    drains = [asyncio.create_task(house.drain(lane))]
    await counting.waiting.wait()
    (other,) = await say(house, [second])
    drains.append(asyncio.create_task(house.drain(other)))
    await asyncio.sleep(0)
    counting.gate.set()
    await asyncio.gather(*drains)
    assert counting.batches == [1, 1]
    assert await texts(house) == ["oi", "oi"]


async def test_a_second_bell_of_a_round_during_its_batch_is_answered_too(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    """Redis was flushed, and does not know any more that the round is being drained."""
    counting.gate.clear()
    (lane,) = await say(house, numbers[:1])
    drains = [asyncio.create_task(house.drain(lane))]
    await counting.waiting.wait()
    await say(house, numbers[:1], "late")
    drains.append(asyncio.create_task(house.drain(lane)))
    await asyncio.sleep(0)
    counting.gate.set()
    await asyncio.gather(*drains)
    assert await texts(house) == ["oi", "late"]


async def test_what_comes_to_a_round_while_it_is_drained_has_a_bell_of_its_own(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    """BullMQ keeps one bell while one is answered; here the second one is simply rung."""
    counting.gate.clear()
    (lane,) = await say(house, numbers[:1])
    drain = asyncio.create_task(house.drain(lane))
    await counting.waiting.wait()
    await house.unring()
    await say(house, numbers[:1], "late")
    assert lane in await house.rung_now()
    counting.gate.set()
    await drain
    await house.drain(lane)
    assert await texts(house) == ["oi", "late"]


async def test_a_quiet_drain_looks_once(house: House, numbers: list[Channel], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    waiting = journal.waiting

    async def looking(*asked: Any) -> Any:
        found = await waiting(*asked)
        looks.append(len(found))
        return found

    monkeypatch.setattr(journal, "waiting", looking)
    for _ in range(3):
        (lane,) = await say(house, numbers[:1])
        await house.drain(lane)
    assert looks == [1, 1, 1]


async def test_a_round_that_another_process_routes_holds_up_no_other(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    lanes = await say(house, numbers)
    async with house.ledger.database.transaction() as elsewhere:
        await journal.begin(elsewhere, [lanes[1]], {})
        async with asyncio.timeout(30):
            await asyncio.gather(*map(house.drain, lanes))
        assert len(await texts(house)) == 3
        assert lanes[1].round in await house.rung(), "it is looked after later"
    await house.drain(lanes[1])
    assert len(await texts(house)) == 4


async def test_two_processes_that_were_given_the_same_rounds_route_each_event_once(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    other = Route(house.ground, house.translate, counting._made, house.slice_s)
    lanes: list[Lane] = []
    for n in range(5):
        lanes = await say(house, numbers, str(n))
        await asyncio.gather(*map(house.drain, lanes), *map(other.drain, lanes))
    async with asyncio.timeout(30):
        while await house.ledger.value("SELECT EXISTS (SELECT 1 FROM event WHERE state = 'new')"):
            await asyncio.gather(*map(house.drain, lanes))
    assert sorted(await texts(house)) == sorted(str(n) for n in range(5) for _ in numbers)


async def test_who_gives_way_to_another_transaction_looks_again(house: House, numbers: list[Channel]) -> None:
    """Each holds what the other wants; PostgreSQL ends routing, and nothing of its batch is kept."""
    customer = a_customer()
    lane = await house.customer_says(numbers[0], "1", customer=customer)
    await house.drain(lane)
    await house.customer_says(numbers[0], "2", customer=customer)
    async with house.ledger.database.transaction() as other:
        await other.execute("SET LOCAL deadlock_timeout = '1h'")
        await other.execute("SELECT FROM conversation_mapping FOR UPDATE")
        drain = asyncio.create_task(house.drain(lane))
        async with asyncio.timeout(30):
            while not await house.ledger.value("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
            await other.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{lane.queue}/{lane.name}")
    async with asyncio.timeout(30):
        await drain
    await house.drain(lane)  # the other one may have held the lane yet when it was looked at again: then a bell says so
    assert await texts(house) == ["1", "2"]


@pytest.mark.parametrize("gives_way", [StoreConflict("x"), Overtaken(), "elsewhere"])
async def test_what_came_later_does_not_go_before_what_was_left(
    house: House, numbers: list[Channel], monkeypatch: pytest.MonkeyPatch, gives_way: Exception | str
) -> None:
    """A batch that goes by halves, of which the first one gives way: the second is of the same customer."""
    route, customer = house.routes[Queue.INCOMING], a_customer()
    lane = await house.customer_says(numbers[0], "1", "2", customer=customer)
    (other,) = await say(house, numbers[1:2], "3")
    monkeypatch.setattr("zaptrix.core.limits.ROUTE_ELSEWHERE_S", 0.0)
    answers = [StoreRefused("x"), Elsewhere(frozenset({lane})) if isinstance(gives_way, str) else gives_way]
    written = route._step

    async def step(items: Sequence[TranslatedEvent]) -> None:
        if answers:
            raise answers.pop(0)
        await written(items)

    monkeypatch.setattr(route, "_step", step)
    await asyncio.gather(house.drain(lane), house.drain(other))
    await house.drain(lane)
    assert sorted(await texts(house)) == ["1", "2", "3"]
    assert [text for text in await texts(house) if text != "3"] == ["1", "2"]


async def test_who_is_cut_off_takes_no_other_round_along(
    house: House, counting: Counting, numbers: list[Channel]
) -> None:
    counting.gate.clear()
    first, second, *_ = await say(house, numbers)
    drains = [asyncio.create_task(house.drain(lane)) for lane in (first, second)]
    await counting.waiting.wait()
    drains[0].cancel()
    await asyncio.wait({drains[0]})
    assert drains[0].cancelled()
    counting.gate.set()
    await drains[1]
    assert len(await texts(house)) == 2


async def test_a_drain_that_everybody_left_ends(house: House, counting: Counting, numbers: list[Channel]) -> None:
    counting.gate.clear()
    (lane,) = await say(house, numbers[:1])
    drain = asyncio.create_task(house.drain(lane))
    await counting.waiting.wait()
    drain.cancel()
    await asyncio.wait({drain})
    task = house.routes[Queue.INCOMING]._draining
    assert task is not None
    assert task.done()
    counting.gate.set()
    await house.drain(lane)
    assert await texts(house) == ["oi"]


async def test_what_is_poisonous_in_one_round_harms_no_other(house: House, numbers: list[Channel]) -> None:
    lanes = await say(house, numbers)
    bad = asked(numbers[0], a_customer(), "x", whatsapp_id="w" * 256)
    lanes.append(await house.happens(incoming_lane(numbers[0].phone_number_id), bad))
    await asyncio.gather(*map(house.drain, lanes))
    assert await texts(house) == ["oi"] * 4
    assert await house.ledger.value("SELECT count(*) FROM event WHERE state = 'unroutable'") == 1
