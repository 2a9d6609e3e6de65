"""Edits and deletions: done while a message waits, told when it is gone, never both."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.bridge.house import UNHURRIED, House, answered, chat_of, lane_to_bitrix24, lane_to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import Unexpected
from zaptrix.core.delivery.outcome import Accepted, Outcome
from zaptrix.core.event import OperatorChange
from zaptrix.core.message.kinds import Marks, Quote
from zaptrix.core.message.message import Content, MediaContent, MediaKind, Words, quote_of
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel

NOTE = 70


def edited(talk: Conversation, text: str | None, **changes: Any) -> OperatorChange:
    fields: dict[str, Any] = {
        "external_chat_id": talk.external_chat_id,
        "bitrix_chat_id": chat_of(talk),
        "bitrix_message_id": NOTE,
        "text": None if text is None else plain_text(text),
    }
    return OperatorChange(**fields | changes)


async def happens(house: House, talk: Conversation, *routed: Any) -> None:
    await house.drain(await house.portal_tells(talk.portal_id, *routed))


async def ledger(house: House) -> list[tuple[str, str]]:
    """State and words of what goes to the customer."""
    rows = await house.ledger.rows("SELECT * FROM message WHERE direction = 'outbound' ORDER BY id")
    return [(row["state"], _words(msgspec.json.decode(row["content"], type=Content))) for row in rows]


def _words(content: Any) -> str:
    text = content.caption if isinstance(content, MediaContent) else content.text
    return str(text.plain)


async def told(house: House) -> list[tuple[str, str]]:
    return [(each["code"], each["params"]["text"]) for each in await house.notices()]


# --- still waiting ---------------------------------------------------------------------------------------------------


async def test_the_edit_of_a_message_that_waits_is_what_goes(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE), edited(talk, "R$ 100"))
    assert await ledger(house) == [("pending", "R$ 100")]
    await house.drain(lane_to_whatsapp(channel))
    assert [_words(claim.content) for claim in house.whatsapp.claims] == ["R$ 100"]
    assert await told(house) == []


async def test_what_is_deleted_while_it_waits_never_goes(house: House, channel: Channel, talk: Conversation) -> None:
    await happens(
        house,
        talk,
        answered(talk, "ops", bitrix_message_id=NOTE),
        answered(talk, "b", bitrix_message_id=71),
        edited(talk, None),
    )
    await house.drain(lane_to_whatsapp(channel))
    assert await ledger(house) == [("dismissed", "ops"), ("sent", "b")]
    assert await told(house) == []
    assert (await house.ledger.rows("SELECT error_code FROM message ORDER BY id"))[0]["error_code"] == "withdrawn"


async def test_what_waits_behind_a_deleted_message_is_rung_for(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await happens(house, talk, answered(talk, "ops", bitrix_message_id=NOTE))
    await house.unring()
    await happens(house, talk, edited(talk, None))
    assert lane_to_whatsapp(channel) in await house.rung_now()


@pytest.mark.parametrize(("length", "states"), [(4000, ["pending", "dismissed"]), (8000, ["pending", "pending"])])
async def test_an_edit_takes_as_many_parts_as_it_needs(
    house: House, talk: Conversation, length: int, states: list[str]
) -> None:
    await happens(house, talk, answered(talk, "a" * 5000, bitrix_message_id=NOTE), edited(talk, "b" * length))
    found = await ledger(house)
    assert [state for state, _ in found] == states
    assert "".join(words for state, words in found if state == "pending") == "b" * length


async def test_an_edit_that_needs_more_parts_goes_whole_and_in_order(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await happens(house, talk, answered(talk, "a", bitrix_message_id=NOTE), edited(talk, "b" * 9000))
    await happens(house, talk, edited(talk, "c" * 9000))
    found = await ledger(house)
    assert [state for state, _ in found] == ["dismissed", "pending", "pending", "pending"]
    assert "".join(words for state, words in found if state == "pending") == "c" * 9000
    await house.drain(lane_to_whatsapp(channel))
    assert "".join(_words(claim.content) for claim in house.whatsapp.claims) == "c" * 9000


async def test_an_edited_caption_stays_with_its_file(house: House, talk: Conversation) -> None:
    photo = MediaContent(kind=MediaKind.IMAGE, source="https://p.test/f", caption=plain_text("a foto"))
    await happens(house, talk, answered(talk, "", content=photo, bitrix_message_id=NOTE), edited(talk, "a planta"))
    assert await ledger(house) == [("pending", "a planta")]
    assert await house.ledger.value("SELECT kind FROM message") == "image"


async def test_words_that_no_caption_holds_are_told(house: House, talk: Conversation) -> None:
    photo = MediaContent(kind=MediaKind.IMAGE, source="https://p.test/f", caption=plain_text("a foto"))
    await happens(house, talk, answered(talk, "", content=photo, bitrix_message_id=NOTE), edited(talk, "x" * 900))
    assert await ledger(house) == [("pending", "a foto")]
    assert await told(house) == [("edited_late", "a foto")]


async def test_an_edited_answer_is_an_answer_still(house: House, talk: Conversation) -> None:
    content = Words(plain_text("R$ 10"), "Rui", Marks(quote=Quote(whatsapp_id="wamid.A")))
    change = edited(talk, "preço?\nR$ 11", unquoted=plain_text("R$ 11"))
    await happens(house, talk, answered(talk, "", content=content, bitrix_message_id=NOTE), change)
    rows = await house.ledger.rows("SELECT content FROM message")
    said = msgspec.json.decode(rows[0]["content"], type=Content)
    assert isinstance(said, Words)
    assert (said.text, said.author, quote_of(said)) == (plain_text("R$ 11"), "Rui", Quote(whatsapp_id="wamid.A"))


async def test_a_file_that_is_still_fetched_stops_with_its_message(house: House, talk: Conversation) -> None:
    photo = MediaContent(kind=MediaKind.IMAGE, source="https://p.test/f")
    await happens(house, talk, answered(talk, "", content=photo, bitrix_message_id=NOTE), edited(talk, None))
    assert await house.ledger.value("SELECT state FROM file") == "failed"
    assert [state for state, _ in await ledger(house)] == ["dismissed"]


# --- gone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["sending", "verifying", "sent", "delivered", "read"])
@pytest.mark.parametrize(("text", "code"), [("R$ 100", "edited_late"), (None, "deleted_late")])
async def test_a_message_that_is_gone_stays_and_the_operator_is_told(
    house: House, talk: Conversation, state: str, text: str | None, code: str
) -> None:
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    await house.ledger.run("UPDATE message SET state = $1", state)
    await happens(house, talk, edited(talk, text))
    assert await ledger(house) == [(state, "R$ 10")]
    assert await told(house) == [(code, "R$ 10")]
    assert lane_to_bitrix24(talk.portal_id) in await house.rung_now()


async def test_each_change_is_told_once(house: House, talk: Conversation) -> None:
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    await house.ledger.run("UPDATE message SET state = 'sent'")
    for text in ("R$ 11", "R$ 11", "R$ 12", "R$ 12", None, None):
        await happens(house, talk, edited(talk, text))
    assert [code for code, _ in await told(house)] == ["edited_late", "edited_late", "deleted_late"]


@pytest.mark.parametrize("state", ["pending", "sent"])
async def test_a_change_that_changes_no_word_is_nothing(house: House, talk: Conversation, state: str) -> None:
    """A portal's own echo, as of the preview of a link."""
    await happens(house, talk, answered(talk, "a" * 5000 + " b", bitrix_message_id=NOTE))
    await house.ledger.run("UPDATE message SET state = $1", state)
    before = await ledger(house)
    await happens(house, talk, edited(talk, "a" * 5000 + "  b "))
    assert (await ledger(house), await told(house)) == (before, [])
    assert await house.ledger.value("SELECT reason FROM event ORDER BY id DESC LIMIT 1") is not None


