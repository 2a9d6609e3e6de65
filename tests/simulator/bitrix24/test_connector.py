"""imconnector.*: registration and lines, texts of clients, confirmations; with the traps of the real thing."""

from typing import Any

import pytest

from tests.simulator.stage import ANA_WA_ID, CONNECTOR, Json, Stage, an_element

WANTED: Json = {
    "ID": "WAGW_Test",
    "NAME": "WhatsApp",
    "ICON": {"DATA_IMAGE": "data:image/svg+xml,%3Csvg/%3E"},
    "PLACEMENT_HANDLER": "https://gw.example.net/s",
}


@pytest.fixture
async def portal(stage: Stage) -> Json:
    fresh: Json = await stage.control(
        "POST", "portals", {"portal": "p1", "lines": [{"id": 1, "name": "Vendas"}, {"id": 14, "name": "Suporte"}]}
    )
    return fresh


async def send(stage: Stage, portal: Json, *elements: Json, **more: Any) -> tuple[int, Json]:
    body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": list(elements)} | more
    return await stage.rest(portal, "imconnector.send.messages", body)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ID", "CONNECTOR_ID_REQUIRED"),
        ("NAME", "NAME_REQUIRED"),
        ("ICON", "ICON_REQUIRED"),
        ("PLACEMENT_HANDLER", "NO_PLACEMENT_HANDLER"),
    ],
)
async def test_a_registration_that_lacks_something_is_told_inside_a_200(
    stage: Stage, portal: Json, name: str, code: str
) -> None:
    status, answer = await stage.rest(portal, "imconnector.register", {**WANTED, name: ""})

    assert status == 200
    assert (answer["result"]["result"], answer["result"]["error"]) == (False, code)


async def test_an_id_is_kept_in_lower_case_and_must_be_given_so(stage: Stage, portal: Json) -> None:
    await stage.rest(portal, "imconnector.register", WANTED)
    place = {"LINE": 1, "ACTIVE": 1}

    status, answer = await stage.rest(portal, "imconnector.activate", place | {"CONNECTOR": "WAGW_Test"})
    assert (status, answer["error"]) == (400, "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR")
    assert (await stage.rest(portal, "imconnector.activate", place | {"CONNECTOR": "wagw_test"}))[1]["result"] is True
    assert (await stage.rest(portal, "imconnector.list"))[1]["result"] == {"wagw_test": "WhatsApp"}


async def test_registering_again_changes_only_what_is_named(stage: Stage, portal: Json) -> None:
    await stage.rest(portal, "imconnector.register", WANTED | {"NEED_SIGNATURE": "N"})
    status, answer = await stage.rest(portal, "imconnector.register", {"ID": "wagw_test", "NAME": "Outro"})

    assert (status, answer["result"]) == (200, {"result": True})
    assert (await stage.rest(portal, "imconnector.list"))[1]["result"] == {"wagw_test": "Outro"}


@pytest.mark.parametrize(
    ("active", "on"), [("N", True), ("Y", True), (1, True), ("0", False), (0, False), (False, False), ("", False)]
)
async def test_any_active_that_is_not_empty_switches_a_line_on(
    stage: Stage, portal: Json, active: Any, on: bool
) -> None:
    await stage.rest(portal, "imconnector.register", WANTED)
    body = {"CONNECTOR": CONNECTOR, "LINE": 14, "ACTIVE": active}

    assert (await stage.rest(portal, "imconnector.activate", body))[1]["result"] is True

    status = (await stage.rest(portal, "imconnector.status", {"CONNECTOR": CONNECTOR, "LINE": 14}))[1]["result"]
    assert status == {"LINE": 14, "CONNECTOR": CONNECTOR, "ERROR": False, "CONFIGURED": on, "STATUS": on}


