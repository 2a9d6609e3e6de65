"""Customers who move, two conversations of one person, quotes, windows, and kinds that are learned later."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tests.bridge.house import House, answered, asked, now
from tests.bridge.route.test_inbound import talks, texts
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.phone import e164
from zaptrix.core.customer.referral import Referral
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, incoming_lane, outbound_lane
from zaptrix.core.event import CustomerMoved, Ignored, TemplateChange, Unroutable
from zaptrix.core.ids import meta_id
from zaptrix.core.message.kinds import Edited, Marks, Quote, Reaction, Revoked, Unknown, Unsupported
from zaptrix.core.message.message import MediaContent, MediaKind, Said, Words, kind_of
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Placed

OLD = Customer(bsuid="BR.1001", wa_id="554188887777", phone="+5541988887777", name="Ana")
NEW = Customer(bsuid="BR.2002", wa_id="5511955554444", phone="+5511955554444", name="Ana")


def moves(channel: Channel, before: Customer = OLD, after: Customer = NEW, **changes: Any) -> CustomerMoved:
    fields: dict[str, Any] = {
        "phone_number_id": channel.phone_number_id,
        "whatsapp_id": "wamid.sys.1",
        "before": before,
        "now": after,
        "number_changed": True,
        "at": now(),
    }
    return CustomerMoved(**fields | changes)


async def route(house: House, channel: Channel, *said: Any) -> None:
    await house.drain(await house.happens(incoming_lane(channel.phone_number_id), *said))


async def living(house: House) -> list[Conversation]:
    rows = await house.ledger.rows("SELECT id FROM conversation_mapping WHERE merged_into IS NULL ORDER BY created_at")
    async with house.ledger.database.connection() as connection:
        found = await conversations.by_ids(connection, [row["id"] for row in rows])
    return [found[row["id"]] for row in rows]


async def placed(house: House, talk: Conversation, chat_id: int) -> None:
    async with house.ledger.database.transaction() as connection:
        await conversations.place(connection, [Placed(id=talk.id, bitrix_chat_id=chat_id)])


async def test_a_new_number_keeps_the_conversation_and_the_operator_is_told(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    (talk,) = await living(house)
    await placed(house, talk, 1767)
    await route(house, channel, moves(channel))
    await route(house, channel, asked(channel, NEW, "2"))
    (moved,) = await living(house)
    assert (moved.id, moved.customer) == (talk.id, NEW)
    assert [(line["code"], line["params"]) for line in await house.notices()] == [
        ("number_changed", {"phone": "+5511955554444"})
    ]


async def test_a_window_is_of_the_old_number_until_the_new_one_writes(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, moves(channel))
    (moved,) = await living(house)
    assert moved.window_expires_at is None
    await route(house, channel, asked(channel, NEW, "2"))
    assert (await living(house))[0].window_expires_at is not None


async def test_metas_word_may_come_twice_and_late(house: House, channel: Channel) -> None:
    third = Customer(bsuid="BR.3003", wa_id="5511966665555", phone="+5511966665555")
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, moves(channel))
    await route(house, channel, moves(channel))
    await route(house, channel, moves(channel, NEW, third, whatsapp_id="wamid.sys.2"))
    await route(house, channel, moves(channel))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.3003", "5511966665555")


async def test_words_that_come_late_under_the_old_id_stand_in_the_same_conversation(
    house: House, channel: Channel
) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, moves(channel))
    await route(house, channel, asked(channel, OLD, "late"))
    (talk,) = await talks(house)
    assert (talk.bsuid, talk.wa_id) == ("BR.2002", "5511955554444")
    assert await texts(house) == ["1", "late"]


async def test_a_cache_that_was_never_told_of_the_move_brings_no_old_id_back(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    (before,) = await living(house)
    await route(house, channel, moves(channel))
    await house.cache.put_many([before])
    await route(house, channel, asked(channel, OLD, "late"))
    (talk,) = await living(house)
    assert (talk.id, talk.customer.bsuid, talk.customer.wa_id) == (before.id, "BR.2002", "5511955554444")


async def test_a_recycled_number_of_somebody_who_moved_is_a_strangers(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, moves(channel))
    await route(house, channel, asked(channel, Customer(bsuid="BR.9", wa_id=OLD.wa_id, phone=OLD.phone), "quem é?"))
    await route(house, channel, asked(channel, OLD, "late"))
    ana, stranger = await living(house)
    assert (ana.customer.bsuid, ana.customer.wa_id) == ("BR.2002", "5511955554444")
    assert (stranger.customer.bsuid, stranger.customer.wa_id) == ("BR.9", "554188887777")
    rows = await house.ledger.rows("SELECT conversation_id FROM message ORDER BY id")
    assert [row["conversation_id"] for row in rows] == [ana.id, stranger.id, ana.id]


async def test_a_number_is_taken_from_somebody_whose_user_id_is_anothers_name(house: House, channel: Channel) -> None:
    """A bent webhook found it: the names of one channel are unique, and who has lost a number needs another."""
    await route(house, channel, asked(channel, Customer(wa_id="7"), "1"))
    await route(house, channel, asked(channel, Customer(bsuid="7", wa_id=OLD.wa_id), "2"))
    await route(house, channel, asked(channel, OLD, "3"))
    assert [talk.customer.wa_id for talk in await living(house)] == ["7", None, OLD.wa_id]
    assert await texts(house) == ["1", "2", "3"]


async def test_who_wrote_from_the_new_number_before_meta_told_is_one_conversation_with_all_that_was_said(
    house: House, channel: Channel
) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, asked(channel, NEW, "2"))
    old, new = await living(house)
    await placed(house, old, 1767)
    await placed(house, new, 1768)
    await route(house, channel, moves(channel), asked(channel, NEW, "3"))
    (talk,) = await living(house)
    assert (talk.id, talk.customer.bsuid, talk.customer.wa_id) == (old.id, "BR.2002", "5511955554444")
    assert talk.window_expires_at is not None
    rows = await house.ledger.rows("SELECT conversation_id FROM message WHERE kind = 'text'")
    assert {row["conversation_id"] for row in rows} == {old.id}
    # An answer in the chat that the other conversation had still reaches the customer, and moves no chat.
    await house.drain(await house.happens(outbound_lane(channel.portal_id), answered(new, "oi", bitrix_chat_id=1768)))
    (row,) = await house.ledger.rows("SELECT conversation_id, bitrix_chat_id FROM message WHERE direction = 'outbound'")
    assert (row["conversation_id"], row["bitrix_chat_id"]) == (old.id, 1768)
    assert (await living(house))[0].bitrix_chat_id == 1767


async def test_who_writes_for_the_first_time_and_moves_in_one_batch_has_one_conversation(
    house: House, channel: Channel
) -> None:
    await route(house, channel, moves(channel), asked(channel, OLD, "1"), asked(channel, NEW, "2"))
    (talk,) = await living(house)
    assert talk.customer.bsuid == "BR.2002"
    assert sorted(await texts(house)) == ["1", "2"]


async def test_what_was_written_before_the_move_and_comes_after_it_stands_in_the_one_conversation(
    house: House, channel: Channel
) -> None:
    """Nobody here knew the old ids when Meta told of them: the first words under them were still on their way."""
    await route(house, channel, asked(channel, NEW, "2"))
    await route(house, channel, moves(channel))
    await route(house, channel, moves(channel))
    await route(house, channel, asked(channel, OLD, "1"))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.2002", "5511955554444")
    assert await texts(house) == ["2", "1"]
    assert await house.notices() == []
    states = await house.ledger.rows("SELECT state FROM event ORDER BY id")
    assert [row["state"] for row in states] == ["routed", "routed", "ignored", "routed"]


async def test_a_move_of_nobody_is_ignored(house: House, channel: Channel) -> None:
    await route(house, channel, moves(channel))
    assert await living(house) == []
    (row,) = await house.ledger.rows("SELECT state, reason FROM event")
    assert (row["state"], row["reason"]) == ("ignored", "nobody here had these ids, or it is known")


async def test_a_new_user_id_alone_keeps_number_and_window(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    after = Customer(bsuid="BR.2002")
    await route(house, channel, moves(channel, Customer(bsuid="BR.1001"), after, number_changed=False))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.2002", "554188887777")
    assert talk.window_expires_at is not None
    assert await house.notices() == []


async def test_a_conversation_opened_by_number_joins_the_one_that_hid_it(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, Customer(bsuid="BR.1001", username="ana"), "1"))
    await route(house, channel, asked(channel, Customer(wa_id="554188887777", phone="+5541988887777"), "2"))
    hidden, numbered = await living(house)
    await placed(house, numbered, 1768)
    await route(house, channel, asked(channel, OLD, "3"))
    (talk,) = await living(house)
    assert talk.id == numbered.id  # it has the chat
    assert (talk.customer.bsuid, talk.customer.username) == ("BR.1001", "ana")
    rows = await house.ledger.rows("SELECT conversation_id FROM message")
    assert {row["conversation_id"] for row in rows} == {numbered.id}
    async with house.ledger.database.connection() as connection:
        found = await conversations.by_ids(connection, [hidden.id])
    assert found[hidden.id].id == numbered.id


# --- quotes ----------------------------------------------------------------------------------------------------------


async def contents(house: House) -> list[Quote | None]:
    rows = await house.ledger.rows("SELECT content->'marks'->'quote' AS quote FROM message ORDER BY id")
    return [msgspec.json.decode(row["quote"], type=Quote) if row["quote"] else None for row in rows]


def quoting(wamid: str) -> Marks:
    return Marks(quote=Quote(whatsapp_id=wamid))


async def test_a_quote_has_the_words_of_what_it_quotes_inbound_outbound_and_in_the_same_batch(
    house: House, channel: Channel
) -> None:
    await route(house, channel, asked(channel, OLD, "tem azul?", whatsapp_id="wamid.a"))
    (talk,) = await living(house)
    await house.drain(await house.operator_says(talk, "Temos, sim!"))
    await house.ledger.run("UPDATE message SET whatsapp_id = 'wamid.b' WHERE direction = 'outbound'")
    said = [
        asked(channel, OLD, "esta", content=Words(plain_text("esta"), marks=quoting("wamid.a"))),
        asked(channel, OLD, "", content=Reaction(emoji="👍", marks=quoting("wamid.b"))),
        asked(channel, OLD, "verde", whatsapp_id="wamid.c"),
        asked(channel, OLD, "", content=Edited(text=plain_text("azul"), marks=quoting("wamid.c"))),
        asked(channel, OLD, "?", content=Words(plain_text("?"), marks=quoting("wamid.unknown"))),
    ]
    await route(house, channel, *said)
    assert (await contents(house))[2:] == [
        Quote(whatsapp_id="wamid.a", kind="text", gist="tem azul?"),
        Quote(whatsapp_id="wamid.b", kind="text", ours=True, gist="Temos, sim!"),
        None,
        Quote(whatsapp_id="wamid.c", kind="text", gist="verde"),
        Quote(whatsapp_id="wamid.unknown"),
    ]


async def test_another_customers_words_are_never_quoted(house: House, channel: Channel) -> None:
    await route(house, channel, asked(channel, OLD, "segredo", whatsapp_id="wamid.a"))
    await route(house, channel, asked(channel, NEW, "?", content=Words(plain_text("?"), marks=quoting("wamid.a"))))
    assert (await contents(house))[1] == Quote(whatsapp_id="wamid.a")


# --- what else routing learns ----------------------------------------------------------------------------------------


async def test_a_reaction_and_an_edit_do_not_open_the_window(house: House, channel: Channel) -> None:
    early = now().replace(microsecond=0) - timedelta(hours=20)
    await route(house, channel, asked(channel, OLD, "1", written_at=early))
    await route(house, channel, asked(channel, OLD, "", content=Reaction(emoji="👍")))
    await route(house, channel, asked(channel, OLD, "", content=Edited(text=plain_text("x"))))
    (talk,) = await living(house)
    assert talk.window_expires_at == early + timedelta(hours=24)


async def test_what_is_overheard_is_told_to_the_operator_opens_no_window_and_is_not_marked_as_read(
    house: House, channel: Channel, portal: Portal
) -> None:
    house.by_rows()
    said = Words(plain_text("oi"), marks=Marks(standby=True))
    await route(house, channel, asked(channel, OLD, "", content=said), asked(channel, NEW, "oi"))
    talks_of = {talk.customer.wa_id: talk for talk in await living(house)}
    assert talks_of[OLD.wa_id].window_expires_at is None
    assert talks_of[NEW.wa_id].window_expires_at is not None
    await house.drain(bitrix24_lane(portal.id))
    assert said in [claim.content for claim in house.bitrix24.claims]
    due = "SELECT conversation_id FROM message WHERE id IN (SELECT message_id FROM confirmation)"
    assert [row["conversation_id"] for row in await house.ledger.rows(due)] == [talks_of[NEW.wa_id].id]


async def test_where_a_customer_came_from_is_kept_on_the_conversation(house: House, channel: Channel) -> None:
    ad = Referral(source="ad", source_id="1202", url="https://fb.me/1")
    await route(house, channel, asked(channel, OLD, "1", content=Words(plain_text("1"), marks=Marks(referral=ad))))
    await route(house, channel, asked(channel, OLD, "2"))
    (talk,) = await living(house)
    assert talk.referral == ad


async def test_an_unknown_kind_is_shown_kept_and_told_again_when_a_later_version_knows_it(
    house: House, channel: Channel, portal: Portal
) -> None:
    strange = asked(channel, OLD, "", content=Unknown(kind="hologram"), whatsapp_id="wamid.h")
    await route(house, channel, strange)
    (event,) = await house.ledger.rows("SELECT id, state, reason FROM event")
    assert (event["state"], event["reason"]) == ("unroutable", "an unknown kind of message: hologram")
    (row,) = await house.ledger.rows("SELECT kind FROM message")
    assert row["kind"] == "unknown"
    # A version that knows it: the admin replays the event.
    (request_id,) = house.table
    house.table[request_id] = asked(channel, OLD, "um holograma", whatsapp_id="wamid.h")
    await house.ledger.run("UPDATE event SET name = 'messages.unknown', state = 'new'")
    await house.drain(incoming_lane(channel.phone_number_id).round)
    assert await texts(house) == ["um holograma"]
    (row,) = await house.ledger.rows("SELECT kind, state FROM message")
    assert (row["kind"], row["state"]) == ("text", "pending")
    assert bitrix24_lane(portal.id).round in {lane.round for lane in await house.rung_now()}


# --- one person, many ids ---------------------------------------------------------------------------------------------

TWO_SPELLINGS = [
    ("5215587654321", "525587654321"),
    ("5493516123456", "543516123456"),
    ("22997123456", "2290197123456"),
    ("22507123456", "2250707123456"),
    ("554188887777", "5541988887777"),
]


@pytest.mark.parametrize(("one", "other"), [*TWO_SPELLINGS, *[(b, a) for a, b in TWO_SPELLINGS]])
async def test_one_line_in_two_spellings_is_one_conversation(
    house: House, channel: Channel, one: str, other: str
) -> None:
    await route(house, channel, asked(channel, Customer(wa_id=one, phone=e164(one)), "1"))
    await route(house, channel, asked(channel, Customer(wa_id=other, phone=e164(other)), "2"))
    # As it was written down before both forms were known to be one.
    await house.ledger.run("UPDATE conversation_mapping SET phone = '+' || wa_id")
    await house.redis.flushall()
    await route(house, channel, asked(channel, Customer(bsuid="BR.1", wa_id=one, phone=e164(one)), "3"))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.1", one)


NUMBERS_ONLY = {
    "before": Customer(wa_id=OLD.wa_id, phone=OLD.phone),
    "after": Customer(wa_id=NEW.wa_id, phone=NEW.phone),
}
IDS_ONLY = {"before": Customer(bsuid=OLD.bsuid), "after": Customer(bsuid=NEW.bsuid)}


@pytest.mark.parametrize("ids", [{}, NUMBERS_ONLY, {"after": NUMBERS_ONLY["after"]}, {"before": IDS_ONLY["before"]}])
@pytest.mark.parametrize("words_first", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_new_number_keeps_the_conversation_whatever_meta_tells_of_it(
    house: House, channel: Channel, ids: dict[str, Customer], *, words_first: bool, at_once: bool
) -> None:
    await route(house, channel, asked(channel, OLD, "1"))
    move, words = moves(channel, **ids), asked(channel, NEW, "2")
    said = [words, move] if words_first else [move, words]
    for batch in [said] if at_once else [[one] for one in said]:
        await route(house, channel, *batch)
    await route(house, channel, asked(channel, OLD, "late"), asked(channel, NEW, "3"))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == (NEW.bsuid, NEW.wa_id)
    assert sorted(await texts(house)) == ["1", "2", "3", "late"]


@pytest.mark.parametrize("words_first", [True, False])
async def test_a_new_user_id_keeps_the_conversation(house: House, channel: Channel, *, words_first: bool) -> None:
    after = Customer(bsuid="BR.2002", wa_id=OLD.wa_id, phone=OLD.phone)
    move = moves(channel, **IDS_ONLY, number_changed=False)
    await route(house, channel, asked(channel, OLD, "1"))
    for one in (asked(channel, after, "2"), move) if words_first else (move, asked(channel, after, "2")):
        await route(house, channel, one)
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.2002", OLD.wa_id)


async def test_two_moves_that_come_in_the_wrong_order_are_both_made(house: House, channel: Channel) -> None:
    third = Customer(bsuid="BR.3003", wa_id="5511966665555", phone="+5511966665555")
    await route(house, channel, asked(channel, OLD, "1"))
    await route(house, channel, moves(channel, NEW, third, whatsapp_id="wamid.sys.2"), moves(channel))
    await route(house, channel, asked(channel, third, "2"))
    (talk,) = await living(house)
    assert talk.customer.bsuid == "BR.3003"


@pytest.mark.parametrize("ids", [{}, NUMBERS_ONLY])
async def test_a_move_that_came_before_the_one_before_it_is_made_after_it(
    house: House, channel: Channel, ids: dict[str, Customer]
) -> None:
    third = Customer(bsuid="BR.3003", wa_id="5511966665555", phone="+5511966665555")
    lane = incoming_lane(channel.phone_number_id)
    await route(house, channel, asked(channel, OLD, "1"))
    before = ids.get("after", NEW)
    system = "messages.system"
    second = moves(channel, before, third, whatsapp_id="wamid.sys.2")
    await house.drain(await house.happens(lane, second, name=system))
    await house.drain(await house.happens(lane, moves(channel, **ids), name=system))
    await house.drain(lane)
    await route(house, channel, asked(channel, third, "2"))
    (talk,) = await living(house)
    assert (talk.customer.bsuid, talk.customer.wa_id) == ("BR.3003", "5511966665555")


# --- one id, several bodies -------------------------------------------------------------------------------------------

ABOUT = Marks(quote=Quote(whatsapp_id="wamid.first"))
BODIES: list[tuple[str, Said]] = [
    ("text", Words(plain_text("chegou"))),
    ("image", MediaContent(kind=MediaKind.IMAGE, source="1")),
    ("edit", Edited(text=plain_text("outra"))),
    ("revoke", Revoked(marks=ABOUT)),
]


async def kinds(house: House) -> list[str]:
    rows = await house.ledger.rows("SELECT kind FROM message WHERE direction = 'inbound' ORDER BY id")
    return [row["kind"] for row in rows]


@pytest.mark.parametrize("memory", ["remembers", "forgot", "at once"])
@pytest.mark.parametrize(("name", "content"), BODIES)
async def test_another_body_under_the_same_id_is_shown_once_and_in_its_order(
    house: House, channel: Channel, name: str, content: Said, memory: str
) -> None:
    first = msgspec.structs.replace(
        asked(channel, OLD, ""), whatsapp_id="wamid.first", content=Unsupported(kind="image", code=131060)
    )
    second = msgspec.structs.replace(first, content=content)
    batches = [[first, second, asked(channel, OLD, "depois")]]
    if memory != "at once":
        batches = [[first], [second], [asked(channel, OLD, "depois")]]
    batches += [[first, second], [second, second]]
    for batch in batches:
        if memory == "forgot":
            await house.redis.flushall()
        await route(house, channel, *batch)
    assert await kinds(house) == ["unsupported", kind_of(content), "text"]
    wanted = await house.ledger.value("SELECT count(*) FROM file")
    assert wanted == (1 if name == "image" else 0)
    ids = [row["whatsapp_id"] for row in await house.ledger.rows("SELECT whatsapp_id FROM message ORDER BY id")]
    assert [meta_id(one) for one in ids[:2]] == ["wamid.first"] * 2
    assert ids[0] == "wamid.first"


@pytest.mark.parametrize("memory", ["remembers", "forgot"])
@pytest.mark.parametrize("text", ["um\0nulo", "meio emoji \ud83d", "\0\ud83d\0"])
async def test_words_that_no_row_holds_as_they_came_are_known_again(
    house: House, channel: Channel, text: str, memory: str
) -> None:
    said = msgspec.structs.replace(asked(channel, OLD, text), whatsapp_id="wamid.odd")
    again = msgspec.structs.replace(said, written_at=said.written_at + timedelta(seconds=9))
    for each in (said, again, said):
        if memory == "forgot":
            await house.redis.flushall()
        await route(house, channel, each)
    assert await kinds(house) == ["text"]


async def test_who_quotes_a_message_that_came_in_the_end_is_shown_its_words(house: House, channel: Channel) -> None:
    first = msgspec.structs.replace(asked(channel, OLD, ""), whatsapp_id="wamid.first", content=Unsupported())
    await route(house, channel, first)
    await route(house, channel, msgspec.structs.replace(first, content=Words(plain_text("chegou"))))
    await route(house, channel, asked(channel, OLD, "este", content=Words(plain_text("este"), marks=ABOUT)))
    await route(house, channel, first)
    rows = await house.ledger.rows("SELECT content->'marks'->'quote'->>'gist' AS gist FROM message ORDER BY id")
    assert [row["gist"] for row in rows] == [None, None, "chegou"]


async def test_a_placeholder_after_the_words_tells_nothing_more(house: House, channel: Channel) -> None:
    words = msgspec.structs.replace(asked(channel, OLD, "oi"), whatsapp_id="wamid.first")
    await route(house, channel, words, msgspec.structs.replace(words, content=Unsupported()))
    await route(house, channel, msgspec.structs.replace(words, content=Words(plain_text("oi"), marks=ABOUT)))
    assert await kinds(house) == ["text"]


async def test_an_edit_under_the_id_of_its_own_message_quotes_it(house: House, channel: Channel) -> None:
    words = msgspec.structs.replace(asked(channel, OLD, "oi"), whatsapp_id="wamid.first")
    await route(house, channel, words)
    await route(house, channel, msgspec.structs.replace(words, content=Edited(text=plain_text("olá"))))
    rows = await house.ledger.rows("SELECT content->'marks'->'quote'->>'gist' AS gist FROM message ORDER BY id")
    assert [row["gist"] for row in rows] == [None, "oi"]


# --- time -------------------------------------------------------------------------------------------------------------


async def test_no_window_is_open_for_longer_than_a_day_from_now(house: House, channel: Channel) -> None:
    ahead = msgspec.structs.replace(asked(channel, OLD, "1"), written_at=now() + timedelta(days=40))
    await route(house, channel, ahead)
    (talk,) = await living(house)
    assert talk.window_expires_at is not None
    assert talk.window_expires_at <= now() + timedelta(hours=24)


async def test_what_concerns_an_account_is_of_no_number(house: House, channel: Channel) -> None:
    change = TemplateChange(
        waba_id="1", template_id="2", name="n", language="pt_BR", what="status", new="PAUSED", reason=None, at=now()
    )
    lane = Lane(incoming_lane("998877").queue, "998877.1")
    await house.drain(await house.happens(lane, Ignored("account.flows"), change, Unroutable("nothing we know")))
    rows = await house.ledger.rows("SELECT state, reason FROM event ORDER BY id")
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("ignored", "account.flows"),
        ("ignored", "no number here has the templates of this account"),
        ("unroutable", "nothing we know"),
    ]


def a_life(seed: int, channel: Channel) -> tuple[list[Any], Customer]:
    """Somebody's ids over two moves, and all that Meta tells of them, each in one of its spellings."""
    dice = random.Random(seed)
    ids = [
        Customer(bsuid=f"BR.{seed}{n}", wa_id=f"55419{seed:03d}1{n:03d}", phone=f"+554199{seed:03d}1{n:03d}")
        for n in range(3)
    ]
    told: list[Any] = [asked(channel, one, f"{seed}.{n}") for n, one in enumerate(ids)]
    for n, (before, after) in enumerate(pairwise(ids)):
        spelling = dice.choice(
            [
                (before, after),
                (Customer(bsuid=before.bsuid), after),
                (before, Customer(bsuid=after.bsuid)),
            ]
        )
        told.append(moves(channel, *spelling, whatsapp_id=f"wamid.sys.{seed}.{n}"))
    first, *rest = told
    dice.shuffle(rest)
    return [first, *rest], ids[-1]


async def test_one_person_stays_one_conversation_in_any_order(house: House, channel: Channel) -> None:
    lane = incoming_lane(channel.phone_number_id)
    lasts = set()
    for seed in range(100, 124):
        told, last = a_life(seed, channel)
        lasts.add((last.bsuid, last.wa_id))
        dice = random.Random(seed)
        while told:
            batch, told = told[: (size := dice.choice([1, 1, 2, 5]))], told[size:]
            await house.drain(await house.happens(lane, *batch, name="messages.system"))
        await house.drain(lane)
        await route(house, channel, asked(channel, last, "fim"))
    people = [(talk.customer.bsuid, talk.customer.wa_id) for talk in await living(house)]
    assert sorted(people, key=str) == sorted(lasts, key=str)
