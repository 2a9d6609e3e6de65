"""Meta's webhooks: signed over the bytes, in batches, tried again until 200, in each thread's order."""

import asyncio
import hashlib
import hmac
import json

from tests.simulator.stage import ANA, ANA_WA_ID, NUMBER, Stage


async def test_the_signature_is_over_the_very_bytes_with_everything_but_ascii_escaped(stage: Stage) -> None:
    await stage.demo()
    await stage.ana_writes("Olá João 😀 https://example.com/ç")
    (post,) = await stage.until(lambda: stage.listener.heard)

    expected = hmac.new(b"demo-app-secret", post.body, hashlib.sha256).hexdigest()

    assert post.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert post.headers["Content-Type"] == "application/json"
    assert rb"Jo\u00e3o \ud83d\ude00 https:\/\/example.com\/\u00e7" in post.body
    assert json.loads(post.body)["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"] == (
        "Olá João 😀 https://example.com/ç"
    )


async def test_a_post_names_account_number_and_sender(stage: Stage) -> None:
    await stage.demo()
    wamid = await stage.ana_writes("oi")
    (post,) = await stage.until(lambda: stage.listener.heard)

    entry = post.json["entry"][0]
    value = entry["changes"][0]["value"]
    assert (post.path, post.json["object"], entry["id"]) == (
        "/webhooks/meta",
        "whatsapp_business_account",
        "108866333444555",
    )
    assert entry["changes"][0]["field"] == "messages"
    assert value["metadata"] == {"display_phone_number": "551140041234", "phone_number_id": NUMBER}
    user_id = value["contacts"][0].pop("user_id")
    assert value["contacts"] == [{"profile": {"name": "Ana Souza"}, "wa_id": ANA_WA_ID}]
    message = value["messages"][0]
    assert message.pop("timestamp").isdigit()
    assert message == {
        "from": ANA_WA_ID,
        "from_user_id": user_id,
        "id": wamid,
        "type": "text",
        "text": {"body": "oi"},
    }


async def test_a_hidden_phone_is_absent_everywhere(stage: Stage) -> None:
    await stage.demo()
    await stage.ana_writes(hide_phone=True, username="anasouza")
    (post,) = await stage.until(lambda: stage.listener.heard)

    value = post.json["entry"][0]["changes"][0]["value"]
    assert "from" not in value["messages"][0]
    assert "wa_id" not in value["contacts"][0]
    assert value["contacts"][0]["profile"]["username"] == "anasouza"
    assert ANA_WA_ID.encode() not in post.body


async def test_a_webhook_is_tried_again_until_it_is_answered_200(stage: Stage) -> None:
    await stage.control("PUT", "options", {"retry_first_s": 0.01})
    await stage.demo()
    stage.listener.statuses = [500, 204, 404]
    wamid = await stage.ana_writes()

    await stage.until(lambda: len(stage.listener.values("messages")) == 4)

    assert [one["id"] for one in stage.listener.values("messages")] == [wamid] * 4
    await stage.until(lambda: not stage.listener.statuses)
    ledger = await stage.ledger()
    while not ledger["counts"].get("webhooks_acknowledged"):
        ledger = await stage.ledger()
    assert ledger["webhooks_waiting"] == 0


async def test_a_threads_texts_are_posted_in_order_one_after_the_other(stage: Stage) -> None:
    await stage.control("PUT", "options", {"webhook_batch_max": 1})
    await stage.demo()
    under_way: list[int] = []

    async def look() -> None:
        under_way.append(1)
        assert sum(under_way) == 1
        await asyncio.sleep(0)
        under_way.append(-1)

    stage.listener.before_answer = look
    await stage.control(
        "POST", "customers/write", {"phone_number_id": NUMBER, "from": ANA, "text": "texto", "count": 20}
    )

    await stage.until(lambda: len(stage.listener.values("messages")) == 20)
    texts = [one["text"]["body"] for one in stage.listener.values("messages")]
    assert texts == [f"texto {index}" for index in range(1, 21)]


async def test_waiting_updates_go_out_together_up_to_the_option(stage: Stage) -> None:
    await stage.control("PUT", "options", {"webhook_batch_max": 7})
    await stage.demo()

    await stage.control("POST", "customers/write", {"phone_number_id": NUMBER, "from": ANA, "text": "x", "count": 20})
    await stage.until(lambda: len(stage.listener.values("messages")) == 20)

    sizes = [len(one.json["entry"][0]["changes"][0]["value"]["messages"]) for one in stage.listener.heard]
    assert sizes == [7, 7, 6]
    contacts = [one.json["entry"][0]["changes"][0]["value"]["contacts"] for one in stage.listener.heard]
    assert [len(one) for one in contacts] == [1, 1, 1]


async def test_an_account_that_is_not_subscribed_hears_nothing(stage: Stage) -> None:
    _, number = await stage.demo()
    path, token = f"{number['waba_id']}/subscribed_apps", number["access_token"]
    await stage.graph(path, None, token, "DELETE")
    await stage.ana_writes("ninguém ouve")
    assert (await stage.graph(path, None, token, "GET"))[1] == {"data": []}

    await stage.graph(path, {}, token)
    await stage.ana_writes("agora sim")
    await stage.until(lambda: stage.listener.values("messages"))

    assert [one["text"]["body"] for one in stage.listener.values("messages")] == ["agora sim"]


async def test_an_override_is_challenged_and_then_hears_the_webhooks(stage: Stage) -> None:
    _, number = await stage.demo()
    body = {"override_callback_uri": f"{stage.gateway}/elsewhere", "verify_token": "secret"}
    status, _ = await stage.graph(f"{number['waba_id']}/subscribed_apps", body, number["access_token"])
    await stage.ana_writes()
    await stage.until(lambda: len(stage.listener.heard) == 2)

    assert status == 200
    assert [one.path for one in stage.listener.heard] == ["/elsewhere", "/elsewhere"]


async def test_an_override_that_does_not_answer_the_challenge_is_refused(stage: Stage) -> None:
    _, number = await stage.demo()
    body = {"override_callback_uri": "http://127.0.0.1:9/closed", "verify_token": "secret"}

    status, answer = await stage.graph(f"{number['waba_id']}/subscribed_apps", body, number["access_token"])

    assert (status, answer["error"]["code"]) == (400, 100)
