"""An operator's message as WhatsApp takes it: in parts, as an answer, and told where nothing of it can be carried."""

from typing import Any

import msgspec
import pytest

from tests.bridge.house import House, answered, asked, chat_of, lane_to_bitrix24, lane_to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import Refused
from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.delivery.outcome import Accepted, Outcome
from zaptrix.core.event import Answering, OperatorMessage, Recovered, Untold
from zaptrix.core.message.kinds import Quote
from zaptrix.core.message.message import Content, MediaContent, MediaKind, Notice, Words, quote_of
from zaptrix.core.message.text import Mark, Span, Text, plain_text
from zaptrix.core.portal import Channel

LONG = "Primeiro parágrafo. " * 150 + "\n\n" + "Segundo parágrafo. " * 150
QUOTED = Text((Span("Qual o preço?", (Mark.QUOTE,)), Span("\nR$ 10")))


async def rows(house: House) -> list[dict[str, Any]]:
    found = await house.ledger.rows("SELECT * FROM message WHERE direction = 'outbound' ORDER BY id")
    return [dict(row) | {"said": msgspec.json.decode(row["content"], type=Content)} for row in found]


async def heard(house: House, talk: Conversation, *messages: OperatorMessage) -> list[dict[str, Any]]:
    await house.drain(await house.portal_tells(talk.portal_id, *messages))
    return await rows(house)


async def words(house: House) -> list[str]:
    return [row["said"].text.plain for row in await rows(house)]


async def test_a_long_text_is_several_messages_of_one_note(house: House, channel: Channel, talk: Conversation) -> None:
    first, second, third = await heard(
        house, talk, answered(talk, LONG, bitrix_message_id=70), answered(talk, "b", bitrix_message_id=71)
    )
    assert [(row["bitrix_message_id"], row["part"]) for row in (first, second, third)] == [(70, 0), (70, 1), (71, 0)]
    assert (await words(house))[:2] == [("Primeiro parágrafo. " * 150).strip(), "Segundo parágrafo. " * 150]
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == [first["id"], second["id"], third["id"]]


async def test_the_name_stands_above_the_first_part(house: House, talk: Conversation) -> None:
    found = await heard(house, talk, answered(talk, LONG))
    assert [row["said"].author for row in found] == ["Rui", None]


async def test_there_is_room_for_the_name_where_the_channel_puts_it(house: House, talk: Conversation) -> None:
    text = "x" * 4090
    assert len(await heard(house, talk, answered(talk, text))) == 1
    await house.ledger.run("DELETE FROM message")
    await house.ledger.run("UPDATE channel SET operator_prefix = true")
    assert len(await heard(house, talk, answered(talk, text))) == 2


async def test_what_was_cut_is_not_sent_again_in_other_parts(house: House, talk: Conversation) -> None:
    await heard(house, talk, answered(talk, "a" * 5000, bitrix_message_id=70))
    found = await heard(
        house,
        talk,
        answered(talk, "b" * 13_000, bitrix_message_id=70, recovered=Recovered(late=True)),
        answered(talk, "c" * 5000, bitrix_message_id=71),
    )
    assert [(row["bitrix_message_id"], row["part"]) for row in found] == [(70, 0), (70, 1), (71, 0), (71, 1)]


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(talk: Conversation, quoted: str, author: str | None = None, **changes: Any) -> OperatorMessage:
    rest = (Words(plain_text("R$ 10"), "Rui"),)
    answering = Answering(words=quoted, author=author, contents=changes.pop("contents", rest))
    return answered(talk, "", content=Words(QUOTED, "Rui"), answering=answering, **changes)


async def customer_said(house: House, channel: Channel, talk: Conversation, *texts: str) -> list[str]:
    said = [asked(channel, talk.customer, text) for text in texts]
    await house.drain(await house.happens(incoming_lane(channel.phone_number_id), *said))
    return [one.whatsapp_id for one in said]


async def test_a_quote_names_the_message_that_has_its_words(house: House, channel: Channel, talk: Conversation) -> None:
    wamids = await customer_said(house, channel, talk, "oi", "Qual o *preço*?", "tchau")
    (row,) = await heard(house, talk, answer(talk, "qual o  *PREÇO*?"))
    assert row["said"].text == plain_text("R$ 10")
    assert quote_of(row["said"]) == Quote(whatsapp_id=wamids[1], kind="text", gist="Qual o *preço*?")


async def test_a_quote_that_nothing_matches_goes_as_words(house: House, channel: Channel, talk: Conversation) -> None:
    await customer_said(house, channel, talk, "Qual o prazo?")
    (row,) = await heard(house, talk, answer(talk, "Qual o preço?"))
    assert row["said"] == Words(QUOTED, "Rui")


async def test_a_quote_finds_nothing_in_another_conversation(
    house: House, channel: Channel, talk: Conversation
) -> None:
    other = await house.ledger.talk(channel, chat_id=9)
    await customer_said(house, channel, other, "Qual o preço?")
    (row,) = await heard(house, talk, answer(talk, "Qual o preço?"))
    assert quote_of(row["said"]) is None


