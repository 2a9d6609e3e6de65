"""A restored ledger: what may have been sent since its dump is looked for, and told of where nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.bridge.house import House
from tests.store.ledger_rows import Ledger, inbound, outbound
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import bitrix24_lane, meta_lane
from zaptrix.core.delivery.outcome import Accepted, Proof, Unprovable
from zaptrix.core.delivery.retry import PERHAPS_SENT, Bury, Case, Patience, decide_proof
from zaptrix.core.message.message import Origin
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.ledger import messages

RESTORED = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE, AFTER = RESTORED - timedelta(minutes=5), RESTORED + timedelta(minutes=5)


def test_what_nobody_can_be_asked_about_is_buried_and_told() -> None:
    case = Case(attempts=0, unclear=0, created_at=BEFORE, now=AFTER, jitter=0.0, patience=Patience())
    assert decide_proof(Unprovable(), case) == Bury(PERHAPS_SENT, "", PERHAPS_SENT)


async def restored(ledger: Ledger) -> None:
    await ledger.run("INSERT INTO restore (dumped_at, until) VALUES ($1, $2)", BEFORE - timedelta(hours=1), RESTORED)


@pytest.mark.parametrize(
    ("row", "state", "suspect"),
    [
        # Heard of before the restore, so an event of the dump.
        ((inbound, {"written_at": BEFORE, "heard_at": BEFORE}), "verifying", True),
        # Meta tells of it now, as nobody had taken it: looked for, and sent when it is not there.
        ((inbound, {"written_at": BEFORE, "heard_at": AFTER}), "verifying", False),
        ((inbound, {"written_at": AFTER, "heard_at": AFTER}), "pending", False),
        ((outbound, {"written_at": BEFORE}), "verifying", True),
        ((outbound, {"written_at": AFTER}), "pending", False),
        # A program asked for it now, whatever it says of the time.
        ((outbound, {"written_at": BEFORE, "origin": Origin.API}), "pending", False),
        ((inbound, {"written_at": BEFORE, "origin": Origin.GATEWAY}), "pending", False),
    ],
)
async def test_what_people_wrote_before_a_restore_is_looked_for_first(
    ledger: Ledger,
    row: Any,
    state: str,
    suspect: bool,
) -> None:
    make, changes = row
    talk = await ledger.talk(await ledger.channel(), chat_id=7)
    await restored(ledger)
    (message_id,) = await ledger.write(make(talk, **changes))
    found = await ledger.row(message_id)
    assert (found["state"], found["suspect"]) == (state, suspect)


@pytest.mark.parametrize("make", [inbound, outbound])
async def test_where_nothing_was_restored_nothing_is_suspect(ledger: Ledger, make: Any) -> None:
    talk = await ledger.talk(await ledger.channel(), chat_id=7)
    (message_id,) = await ledger.write(make(talk, written_at=BEFORE))
    assert await ledger.state(message_id) == "pending"


async def test_a_customer_whom_a_restore_has_forgotten_gets_the_same_conversation(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel, wa_id="5541988887777")
    await ledger.run("DELETE FROM conversation_mapping WHERE id = $1", talk.id)
    again = await ledger.talk(channel, wa_id="5541988887777")
    assert again.id == talk.id
    other = await ledger.talk(await ledger.channel(), wa_id="5541988887777")
    assert other.id != talk.id


async def test_a_number_that_was_somebody_elses_gets_a_conversation_of_its_own(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel, wa_id="5541988887777")
    await ledger.run(
        "UPDATE conversation_mapping SET meta_whatsapp_id = 'detached', wa_id = NULL WHERE id = $1", talk.id
    )
    assert (await ledger.talk(channel, wa_id="5541988887777")).id != talk.id


class AWitness:
    """A portal that tells the same of every message."""

    def __init__(self, told: Proof) -> None:
        self.told = told

    async def delivered(self, _claim: Claim) -> Proof:
        return self.told


async def suspected(house: House, message_id: int) -> None:
    await house.ledger.run("UPDATE message SET state = 'verifying', suspect = true WHERE id = $1", message_id)


async def test_a_reply_that_its_chat_shows_as_delivered_is_not_sent_again(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (reply,) = await house.ledger.outbound(talk)
    await suspected(house, reply)
    house.witness = AWitness(Accepted(whatsapp_id="wamid.before"))
    house.__post_init__()
    await house.drain(meta_lane(channel.id))
    assert (house.whatsapp.asked, house.whatsapp.searched) == ([], [])
    row = await house.ledger.row(reply)
    assert (row["state"], row["whatsapp_id"]) == ("sent", "wamid.before")
    assert await house.notices() == []


async def test_a_reply_of_which_nobody_knows_is_told_of_and_sent_once_when_a_person_says_so(
    house: House, channel: Channel, talk: Conversation
) -> None:
    reply, later = await house.ledger.outbound(talk, 2)
    await suspected(house, reply)
    house.witness = AWitness(Unprovable())
    house.__post_init__()
    await house.drain(meta_lane(channel.id))
    assert house.whatsapp.asked == [later]  # it holds nobody
    (notice,) = await house.notices()
    assert (notice["code"], notice["params"]) == (PERHAPS_SENT, {"text": "resposta 0"})
    async with house.ledger.database.transaction() as connection:
        await messages.revive(connection, [reply], None)
    await house.drain(meta_lane(channel.id))
    assert house.whatsapp.asked == [later, reply]
    assert await house.ledger.state(reply) == "sent"


async def test_a_customers_message_is_not_shown_again_where_nobody_can_look(
    house: House, portal: Portal, talk: Conversation
) -> None:
    (said,) = await house.ledger.inbound(talk)
    await suspected(house, said)

    async def nowhere(_claim: Claim) -> Proof:
        return Unprovable()

    house.bitrix24.proofs = nowhere
    await house.drain(bitrix24_lane(portal.id))
    assert await house.ledger.state(said) == "dead"
    (notice,) = await house.notices()
    assert notice["code"] == "perhaps_shown"
