"""One person is one conversation and one chat, however Meta names the number; who is another stays another."""

import json
from itertools import count
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.posting import post_to_meta

pytestmark = pytest.mark.asyncio(loop_scope="module")

EIGHT, NINE = "554188887777", "5541988887777"
_numbers = count(1)


async def meta_tells(tenant: Tenant, wa_id: str | None, text: str, user_id: str | None) -> None:
    """A signed webhook as Meta documents it, with or without a business-scoped user id.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text
    """
    contact: dict[str, Any] = {"profile": {"name": "Ana Souza"}, "wa_id": wa_id}
    item = {"from": wa_id, "type": "text", "text": {"body": text}}
    if user_id is not None:
        contact["user_id"] = item["from_user_id"] = user_id
    await meta_posts(tenant, item, contact)


async def meta_posts(tenant: Tenant, item: dict[str, Any], *contacts: dict[str, Any]) -> None:
    wamid = f"wamid.{tenant.number}.{next(_numbers)}"
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551140041234", "phone_number_id": tenant.number},
        "contacts": list(contacts),
        "messages": [{"id": wamid, "timestamp": "1793000000", **item}],
    }
    change = {"field": "messages", "value": value}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()
    assert await post_to_meta(tenant.world, body) == 200


async def chats(tenant: Tenant) -> list[list[str]]:
    """What customers said, chat by chat."""
    told = await tenant.world.control("GET", "state?threads=2000")
    ours = [chat for chat in told["chats"] if chat["portal"] == tenant.key]
    return sorted([one["text"] for one in chat["messages"] if one["author"] == "customer"] for chat in ours)


async def said_by(world: World, *said: tuple[str, str | None]) -> Tenant:
    tenant = await world.tenant()
    for number, (wa_id, user_id) in enumerate(said):
        await meta_tells(tenant, wa_id, str(number), user_id)

        async def shown(so_far: int = number + 1) -> bool:
            return sum(map(len, await chats(tenant))) == so_far

        await eventually(shown, 30, "the words in a chat")
    return tenant


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((EIGHT, None), (NINE, None)),
        ((NINE, None), (EIGHT, None)),
        ((EIGHT, None), (NINE, "BR.1001")),
        ((NINE, "BR.1001"), (EIGHT, None)),
        ((EIGHT, "BR.1001"), (NINE, "BR.1001")),
    ],
)
async def test_numbers_that_differ_in_the_ninth_digit_only_are_one_person(
    world: World, first: tuple[str, str | None], second: tuple[str, str | None]
) -> None:
    tenant = await said_by(world, first, second)
    assert await chats(tenant) == [["0", "1"]]
    (talk,) = (await world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}"))["items"]
    assert talk["phone"] == f"+{NINE}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("554132221100", None), ("5541932221100", None)),  # a landline never had a ninth digit
        (("12025550143", None), ("120295550143", None)),  # nor has another country
        ((EIGHT, "BR.1001"), (NINE, "BR.2002")),  # Meta says that these are two: the number was given to somebody else
    ],
)
async def test_who_is_another_has_another_conversation(
    world: World, first: tuple[str, str | None], second: tuple[str, str | None]
) -> None:
    assert await chats(await said_by(world, first, second)) == [["0"], ["1"]]


# --- who moves -------------------------------------------------------------------------------------------------------

OLD, NEW = (EIGHT, "BR.1001"), ("5511955554444", "BR.2002")
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
CHANGED_NUMBER = {
    "from": EIGHT,
    "type": "system",
    "system": {
        "type": "user_changed_number",
        "body": "User Ana Souza changed",
        "wa_id": NEW[0],
        "user_id": NEW[1],
        "previous_user_id": OLD[1],
    },
}
CHANGED_ID = {
    "type": "system",
    "system": {"type": "user_changed_user_id", "user_id": "BR.3003", "previous_user_id": OLD[1]},
}


async def told_of(tenant: Tenant, move: dict[str, Any]) -> None:
    before = await tenant.world.sql("SELECT count(*) FROM event WHERE name = 'messages.system'")
    await meta_posts(tenant, move)
    routed = "SELECT count(*) FROM event WHERE name = 'messages.system' AND state <> 'new'"

    async def decided() -> bool:
        return bool(await tenant.world.sql(routed) == before + 1)

    await eventually(decided, 30, "the move to be routed")


@pytest.mark.parametrize("late", [False, True], ids=["told first", "told after she wrote"])
@pytest.mark.parametrize(
    ("move", "now"), [(CHANGED_NUMBER, NEW), (CHANGED_ID, (None, "BR.3003"))], ids=["number", "user id"]
)
async def test_who_moves_has_one_conversation_with_its_history_whenever_meta_tells(
    world: World, move: dict[str, Any], now: tuple[str | None, str], *, late: bool
) -> None:
    tenant = await said_by(world, OLD)
    chat = (await tenant.conversation(EIGHT))["id"]
    if not late:
        await told_of(tenant, move)
    await says(tenant, now, "1", so_far=2)
    if late:
        assert len(await talks(tenant)) == 2
        await told_of(tenant, move)
    await says(tenant, now, "2", so_far=3)
    (talk,) = await talks(tenant)
    assert talk["id"] == chat
    history = (await world.api("GET", f"/api/conversations/{chat}/messages"))["items"]
    assert [one["kind"] for one in history if one["direction"] == "inbound"].count("text") == 3
    # All of it in her chat, but for what came to a chat of its own before anybody could know.
    assert await chats(tenant) == ([["0", "2"], ["1"]] if late else [["0", "1", "2"]])


async def talks(tenant: Tenant) -> list[dict[str, Any]]:
    return list((await tenant.world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}"))["items"])


async def says(tenant: Tenant, who: tuple[str | None, str], text: str, *, so_far: int) -> None:
    await meta_tells(tenant, who[0], text, who[1])

    async def shown() -> bool:
        return sum(map(len, await chats(tenant))) == so_far

    await eventually(shown, 30, "the words in a chat")


async def test_what_came_whole_is_whole_in_the_chat_and_each_body_once(world: World) -> None:
    """Named by a user id in the number's own field; longer than a portal takes; and first said to be unsupported."""
    tenant = await world.tenant()
    hidden, long = {"from": "BR.55120"}, "palavra " * 3_500
    bodies: list[dict[str, Any]] = [
        {"type": "unsupported", "unsupported": {"type": "image"}, "errors": [{"code": 131060}]},
        {"type": "text", "text": {"body": long}},
    ]
    for item in [*bodies, *bodies]:
        await meta_posts(tenant, hidden | item | {"id": "wamid.TWICE"})
    await meta_posts(tenant, hidden | {"type": "text", "text": {"body": "fim"}})

    async def all_there() -> bool:
        return (await chats(tenant))[0][-1:] == ["fim"] if await chats(tenant) else False

    await eventually(all_there, 30, "the last words in the chat")
    ((placeholder, *parts, _),) = await chats(tenant)
    assert placeholder.startswith("⚠")
    assert (len(parts), "".join(parts)) == (2, long)
    (talk,) = (await world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}"))["items"]
    assert (talk["bsuid"], talk["phone"]) == ("BR.55120", None)
