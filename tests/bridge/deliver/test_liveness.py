"""Liveness: what waits is found by bells alone, though processes share the work and platforms answer as they please.

The sweep never runs here: it would find in seconds what nobody was told of.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from tests.bridge.house import House, ScriptedPlatform, lane_to_whatsapp, now
from tests.store.ledger_rows import Ledger, to_whatsapp
from zaptrix.bridge.deliver import call_limit
from zaptrix.bridge.deliver.claiming import Claimed
from zaptrix.bridge.deliver.left_alone import LeftAlone
from zaptrix.bridge.deliver.settler import Judged
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.broker.cache.cache import ConversationCache
from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import FailureScope, Refused, TooFast, Unauthorized, Unavailable, Unclear
from zaptrix.core.delivery.lanes import Lane, Queue, bitrix24_lane, meta_lane
from zaptrix.core.delivery.outcome import Accepted, Outcome, Proof
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message.message import Direction, Side
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger import claims
from zaptrix.store.ledger.claims import Ask, ClaimedRow

_SOON_S = 10  # longer than anything here has to wait


class Belfry:
    """Bells as `broker.queues.bells` has them: a lane has one that waits, one that is answered, and one for later."""

    def __init__(self, rolls: random.Random) -> None:
        self._rolls = rolls
        self._waiting: dict[Lane, None] = {}
        self._answered: set[Lane] = set()
        self._later: dict[Lane, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ring(self, lanes: Iterable[Lane]) -> None:
        self.ring_soon(lanes)

    def ring_soon(self, lanes: Iterable[Lane]) -> None:
        self._waiting.update(dict.fromkeys(lane.round for lane in lanes))

    async def later(self, lane: Lane, at: datetime) -> None:
        self._later[lane.round] = min(at, self._later.get(lane.round, at))

    async def close(self) -> None:
        """Implements `Bells`."""

    @property
    def quiet(self) -> bool:
        """Nothing is to be answered now, or soon: confirmations that are told from memory have a row for much later."""
        soon = now() + timedelta(seconds=_SOON_S)
        return not (self._waiting or self._answered or any(at < soon for at in self._later.values()))

    async def answered_by(self, houses: list[House]) -> None:
        while True:
            for lane in [lane for lane, at in self._later.items() if at <= now()]:
                del self._later[lane]
                self._waiting[lane] = None
            for lane in [lane for lane in self._waiting if lane not in self._answered]:
                del self._waiting[lane]
                self._answered.add(lane)
                task = asyncio.create_task(self._answer(self._rolls.choice(houses), lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0.002)

    async def _answer(self, house: House, lane: Lane) -> None:
        try:
            if route := house.routes.get(lane.queue):
                await route.drain(lane)
            else:
                await house.dispatchers[lane.queue].answer(lane)
        finally:
            self._answered.discard(lane)


class World:
    """Two processes on one database, and platforms that answer anything."""

    def __init__(self, ledger: Ledger, redis: Redis, seed: int) -> None:
        self.rolls = rolls = random.Random(seed)
        self.ledger, self.bells = ledger, Belfry(rolls)
        self.whatsapp = ScriptedPlatform(Side.WHATSAPP, calls_at_once=rolls.choice((1, 2, 4)))
        self.bitrix24 = ScriptedPlatform(
            Side.BITRIX24, calls_at_once=rolls.choice((1, 2)), claims_per_call=rolls.choice((1, 10))
        )
        self.trouble = rolls.choice((0.0, 0.1, 0.4))
        self.slow_s = rolls.choice((0.002, 0.02, 0.2))
        for platform in (self.whatsapp, self.bitrix24):
            platform.answers, platform.proofs = self._answers(platform), self._proofs(platform)
            platform.confirms = platform.take_note
        self.houses = [
            House(
                ledger=ledger,
                redis=redis,
                bells=cast(Bells, self.bells),
                directory=Directory(ledger.database, ledger.box),
                cache=ConversationCache(redis, Hits(redis), ttl_s=3_600),
                whatsapp=self.whatsapp,
                bitrix24=self.bitrix24,
                hands_over=True,
            )
            for _ in range(rolls.choice((1, 2, 2)))
        ]
        self.houses[-1].table = self.houses[0].table
        self.processes = list(self.houses)  # also one that has stopped meanwhile
        self.repairs: set[asyncio.Task[None]] = set()

    def _answers(self, platform: ScriptedPlatform) -> Callable[[Claim], Any]:
        rolls = self.rolls

        async def answer(claim: Claim) -> Outcome:
            await asyncio.sleep(rolls.random() * self.slow_s)
            if rolls.random() > self.trouble or claim.attempts > 2:
                return await platform.take(claim)
            match rolls.randrange(8):
                case 0:
                    await platform.take(claim)
                    return Unclear("timeout")
                case 1:
                    return Unclear("timeout")
                case 2:
                    return TooFast("busy", wait_s=rolls.random() * 0.3)
                case 3:
                    return TooFast("pair", wait_s=rolls.random() * 0.1, one_conversation=True)
                case 4:
                    return Unavailable("503")
                case 5:
                    return Refused("no")
                case 6:
                    scope = rolls.choice(list(FailureScope))
                    self._repair(claim)
                    return Unauthorized("bad", scope=scope)
            return await platform.take(claim)

        return answer

    def _proofs(self, platform: ScriptedPlatform) -> Callable[[Claim], Any]:
        async def proof(claim: Claim) -> Proof:
            await asyncio.sleep(self.rolls.random() * self.slow_s)
            return Unavailable("503") if self.rolls.random() < self.trouble else await platform.look(claim)

        return proof

    def _repair(self, claim: Claim) -> None:
        task = asyncio.create_task(self._repaired(claim.portal.id, claim.channel.id, self.rolls.random() * 0.3))
        self.repairs.add(task)
        task.add_done_callback(self.repairs.discard)

    async def _repaired(self, portal_id: PortalId, channel_id: ChannelId, wait_s: float) -> None:
        """As an admin's new key does it; again and again, for the pause may come behind it."""
        for again in range(3):
            await asyncio.sleep(wait_s + again)
            async with self.ledger.database.transaction() as connection:
                await connection.execute(
                    "UPDATE portal_config SET paused_at = NULL, paused_reason = NULL WHERE id = $1", portal_id
                )
                await connection.execute(
                    "UPDATE channel SET whatsapp_paused_at = NULL, line_paused_at = NULL WHERE id = $1", channel_id
                )
                await claims.hasten(connection, channel_id, portal_id)
            self.bells.ring_soon([bitrix24_lane(portal_id), meta_lane(channel_id)])

    async def lives(self) -> None:
        ledger, rolls = self.ledger, self.rolls
        all_channels: list[Channel] = []
        talks: list[Conversation] = []
        for _ in range(rolls.choice((1, 1, 3))):
            portal = await ledger.portal()
            mine = [await ledger.channel(portal) for _ in range(rolls.choice((1, 2)))]
            all_channels += mine
            for channel in mine:
                talks += [await ledger.talk(channel, chat_id=5) for _ in range(rolls.choice((1, 2, 8)))]
        by_id = {channel.id: channel for channel in all_channels}
        answering = asyncio.create_task(self.bells.answered_by(self.houses))
        try:
            await asyncio.gather(self._one_stops(), *(self._speaks(by_id[talk.channel_id], talk) for talk in talks))
            await self._come_to_rest()
        finally:
            answering.cancel()

    async def _one_stops(self) -> None:
        """As when a worker is replaced: whatever it had in hand, the other goes on with it."""
        if len(self.houses) > 1 and self.rolls.random() < 0.5:
            await asyncio.sleep(self.rolls.random() * 0.5)
            self.houses.pop().stopping.tell(0.05)

    async def _speaks(self, channel: Channel, talk: Conversation) -> None:
        rolls, house = self.rolls, self.houses[0]
        for _ in range(rolls.choice((1, 3, 6))):
            await asyncio.sleep(rolls.random() * rolls.choice((0.0, 0.05, 0.3)))
            many = ["x"] * rolls.choice((1, 1, 3))
            match rolls.randrange(3):
                case 0:
                    rung = await house.customer_says(channel, *many, customer=talk.customer)
                case 1:
                    rung = await house.operator_says(talk, *many)
                case _:  # as a program does it, by the API
                    await self.ledger.outbound(talk, len(many))
                    rung = meta_lane(channel.id)
            self.bells.ring_soon([rung])

    async def _come_to_rest(self) -> None:
        async with asyncio.timeout(25):
            while not await self.houses[0].settled():
                if self._is_at_rest() and not await self.houses[0].settled():
                    stuck = await self.ledger.rows(
                        "SELECT id, state, due_at <= now() AS due, attempts, error_code, conversation_id"
                        " FROM message WHERE state IN ('pending', 'sending', 'verifying')"
                    )
                    assert not stuck, "nobody will look at these"
                await asyncio.sleep(0.02)
            while not self._is_at_rest():
                await asyncio.sleep(0.02)

    def _is_at_rest(self) -> bool:
        return (
            self.bells.quiet
            and not self.repairs
            and not any(
                any(each._tasks or each._wanting for each in house.dispatchers.values())
                or any(each._tasks or each._ended or each._waiting for each in house.confirmers.values())
                or any(each._doubtful for each in house.routes.values())
                for house in self.processes
            )
        )

    async def check(self) -> None:
        for platform in (self.whatsapp, self.bitrix24):
            for talk, taken in platform.took.items():
                assert len(set(taken)) == len(taken), "doubled"
                # A program writes beside a portal: which of both comes first is nobody's to say.
                for program in (True, False):
                    rows = await self.ledger.rows(
                        "SELECT id FROM message WHERE conversation_id = $1 AND kind <> 'notice'"
                        " AND (direction = 'outbound' AND bitrix_message_id IS NULL) = $2",
                        talk,
                        program,
                    )
                    theirs = {row["id"] for row in rows}
                    ours = [each for each in taken if each in theirs]
                    assert ours == sorted(ours), "out of order"
        for house in self.processes:
            for each in house.dispatchers.values():
                assert (each._talks, each._wanting, each._tasks) == ({}, {}, set())
                assert house not in self.houses or not each._owners
                assert not each._claiming
        assert await self.ledger.rows("SELECT * FROM message WHERE state IN ('sending', 'verifying')") == []


