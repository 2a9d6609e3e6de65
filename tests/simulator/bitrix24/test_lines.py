"""Lines, dialogs, sessions and their history, CRM, texts of the application."""

from typing import Any

import pytest

from tests.simulator.stage import ANA, ANA_WA_ID, CONNECTOR, Json, Stage, an_element


async def result(stage: Stage, portal: Json, method: str, body: Json | None = None) -> Any:
    status, answer = await stage.rest(portal, method, body)
    assert status == 200, answer
    return answer["result"]


async def refused(stage: Stage, portal: Json, method: str, body: Json) -> Any:
    status, answer = await stage.rest(portal, method, body)
    assert status >= 400, answer
    return answer["error"]


async def with_line(stage: Stage, **line: Any) -> Json:
    body = {"portal": "p1", "lines": [{"id": 1, "name": "Vendas"} | line]}
    portal: Json = await stage.control("POST", "portals", body)
    await stage.open_line(portal)
    return portal


async def test_lines_are_listed_and_looked_up(stage: Stage) -> None:
    portal = await with_line(stage)

    (line,) = await result(stage, portal, "imopenlines.config.list.get", {"PARAMS": {"filter": {"ACTIVE": "Y"}}})

    assert (line["ID"], line["LINE_NAME"], line["CRM_CREATE"]) == ("1", "Vendas", "lead")
    assert (await result(stage, portal, "imopenlines.config.get", {"CONFIG_ID": 1}))["LINE_NAME"] == "Vendas"
    assert await result(stage, portal, "imopenlines.config.get", {"CONFIG_ID": 9}) is False
    assert await refused(stage, portal, "imopenlines.config.get", {}) == "CONFIG_ID_EMPTY"
    assert await refused(stage, portal, "imopenlines.config.list.get", {"PARAMS": {"x": 1}}) == "INVALID_FORMAT"


async def test_a_dialog_is_found_by_each_of_its_names(stage: Stage) -> None:
    portal = await with_line(stage)
    item = await stage.put_in_chat(portal, "w1")
    code = f"{CONNECTOR}|1|{ANA_WA_ID}|585"

    for body in (
        {"CHAT_ID": 1767},
        {"DIALOG_ID": "chat1767"},
        {"SESSION_ID": item["session"]["ID"]},
        {"USER_CODE": code},
        {"USER_CODE": f"imol|{code}"},
    ):
        dialog = await result(stage, portal, "imopenlines.dialog.get", body)
        assert (dialog["id"], dialog["dialog_id"], dialog["entity_id"]) == (1767, "chat1767", code)
        assert dialog["entity_data_1"].split("|")[5] == "323"
    assert await result(stage, portal, "imopenlines.session.open", {"USER_CODE": code}) == {"chatId": 1767}
    assert await refused(stage, portal, "imopenlines.dialog.get", {"CHAT_ID": 1}) == "ACCESS_ERROR"
    assert await refused(stage, portal, "imopenlines.session.open", {"USER_CODE": "x"}) == "ACCESS_DENIED"


async def test_the_history_names_what_came_from_outside_and_what_was_confirmed(stage: Stage) -> None:
    portal, _ = await stage.demo()
    wamid = await stage.ana_writes()
    item = await stage.put_in_chat(portal, wamid)
    note = await stage.operator_writes(text="sim")

    by_chat = await result(stage, portal, "imopenlines.session.history.get", {"CHAT_ID": item["session"]["CHAT_ID"]})
    by_session = await result(stage, portal, "imopenlines.session.history.get", {"SESSION_ID": item["session"]["ID"]})

    assert by_chat == by_session
    assert (by_chat["chatId"], by_chat["sessionId"]) == (1767, 323)
    first, second = by_chat["message"].values()
    assert first["params"] == {"connectorMid": [wamid]}
    assert (first["senderid"], first["text"]) == ("585", "oi")
    assert (second["id"], second["params"], second["text"]) == (str(note), [], "sim")
    assert by_chat["users"]["585"]["connector"] is True
    assert await refused(stage, portal, "imopenlines.session.history.get", {}) == "MISSING_REQUIRED_PARAM"
    assert await refused(stage, portal, "imopenlines.session.history.get", {"SESSION_ID": 9}) == "INVALID_SESSION_ID"


