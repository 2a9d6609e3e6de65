"""Events: forms, once to each handler, never again; in each chat's order."""

import asyncio

import pytest

from tests.simulator.stage import ANA_WA_ID, CONNECTOR, NUMBER, Json, Stage


async def a_chat(stage: Stage) -> Json:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    return portal


async def test_an_operators_text_comes_as_a_php_form(stage: Stage) -> None:
    portal = await a_chat(stage)
    note = await stage.operator_writes(text="Olá, João 😀 & cia")
    (event,) = await stage.until(stage.listener.events)
    post = next(one for one in stage.listener.heard if b"ONIMCONNECTORMESSAGEADD" in one.body)

    assert post.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert event["data"] == {
        "CONNECTOR": CONNECTOR,
        "LINE": "1",
        "MESSAGES": {
            "0": {
                "im": {"chat_id": "1767", "message_id": str(note)},
                "message": {"user_id": "27", "text": "[b]Bia:[/b] [br]Olá, João 😀 & cia"},
                "chat": {"id": ANA_WA_ID},
            }
        },
    }
    auth = event["auth"]
    assert auth["application_token"] == portal["application_token"]
    assert auth["member_id"] == portal["member_id"]
    assert auth["domain"] == "demo.bitrix24.test"
    assert auth["client_endpoint"] == portal["client_endpoint"]
    assert (auth["user_id"], auth["status"]) == ("27", "L")
    assert "refresh_token" not in auth
    assert event["ts"].isdigit()


async def test_the_name_is_in_front_unless_the_connector_wants_none(stage: Stage) -> None:
    portal = await a_chat(stage)
    await stage.rest(portal, "imconnector.register", {"ID": CONNECTOR, "NAME": "WhatsApp", "NEED_SIGNATURE": False})

    await stage.operator_writes(text="sem nome")
    (event,) = await stage.until(stage.listener.events)

    assert event["data"]["MESSAGES"]["0"]["message"]["text"] == "sem nome"


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_failed_event_is_never_sent_again_and_its_text_is_owed(stage: Stage, status: int) -> None:
    await a_chat(stage)
    await stage.until(lambda: stage.listener.values("messages"))
    await stage.until(lambda: stage.listener.events("ONIMCONNECTORDIALOGSTART"))
    stage.listener.statuses = [status]
    await stage.operator_writes(text="um")
    await stage.until(stage.listener.events)
    await stage.operator_writes(text="dois")
    await stage.until(lambda: len(stage.listener.events()) == 2)

    texts = [one["data"]["MESSAGES"]["0"]["message"]["text"] for one in stage.listener.events()]
    assert [text.rpartition("]")[2] for text in texts] == ["um", "dois"]
    ledger = await stage.ledger(drained=True)
    while not ledger["counts"].get("events_delivered"):
        ledger = await stage.ledger(drained=True)
    assert ledger["counts"]["events_lost"] == 1
    assert [one["ids"] for one in ledger["violations"] if one["kind"] == "lost"] == [
        [["demo", 86499]],
        [["demo", 86498]],
    ]


async def test_a_handler_that_does_not_answer_in_time_has_lost_the_event(stage: Stage) -> None:
    await a_chat(stage)
    await stage.until(lambda: stage.listener.events("ONIMCONNECTORDIALOGSTART"))
    await stage.control("PUT", "options", {"event_timeout_s": 0.05})
    done = asyncio.Event()
    stage.listener.before_answer = done.wait
    await stage.operator_writes()

    ledger = await stage.ledger()
    while not ledger["counts"].get("events_lost"):
        ledger = await stage.ledger()
    done.set()

    assert not ledger["drained"]
    assert [one["detail"] for one in ledger["violations"]] == ["1 told to nobody, and on no phone"]


async def test_a_chats_events_leave_in_order_and_one_after_the_other(stage: Stage) -> None:
    await a_chat(stage)
    body = {"portal": "demo", "chat_id": ANA_WA_ID, "text": "texto", "operator": "Bia", "count": 20}
    await stage.control("POST", "operators/write", body)
    await stage.until(lambda: len(stage.listener.events()) == 20)

    texts = [one["data"]["MESSAGES"]["0"]["message"]["text"] for one in stage.listener.events()]
    assert texts == [f"[b]Bia:[/b] [br]texto {index}" for index in range(1, 21)]