@pytest.mark.parametrize("seed", range(4))
async def test_what_waits_is_found_by_bells_alone(
    ledger: Ledger, redis: Redis, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolls = random.Random(seed)
    monkeypatch.setattr(call_limit, "_LEAST", rolls.choice((1, 3, 12)))
    monkeypatch.setattr(call_limit, "_FIRST", rolls.choice((1, 2, 64)))
    monkeypatch.setattr(call_limit, "_MOST", rolls.choice((1, 3, 2_000)))
    world = World(ledger, redis, seed)
    await world.lives()
    await world.check()


# --- one by one -------------------------------------------------------------------------------------------------------


async def test_what_another_process_writes_behind_a_call_goes_on_when_that_has_ended(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """The call's settlement claims nothing, as others had waited for room; and then nobody waits any more."""
    house.whatsapp.calls_at_once = 2
    (first,) = await house.ledger.outbound(talk)
    await house.ledger.outbound(await house.ledger.talk(channel))
    settler, settled = house.settlers[Direction.OUTBOUND], asyncio.Event()
    settle = settler.settle

    async def slowly(judged: Sequence[Judged]) -> list[ClaimedRow]:
        if judged[0].claim.message_id == first:
            await settled.wait()
        return await settle(judged)

    settler.settle = slowly  # type: ignore[method-assign]
    drain = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    async with asyncio.timeout(30):
        while house.dispatchers[Queue.META].room(channel.id) != 1:
            await asyncio.sleep(0.01)
        (second,) = await house.ledger.outbound(talk)
        await house.dispatchers[Queue.META].answer(lane_to_whatsapp(channel))
        while house.dispatchers[Queue.META]._claiming:
            await asyncio.sleep(0.01)
        settled.set()
        await drain
    assert house.whatsapp.took[talk.id] == [first, second]


async def left_alone(house: House, channel: Channel, talk: Conversation) -> None:
    """A number that Meta has asked to be left alone, and no bell."""
    await house.ledger.outbound(talk)
    house.whatsapp.once(TooFast("130429", wait_s=300))
    await house.drain(lane_to_whatsapp(channel))
    await house.unring()


async def repaired(house: House, channel: Channel) -> None:
    async with house.ledger.database.transaction() as connection:
        await claims.hasten(connection, channel.id)


async def test_a_repair_of_a_moment_ago_is_looked_at_again(house: House, channel: Channel, talk: Conversation) -> None:
    """What was left alone just now may not be in the ledger yet: one cannot tell, and must not forget the bell."""
    await left_alone(house, channel, talk)
    await repaired(house, channel)
    await house.drain(lane_to_whatsapp(channel))
    if not await house.settled():
        assert lane_to_whatsapp(channel) in await house.rung()
        (bell,) = await house.bells.queue(Queue.META).getJobs(["delayed"])
        assert bell.delay <= limits.STORE_AGAIN_S * 1_000


async def test_a_repair_that_another_process_heard_of_holds_up_nothing_here(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await left_alone(house, channel, talk)
    await repaired(house, channel)
    house.dispatchers[Queue.META].waits(channel.id, talk.id)
    assert lane_to_whatsapp(channel) in await house.rung_now()
    assert not house.dispatchers[Queue.META]._owners


async def test_what_was_claimed_by_a_claim_without_an_answer_is_given_back_and_sent(
    house: House, channel: Channel, talk: Conversation
) -> None:
    written = await house.ledger.outbound(talk, 2)
    claimer, lost = house.dispatchers[Queue.META]._claimer, [True]
    to_send = claimer.to_send

    async def cut_off(asks: Sequence[Ask]) -> list[Claimed]:
        found = await to_send(asks)
        if lost:
            lost.pop()
            raise StoreUnavailable("cut off")
        return found

    claimer.to_send = cut_off  # type: ignore[method-assign]
    async with asyncio.timeout(30):
        await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == written
    assert house.whatsapp.searched == []


async def test_what_another_process_may_not_have_seen_is_looked_at_again_also_beside_others(
    house: House, channel: Channel, talk: Conversation
) -> None:
    other = await house.ledger.talk(channel)
    await house.ledger.outbound(talk)
    await house.ledger.claim(to_whatsapp(channel))
    await house.ledger.outbound(talk)
    await house.ledger.outbound(other)
    for each in (talk, other):
        house.dispatchers[Queue.META].waits(channel.id, each.id)
    await house.at_rest()
    assert len(house.whatsapp.took[other.id]) == 1
    assert lane_to_whatsapp(channel) in await house.rung()


async def test_who_is_told_to_stop_between_two_turns_leaves_nobody_unrung(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await house.ledger.outbound(talk)
    house.dispatchers[Queue.META].waits(channel.id, talk.id)
    house.stopping.tell(1.0)
    await house.at_rest()
    assert lane_to_whatsapp(channel) in await house.rung_now()


@pytest.mark.parametrize("state", ["verifying", "confirmed"])
async def test_a_bell_that_comes_to_who_stops_is_rung_again(
    house: House, channel: Channel, talk: Conversation, state: str
) -> None:
    if state == "verifying":
        await house.ledger.outbound(talk)
        await house.ledger.run("UPDATE message SET state = 'verifying'")
    else:
        told = await house.ledger.inbound(talk)
        await house.ledger.run("UPDATE message SET state = 'sent'")
        await house.ledger.confirm_in(told, 0)
    house.stopping.tell(1.0)
    await house.drain(lane_to_whatsapp(channel))
    assert lane_to_whatsapp(channel) in await house.rung_now()


async def test_a_search_that_takes_its_time_holds_no_other_conversation(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await house.ledger.outbound(talk)
    await house.ledger.run("UPDATE message SET state = 'verifying'")
    other = await house.ledger.talk(channel)
    await house.ledger.outbound(other)
    shown = asyncio.Event()

    async def slowly(claim: Claim) -> Proof:
        await shown.wait()
        return Accepted(whatsapp_id=f"wamid.{claim.message_id}")

    house.whatsapp.proofs = slowly
    drain = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    async with asyncio.timeout(30):
        while not house.whatsapp.took[other.id]:
            await asyncio.sleep(0.01)
    shown.set()
    await drain
    assert await house.settled()


async def test_what_cannot_be_read_stops_nobody_else(house: House, channel: Channel, talk: Conversation) -> None:
    await house.ledger.outbound(talk)
    await house.ledger.run("""UPDATE message SET content = '{"kind": "hologram"}'""")
    other = await house.ledger.talk(channel)
    await house.ledger.outbound(other)
    await house.drain(lane_to_whatsapp(channel))
    assert len(house.whatsapp.took[other.id]) == 1


def test_who_is_left_alone_no_more_is_forgotten() -> None:
    clock = [now()]
    alone = LeftAlone(lambda: clock[0])
    for _ in range(1_000):
        clock[0] += timedelta(seconds=1)
        alone.put(uuid4(), clock[0] + timedelta(seconds=30))
    assert len(alone) <= 31


async def test_who_waits_for_a_place_when_it_has_to_be_left_alone_ends_no_claims(
    house: House, channel: Channel, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FIRST", "_LEAST", "_MOST"):
        monkeypatch.setattr(call_limit, name, 1)
    house.__post_init__()
    house.limit._most = 1
    dispatcher, answered = house.dispatchers[Queue.META], asyncio.Event()

    async def unauthorized(_claim: Claim) -> Outcome:
        await answered.wait()
        return Unauthorized("190", scope=FailureScope.CHANNEL)

    house.whatsapp.answers = unauthorized
    await house.ledger.outbound(talk)
    drain = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    async with asyncio.timeout(15):
        while not (house.whatsapp.asked and house.limit.free):  # it waits for the platform, and takes no place
            await asyncio.sleep(0.01)
        monkeypatch.setattr(call_limit, "_YOUNG_S", 1_000)
        with house.limit.place():
            other = await house.ledger.talk(channel)
            await house.ledger.outbound(other)
            dispatcher.waits(channel.id, other.id)
            answered.set()
            await drain
            house.whatsapp.answers = house.whatsapp.take
            await house.ledger.run("UPDATE channel SET whatsapp_paused_at = NULL")
            await repaired(house, channel)
        await house.at_rest()
        while not (house.whatsapp.took[talk.id] and house.whatsapp.took[other.id]):
            await house.drain(lane_to_whatsapp(channel))