async def test_a_closed_session_is_followed_by_a_new_one_in_the_same_chat(stage: Stage) -> None:
    portal, _ = await stage.demo()
    first = await stage.put_in_chat(portal, await stage.ana_writes("um"))
    await stage.control("POST", "operators/finish", {"portal": "demo", "chat_id": ANA_WA_ID})
    second = await stage.put_in_chat(portal, await stage.ana_writes("dois"), "dois")
    events = await stage.until(lambda: len(found := stage.listener.events("ONIMCONNECTORDIALOGSTART")) == 2 and found)

    history = await result(stage, portal, "imopenlines.session.history.get", {"CHAT_ID": "1767"})

    assert first["session"] == {"ID": "323", "CHAT_ID": "1767"}
    assert second["session"] == {"ID": "324", "CHAT_ID": "1767"}
    assert [one["text"] for one in history["message"].values()] == ["dois"]
    assert events[1]["data"] == {
        "CONNECTOR": CONNECTOR,
        "LINE": "1",
        "DATA": {
            "0": {
                "connector": {
                    "connector_id": CONNECTOR,
                    "line_id": "1",
                    "chat_id": ANA_WA_ID,
                    "user_id": "585",
                },
                "session": {"id": "324", "closed": "N", "parent_id": "323", "close_term": "10"},
                "chat": {"id": ANA_WA_ID},
                "user": {"id": "585"},
            }
        },
    }


async def test_a_plain_text_of_the_application_goes_to_the_client_and_comes_back_as_an_event(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())

    note = await result(stage, portal, "im.message.add", {"DIALOG_ID": "chat1767", "MESSAGE": "[b]Oi[/b]"})
    (event,) = await stage.until(stage.listener.events)

    message = event["data"]["MESSAGES"]["0"]
    assert message["im"] == {"chat_id": "1767", "message_id": str(note)}
    assert message["message"]["text"] == "[b]User 7:[/b] [br][b]Oi[/b]"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ({"SYSTEM": "Y"}, "[b]Zaptrix[/b]\nJanela fechada"),
        ({"SKIP_CONNECTOR": "Y"}, "Janela fechada"),
        ({"SYSTEM": "Y", "SKIP_CONNECTOR": "Y"}, "[b]Zaptrix[/b]\nJanela fechada"),
    ],
)
async def test_a_notice_stays_inside_and_is_no_operators_text(stage: Stage, flags: Json, shown: str) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    body = {"DIALOG_ID": "chat1767", "MESSAGE": "Janela fechada"} | flags

    await result(stage, portal, "im.message.add", body)
    await stage.operator_writes(text="depois")
    await stage.until(stage.listener.events)

    state = await stage.control("GET", "state")
    notice = state["chats"][0]["messages"][1]
    assert (notice["author"], notice["text"], notice["status"]) == ("system", shown, None)
    assert len(stage.listener.events()) == 1
    ledger = await stage.ledger()
    assert (ledger["operators_wrote"], ledger["counts"]["notices"]) == (1, 1)


async def test_a_text_without_words_or_without_a_chat_is_refused(stage: Stage) -> None:
    portal, _ = await stage.demo()

    assert await refused(stage, portal, "im.message.add", {"DIALOG_ID": "chat1767"}) == "MESSAGE_EMPTY"
    assert await refused(stage, portal, "im.message.add", {"DIALOG_ID": "chat1", "MESSAGE": "x"}) == "ACCESS_ERROR"


async def test_an_unknown_client_gets_a_contact_and_a_lead_with_the_ninth_digit_back(stage: Stage) -> None:
    portal = await with_line(stage, crm_create="lead")
    await stage.put_in_chat(portal, "w1", phone=f"+{ANA_WA_ID}")

    found = await result(
        stage, portal, "crm.duplicate.findbycomm", {"type": "PHONE", "values": [f"+{ANA}"], "entity_type": "CONTACT"}
    )
    chats = await result(
        stage, portal, "imopenlines.crm.chat.get", {"CRM_ENTITY_TYPE": "contact", "CRM_ENTITY": found["CONTACT"][0]}
    )

    assert chats == [{"CHAT_ID": "1767", "CONNECTOR_ID": CONNECTOR, "CONNECTOR_TITLE": "WhatsApp"}]
    dialog = await result(stage, portal, "imopenlines.dialog.get", {"CHAT_ID": 1767})
    assert dialog["entity_data_2"] == f"LEAD|43|COMPANY|0|CONTACT|{found['CONTACT'][0]}|DEAL|0"
    linked = await result(
        stage, portal, "crm.item.list", {"entityTypeId": 3, "filter": {"=imol": f"imol|{dialog['entity_id']}"}}
    )
    assert [one["id"] for one in linked["items"]] == found["CONTACT"]


