"""What routing hands over: claimed with its insert, and the same as a claim of its row would have read."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import inspect
from msgspec.structs import replace

from tests.bridge.house import House, a_customer, answered, asked, chat_of, now
from tests.store.ledger_rows import Ledger
from zaptrix.bridge.route.router import Route
from zaptrix.core.customer.referral import Referral
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import Queue, incoming_lane
from zaptrix.core.event import CustomerMoved, OperatorChange, Routed
from zaptrix.core.ids import AttemptId, ConversationId
from zaptrix.core.message.kinds import Cards, InGroup, Location, Marks, Order, Reaction, Reply, Unsupported
from zaptrix.core.message.message import Content, Direction, MediaContent, MediaKind, Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.connection.database import Connection, StoreUnavailable
from zaptrix.store.ledger.claims import Way
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Placed

SAID = (Words, Location, Cards, Reply, Reaction, Order, InGroup, Unsupported)
NAMES = ("oi", "çã 👋🏽", '"', "\u2028", "x" * 300)
SCARS = (*NAMES, "", "a\0b", "\ud800", "\\u0000", "zx:1")


class Taking:
    """`core.ports.Handover` and its `Offer`: has room for so many, and notes what it is told."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.taken: list[Claim] = []
        self.waiting: list[tuple[UUID, ConversationId]] = []

    def offer(self) -> "Taking":
        return self

    def attempt_for(self, _owner: UUID, _conversation_id: ConversationId) -> AttemptId | None:
        self.room -= 1
        return AttemptId(uuid4()) if self.room >= 0 else None

    def take(self, claims: Sequence[Claim]) -> None:
        self.taken += claims

    def waits(self, owner: UUID, conversation_id: ConversationId) -> None:
        self.waiting.append((owner, conversation_id))


@pytest.fixture
def taking() -> Taking:
    return Taking()


@pytest.fixture
def handing(house: House, taking: Taking) -> House:
    """A house whose routing hands over, both ways."""
    inbound, outbound = house.inbound_steps(taking), house.outbound_steps(taking)
    house.routes = {
        Queue.INCOMING: Route(house.ground, house.translate, inbound, house.slice_s),
        Queue.OUTBOUND: Route(house.ground, house.translate, outbound, house.slice_s),
    }
    return house


async def told(house: House, channel: Channel, *events: Routed) -> None:
    await house.drain(await house.happens(incoming_lane(channel.phone_number_id), *events))


async def sending(ledger: Ledger) -> set[int]:
    return {row["id"] for row in await ledger.rows("SELECT id FROM message WHERE state = 'sending'")}


# --- as a claim would read it ---


async def test_a_claim_made_from_memory_is_what_its_row_would_be_read_as(
    handing: House, taking: Taking, channel: Channel, portal: Portal
) -> None:
    dice = random.Random(12)
    ledger = handing.ledger
    talks = [await ledger.talk(channel, chat_id=n + 1 if n % 2 else None) for n in range(40)]
    for talk in talks[::3]:
        placed = Placed(id=talk.id, bitrix_session_id=7, bitrix_contact_id=9)
        async with ledger.database.transaction() as connection:
            await conversations.place(connection, [placed])
    said = [
        asked(channel, replace(talk.customer, name=dice.choice(NAMES), username="ana"), "", content=a_said(dice))
        for talk in talks
        if dice.random() < 0.9
    ]
    said += [
        asked(channel, a_customer(bsuid=f"BR.{n}", wa_id=None, phone=None), "", content=a_said(dice)) for n in range(40)
    ]
    await told(handing, channel, *(replace(one, written_at=written(dice)) for one in said))
    assert len(taking.taken) == len(said), "all were idle"
    await _is_what_a_claim_reads(ledger, taking, Way(Direction.INBOUND, portal.id), channel, portal)

    operators = [answered(talk, "", content=Words(plain_text(dice.choice(SCARS)), "Rui")) for talk in talks]
    operators = [one for one in operators if one.content != Words(plain_text(""), "Rui")]
    await handing.drain(await handing.portal_tells(portal.id, *operators))
    assert len(taking.taken) == len(operators)
    await _is_what_a_claim_reads(ledger, taking, Way(Direction.OUTBOUND, channel.id), channel, portal)


async def _is_what_a_claim_reads(ledger: Ledger, taking: Taking, way: Way, channel: Channel, portal: Portal) -> None:
    """Those that were taken, which then are forgotten."""
    handed = {claim.message_id: claim for claim in taking.taken}
    taking.taken.clear()
    await ledger.run("UPDATE message SET state = 'pending', attempt_id = NULL WHERE direction = $1", way.direction)
    claimed = [row.to_claim(channel, portal) for row in await ledger.claim(way, limit=1_000)]
    assert len(claimed) == len(handed)
    for one in claimed:
        assert replace(handed[one.message_id], attempt_id=one.attempt_id) == one


def written(dice: random.Random) -> datetime:
    return now().replace(microsecond=0) - timedelta(minutes=dice.randrange(60 * 30))


def a_said(dice: random.Random) -> Content:
    said: Content = made(inspect.type_info(dice.choice(SAID)), dice)
    if dice.random() < 0.3:
        referral = Referral(headline=dice.choice(NAMES))
        return replace(said, marks=Marks(referral=referral))
    return said