async def test_of_two_with_the_same_words_the_authors_is_meant_then_the_latest(house: House, channel: Channel) -> None:
    talk = await house.ledger.talk(channel, chat_id=5, wa_id="554188887777", name="Ana Souza")
    await customer_said(house, channel, talk, "combinado", "combinado")
    await heard(house, talk, answered(talk, "combinado", bitrix_message_id=70))
    await house.drain(lane_to_whatsapp(channel))
    ours = (await rows(house))[0]["whatsapp_id"]
    found = await heard(house, talk, answer(talk, "Combinado", "rui"), answer(talk, "combinado", "Ana Souza"))
    quotes = [quote_of(row["said"]) for row in found[1:]]
    assert quotes[0] is not None
    assert quotes[0].whatsapp_id == ours
    assert quotes[1] is not None
    assert (quotes[1].ours, quotes[1].whatsapp_id.startswith("wamid.in.")) == (False, True)


async def test_a_long_messages_quote_names_its_first_part(house: House, channel: Channel, talk: Conversation) -> None:
    await heard(house, talk, answered(talk, LONG))
    await house.drain(lane_to_whatsapp(channel))
    *sent, row = await heard(house, talk, answer(talk, LONG))
    quote = quote_of(row["said"])
    assert quote is not None
    assert (quote.whatsapp_id, quote.ours) == (sent[0]["whatsapp_id"], True)


async def test_the_portals_id_names_it_whatever_its_words(house: House, channel: Channel, talk: Conversation) -> None:
    await heard(house, talk, answered(talk, "aqui está", bitrix_message_id=70))
    await house.drain(lane_to_whatsapp(channel))
    naming = answer(talk, "")
    assert naming.answering is not None
    named = msgspec.structs.replace(naming, answering=msgspec.structs.replace(naming.answering, bitrix_message_id=70))
    *_, row = await heard(house, talk, named)
    assert quote_of(row["said"]) is not None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE message SET written_at = now() - interval '40 days'",
        "UPDATE message SET kind = 'reaction'",
        "UPDATE message SET whatsapp_id = NULL",
    ],
)
async def test_what_whatsapp_would_not_show_is_not_named(
    house: House, channel: Channel, talk: Conversation, change: str
) -> None:
    await customer_said(house, channel, talk, "Qual o preço?")
    await house.ledger.run(change)
    (row,) = await heard(house, talk, answer(talk, "Qual o preço?"))
    assert quote_of(row["said"]) is None


async def test_only_the_first_part_and_a_caption_answer(house: House, channel: Channel, talk: Conversation) -> None:
    await customer_said(house, channel, talk, "manda")
    photo = MediaContent(kind=MediaKind.IMAGE, source="https://p.test/f", caption=plain_text("segue"))
    found = await heard(
        house,
        talk,
        answer(talk, "manda", contents=(Words(plain_text(LONG), "Rui"),), bitrix_message_id=70),
        answer(talk, "manda", contents=(photo, photo), bitrix_message_id=71),
    )
    assert [quote_of(row["said"]) is not None for row in found] == [True, False, True, False]


# --- what cannot be carried ------------------------------------------------------------------------------------------


async def test_who_sent_what_nobody_can_carry_is_told(house: House, channel: Channel) -> None:
    new = await house.ledger.talk(channel)
    untold = Untold(
        external_chat_id=new.external_chat_id, bitrix_chat_id=chat_of(new), bitrix_message_id=7, reason="a surprise"
    )
    await house.drain(await house.portal_tells(new.portal_id, untold))
    assert [(each["code"], each["talk"]) for each in await house.notices()] == [("not_carried", new.id)]
    (event,) = await house.ledger.rows("SELECT state, reason FROM event")
    assert tuple(event.values()) == ("unroutable", "a surprise")
    assert lane_to_bitrix24(new.portal_id) in await house.rung_now()


async def test_files_without_an_address_are_told_once(house: House, talk: Conversation) -> None:
    for _ in range(2):
        await heard(house, talk, answered(talk, "a.pdf", lost_files=1, bitrix_message_id=70))
    assert [(each["code"], each["params"]) for each in await house.notices()] == [("file_unreachable", {"count": "1"})]


# --- what does not go whole ------------------------------------------------------------------------------------------


async def test_who_writes_too_much_is_told_that_the_beginning_went(house: House, talk: Conversation) -> None:
    await house.drain(await house.portal_tells(talk.portal_id, answered(talk, "x" * 20_000, cut=True)))
    notices = await house.ledger.rows("SELECT content FROM message WHERE kind = 'notice'")
    assert [msgspec.json.decode(row["content"], type=Content) for row in notices] == [
        Notice("text_cut", {"limit": "20000"})
    ]


async def test_what_no_row_can_hold_is_left_out_of_a_message_that_goes(house: House, talk: Conversation) -> None:
    (row,) = await heard(house, talk, answered(talk, "https://loja.example/p\0edido"))
    assert row["said"].text.plain == "https://loja.example/pedido"


