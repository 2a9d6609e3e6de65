"""Sending on the Graph API: what Meta refuses and how, and what follows when it accepts."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.simulator.stage import ANA, ANA_WA_ID, NUMBER, Json, Stage


def a_text(**more: Any) -> Json:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{ANA}",
        "type": "text",
        "text": {"body": "oi"},
    } | more


REFUSED: dict[str, tuple[Json, int]] = {
    "no product": (a_text(messaging_product=None), 100),
    "no recipient": (a_text(to=""), 100),
    "an unknown type": (a_text(type="telepathy"), 100),
    "no text": (a_text(text=None), 131008),
    "no body": (a_text(text={}), 131008),
    "an empty body": (a_text(text={"body": "  "}), 100),
    "a body that is no text": (a_text(text={"body": 5}), 100),
    "a body over 4096": (a_text(text={"body": "x" * 4097}), 100),
    "callback data over 512": (a_text(biz_opaque_callback_data="x" * 513), 100),
    "no phone number": (a_text(to="ana"), 131009),
    "the number itself": (a_text(to="+551140041234"), 131021),
    "a stranger's user id": (a_text(to="", recipient="BR.1"), 131009),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_with_a_text_is_told_by_its_code(stage: Stage, name: str) -> None:
    body, code = REFUSED[name]
    _, number = await stage.demo()
    await stage.ana_writes()

    status, answer = await stage.graph(f"{NUMBER}/messages", body, number["access_token"])

    assert (status, answer["error"]["code"]) == (400, code)
    assert answer["error"]["type"] == "OAuthException"
    assert answer["error"]["fbtrace_id"]


async def test_a_text_of_4096_characters_is_taken(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()

    status, _ = await stage.answer(number, "x" * 4096)

    assert status == 200


async def test_without_a_token_with_a_wrong_one_and_with_a_revoked_one_nobody_sends(stage: Stage) -> None:
    _, number = await stage.demo()
    codes = []
    for token in ("", "EAAwrong"):
        status, answer = await stage.graph(f"{NUMBER}/messages", a_text(), token)
        codes.append((status, answer["error"]["code"]))
    await stage.control("POST", f"numbers/{NUMBER}/revoke")
    status, answer = await stage.answer(number)
    codes.append((status, answer["error"]["code"]))
    fresh = await stage.control("POST", f"numbers/{NUMBER}/tokens")
    await stage.ana_writes()

    assert codes == [(401, 104), (401, 190), (401, 190)]
    assert (await stage.answer(fresh))[0] == 200


async def test_a_number_of_another_account_does_not_exist_for_this_token(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.control("POST", "numbers", {"phone_number_id": "77", "waba_id": "other"})

    for strange in ("77", "1"):
        status, answer = await stage.graph(f"{strange}/messages", a_text(), number["access_token"])
        assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)


async def test_the_version_in_the_path_may_be_left_out(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    headers = {"Authorization": f"Bearer {number['access_token']}"}

    async with stage.http.post(f"{stage.url}/meta/{NUMBER}/messages", json=a_text(), headers=headers) as response:
        assert response.status == 200


async def test_either_spelling_of_a_brazilian_mobile_is_the_same_person_but_not_without_the_plus(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()

    answers = [
        await stage.graph(f"{NUMBER}/messages", a_text(to=to), number["access_token"])
        for to in (f"+{ANA}", f"+{ANA_WA_ID}", "+55 (41) 98888-7777", "41 98888-7777")
    ]
    trapped = await stage.graph(f"{NUMBER}/messages", a_text(to=ANA_WA_ID), number["access_token"])

    assert [answer["contacts"][0]["wa_id"] for _, answer in answers] == [ANA_WA_ID] * 4
    assert trapped[0] == 400
    assert trapped[1]["error"]["code"] == 131047


async def test_the_window_is_open_for_24_hours_after_the_customers_last_text(stage: Stage) -> None:
    _, number = await stage.demo()
    assert (await stage.answer(number))[1]["error"]["code"] == 131047
    await stage.ana_writes()
    assert (await stage.answer(number))[0] == 200

    await stage.control("POST", "customers/age", {"phone_number_id": NUMBER, "from": ANA, "hours": 23.9})
    still_open = await stage.answer(number)
    await stage.control("POST", "customers/age", {"phone_number_id": NUMBER, "from": ANA, "hours": 0.2})
    closed = await stage.answer(number)
    await stage.ana_writes("de novo")
    open_again = await stage.answer(number)

    assert [one[0] for one in (still_open, closed, open_again)] == [200, 400, 200]
    assert closed[1]["error"]["code"] == 131047
    assert "24 hours" in closed[1]["error"]["error_data"]["details"]


async def test_a_text_refused_for_a_closed_window_is_not_lost(stage: Stage) -> None:
    portal, number = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    await stage.control("POST", "customers/age", {"phone_number_id": NUMBER, "from": ANA, "hours": 25})
    await stage.operator_writes(text="Ainda aí?")
    await stage.until(stage.listener.events)
    await stage.answer(number, "Ainda aí?")
    await stage.until(lambda: stage.listener.values("messages"))

    ledger = await stage.ledger(drained=True)

    assert ledger["ok"], ledger
    assert ledger["counts"]["refused"] == 1


async def test_a_number_takes_its_pace_and_refuses_what_is_over_it(stage: Stage) -> None:
    await stage.control("PUT", "options", {"count_inbound": False})
    await stage.demo()
    number = await stage.control("POST", "numbers", {"phone_number_id": "20", "mps": 1})
    for index in range(30):
        await stage.control(
            "POST", "customers/write", {"phone_number_id": "20", "from": f"55119000000{index:02d}", "text": "oi"}
        )

    answers = [
        await stage.graph("20/messages", a_text(to=f"+55119000000{index:02d}"), number["access_token"])
        for index in range(30)
    ]

    refused = [answer["error"]["code"] for status, answer in answers if status == 400]
    assert refused
    assert set(refused) == {130429}
    ledger = await stage.ledger()
    assert [one["kind"] for one in ledger["violations"] if one["ids"] == ["20"]] == ["limit_exceeded"]
    assert not ledger["ok"]


async def test_what_customers_write_uses_the_same_pace(stage: Stage) -> None:
    await stage.demo()
    number = await stage.control("POST", "numbers", {"phone_number_id": "5", "mps": 1})
    await stage.control("POST", "customers/write", {"phone_number_id": "5", "from": ANA, "text": "oi", "count": 20})

    status, answer = await stage.graph("5/messages", a_text(), number["access_token"])

    assert (status, answer["error"]["code"]) == (400, 130429)


async def test_one_customer_takes_45_at_once_and_then_one_in_six_seconds(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()

    answers = [await stage.answer(number, f"texto {index}") for index in range(46)]

    assert [status for status, _ in answers] == [200] * 45 + [400]
    assert answers[-1][1]["error"]["code"] == 131056


async def test_statuses_carry_the_callback_data_the_price_and_the_contact(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes(username="anasouza")
    _, answer = await stage.answer(number, biz_opaque_callback_data="t=17;m=9f2c")
    await stage.until(lambda: len(stage.listener.values("statuses")) == 2)
    await stage.control("POST", "customers/read", {"phone_number_id": NUMBER, "from": ANA})
    await stage.until(lambda: len(stage.listener.values("statuses")) == 3)

    sent, delivered, read = stage.listener.values("statuses")

    assert [one["status"] for one in (sent, delivered, read)] == ["sent", "delivered", "read"]
    for one in (sent, delivered, read):
        assert one["id"] == answer["messages"][0]["id"]
        assert one["biz_opaque_callback_data"] == "t=17;m=9f2c"
        assert one["recipient_id"] == ANA_WA_ID
        assert one["recipient_user_id"].startswith("BR.")
        assert one["timestamp"].isdigit()
    assert sent["pricing"]["category"] == "service"
    assert "pricing" not in read
    posts = [entry["changes"][0]["value"] for one in stage.listener.heard for entry in one.json["entry"]]
    profiles = [value["contacts"][0]["profile"] for value in posts if "statuses" in value]
    assert profiles[-1] == {"name": "Ana Souza", "username": "anasouza"}


async def test_a_phone_reads_each_text_once(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.answer(number)
    reads = [await stage.control("POST", "customers/read", {"phone_number_id": NUMBER, "from": ANA}) for _ in range(2)]

    assert reads == [{"read": 1}, {"read": 0}]
    await stage.until(lambda: len(stage.listener.values("statuses")) == 3)
    assert [one["status"] for one in stage.listener.values("statuses")] == ["sent", "delivered", "read"]


async def test_somebody_known_by_user_id_alone_can_be_answered(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.control(
        "POST", "customers/write", {"phone_number_id": NUMBER, "user_id": "BR.777", "text": "oi", "username": "caio.b"}
    )
    (message,) = await stage.until(lambda: stage.listener.values("messages"))

    body = a_text(recipient="BR.777")
    del body["to"]
    status, answer = await stage.graph(f"{NUMBER}/messages", body, number["access_token"])
    await stage.until(lambda: stage.listener.values("statuses"))

    assert "from" not in message
    assert message["from_user_id"] == "BR.777"
    assert status == 200
    assert answer["contacts"] == [{"input": "BR.777", "user_id": "BR.777"}]
    assert "recipient_id" not in stage.listener.values("statuses")[0]
    assert stage.listener.values("statuses")[0]["recipient_user_id"] == "BR.777"


async def test_marking_a_text_as_read_marks_the_earlier_ones_too(stage: Stage) -> None:
    portal, number = await stage.demo()
    wamids = [await stage.ana_writes(text) for text in ("um", "dois", "três")]
    for wamid in wamids:
        await stage.put_in_chat(portal, wamid)

    status, answer = await stage.graph(
        f"{NUMBER}/messages",
        {"messaging_product": "whatsapp", "status": "read", "message_id": wamids[1]},
        number["access_token"],
    )

    state = await stage.control("GET", "state")
    assert (status, answer) == (200, {"success": True})
    assert [one["read_by_business"] for one in state["phones"][0]["messages"]] == [True, True, False]
    assert (await stage.ledger(drained=False))["ok"]


async def test_marking_a_text_as_read_before_it_is_in_the_chat_is_a_violation(stage: Stage) -> None:
    _, number = await stage.demo()
    wamid = await stage.ana_writes()

    await stage.graph(
        f"{NUMBER}/messages",
        {"messaging_product": "whatsapp", "status": "read", "message_id": wamid},
        number["access_token"],
    )

    assert "state_ahead" in {one["kind"] for one in (await stage.ledger())["violations"]}


async def test_only_a_received_text_can_be_marked_as_read(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    _, answer = await stage.answer(number)

    for wamid in ("wamid.unknown", answer["messages"][0]["id"]):
        status, refused = await stage.graph(
            f"{NUMBER}/messages",
            {"messaging_product": "whatsapp", "status": "read", "message_id": wamid},
            number["access_token"],
        )
        assert (status, refused["error"]["code"]) == (400, 131009)


async def test_the_small_edges_answer_as_documented(stage: Stage) -> None:
    _, number = await stage.demo()
    token, waba = number["access_token"], number["waba_id"]
    await stage.ana_writes()
    _, sent = await stage.answer(number)
    wamid = sent["messages"][0]["id"]
    await stage.until(lambda: len(stage.listener.values("statuses")) == 2)

    async def get(path: str) -> Json:
        return (await stage.graph(path, None, token, "GET"))[1]

    assert await get(f"{NUMBER}?fields=display_phone_number,status") == {
        "id": NUMBER,
        "display_phone_number": "+551140041234",
        "status": "CONNECTED",
    }
    assert [one["id"] for one in (await get(f"{waba}/phone_numbers"))["data"]] == [NUMBER]
    assert len((await get(f"{waba}/subscribed_apps"))["data"]) == 1
    assert (await get(f"debug_token?input_token={token}"))["data"]["is_valid"]
    assert not (await get("debug_token?input_token=EAAnone"))["data"]["is_valid"]
    history = (await get(f"{NUMBER}/message_history?message_id={quote(wamid, safe='')}"))["data"]
    assert [one["delivery_status"] for one in history[0]["events"]["data"]] == ["ACCEPTED", "SENT", "DELIVERED"]
    assert (await stage.graph("nowhere/else", {}, token))[1]["error"]["code"] == 2500


async def test_a_broken_body_is_refused_as_a_parameter(stage: Stage) -> None:
    _, number = await stage.demo()
    headers = {"Authorization": f"Bearer {number['access_token']}"}

    async with stage.http.post(f"{stage.url}/meta/{NUMBER}/messages", data=b"{", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == 100
