"""One event that is as large as a body may be: the loop, and with it every other tenant, goes on meanwhile."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from tests.bridge.house import House, answered
from tests.bridge.ringing import Ringing
from zaptrix.bitrix24 import translate
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bridge.route.router import Route
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.limits import BITRIX_BODY_BYTES_MAX
from zaptrix.core.message.message import Direction

HELD_S_MAX = 0.5  # of the processor's time of this thread, so that a busy machine changes nothing
LINKS = [{"LINK": {"LINK": f"https://loja.example/{number}"}} for number in range(20_000)]


async def longest_held_s(work: asyncio.Task[None]) -> float:
    """For how long of its own time the loop's thread did not come back at once."""
    longest, last = 0.0, time.thread_time()
    while not work.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    await work
    return longest


@pytest.mark.parametrize(
    ("name", "unit", "attachments"),
    [
        (Name.MESSAGE_ADD, "```a", []),
        (Name.MESSAGE_ADD, "_*~a~*_ ", []),
        (Name.MESSAGE_ADD, "[b]*a* ", []),
        (Name.MESSAGE_ADD, "[table][tr][td]x", []),
        (Name.MESSAGE_ADD, "https://loja.example/ ", LINKS),
        (Name.MESSAGE_UPDATE, "```a", []),
    ],
)
async def test_one_event_of_two_megabytes_holds_nobody_up(
    house: House, talk: Conversation, name: Name, unit: str, attachments: list[Any]
) -> None:
    text = (unit * (BITRIX_BODY_BYTES_MAX // len(unit)))[: BITRIX_BODY_BYTES_MAX - 1_000]
    message = {"text": f"[b]Bia:[/b] [br]{text}", "user_id": "27", "attachments": attachments}
    item = {"im": {"chat_id": "5", "message_id": "70"}, "chat": {"id": talk.external_chat_id}, "message": message}
    body = msgspec.json.encode({"event": name, "data": {"MESSAGES": [item]}})
    if name is Name.MESSAGE_UPDATE:
        await house.drain(await house.portal_tells(talk.portal_id, answered(talk, "oi", bitrix_message_id=70)))
    lane = await house.portal_tells(talk.portal_id, answered(talk, "x"))
    await house.ledger.run("UPDATE event SET name = $1, body = $2 WHERE state = 'new'", name.value, body)
    step = house.outbound_steps(Ringing(house.bells, Direction.OUTBOUND))
    route = Route(house.ground, translate.translate, step, house.slice_s)
    assert await longest_held_s(asyncio.create_task(route.drain(lane))) < HELD_S_MAX
    kinds = {row["kind"] for row in await house.ledger.rows("SELECT kind FROM message WHERE state = 'pending'")}
    assert kinds == {"text", "notice"}, "the head went, and it was told"