PHOTO = MediaContent(kind=MediaKind.IMAGE, source="https://p.test/f", author="Rui")


@pytest.mark.parametrize(
    ("caption", "prefix", "contents"),
    [
        ("*o* " * 175, False, ["text", "media"]),  # 700 characters, with two that are not seen in each word
        ("x" * 1_024, False, ["media"]),
        ("x" * 1_019, True, ["text", "media"]),  # the name is above it
        ("____ " * 200, False, ["media"]),
        ("\N{ROCKET}" * 512, False, ["media"]),
        ("\N{ROCKET}" * 513, False, ["text", "media"]),
    ],
)
async def test_a_caption_is_measured_as_it_is_sent(
    house: House, talk: Conversation, caption: str, prefix: bool, contents: list[str]
) -> None:
    await house.ledger.run("UPDATE channel SET operator_prefix = $1", prefix)
    found = await heard(
        house, talk, answered(talk, "", content=msgspec.structs.replace(PHOTO, caption=plain_text(caption)))
    )
    assert ["media" if isinstance(row["said"], MediaContent) else "text" for row in found] == contents
    said = found[0]["said"]
    assert (said.caption if isinstance(said, MediaContent) else said.text) == plain_text(caption)
    assert [row["part"] for row in found] == list(range(len(contents)))


async def test_words_above_a_caption_answer_in_its_place(house: House, channel: Channel, talk: Conversation) -> None:
    await customer_said(house, channel, talk, "Qual o preço?")
    captioned = msgspec.structs.replace(PHOTO, caption=plain_text("*R$ 10* " * 120))
    words, file = await heard(house, talk, answer(talk, "Qual o preço?", contents=(captioned,)))
    assert quote_of(words["said"]) is not None
    assert quote_of(file["said"]) is None


@pytest.mark.parametrize(("detail", "limit"), [("1024", "1024"), ("4096", "4096"), ("Meta's own words", "4096")])
async def test_the_notice_names_the_limit_that_was_met(
    house: House, channel: Channel, talk: Conversation, detail: str, limit: str
) -> None:
    house.whatsapp.once(Refused("too_long", detail, notice="too_long"))
    await heard(house, talk, answered(talk, "oi"))
    await house.drain(lane_to_whatsapp(channel))
    (notice,) = await house.notices()
    assert (notice["code"], notice["params"]) == ("too_long", {"code": "too_long", "limit": limit})


async def test_a_file_without_its_words_is_told_of_also_when_metas_receipt_is_faster_than_its_answer(
    house: House, channel: Channel, talk: Conversation
) -> None:
    captioned = msgspec.structs.replace(PHOTO, caption=plain_text("a nota"))
    await heard(house, talk, answered(talk, "", content=captioned))
    await house.ledger.run("UPDATE message SET due_at = now()")

    async def overtaken(claim: Claim) -> Outcome:
        if not (isinstance(claim.content, MediaContent) and claim.content.caption):
            return Refused("http_404", notice="file_gone")
        await house.ledger.run(
            "UPDATE message SET state = 'sent', attempt_id = NULL, whatsapp_id = 'wamid.1' WHERE id = $1",
            claim.message_id,
        )
        return Accepted(whatsapp_id="wamid.1", file_lost="http_404")

    house.whatsapp.answers = overtaken
    for _ in range(2):
        await house.run_until(lane_to_whatsapp(channel), lane_to_bitrix24(talk.portal_id), state=house.settled)
        await house.quiet()
    assert [row["state"] for row in await rows(house)][:2] == ["sent", "dead"]
    assert [one["code"] for one in await house.notices()] == ["file_gone"]


async def test_a_file_without_its_words_is_a_dead_letter_of_its_own(
    house: House, channel: Channel, talk: Conversation
) -> None:
    captioned = msgspec.structs.replace(PHOTO, caption=plain_text("a nota"))
    await heard(house, talk, answered(talk, "", content=captioned))
    await house.ledger.run("UPDATE message SET due_at = now()")

    async def words_alone(claim: Claim) -> Outcome:
        if isinstance(claim.content, MediaContent) and claim.content.caption:
            return Accepted(whatsapp_id="wamid.1", file_lost="http_404")
        return Refused("http_404", notice="file_gone")

    house.whatsapp.answers = words_alone
    await house.run_until(lane_to_whatsapp(channel), lane_to_bitrix24(talk.portal_id), state=house.settled)
    words, file = (await rows(house))[:2]
    assert (words["state"], words["said"]) == ("sent", Words(plain_text("a nota"), "Rui"))
    assert (file["state"], file["said"]) == ("dead", PHOTO)
    assert [one["code"] for one in await house.notices()] == ["file_gone"]
    (attempt,) = await house.ledger.rows("SELECT verdict, code FROM attempt WHERE message_id = $1", words["id"])
    assert tuple(attempt.values()) == ("file_lost", "http_404")
