"""A portal's REST: who may call, how much, and the envelopes around what it says."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.simulator.stage import CONNECTOR, Json, Stage, an_element


async def code_of(stage: Stage, portal: Json, method: str, body: Json | None = None) -> tuple[int, Any]:
    status, answer = await stage.rest(portal, method, body)
    return status, answer.get("error")


async def test_a_result_comes_with_its_time(stage: Stage) -> None:
    portal, _ = await stage.demo()

    status, answer = await stage.rest(portal, "profile")

    assert status == 200
    assert answer["result"]["ID"] == "7"
    assert set(answer["time"]) == {
        "start",
        "finish",
        "duration",
        "processing",
        "date_start",
        "date_finish",
        "operating_reset_at",
        "operating",
    }


async def test_tokens_that_are_missing_strange_expired_or_revoked_are_told_apart(stage: Stage) -> None:
    portal, _ = await stage.demo()
    other = await stage.control("POST", "portals", {"portal": "p2"})

    missing = await code_of(stage, portal | {"access_token": ""}, "profile")
    strange = await code_of(stage, portal | {"access_token": other["access_token"]}, "profile")
    await stage.control("POST", "portals/demo/expire")
    expired = await code_of(stage, portal, "profile")
    fresh = await stage.control("POST", "portals/demo/tokens")
    good = await code_of(stage, fresh, "profile")
    await stage.control("POST", "portals/demo/revoke", {"what": "access_token"})
    revoked = await code_of(stage, fresh, "profile")

    assert missing == strange == (401, "NO_AUTH_FOUND")
    assert expired == (401, "expired_token")
    assert good == (200, None)
    assert revoked == (401, "invalid_token")


async def test_the_token_may_stand_in_the_query_or_the_body_and_the_body_may_be_a_form(stage: Stage) -> None:
    portal, _ = await stage.demo()
    endpoint, token = portal["client_endpoint"], portal["access_token"]

    async with stage.http.get(f"{endpoint}profile.json?auth={token}") as response:
        assert response.status == 200
    async with stage.http.post(f"{endpoint}profile", data={"access_token": token}) as response:
        assert response.status == 200
    form = f"auth={token}&TYPE=PHONE&VALUES[]=%2B5541999990000&ENTITY_TYPE=CONTACT"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with stage.http.post(f"{endpoint}crm.duplicate.findbycomm", data=form, headers=headers) as response:
        assert (await response.json())["result"] == []


async def test_an_unknown_portal_is_a_page_and_an_unknown_method_an_error(stage: Stage) -> None:
    portal, _ = await stage.demo()

    async with stage.http.post(f"{stage.url}/bitrix24/nobody/rest/profile") as response:
        assert (response.status, response.content_type) == (404, "text/html")
    assert await code_of(stage, portal, "crm.telepathy") == (404, "ERROR_METHOD_NOT_FOUND")


@pytest.mark.parametrize(("plan", "size"), [("standard", 50), ("enterprise", 250)])
async def test_a_portal_takes_its_bucket_and_then_refuses(stage: Stage, plan: str, size: int) -> None:
    portal = await stage.control("POST", "portals", {"portal": "p1", "plan": plan})

    answers = [await code_of(stage, portal, "profile") for _ in range(size + 15)]

    taken = [one for one in answers if one == (200, None)]
    assert size <= len(taken) < size + 15
    assert set(answers) - {(200, None)} == {(503, "QUERY_LIMIT_EXCEEDED")}
    ledger = await stage.ledger()
    assert [one["kind"] for one in ledger["violations"]] == ["limit_exceeded"]


async def test_a_busy_portal_does_not_slow_its_neighbour(stage: Stage) -> None:
    busy = await stage.control("POST", "portals", {"portal": "p1"})
    calm = await stage.control("POST", "portals", {"portal": "p2"})
    for _ in range(60):
        await stage.rest(busy, "profile")

    assert (await code_of(stage, busy, "profile"))[0] == 503
    assert (await code_of(stage, calm, "profile"))[0] == 200


async def test_a_method_is_blocked_when_its_operating_time_is_used_up_and_the_others_are_not(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.control("PUT", "options", {"item_operating_s": 1.2, "operating_limit_s": 5})
    body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [an_element("w1"), an_element("w2")]}

    answers = [await stage.rest(portal, "imconnector.send.messages", body) for _ in range(4)]

    assert [answer["time"]["operating"] for status, answer in answers if status == 200] == [2.4, 4.8, 7.2]
    status, refused = answers[-1]
    assert (status, refused["error"]) == (429, "OPERATION_TIME_LIMIT")
    assert refused["time"]["operating_reset_at"] > refused["time"]["finish"]
    assert await code_of(stage, portal, "profile") == (200, None)
    assert (await stage.ledger())["counts"]["limits_exceeded"] == 1


async def test_a_batch_counts_once_and_tells_each_commands_result_or_error(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    commands = {
        "dialog": "imopenlines.dialog.get?CHAT_ID=1767",
        "missing": "crm.item.get?entityTypeId=3&id=999999",
        "nested": "batch?cmd[a]=profile",
        "contacts": "crm.contact.list",
    }

    status, answer = await stage.rest(portal, "batch", {"halt": 0, "cmd": commands})

    result = answer["result"]
    assert status == 200
    assert result["result"]["dialog"]["dialog_id"] == "chat1767"
    assert result["result_error"]["missing"]["error"] == "NOT_FOUND"
    assert result["result_error"]["nested"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"
    assert result["result_total"] == {"contacts": 1}
    assert result["result_next"] == []


async def test_a_batch_that_halts_stops_at_its_first_error(stage: Stage) -> None:
    portal, _ = await stage.demo()

    _, answer = await stage.rest(portal, "batch", {"halt": 1, "cmd": ["profile", "nothing.here", "profile"]})

    assert list(answer["result"]["result"]) == ["0"]
    assert list(answer["result"]["result_error"]) == ["1"]


async def test_a_batch_of_more_than_50_is_refused(stage: Stage) -> None:
    portal, _ = await stage.demo()

    assert await code_of(stage, portal, "batch", {"cmd": ["profile"] * 51}) == (400, "ERROR_BATCH_LENGTH_EXCEEDED")


async def test_a_batch_replaces_references_in_any_value_which_is_why_no_customers_text_belongs_there(
    stage: Stage,
) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    text = quote("roubado: $result[who][NAME]")

    _, answer = await stage.rest(
        portal,
        "batch",
        {"cmd": {"who": "profile", "told": f"im.message.add?DIALOG_ID=chat1767&SYSTEM=Y&MESSAGE={text}"}},
    )

    state = await stage.control("GET", "state")
    assert answer["result"]["result_error"] == []
    assert state["chats"][0]["messages"][-1]["text"].endswith("roubado: Marta")


async def test_the_application_can_ask_who_and_where_it_is(stage: Stage) -> None:
    portal, _ = await stage.demo()
    enterprise = await stage.control("POST", "portals", {"portal": "p9", "plan": "enterprise"})

    assert (await stage.rest(portal, "app.info"))[1]["result"]["INSTALLED"] is True
    assert (await stage.rest(portal, "app.info"))[1]["result"]["LICENSE_FAMILY"] == "standard"
    assert (await stage.rest(enterprise, "app.info"))[1]["result"]["LICENSE_FAMILY"] == "ent"
    assert (await stage.rest(portal, "user.current"))[1]["result"]["ID"] == "7"
    assert "imconnector.send.messages" in (await stage.rest(portal, "methods"))[1]["result"]
    assert "imopenlines" in (await stage.rest(portal, "scope"))[1]["result"]
    assert "T" in (await stage.rest(portal, "server.time"))[1]["result"]
    assert "ONIMCONNECTORMESSAGEADD" in (await stage.rest(portal, "events"))[1]["result"]


async def test_an_event_is_bound_once_listed_and_unbound(stage: Stage) -> None:
    portal = await stage.control("POST", "portals", {"portal": "p1"})
    bind = {"event": "OnImConnectorMessageAdd", "handler": "https://gw.example.net/e", "auth_type": 7}
    offline = {"event": "ONIMCONNECTORMESSAGEADD", "event_type": "offline"}

    assert (await stage.rest(portal, "event.bind", bind))[1]["result"] is True
    assert (await stage.rest(portal, "event.bind", offline))[1]["result"] is True
    status, again = await stage.rest(portal, "event.bind", bind)
    assert (status, again["error"]) == (400, "ERROR_CORE")
    assert "Handler already binded" in again["error_description"]
    assert (await stage.rest(portal, "event.get"))[1]["result"] == [
        {"event": "ONIMCONNECTORMESSAGEADD", "handler": "https://gw.example.net/e", "auth_type": "7", "offline": 0},
        {"event": "ONIMCONNECTORMESSAGEADD", "connector_id": "", "offline": 1},
    ]
    assert (await stage.rest(portal, "event.unbind", bind))[1]["result"] == {"count": 1}
    assert (await stage.rest(portal, "event.unbind", bind))[1]["result"] == {"count": 0}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"event": "ONNOTHING", "handler": "https://gw.example.net/e"}, "ERROR_EVENT_NOT_FOUND"),
        ({"event": "ONAPPTEST", "handler": "ftp://gw.example.net/e"}, "ERROR_UNSUPPORTED_PROTOCOL"),
        ({"event": "ONAPPTEST", "handler": "https://gateway/e"}, "ERROR_WRONG_HANDLER_URL"),
        ({"event": "ONAPPTEST"}, "ERROR_ARGUMENT"),
        ({}, "ERROR_ARGUMENT"),
    ],
)
async def test_a_binding_that_cannot_be_is_refused(stage: Stage, body: Json, code: str) -> None:
    portal = await stage.control("POST", "portals", {"portal": "p1"})

    assert await code_of(stage, portal, "event.bind", body) == (400, code)