async def test_a_line_with_an_error_is_not_active_until_it_is_activated_again(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    place = {"CONNECTOR": CONNECTOR, "LINE": 1}
    await stage.rest(portal, "imconnector.set.error", place)

    assert (await stage.rest(portal, "imconnector.status", place))[1]["result"]["STATUS"] is False
    assert (await send(stage, portal, an_element("w1")))[1]["error"] == "NOT_ACTIVE_LINE"
    await stage.rest(portal, "imconnector.activate", place | {"ACTIVE": 1})
    assert (await send(stage, portal, an_element("w1")))[0] == 200


async def test_switching_off_and_unregistering_tell_of_each_line(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    await stage.rest(portal, "imconnector.activate", {"CONNECTOR": CONNECTOR, "LINE": 14, "ACTIVE": 1})
    assert (await stage.rest(portal, "imconnector.unregister", {"ID": CONNECTOR}))[1]["result"] == {"result": True}
    events = await stage.until(lambda: len(found := stage.listener.events("ONIMCONNECTORSTATUSDELETE")) == 2 and found)

    assert [event["data"] for event in events] == [
        {"connector": CONNECTOR, "line": "1"},
        {"connector": CONNECTOR, "line": "14"},
    ]
    assert "user_id" not in events[0]["auth"]
    status, answer = await stage.rest(portal, "imconnector.unregister", {"ID": CONNECTOR})
    assert (status, answer["result"]["error"]) == (200, "APPLICATION_UNREGISTRATION_ERROR")
    assert (await send(stage, portal, an_element("w1")))[1]["error"] == "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR"


@pytest.mark.parametrize("argument", ["CONNECTOR", "LINE", "MESSAGES"])
async def test_a_missing_argument_is_named(stage: Stage, portal: Json, argument: str) -> None:
    await stage.open_line(portal)

    status, answer = await send(stage, portal, an_element("w1"), **{argument: None})

    assert (status, answer["error"], answer["argument"]) == (400, "ERROR_ARGUMENT", argument)
    assert answer["error_description"] == f"Argument '{argument}' is null or empty"


@pytest.mark.parametrize("block", ["user", "message", "chat"])
async def test_one_element_without_a_block_fails_the_whole_call(stage: Stage, portal: Json, block: str) -> None:
    await stage.open_line(portal)
    broken = an_element("w2")
    del broken[block]

    status, answer = await send(stage, portal, an_element("w1"), broken)

    assert (status, answer["error"]) == (400, "ERROR_ARGUMENT")
    assert (await stage.control("GET", "state"))["chats"] == []


async def test_a_failed_item_stands_at_its_place_and_the_outer_success_stays_true(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)

    status, answer = await send(
        stage,
        portal,
        an_element("w1", "um"),
        an_element("w2", ""),
        an_element("w3", chat="a|b"),
        an_element("w4", "quatro"),
    )

    results = answer["result"]["DATA"]["RESULT"]
    assert (status, answer["result"]["SUCCESS"]) == (200, True)
    assert [one["SUCCESS"] for one in results] == [True, False, False, True]
    assert set(results[1]) == {"SUCCESS", "ERRORS"}
    assert results[3]["session"] == {"ID": "323", "CHAT_ID": "1767"}
    assert results[3]["user"] == "585"
    assert results[3]["message"]["date"] == {}


async def test_the_same_message_id_is_put_twice_and_its_date_ignored(stage: Stage, portal: Json) -> None:
    await stage.control("GET", "demo")
    wamid = await stage.ana_writes()
    await stage.open_line(portal)
    await send(stage, portal, an_element(wamid))
    await send(stage, portal, an_element(wamid))

    state = await stage.control("GET", "state")
    assert [one["connector_mids"] for one in state["chats"][0]["messages"]] == [[wamid], [wamid]]
    assert state["chats"][0]["messages"][0]["at"] > 1_700_000_000
    ledger = await stage.ledger()
    assert [one["kind"] for one in ledger["violations"] if one["kind"] != "not_drained"] == ["doubled"]


async def test_keys_of_arguments_may_have_any_case_and_a_form_does_as_well(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    form = (
        f"auth={portal['access_token']}&connector={CONNECTOR}&line=1&messages[0][USER][ID]=u1&messages[0][user][name]=Ana"
        "&messages[0][message][id]=w1&messages[0][message][text]=oi&messages[0][chat][id]=c1"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"{portal['client_endpoint']}imconnector.send.messages.json"

    form = form.replace("[USER][ID]", "[user][ID]")
    async with stage.http.post(url, data=form, headers=headers) as response:
        answer = await response.json()

    assert answer["result"]["DATA"]["RESULT"][0]["SUCCESS"] is True


async def test_a_guest_is_one_for_each_user_id_and_a_chat_one_for_each_dialog_code(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    _, answer = await send(
        stage,
        portal,
        an_element("w1", user="u1", chat="c1"),
        an_element("w2", user="u1", chat="c2"),
        an_element("w3", user="u2", chat="c2"),
        an_element("w4", user="u1", chat="c1"),
    )

    results = answer["result"]["DATA"]["RESULT"]
    assert [one["user"] for one in results] == ["585", "585", "586", "585"]
    assert [one["session"]["CHAT_ID"] for one in results] == ["1767", "1768", "1769", "1767"]


async def test_portals_count_their_chats_alike_and_do_not_share_them(stage: Stage, portal: Json) -> None:
    other = await stage.control("POST", "portals", {"portal": "p2"})
    for one, text in ((portal, "do primeiro"), (other, "do segundo")):
        await stage.open_line(one)
        await send(stage, one, an_element("w1", text))

    first, second = (await stage.control("GET", "state"))["chats"]
    assert (first["portal"], second["portal"]) == ("p1", "p2")
    assert first["chat_id"] == second["chat_id"] == 1767
    assert [one["messages"][0]["text"] for one in (first, second)] == ["do primeiro", "do segundo"]


async def test_a_text_over_20000_is_cut(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    _, answer = await send(stage, portal, an_element("w1", "x" * 20_001))

    text = answer["result"]["DATA"]["RESULT"][0]["message"]["text"]
    assert len(text) == 20_006
    assert text.endswith("x (...)")


async def test_update_and_delete_find_a_text_by_its_id_and_say_success_anyway(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    await send(stage, portal, an_element("w1", "erado"))
    edited = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [an_element("w1", "errado"), an_element("w9", "?")]}

    _, updated = await stage.rest(portal, "imconnector.update.messages", edited)
    texts = [one["text"] for one in (await stage.control("GET", "state"))["chats"][0]["messages"]]
    _, deleted = await stage.rest(portal, "imconnector.delete.messages", edited)

    assert texts == ["errado"]
    assert updated["result"]["SUCCESS"]
    assert deleted["result"]["SUCCESS"]
    assert (await stage.control("GET", "state"))["chats"][0]["messages"][0]["text"] == ""


async def test_the_first_confirmation_ends_sending_and_stores_the_ids_and_later_ones_do_nothing(stage: Stage) -> None:
    demo, number = await stage.demo()
    await stage.put_in_chat(demo, await stage.ana_writes())
    note = await stage.operator_writes(text="Olá")
    await stage.answer(number, "Olá")

    async def confirm(mids: Any) -> Json:
        item = {"im": {"chat_id": 1767, "message_id": note}, "message": {"id": mids}, "chat": {"id": ANA_WA_ID}}
        body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [item]}
        return (await stage.rest(demo, "imconnector.send.status.delivery", body))[1]

    async def message() -> Json:
        shown: Json = (await stage.control("GET", "state"))["chats"][0]["messages"][-1]
        return shown

    before = await message()
    await confirm("wamid.text")
    not_a_list = await message()
    answer = await confirm(["wamid.1"])
    first = await message()
    await confirm(["wamid.2"])

    assert answer["result"] == {"SUCCESS": True, "DATA": []}
    assert before["status"] == not_a_list["status"] == "sending"
    assert (first["status"], first["connector_mids"]) == ("delivered", ["wamid.1"])
    assert await message() == first


async def test_a_confirmation_before_the_text_is_on_the_phone_is_a_violation(stage: Stage) -> None:
    demo, _ = await stage.demo()
    await stage.put_in_chat(demo, await stage.ana_writes())
    note = await stage.operator_writes()
    item = {"im": {"chat_id": 1767, "message_id": note}, "message": {"id": ["w"]}, "chat": {"id": ANA_WA_ID}}

    await stage.rest(demo, "imconnector.send.status.delivery", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [item]})

    assert "state_ahead" in {one["kind"] for one in (await stage.ledger())["violations"]}


async def test_a_chat_can_be_renamed_while_its_session_is_open(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    await send(stage, portal, an_element("w1"))
    body = {"CONNECTOR": CONNECTOR, "LINE": 1, "CHAT_ID": ANA_WA_ID, "NAME": "Ana da loja", "USER_ID": ANA_WA_ID}

    assert (await stage.rest(portal, "imconnector.chat.name.set", body))[0] == 200
    assert (await stage.control("GET", "state"))["chats"][0]["title"] == "Ana da loja"
    await stage.control("POST", "operators/finish", {"portal": "p1", "chat_id": "1767"})
    status, answer = await stage.rest(portal, "imconnector.chat.name.set", body)
    assert (status, answer["error"]) == (400, "CHAT_RENAMING_FAILED")


async def test_the_methods_without_effect_and_the_channels_data_are_there(stage: Stage, portal: Json) -> None:
    await stage.open_line(portal)
    place = {"CONNECTOR": CONNECTOR, "LINE": 1}

    data = await stage.rest(portal, "imconnector.connector.data.set", place | {"DATA": {"ID": "x", "NAME": "+55"}})
    reading = await stage.rest(portal, "imconnector.send.status.reading", place | {"MESSAGES": [{"im": {}}]})

    assert data[1]["result"] is True
    assert reading[1]["result"] == {"SUCCESS": True, "DATA": []}
