"""A drawn sample of bent webhooks and events through the doors' splitting and the real routing, in one batch.

Every item is stored, every event ends in a state, and what comes behind them is routed.
"""

import json
import random
from collections.abc import Iterable
from itertools import chain

from tests.bitrix24.captured import CHAT, TREES, form_of
from tests.bridge.house import House
from tests.store.ledger_rows import Ledger
from tests.variations import all_single
from tests.whatsapp.builders import NUMBER
from tests.whatsapp.test_fixtures import POSTS
from zaptrix.bitrix24.inbound.webhook import parse_form, to_event
from zaptrix.bitrix24.translate import translate as of_bitrix24
from zaptrix.core.event import Event, NewEvent, Routed
from zaptrix.core.ids import external_chat_id
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Portal
from zaptrix.whatsapp.inbound.translate import translate as of_whatsapp
from zaptrix.whatsapp.inbound.webhook import split

SEED = 20_261_127
SAMPLE = 400


def open_house(house: House) -> House:
    """The house with the platforms' own translations in the place of a table."""

    def translate(event: Event) -> Routed:
        return of_whatsapp(event) if event.source is Side.WHATSAPP else of_bitrix24(event)

    for route in house.routes.values():
        route._translate = translate
    return house


async def take(house: House, events: list[NewEvent]) -> None:
    """Store `events` and drain their rounds. What a drain raises, the worker's last guard would see: it fails here."""
    await house.receiver.accept(events)
    for lane in {event.lane.round for event in events}:
        await house.drain(lane)


async def states(ledger: Ledger) -> dict[str, int]:
    rows = await ledger.rows("SELECT state, count(*) AS n FROM event GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def reasons(ledger: Ledger) -> set[str]:
    """Why something came to nothing; the store itself never has to refuse what translation let through."""
    rows = await ledger.rows("SELECT DISTINCT coalesce(reason, '') AS reason FROM event WHERE state <> 'routed'")
    return {row["reason"] for row in rows}


def distinct(events: Iterable[NewEvent]) -> list[NewEvent]:
    """One event a key: the journal keeps no more of them."""
    return list({event.key: event for event in events}.values())


async def test_bent_webhooks_all_end_in_a_state_and_keep_nobody_waiting(
    house: House, ledger: Ledger, portal: Portal
) -> None:
    await ledger.channel(portal, phone_number_id=NUMBER)
    posts = [post for name in POSTS for _, post in all_single(POSTS[name])]
    drawn = random.Random(SEED).sample(posts, SAMPLE)  # a sample, no secret
    # A wamid of its own for each, or most would be the same message delivered again.
    bodies = [json.dumps(post).replace("wamid.", f"wamid.{n}.").encode() for n, post in enumerate(drawn)]
    events = distinct(chain.from_iterable(split(body, "request-bent") for body in bodies))
    assert len(events) >= SAMPLE // 2

    await take(open_house(house), events)
    assert sum((await states(ledger)).values()) == len(events)
    assert (await states(ledger)).keys() == {"routed", "ignored", "unroutable"}
    assert "" not in await reasons(ledger)
    assert not any(reason.startswith("refused by the store") for reason in await reasons(ledger))

    good = split(json.dumps(POSTS["text"]).replace("wamid.", "wamid.good.").encode(), "request-good")
    await take(house, good)
    assert await ledger.value("SELECT state FROM event WHERE request_id = 'request-good'") == "routed"
    assert await ledger.value("SELECT count(*) FROM message WHERE whatsapp_id = 'wamid.good.HBgTXT1'") == 1


async def test_bent_events_all_end_in_a_state_and_keep_nobody_waiting(
    house: House, ledger: Ledger, portal: Portal
) -> None:
    channel = await ledger.channel(portal, line_id=7)
    talk = await ledger.talk(channel, chat_id=1767)
    chat = external_chat_id(channel.id, talk.id)
    trees = [tree for name in TREES for _, tree in all_single(TREES[name])]
    drawn = random.Random(SEED).sample(trees, SAMPLE)  # a sample, no secret
    bodies = [form_of(tree).replace(CHAT.encode(), chat.encode()) for tree in drawn]
    events = distinct(chain.from_iterable(to_event(parse_form(body), portal.id, "request-bent") for body in bodies))
    assert len(events) >= SAMPLE // 4

    await take(open_house(house), events)
    assert sum((await states(ledger)).values()) == len(events)
    assert (await states(ledger)).keys() == {"routed", "ignored", "unroutable"}
    assert "" not in await reasons(ledger)
    assert not any(reason.startswith("refused by the store") for reason in await reasons(ledger))

    tree = json.loads(json.dumps(TREES["text"]).replace(CHAT, chat).replace("86501", "99001"))
    await take(house, to_event(parse_form(form_of(tree)), portal.id, "request-good"))
    assert await ledger.value("SELECT state FROM event WHERE request_id = 'request-good'") == "routed"
    assert await ledger.value("SELECT count(*) FROM message WHERE bitrix_message_id = 99001") == 1