async def test_of_a_message_half_sent_the_rest_does_not_follow_its_deletion(house: House, talk: Conversation) -> None:
    await happens(house, talk, answered(talk, "a" * 5000, bitrix_message_id=NOTE))
    await house.ledger.run("UPDATE message SET state = 'sent' WHERE part = 0")
    await happens(house, talk, edited(talk, None))
    assert [state for state, _ in await ledger(house)] == ["sent", "dismissed"]
    assert [code for code, _ in await told(house)] == ["deleted_late"]


async def test_a_dead_letter_has_the_new_words_and_its_operator_is_told_that_it_does_not_go(
    house: House, talk: Conversation
) -> None:
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    await house.ledger.run("UPDATE message SET state = 'dead'")
    await happens(house, talk, edited(talk, "R$ 100"))
    assert await ledger(house) == [("dead", "R$ 100")]
    assert [code for code, _ in await told(house)] == ["edited_unsent"]


async def test_a_message_that_the_ledger_does_not_know_is_ignored(house: House, talk: Conversation) -> None:
    await happens(house, talk, edited(talk, "x"), edited(talk, None))
    states = [row["state"] for row in await house.ledger.rows("SELECT state FROM event")]
    assert (states, await told(house)) == (["ignored", "ignored"], [])


async def test_another_portals_change_touches_nothing(house: House, talk: Conversation) -> None:
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    stranger = await house.ledger.portal()
    await house.drain(await house.portal_tells(stranger.id, edited(talk, None)))
    assert await ledger(house) == [("pending", "R$ 10")]


# --- at the same moment ----------------------------------------------------------------------------------------------


async def test_a_message_is_either_changed_or_sent_as_it_was(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """Whoever comes first, the customer gets one version, and the operator is told exactly when it is the old one."""
    for round_ in range(25):
        note = 1000 + round_
        await happens(house, talk, answered(talk, f"velho {round_}", bitrix_message_id=note))
        lane = await house.portal_tells(talk.portal_id, edited(talk, f"novo {round_}", bitrix_message_id=note))
        await asyncio.gather(house.drain(lane), house.drain(lane_to_whatsapp(channel)))
        await house.drain(lane_to_whatsapp(channel))
    sent = [_words(claim.content) for claim in house.whatsapp.claims]
    late = {text for _, text in await told(house)}
    assert len(sent) == 25
    assert late == {text for text in sent if text.startswith("velho")}
    assert [words for _, words in await ledger(house)] == sent


async def test_who_is_sending_is_not_overtaken(house: House, channel: Channel, talk: Conversation) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(claim: Claim) -> Outcome:
        asked.set()
        await may_answer.wait()
        return Accepted(whatsapp_id=f"wamid.{claim.message_id}")

    house.whatsapp.answers = slowly
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    sending = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    await asked.wait()
    await happens(house, talk, edited(talk, None))
    may_answer.set()
    await sending
    assert await ledger(house) == [("sent", "R$ 10")]
    assert [code for code, _ in await told(house)] == ["deleted_late"]


async def test_a_message_between_two_tries_can_still_be_changed(
    house: House, channel: Channel, talk: Conversation
) -> None:
    house.whatsapp.once(Unexpected("odd"))
    house.whatsapp.patience = UNHURRIED
    await happens(house, talk, answered(talk, "R$ 10", bitrix_message_id=NOTE))
    await house.drain(lane_to_whatsapp(channel))
    await happens(house, talk, edited(talk, "R$ 100"))
    await house.ledger.run("UPDATE message SET due_at = now()")
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert await ledger(house) == [("sent", "R$ 100")]