async def test_a_known_phone_is_bound_and_nothing_is_made(stage: Stage) -> None:
    portal = await with_line(stage, crm_create="lead")
    fields = {"NAME": "Ana", "PHONE": [{"VALUE": f"+{ANA}", "VALUE_TYPE": "MOBILE"}]}
    contact = await result(stage, portal, "crm.contact.add", {"fields": fields})
    await stage.put_in_chat(portal, "w1")

    dialog = await result(stage, portal, "imopenlines.dialog.get", {"CHAT_ID": 1767})

    assert dialog["entity_data_2"] == f"LEAD|0|COMPANY|0|CONTACT|{contact}|DEAL|0"
    assert len(await result(stage, portal, "crm.contact.list")) == 1


@pytest.mark.parametrize("line", [{"crm_create": "none"}, {"crm": "N"}])
async def test_a_line_that_makes_nothing_leaves_the_crm_empty(stage: Stage, line: Json) -> None:
    portal = await with_line(stage, **line)
    await stage.put_in_chat(portal, "w1")

    assert await result(stage, portal, "crm.contact.list") == []
    assert await result(stage, portal, "crm.lead.list") == []


async def test_one_text_can_ask_for_no_crm(stage: Stage) -> None:
    portal = await with_line(stage)
    element = an_element("w1")
    element["message"]["disable_crm"] = "Y"
    await stage.rest(portal, "imconnector.send.messages", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [element]})

    assert await result(stage, portal, "crm.contact.list") == []


async def test_nothing_found_by_phone_is_an_empty_list_and_something_a_map(stage: Stage) -> None:
    portal = await with_line(stage)
    await result(
        stage,
        portal,
        "crm.item.add",
        {
            "entityTypeId": 3,
            "fields": {"name": "Ines", "fm": [{"typeId": "PHONE", "valueType": "MOBILE", "value": "+49 1700 000001"}]},
        },
    )

    def asked(*values: str) -> Json:
        return {"type": "PHONE", "values": list(values)}

    assert await result(stage, portal, "crm.duplicate.findbycomm", asked("+5511999990000")) == []
    assert await result(stage, portal, "crm.duplicate.findbycomm", asked("491700000001")) == {"CONTACT": [42]}
    error = await refused(stage, portal, "crm.duplicate.findbycomm", {"values": ["1"]})
    assert error == "Communication type is not defined"


async def test_contacts_have_an_old_and_a_universal_spelling(stage: Stage) -> None:
    portal = await with_line(stage)
    fields = {"NAME": "Ana", "LAST_NAME": "Souza", "PHONE": [{"VALUE": f"+{ANA}", "VALUE_TYPE": "MOBILE"}]}
    number = await result(stage, portal, "crm.contact.add", {"fields": fields, "params": {}})

    old = await result(stage, portal, "crm.contact.get", {"id": number})
    new = (await result(stage, portal, "crm.item.get", {"entityTypeId": 3, "id": number}))["item"]
    await result(stage, portal, "crm.item.update", {"entityTypeId": 3, "id": number, "fields": {"lastName": "Lima"}})
    by_phone = await result(stage, portal, "crm.contact.list", {"filter": {"PHONE": f"+{ANA}"}})

    assert (old["ID"], old["NAME"], old["LAST_NAME"]) == (str(number), "Ana", "Souza")
    assert old["PHONE"][0]["VALUE"] == f"+{ANA}"
    assert (new["id"], new["name"], new["fm"][0]["typeId"]) == (number, "Ana", "PHONE")
    assert [one["LAST_NAME"] for one in by_phone] == ["Lima"]
    assert await refused(stage, portal, "crm.item.get", {"entityTypeId": 3, "id": 999}) == "NOT_FOUND"
    assert await refused(stage, portal, "crm.item.get", {"entityTypeId": 99, "id": 1}) == "100"


async def test_lists_come_in_pages_of_50(stage: Stage) -> None:
    portal = await stage.control("POST", "portals", {"portal": "p1", "plan": "enterprise"})
    for index in range(51):
        await result(stage, portal, "crm.contact.add", {"fields": {"NAME": f"C{index}"}})

    _, first = await stage.rest(portal, "crm.contact.list")
    _, second = await stage.rest(portal, "crm.contact.list", {"start": 50})

    assert (len(first["result"]), first["total"], first["next"]) == (50, 51, 50)
    assert len(second["result"]) == 1
    assert "next" not in second
