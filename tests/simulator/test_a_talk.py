"""One talk both ways through the simulator, with the test in the gateway's place."""

from tests.simulator.stage import ANA_WA_ID, CONNECTOR, NUMBER, Stage


async def test_a_text_crosses_both_ways_and_the_ledger_is_clean(stage: Stage) -> None:
    portal, number = await stage.demo()

    wamid = await stage.ana_writes("Olá, João 😀")
    (message,) = await stage.until(lambda: stage.listener.values("messages"))
    item = await stage.put_in_chat(portal, message["id"], message["text"]["body"])
    await stage.graph(
        f"{NUMBER}/messages",
        {"messaging_product": "whatsapp", "status": "read", "message_id": wamid},
        number["access_token"],
    )
    note = await stage.operator_writes(text="Bom dia, Ana")
    (event,) = await stage.until(stage.listener.events)
    status, answer = await stage.answer(number, "*Bia:*\nBom dia, Ana", biz_opaque_callback_data="m=1")
    await stage.until(lambda: len(stage.listener.values("statuses")) == 2)
    confirmed = {
        "im": {"chat_id": item["session"]["CHAT_ID"], "message_id": note},
        "message": {"id": [answer["messages"][0]["id"]]},
        "chat": {"id": ANA_WA_ID},
    }
    await stage.rest(
        portal, "imconnector.send.status.delivery", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [confirmed]}
    )
    await stage.control("POST", "customers/read", {"phone_number_id": NUMBER, "from": ANA_WA_ID})
    await stage.until(lambda: len(stage.listener.values("statuses")) == 3)

    assert (message["id"], message["from"]) == (wamid, ANA_WA_ID)
    assert event["data"]["MESSAGES"]["0"]["message"]["text"] == "[b]Bia:[/b] [br]Bom dia, Ana"
    assert event["data"]["MESSAGES"]["0"]["chat"]["id"] == ANA_WA_ID
    assert status == 200
    assert answer["contacts"] == [{"input": "+5541988887777", "wa_id": ANA_WA_ID}]
    assert [one["status"] for one in stage.listener.values("statuses")] == ["sent", "delivered", "read"]
    assert {one["biz_opaque_callback_data"] for one in stage.listener.values("statuses")} == {"m=1"}
    ledger = await stage.ledger(drained=True)
    assert ledger["ok"], ledger
    assert ledger["drained"]
    totals = [ledger[name] for name in ("customers_wrote", "in_chats", "operators_wrote", "on_phones")]
    assert totals == [1, 1, 1, 1]
    state = await stage.control("GET", "state")
    assert [(one["from"], one["status"], one["read_by_business"]) for one in state["phones"][0]["messages"]] == [
        ("customer", "sent", True),
        ("business", "read", False),
    ]
    assert [(one["author"], one["status"]) for one in state["chats"][0]["messages"]] == [
        ("customer", None),
        ("operator", "delivered"),
    ]