async def test_a_slow_handler_of_one_chat_does_not_hold_another(stage: Stage) -> None:
    portal = await a_chat(stage)
    await stage.until(lambda: stage.listener.events("ONIMCONNECTORDIALOGSTART"))
    await stage.put_in_chat(portal, "w2", user="beto", chat="beto")
    await stage.until(lambda: len(stage.listener.events("ONIMCONNECTORDIALOGSTART")) == 2)
    done = asyncio.Event()
    stage.listener.before_answer = done.wait
    await stage.operator_writes(text="para Ana")
    await stage.operator_writes(chat="beto", text="para Beto")

    await stage.until(lambda: len(stage.listener.events()) == 2)
    done.set()


async def test_offline_bindings_keep_the_events_until_they_are_read(stage: Stage) -> None:
    portal = await a_chat(stage)
    await stage.rest(portal, "event.bind", {"event": "ONIMCONNECTORMESSAGEADD", "event_type": "offline"})
    await stage.operator_writes(text="guardado")

    kept = (await stage.rest(portal, "event.offline.list"))[1]["result"]
    read = (await stage.rest(portal, "event.offline.get"))[1]["result"]["events"]
    after = (await stage.rest(portal, "event.offline.get"))[1]["result"]["events"]

    assert kept == [read[0] | {"PROCESS_ID": "", "ERROR": "0"}]
    assert read[0]["EVENT_NAME"] == "ONIMCONNECTORMESSAGEADD"
    assert read[0]["EVENT_DATA"]["MESSAGES"][0]["chat"] == {"id": ANA_WA_ID}
    assert after == []
    refused = await stage.rest(portal, "event.offline.get", {"clear": 0})
    assert refused[1]["error"] == "WRONG_LICENSE"


async def test_rows_that_are_kept_for_a_reader_stay_until_he_clears_them(stage: Stage) -> None:
    portal = await a_chat(stage)
    await stage.control("POST", "portals", {"portal": portal["portal"], "features": ["rest_offline_extended"]})
    assert (await stage.rest(portal, "feature.get", {"CODE": "rest_offline_extended"}))[1]["result"] == {"value": "Y"}
    await stage.rest(portal, "event.bind", {"event": "ONIMCONNECTORMESSAGEADD", "event_type": "offline"})
    await stage.operator_writes(text="guardado")

    first = (await stage.rest(portal, "event.offline.get", {"clear": 0}))[1]["result"]
    mine = {"process_id": first["process_id"]}
    assert len(first["events"]) == 1
    assert (await stage.rest(portal, "event.offline.get", {"clear": 0}))[1]["result"]["events"] == []
    assert (await stage.rest(portal, "event.offline.get", {"clear": 0, **mine}))[1]["result"] == first
    listed = (await stage.rest(portal, "event.offline.list", {"filter": {"!PROCESS_ID": ""}}))[1]["result"]
    assert [row["PROCESS_ID"] for row in listed] == [first["process_id"]]
    failed = {**mine, "message_id": [first["events"][0]["MESSAGE_ID"]]}
    assert (await stage.rest(portal, "event.offline.error", failed))[1]["result"] is True
    assert (await stage.rest(portal, "event.offline.get", {"clear": 0, **mine}))[1]["result"]["events"] == []
    assert (await stage.rest(portal, "event.offline.clear", mine))[1]["result"] is True
    assert (await stage.rest(portal, "event.offline.list"))[1]["result"] == []


async def test_an_operators_text_in_a_line_that_is_off_is_told_to_nobody(stage: Stage) -> None:
    portal = await a_chat(stage)
    await stage.rest(portal, "imconnector.activate", {"CONNECTOR": CONNECTOR, "LINE": 1, "ACTIVE": 0})
    await stage.operator_writes(text="perdido")
    await stage.rest(portal, "imconnector.activate", {"CONNECTOR": CONNECTOR, "LINE": 1, "ACTIVE": 1})
    await stage.operator_writes(text="ouvido")
    await stage.until(stage.listener.events)

    assert len(stage.listener.events()) == 1
    state = await stage.control("GET", f"state?phone_number_id={NUMBER}&customer={ANA_WA_ID}")
    assert [one["status"] for one in state["chats"][0]["messages"]] == [None, "sending", "sending"]