def made(type_: inspect.Type, dice: random.Random) -> Any:
    """Anything of a type."""
    match type_:
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: made(field.type, dice) for field in fields if field.name != "marks"})
        case inspect.UnionType(types=types):
            return made(dice.choice(types), dice)
        case inspect.VarTupleType(item_type=item):
            return tuple(made(item, dice) for _ in range(dice.randrange(3)))
        case inspect.EnumType(cls=enum):
            return dice.choice(list(enum))
        case inspect.StrType():
            return dice.choice(SCARS)
        case inspect.BoolType():
            return dice.random() < 0.5
        case inspect.IntType():
            return dice.choice((0, -1, 2**62))
        case inspect.FloatType():
            return dice.choice((0.0, -1.5, 1e-7, 1e22, 5e-324, 1.7e308, dice.random()))
        case inspect.NoneType():
            return None
        case _:
            raise AssertionError(type_)


# --- what is handed over, and what is not ---


async def test_only_the_first_of_a_conversation_goes_and_what_is_behind_it_is_told_of(
    handing: House, taking: Taking, channel: Channel, portal: Portal
) -> None:
    ana, bia = a_customer(), a_customer()
    await told(handing, channel, asked(channel, ana, "1"), asked(channel, ana, "2"), asked(channel, bia, "3"))
    assert len(taking.taken) == 2
    assert {claim.message_id for claim in taking.taken} == await sending(handing.ledger)
    (behind,) = taking.waiting
    assert behind == (portal.id, taking.taken[0].conversation.id)
    await told(handing, channel, asked(channel, bia, "4"))
    assert len(taking.taken) == 2, "one of hers is under way"
    assert taking.waiting[-1] == (portal.id, taking.taken[1].conversation.id)
    assert not [lane for lane in await handing.rung() if lane.queue is Queue.BITRIX24]


async def test_what_there_is_no_room_for_waits(handing: House, taking: Taking, channel: Channel) -> None:
    taking.room = 1
    await told(handing, channel, asked(channel, a_customer(), "1"), asked(channel, a_customer(), "2"))
    assert await handing.ledger.states() == ["sending", "pending"]
    assert (len(taking.taken), len(taking.waiting)) == (1, 1)


async def test_what_carries_a_file_waits_for_it_and_is_looked_after_by_a_bell(
    handing: House, taking: Taking, channel: Channel, portal: Portal
) -> None:
    ana = a_customer()
    image = MediaContent(kind=MediaKind.IMAGE, source="1")
    await told(handing, channel, asked(channel, ana, "", content=image), asked(channel, ana, "behind it"))
    assert await handing.ledger.states() == ["pending", "pending"]
    assert taking.taken == []
    assert [lane.queue for lane in await handing.rung() if lane.queue is Queue.BITRIX24] == [Queue.BITRIX24]


async def test_a_message_that_is_there_already_leaves_no_claim_behind(
    handing: House, taking: Taking, channel: Channel
) -> None:
    ana = a_customer()
    once = asked(channel, ana, "1")
    await told(handing, channel, once)
    await handing.ledger.run("UPDATE message SET state = 'sent', attempt_id = NULL")
    await handing.redis.flushall()
    await told(handing, channel, once, asked(channel, ana, "2"))
    assert await sending(handing.ledger) <= {claim.message_id for claim in taking.taken}
    assert await handing.ledger.states() == ["sent", "pending"]
    assert len(taking.waiting) == 1, "the second of its conversation in this batch waits, and is told of"


async def test_nothing_is_claimed_beside_what_moves(handing: House, taking: Taking, channel: Channel) -> None:
    ana = a_customer(bsuid="BR.1")
    await told(handing, channel, asked(channel, ana, "1"))
    moved = CustomerMoved(
        phone_number_id=channel.phone_number_id,
        whatsapp_id="wamid.moved",
        before=ana,
        now=replace(ana, bsuid="BR.2"),
        number_changed=False,
        at=now(),
    )
    await told(handing, channel, moved, asked(channel, a_customer(), "2"))
    assert await handing.ledger.states() == ["sending", "pending"]


async def test_what_is_changed_in_the_same_batch_is_not_sent_before(
    handing: House, taking: Taking, channel: Channel, portal: Portal
) -> None:
    talk = await handing.ledger.talk(channel, chat_id=5)
    said = answered(talk, "oi")
    change = OperatorChange(
        external_chat_id=talk.external_chat_id,
        bitrix_chat_id=chat_of(talk),
        bitrix_message_id=said.bitrix_message_id,
        text=None,
    )
    await handing.drain(await handing.portal_tells(portal.id, said, change))
    assert taking.taken == []
    assert await handing.ledger.states() == ["dismissed"]


async def test_a_batch_whose_end_nobody_told_is_given_back(
    handing: House, taking: Taking, channel: Channel, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed, and the connection broke before PostgreSQL said so: nobody has what it claimed."""
    monkeypatch.setattr("zaptrix.core.limits.ROUTE_DOUBT_S", 0.01)
    lane = await handing.customer_says(channel, "oi", customer=a_customer())
    database, transaction = handing.ledger.database, handing.ledger.database.transaction

    @asynccontextmanager
    async def breaking() -> AsyncIterator[Connection]:
        async with transaction() as connection:
            yield connection
        raise StoreUnavailable("ConnectionDoesNotExistError")

    monkeypatch.setattr(database, "transaction", breaking)
    with pytest.raises(StoreUnavailable):
        await handing.drain(lane)
    assert taking.taken == []
    async with asyncio.timeout(30):
        while await sending(handing.ledger):
            await asyncio.sleep(0.01)
    assert await handing.ledger.states() == ["pending"]
    assert Queue.BITRIX24 in {rung.queue for rung in await handing.rung()}
