"""Receipts: they prove sends, move messages forward only, and tell the operator of what failed after all."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.bridge.house import House, lane_to_bitrix24, lane_to_whatsapp, now
from tests.store.ledger_rows import to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import Unclear
from zaptrix.core.delivery.outcome import Accepted, Outcome
from zaptrix.core.event import Receipt
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import Direction, MediaContent, MediaKind, Origin, State, Words
from zaptrix.core.message.text import Text, plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.ledger import messages
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import Result

PICTURE = MediaContent(
    kind=MediaKind.IMAGE, source="https://company.bitrix24.com.br/boleto.png", caption=plain_text("x")
)


def a_receipt(message_id: int | None, status: State, **changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "phone_number_id": "1",
        "whatsapp_id": f"wamid.{message_id}",
        "message_id": None if message_id is None else MessageId(message_id),
        "status": status,
        "at": now().replace(microsecond=0),
    }
    return Receipt(**fields | changes)


def processed(result: Result) -> float:
    return float(metrics.MESSAGES_PROCESSED.labels(Direction.OUTBOUND, result)._value.get())


async def tell(house: House, channel: Channel, *receipts: Receipt) -> None:
    await house.drain(await house.whatsapp_tells(channel, *receipts))


async def sent(house: House, channel: Channel, talk: Conversation, **changes: Any) -> MessageId:
    (message_id,) = await house.ledger.outbound(talk, **changes)
    await house.drain(lane_to_whatsapp(channel))
    return message_id


async def test_ticks_turn_grey_and_blue_in_whatever_order_they_come(
    house: House, channel: Channel, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    await tell(house, channel, a_receipt(message_id, State.READ), a_receipt(message_id, State.DELIVERED))
    await tell(house, channel, a_receipt(message_id, State.SENT))
    row = await house.ledger.row(message_id)
    assert row["state"] == "read"
    assert row["delivered_at"] is not None


async def test_a_receipt_proves_the_send_while_its_runner_still_waits(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    """Meta's statuses overtake Meta's own answer: the runner then writes nothing, and nothing is sent twice."""
    first, second = await house.ledger.outbound(talk, 2)
    carried = processed(Result.SUCCESS)
    asked, told = asyncio.Event(), asyncio.Event()

    async def slowly(claim: Claim) -> Outcome:
        outcome = await house.whatsapp.take(claim)
        if claim.message_id == first:
            asked.set()
            await told.wait()
            return Unclear("timeout")
        return outcome

    house.whatsapp.answers = slowly
    runner = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    await asked.wait()
    await tell(house, channel, a_receipt(first, State.SENT), a_receipt(first, State.DELIVERED))
    assert await house.ledger.state(first) == "delivered"
    told.set()
    await runner
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert house.whatsapp.took[talk.id] == [first, second]
    row = await house.ledger.row(first)
    assert (row["state"], row["attempts"], row["whatsapp_id"]) == ("delivered", 0, f"wamid.{first}")
    assert processed(Result.SUCCESS) == carried + 2  # whoever said so first, and once
    await house.drain(lane_to_bitrix24(portal))
    assert sorted(house.bitrix24.confirmed) == [first, second]


async def test_a_receipt_ends_a_search_for_proof_and_the_next_message_is_rung(
    house: House, channel: Channel, talk: Conversation
) -> None:
    first, second = await house.ledger.outbound(talk, 2)
    house.whatsapp.patience = house.whatsapp.patience.__class__(base_s=0.02, verify_wait_s=600)
    house.whatsapp.once(Unclear("timeout"))
    await house.drain(lane_to_whatsapp(channel))
    await house.unring()
    await tell(house, channel, a_receipt(first, State.SENT))
    assert lane_to_whatsapp(channel) in await house.rung_now()
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.asked == [first, second]


@pytest.mark.parametrize(
    ("origin", "status", "is_told"),
    [
        (Origin.OPERATOR, State.SENT, True),
        (Origin.OPERATOR, State.READ, True),
        (Origin.OPERATOR, State.DEAD, False),
        (Origin.API, State.SENT, False),
    ],
)
async def test_a_receipt_that_is_faster_than_the_runner_has_the_operators_side_told(
    house: House, channel: Channel, talk: Conversation, origin: Origin, status: State, is_told: bool
) -> None:
    (message_id,) = await house.ledger.outbound(talk, origin=origin)
    await house.ledger.claim(to_whatsapp(channel))
    await tell(house, channel, a_receipt(message_id, status))
    assert await house.ledger.awaited() == ({message_id} if is_told else set())


async def test_later_receipts_tell_the_operators_side_nothing_and_a_failure_takes_the_word_back(
    house: House, channel: Channel, talk: Conversation
) -> None:
    house.by_rows()
    message_id = await sent(house, channel, talk)
    assert await house.ledger.awaited() == {message_id}
    await house.unring()
    await tell(house, channel, a_receipt(message_id, State.DELIVERED))
    assert not {lane_to_bitrix24(talk.portal_id), lane_to_whatsapp(channel)} & await house.rung()
    await house.ledger.run("DELETE FROM confirmation")
    await tell(house, channel, a_receipt(message_id, State.READ))
    assert await house.ledger.awaited() == set()
    other = await sent(house, channel, talk)
    assert await house.ledger.awaited() == {other}
    await tell(house, channel, a_receipt(other, State.DEAD, code="131047"))
    assert other not in await house.ledger.awaited()
    assert lane_to_bitrix24(talk.portal_id) in await house.rung_now()


async def test_what_failed_after_all_is_buried_and_the_operator_told(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    house.by_rows()
    message_id = await sent(house, channel, talk)
    await house.unring()
    failed = a_receipt(message_id, State.DEAD, code="131047", detail="more than 24 hours")
    await tell(house, channel, failed, failed)
    row = await house.ledger.row(message_id)
    assert (row["state"], row["error_code"]) == ("dead", "131047")
    assert await house.notices() == [
        {"type": "notice", "code": "window_closed", "params": {"code": "131047"}, "talk": talk.id}
    ]
    assert lane_to_bitrix24(portal) in await house.rung_now()
    await house.drain(lane_to_bitrix24(portal))
    assert [claim.origin for claim in house.bitrix24.claims] == [Origin.GATEWAY]
    assert house.bitrix24.confirmed == []  # nobody is told that it arrived


async def test_a_failure_never_overrides_what_has_arrived(house: House, channel: Channel, talk: Conversation) -> None:
    message_id = await sent(house, channel, talk)
    await tell(house, channel, a_receipt(message_id, State.DELIVERED), a_receipt(message_id, State.DEAD, code="1"))
    assert await house.ledger.state(message_id) == "delivered"
    assert await house.notices() == []


async def test_a_failure_of_an_earlier_send_does_not_bury_the_later_one(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """A letter was revived and sent anew; then the failure of its first send is told once more."""
    message_id = await sent(house, channel, talk)
    failed = a_receipt(message_id, State.DEAD, whatsapp_id="wamid.old", code="131026")
    await tell(house, channel, failed)
    assert await house.ledger.state(message_id) == "sent"


async def test_a_receipt_of_another_channel_moves_nothing(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    other = await house.ledger.channel(portal)
    await tell(house, other, a_receipt(message_id, State.READ))
    assert await house.ledger.state(message_id) == "sent"


async def test_a_receipt_that_is_early_finds_its_message_with_the_next_sweep(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    early = [a_receipt(None, status, whatsapp_id="wamid.E") for status in (State.READ, State.SENT)]
    await tell(house, channel, *early)
    await house.sweep.run()
    assert await house.ledger.state(message_id) == "pending"
    house.whatsapp.always(Accepted(whatsapp_id="wamid.E"))
    await house.drain(lane_to_whatsapp(channel))
    await house.sweep.run()
    assert await house.ledger.state(message_id) == "read"
    assert await house.ledger.value("SELECT count(*) FROM parked_receipt") == 0


async def test_an_early_failure_is_told_to_the_operator_at_once_when_it_finds_its_message(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    await tell(house, channel, a_receipt(None, State.DEAD, whatsapp_id="wamid.E", code="131026"))
    (message_id,) = await house.ledger.outbound(talk)
    house.whatsapp.always(Accepted(whatsapp_id="wamid.E"))
    await house.drain(lane_to_whatsapp(channel))
    await house.unring()
    await house.sweep.run()
    assert await house.ledger.state(message_id) == "dead"
    assert [notice["code"] for notice in await house.notices()] == ["unreachable"]
    assert lane_to_bitrix24(portal) in await house.rung_now()


async def test_a_text_of_a_program_is_shown_to_the_operator_also_when_a_receipt_was_faster(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (message_id,) = await house.ledger.outbound(talk, origin=Origin.API)
    asked, told = asyncio.Event(), asyncio.Event()

    async def slowly(claim: Claim) -> Outcome:
        asked.set()
        await told.wait()
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = slowly
    runner = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    await asked.wait()
    await tell(house, channel, a_receipt(message_id, State.SENT))
    await tell(house, channel, a_receipt(message_id, State.DELIVERED))
    told.set()
    await runner
    notices = [(notice["code"], notice["params"]) for notice in await house.notices()]
    assert notices == [("sent_by_api", {"text": "resposta 0"})]


async def test_a_receipt_of_nobodys_message_is_kept_for_a_while_and_no_longer(house: House, channel: Channel) -> None:
    await tell(house, channel, a_receipt(None, State.SENT, whatsapp_id="wamid.X"))
    await house.sweep.keep_house()
    assert await house.ledger.value("SELECT count(*) FROM parked_receipt") == 1
    await house.ledger.run("UPDATE parked_receipt SET parked_at = now() - $1::interval", timedelta(days=9))
    await house.sweep.keep_house()
    assert await house.ledger.value("SELECT count(*) FROM parked_receipt") == 0


async def test_what_arrived_after_all_corrects_the_line_that_told_otherwise(
    house: House, channel: Channel, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    await tell(house, channel, a_receipt(message_id, State.DEAD, code="131026"))
    await tell(house, channel, a_receipt(message_id, State.SENT))
    await tell(house, channel, a_receipt(message_id, State.DELIVERED))
    await tell(house, channel, a_receipt(message_id, State.READ), a_receipt(message_id, State.DEAD, code="131026"))
    assert [line["code"] for line in await house.notices()] == ["unreachable", "arrived_after_all"]
    assert await house.ledger.state(message_id) == "read"
    assert await house.ledger.value("SELECT error_code FROM message WHERE id = $1", message_id) is None


async def test_a_failure_and_its_correction_that_come_together_are_told_as_nothing(
    house: House, channel: Channel, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    await tell(house, channel, a_receipt(message_id, State.DEAD, code="131026"), a_receipt(message_id, State.DELIVERED))
    assert await house.notices() == []
    assert await house.ledger.state(message_id) == "delivered"


# --- a key that proves bad late ---------------------------------------------------------------------------------------


async def test_a_key_that_proves_bad_after_whatsapp_took_the_message_stops_the_number(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    waiting = await house.ledger.talk(channel, chat_id=6)
    await house.ledger.outbound(waiting)
    await tell(house, channel, a_receipt(message_id, State.DEAD, code="190", detail="revoked"))
    row = (await house.ledger.rows("SELECT whatsapp_paused_at, whatsapp_paused_reason FROM channel"))[0]
    assert (row["whatsapp_paused_at"] is not None, row["whatsapp_paused_reason"]) == (True, "190: revoked")
    assert [(one["code"], one["talk"]) for one in await house.notices()] == [
        ("account", talk.id),
        ("on_hold", waiting.id),
    ]
    assert await house.ledger.value("SELECT count(*) FROM audit WHERE action = 'channel.pause'") == 1
    assert lane_to_bitrix24(portal) in await house.rung_now()


async def test_word_of_a_bad_key_that_comes_after_its_repair_stops_nothing(
    house: House, channel: Channel, talk: Conversation
) -> None:
    message_id = await sent(house, channel, talk)
    await house.ledger.run("UPDATE channel SET updated_at = now() - interval '10 seconds'")
    late = a_receipt(message_id, State.DEAD, code="190", at=now() - timedelta(minutes=5))
    await tell(house, channel, late)
    assert await house.ledger.value("SELECT whatsapp_paused_at FROM channel") is None
    assert await house.ledger.state(message_id) == "dead"


@pytest.mark.parametrize("code", ["131026", None])
async def test_a_failure_that_is_no_bad_key_stops_nothing(
    house: House, channel: Channel, talk: Conversation, code: str | None
) -> None:
    message_id = await sent(house, channel, talk)
    await tell(house, channel, a_receipt(message_id, State.DEAD, code=code))
    assert await house.ledger.state(message_id) == "dead"
    assert len(await house.notices()) == 1
    assert await house.ledger.value("SELECT whatsapp_paused_at FROM channel") is None


async def test_a_number_that_a_sweep_stops_is_known_to_stand_still_at_once(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    await tell(house, channel, a_receipt(None, State.DEAD, whatsapp_id=f"wamid.{message_id}", code="190"))
    await house.drain(lane_to_whatsapp(channel))
    before = await house.directory.channel(channel.id)
    assert before is not None
    assert before.channel.whatsapp_paused_at is None
    await house.sweep.run()
    after = await house.directory.channel(channel.id)
    assert after is not None
    assert after.channel.whatsapp_paused_at is not None


async def test_words_outlive_a_file_that_is_refused_afterwards(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    """Meta takes some files, and says with a status only that it cannot read them: error 131053."""
    picture = replace(PICTURE, caption=plain_text("o boleto vence hoje"), author="Bia")
    message_id = await sent(house, channel, talk, content=picture)
    behind = await sent(house, channel, talk)
    await house.unring()
    failed = a_receipt(message_id, State.DEAD, code="131053", detail="Unable to upload the media")
    await tell(house, channel, failed, failed)
    assert await house.rung_now() >= {lane_to_bitrix24(portal), lane_to_whatsapp(channel)}
    await house.drain(lane_to_whatsapp(channel))
    *earlier, words = house.whatsapp.took[talk.id]
    assert earlier == [message_id, behind]
    assert [notice["code"] for notice in await house.notices()] == ["file_refused"]
    async with house.ledger.database.connection() as connection:
        said = await messages.contents(connection, [message_id, words])
    assert said[words] == Words(plain_text("o boleto vence hoje"), "Bia")
    assert said[message_id] == replace(picture, caption=Text())  # revived, it says nothing twice


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"content": Words(plain_text("x"))}, "131053"),  # nothing that a file could lose
        ({"content": replace(PICTURE, caption=Text())}, "131053"),
        ({"content": PICTURE}, "131047"),  # the window is closed: words would not go, either
        ({"content": PICTURE, "origin": Origin.API}, "131053"),  # who called is told, and may call again
    ],
)
async def test_nothing_more_is_sent_for_another_failure(
    house: House, channel: Channel, talk: Conversation, changes: dict[str, Any], code: str
) -> None:
    message_id = await sent(house, channel, talk, **changes)
    await tell(house, channel, a_receipt(message_id, State.DEAD, code=code))
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == [message_id]
