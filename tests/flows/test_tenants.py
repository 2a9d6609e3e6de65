"""Many portals: each sees its own, and the trouble of one is nobody else's."""

import asyncio

import pytest

from proof.world import World, eventually, iso

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_portals_with_the_same_customer_never_see_each_others_messages(world: World) -> None:
    first, second = await world.tenant(), await world.tenant()
    await asyncio.gather(first.customer_writes("para a primeira"), second.customer_writes("para a segunda"))
    await world.drained()
    await asyncio.gather(first.operator_writes("da primeira"), second.operator_writes("da segunda"))
    await world.drained()
    assert await first.said_in_chat("customer") == ["para a primeira"]
    assert await second.said_in_chat("customer") == ["para a segunda"]
    assert [one["text"] for one in await first.on_phone()] == ["da primeira"]
    assert [one["text"] for one in await second.on_phone()] == ["da segunda"]


async def test_an_event_with_another_portals_token_is_refused(world: World) -> None:
    ours, theirs = await world.tenant(), await world.tenant()
    await ours.opened()
    chat = await ours.chat()
    form = {
        "event": "ONIMCONNECTORMESSAGEADD",
        "data[CONNECTOR]": "zaptrix",
        "data[LINE]": "14",
        "data[MESSAGES][0][im][chat_id]": str(chat["chat_id"]),
        "data[MESSAGES][0][im][message_id]": "999999",
        "data[MESSAGES][0][message][text]": "forjada",
        "data[MESSAGES][0][chat][id]": chat["external_chat_id"],
        "auth[member_id]": ours.portal["member_id"],
        "auth[application_token]": theirs.portal["application_token"],
    }
    async with world.session.post(f"{world.url}/webhooks/bitrix24/outbound", data=form) as answer:
        assert answer.status == 401
    # Its own token opens its own door, but not another portal's conversation.
    form["auth[member_id]"] = theirs.portal["member_id"]
    async with world.session.post(f"{world.url}/webhooks/bitrix24/outbound", data=form) as answer:
        assert answer.status == 200

    async def set_aside() -> bool:
        told = await world.api("GET", "/api/events?state=unroutable")
        return any("no conversation of this portal" in (one["reason"] or "") for one in told["items"])

    await eventually(set_aside, 10, "the event among the unroutable ones")
    assert await ours.on_phone() == []


async def test_a_portal_that_answers_503_delays_only_itself(world: World) -> None:
    ill, well = await world.tenant(), await world.tenant()
    await world.portal_is_down(ill)
    await ill.customer_writes(*(f"espera {n}" for n in range(5)))
    await well.customer_writes(*(f"passa {n}" for n in range(5)))

    async def passed() -> bool:
        return len(await well.said_in_chat("customer")) == 5

    await eventually(passed, 20, "the healthy portal's messages")
    assert [chat for chat in (await world.control("GET", f"state?portal={ill.key}"))["chats"] if chat["messages"]] == []
    await world.heal()
    await world.drained()
    assert await ill.said_in_chat("customer") == [f"espera {n}" for n in range(5)]


async def test_a_dead_refresh_token_pauses_the_portal_with_an_alarm_and_a_repair_drains_it(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    await world.control("POST", f"portals/{tenant.key}/revoke", {"what": "refresh_token"})
    await world.control("POST", f"portals/{tenant.key}/revoke", {"what": "access_token"})
    await tenant.customer_writes("ainda aí?")

    async def paused() -> bool:
        return bool((await world.api("GET", f"/api/portals/{tenant.portal_id}"))["paused_at"])

    await eventually(paused, 20, "the pause")
    assert (await world.api("GET", f"/api/portals/{tenant.portal_id}"))["paused_reason"]
    # Still accepted, while it stands still.
    await tenant.customer_writes("e agora?")

    async def accepted() -> bool:
        return bool((await world.ledger())["webhooks_waiting"] == 0)

    await eventually(accepted, 10, "both webhooks to be acknowledged")
    async with world.session.get(f"{world.url}/metrics") as answer:
        text = await answer.text()
    assert 'zaptrix_paused{kind="portal"} 1.0' in text
    # The admin authorises again: everything that was held arrives, in order.
    fresh = await world.control("POST", f"portals/{tenant.key}/tokens", {})
    repaired = {name: fresh[name] for name in ("access_token", "refresh_token")} | {"expires_at": iso(fresh["expires"])}
    await world.api("PUT", f"/api/portals/{tenant.portal_id}", repaired)
    await world.drained()
    assert (await tenant.said_in_chat("customer"))[-2:] == ["ainda aí?", "e agora?"]


async def test_an_expired_token_is_refreshed_once_and_nothing_is_lost(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    await world.control("POST", f"portals/{tenant.key}/expire", {})
    await asyncio.gather(*(tenant.customer_writes("oi", wa_id=f"55119{80000000 + n}") for n in range(8)))
    await world.drained()
    assert (await world.api("GET", f"/api/portals/{tenant.portal_id}"))["paused_at"] is None


async def test_a_message_after_24_hours_is_buried_and_the_operator_told_in_portuguese(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    closed = {"side": "meta", "where": "api", "kind": "status", "status": 400, "code": "131047"}
    await world.faults(closed | {"match": {"phone_number_id": tenant.number}})
    await tenant.operator_writes("tarde demais")

    async def told() -> bool:
        return any("24 horas" in text for text in await tenant.said_in_chat("system"))

    await eventually(told, 20, "the notice in the chat")
    await world.heal()
    (letter,) = (await world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}"))["items"]
    assert letter["error_code"] == "131047"
    # Revived by an admin, it goes out.
    await world.api("POST", f"/api/dead-letters/{letter['id']}/revive")
    await world.drained()
    assert [one["text"] for one in await tenant.on_phone()] == ["tarde demais"]


async def test_deleting_a_portal_takes_everything_of_it_along(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await tenant.opened()
    await other.opened()
    await world.api("DELETE", f"/api/portals/{tenant.portal_id}?confirm={tenant.portal['member_id']}")
    # The connector has left the line: nobody writes to a customer who cannot hear.
    (portal,) = [one for one in (await world.control("GET", "state"))["portals"] if one["portal"] == tenant.key]
    assert [line["connectors"] for line in portal["lines"]] == [[]]
    await world.api("GET", f"/api/portals/{tenant.portal_id}", status=404)
    await world.api("GET", f"/api/channels/{tenant.channel_id}", status=404)
    assert (await world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}"))["items"] == []
    assert len((await world.api("GET", f"/api/conversations?portal_id={other.portal_id}"))["items"]) == 1
