"""Ordered faults: each kind does what it says, as often as it says, to whom it says."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.media.hosts import hosting
from tests.simulator.stage import ANA, ANA_WA_ID, CONNECTOR, NUMBER, WAIT_S, Json, Stage, an_element
from zaptrix_sim.world.faults import KINDS, Faults


def at(side: str, kind: str, where: str = "api", **more: Any) -> Json:
    return {"side": side, "where": where, "kind": kind, "times": 1} | more


async def sends(stage: Stage, number: Json, text: str = "Bom dia", within_s: float = WAIT_S) -> Any:
    """The answer to a send, or the name of what happened instead."""
    body = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "text", "text": {"body": text}}
    headers = {"Authorization": f"Bearer {number['access_token']}"}
    timeout = aiohttp.ClientTimeout(total=within_s)
    try:
        async with stage.http.post(
            f"{stage.url}/meta/v26.0/{NUMBER}/messages", json=body, headers=headers, timeout=timeout
        ) as response:
            return response.status
    except TimeoutError:
        return "hangs"
    except aiohttp.ClientError:
        return "reset"


async def on_phone(stage: Stage) -> list[str]:
    state = await stage.control("GET", "state")
    return [one["text"] for one in state["phones"][0]["messages"] if one["from"] == "business"]


# --- before, instead of, and after the work ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "answer", "arrives"),
    [
        (at("meta", "status", status=503), 503, False),
        (at("meta", "status", status=500, code="131000"), 500, False),
        (at("meta", "refuse", code="190/463"), 401, False),
        (at("meta", "refuse", code="132001"), 404, False),
        (at("meta", "throttle"), 400, False),
        (at("meta", "expired_token"), 401, False),
        (at("meta", "reset"), "reset", False),
        (at("meta", "accept_then_reset"), "reset", True),
        (at("meta", "accept_then_hang"), "hangs", True),
        (at("meta", "delay", delay_s=0.05), 200, True),
        (at("meta", "silence"), 200, True),
    ],
)
async def test_a_fault_on_a_send_happens_once_and_then_all_is_well(
    stage: Stage, fault: Json, answer: Any, arrives: bool
) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.faults(fault)

    first = await sends(stage, number, "primeiro", within_s=1.0 if answer == "hangs" else WAIT_S)
    arrived = await on_phone(stage)
    second = await sends(stage, number, "segundo")

    assert first == answer
    assert arrived == (["primeiro"] if arrives else [])
    assert second == 200


async def test_a_status_without_a_code_is_a_page_and_with_one_an_envelope(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    url = f"{stage.url}/meta/{NUMBER}"
    headers = {"Authorization": f"Bearer {number['access_token']}"}

    await stage.faults(at("meta", "status", status=502))
    async with stage.http.get(url, headers=headers) as response:
        assert (response.status, response.content_type) == (502, "text/html")
    await stage.faults(at("meta", "throttle", code="131056"))
    async with stage.http.get(url, headers=headers) as response:
        assert (await response.json())["error"]["code"] == 131056


async def test_silence_accepts_and_sends_no_status(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.faults(at("meta", "silence"))
    await stage.answer(number, "calado", biz_opaque_callback_data="m1")
    await stage.answer(number, "falado", biz_opaque_callback_data="m2")
    await stage.until(lambda: len(stage.listener.values("statuses")) == 2)

    assert {one["biz_opaque_callback_data"] for one in stage.listener.values("statuses")} == {"m2"}
    assert await on_phone(stage) == ["calado", "falado"]


@pytest.mark.parametrize(
    ("fault", "status", "error", "arrives"),
    [
        (at("bitrix24", "throttle"), 503, "QUERY_LIMIT_EXCEEDED", False),
        (at("bitrix24", "throttle", code="OPERATION_TIME_LIMIT"), 429, "OPERATION_TIME_LIMIT", False),
        (at("bitrix24", "refuse", code="PORTAL_DELETED"), 410, "PORTAL_DELETED", False),
        (at("bitrix24", "expired_token"), 401, "expired_token", False),
        (at("bitrix24", "status", status=500, code="INTERNAL_SERVER_ERROR"), 500, "INTERNAL_SERVER_ERROR", False),
        (at("bitrix24", "delay", delay_s=0.05), 200, None, True),
    ],
)
async def test_a_fault_on_a_portals_call(stage: Stage, fault: Json, status: int, error: Any, arrives: bool) -> None:
    portal, _ = await stage.demo()
    await stage.faults(fault)

    answer = await stage.rest(
        portal, "imconnector.send.messages", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [an_element("w1")]}
    )

    assert (answer[0], answer[1].get("error")) == (status, error)
    assert bool((await stage.control("GET", "state"))["chats"]) is arrives


async def test_a_documented_code_is_answered_in_metas_envelope(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.faults(at("meta", "refuse", code="190/463"))

    status, answer = await stage.answer(number)

    error = answer["error"]
    assert (status, error["code"], error["error_subcode"]) == (401, 190, 463)
    assert error["error_data"] == {"messaging_product": "whatsapp", "details": "Access token expired"}
    assert error["fbtrace_id"]


@pytest.mark.parametrize(
    "fault", [at("meta", "refuse", code="777777"), at("bitrix24", "refuse"), at("oauth", "refuse")]
)
async def test_only_a_documented_code_can_be_ordered(stage: Stage, fault: Json) -> None:
    await stage.control("PUT", "faults", {"faults": [fault]}, status=400)


async def test_a_refusal_that_was_ordered_is_no_limit_run_into(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.faults(at("bitrix24", "throttle"))
    await stage.rest(portal, "profile")

    assert (await stage.ledger())["ok"]


async def test_an_item_can_fail_inside_a_call_that_succeeds(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.faults(at("bitrix24", "item_error"))

    failed = await stage.put_in_chat(portal, "w1")
    good = await stage.put_in_chat(portal, "w1")

    assert (failed["SUCCESS"], good["SUCCESS"]) == (False, True)


async def test_the_oauth_server_has_faults_of_its_own(stage: Stage) -> None:
    portal, _ = await stage.demo()
    asked = {
        "grant_type": "refresh_token",
        "client_id": portal["client_id"],
        "client_secret": portal["client_secret"],
        "refresh_token": portal["refresh_token"],
    }
    statuses = []
    for fault in (at("oauth", "status", status=503), at("oauth", "expired_token", match={"portal": "demo"})):
        await stage.faults(fault)
        async with stage.http.get(portal["oauth_url"], params=asked) as response:
            statuses.append(response.status)
    async with stage.http.get(portal["oauth_url"], params=asked) as response:
        statuses.append(response.status)

    assert statuses == [503, 400, 200]


# --- webhooks ----------------------------------------------------------------------------------------------------


async def test_a_dropped_webhook_is_tried_again(stage: Stage) -> None:
    await stage.control("PUT", "options", {"retry_first_s": 0.01})
    await stage.demo()
    await stage.faults(at("meta", "drop", "webhook", times=3))

    wamid = await stage.ana_writes()
    await stage.until(lambda: stage.listener.values("messages"))

    assert [one["id"] for one in stage.listener.values("messages")] == [wamid]
    faults = (await stage.control("GET", "faults"))["faults"]
    assert faults[0]["fired"] == 3


async def test_a_webhook_dropped_for_ever_never_comes(stage: Stage) -> None:
    await stage.demo()
    await stage.faults(at("meta", "drop", "webhook", forever=True))

    await stage.ana_writes("nunca")
    await stage.ana_writes("sempre")
    await stage.until(lambda: stage.listener.values("messages"))

    assert [one["text"]["body"] for one in stage.listener.values("messages")] == ["sempre"]


async def test_a_webhook_can_come_five_times(stage: Stage) -> None:
    await stage.demo()
    await stage.faults(at("meta", "double", "webhook", copies=5))

    wamid = await stage.ana_writes()
    await stage.until(lambda: len(stage.listener.values("messages")) == 5)

    assert {one["id"] for one in stage.listener.values("messages")} == {wamid}


@pytest.mark.parametrize(("kind", "delay_s"), [("delay", 2.0), ("reorder", 60.0)])
async def test_a_webhook_can_be_overtaken_by_the_next_one(stage: Stage, kind: str, delay_s: float) -> None:
    await stage.demo()
    await stage.faults(at("meta", kind, "webhook", delay_s=delay_s))

    await stage.ana_writes("um")
    await stage.ana_writes("dois")
    await stage.until(lambda: len(stage.listener.values("messages")) == 2)

    assert [one["text"]["body"] for one in stage.listener.values("messages")] == ["dois", "um"]
    assert not [one for one in (await stage.ledger())["violations"] if one["kind"] == "disordered"]


async def test_a_reordered_webhook_with_nobody_behind_it_comes_after_its_time(stage: Stage) -> None:
    await stage.demo()
    await stage.faults(at("meta", "reorder", "webhook", delay_s=0.05))

    await stage.ana_writes("sozinha")

    await stage.until(lambda: stage.listener.values("messages"))


async def test_statuses_can_be_acknowledged_before_the_send_is_answered(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.until(lambda: stage.listener.values("messages"))
    await stage.faults(at("meta", "status_first", "webhook"))

    await stage.answer(number)

    assert [one["status"] for one in stage.listener.values("statuses")] == ["sent", "delivered"]


async def test_a_text_can_be_accepted_and_fail_later(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.faults(at("meta", "fail", "webhook", code="131026"))

    status, _ = await stage.answer(number, biz_opaque_callback_data="m1")
    (failed,) = await stage.until(lambda: stage.listener.values("statuses"))

    assert status == 200
    assert (failed["status"], failed["errors"][0]["code"]) == ("failed", 131026)
    assert failed["biz_opaque_callback_data"] == "m1"
    assert "recipient_user_id" not in failed
    assert await on_phone(stage) == []


async def test_an_event_can_be_dropped_doubled_and_overtaken(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    method = {"method": "ONIMCONNECTORMESSAGEADD"}
    await stage.faults(
        at("bitrix24", "drop", "webhook", match=method),
        at("bitrix24", "double", "webhook", match=method, copies=3),
        at("bitrix24", "reorder", "webhook", match=method, delay_s=60),
    )
    for text in ("perdido", "triplo", "depois", "antes"):
        await stage.operator_writes(text=text)
    await stage.until(lambda: len(stage.listener.events()) == 5)

    texts = [one["data"]["MESSAGES"]["0"]["message"]["text"].rpartition("]")[2] for one in stage.listener.events()]
    assert texts == ["triplo", "triplo", "triplo", "antes", "depois"]
    assert (await stage.ledger())["counts"]["events_lost"] == 1


# --- whom, how often, by which dice ------------------------------------------------------------------------------


async def test_a_fault_touches_only_whom_it_matches(stage: Stage) -> None:
    portal, number = await stage.demo()
    await stage.ana_writes()
    other = await stage.control("POST", "portals", {"portal": "p2"})
    await stage.faults(
        at("bitrix24", "throttle", match={"portal": "p2", "method": "profile"}, times=None),
        at("meta", "throttle", match={"customer": ANA_WA_ID}, times=None),
    )

    assert (await stage.rest(portal, "profile"))[0] == 200
    assert (await stage.rest(other, "profile"))[0] == 503
    assert (await stage.rest(other, "app.info"))[0] == 200
    assert (await stage.answer(number))[1]["error"]["code"] == 130429
    assert (await stage.answer(number, to="+5511987654321"))[1]["error"]["code"] == 131047


def test_the_same_seed_rolls_the_same_dice() -> None:
    def rolled(seed: int) -> list[bool]:
        faults = Faults()
        faults.replace([{"side": "meta", "where": "api", "kind": "reset", "probability": 0.5}], seed)
        return [faults.pick("meta", "api", {}, KINDS["api"]) is not None for _ in range(64)]

    assert rolled(1) == rolled(1)
    assert rolled(1) != rolled(2)
    assert any(rolled(1))
    assert not all(rolled(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "moon", "where": "api", "kind": "delay"},
        {"side": "meta", "where": "api", "kind": "drop"},
        {"side": "meta", "where": "api", "kind": "delay", "colour": "red"},
        {"side": "meta", "where": "api", "kind": "delay", "match": {"shoe": "42"}},
    ],
)
async def test_a_fault_that_is_not_understood_is_refused_and_changes_nothing(stage: Stage, wrong: Json) -> None:
    await stage.faults(at("meta", "reset"))

    answer = await stage.control("PUT", "faults", {"seed": 2, "faults": [wrong]}, status=400)

    assert "error" in answer
    now = await stage.control("GET", "faults")
    assert (now["seed"], [one["kind"] for one in now["faults"]]) == (1, ["reset"])


async def test_faults_are_cleared_and_a_bare_list_is_taken_too(stage: Stage) -> None:
    put = await stage.control("PUT", "faults", [at("meta", "reset")])
    cleared = await stage.control("DELETE", "faults")

    assert [one["kind"] for one in put["faults"]] == ["reset"]
    assert cleared == {"seed": 0, "faults": []}


async def test_a_hanging_call_ends_when_its_caller_goes_away(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    await stage.faults(at("meta", "accept_then_hang"))
    assert await sends(stage, number, within_s=1.0) == "hangs"

    assert await sends(stage, number, "outro") == 200


async def test_a_portal_waits_no_longer_for_a_file_than_a_request_lasts(stage: Stage) -> None:
    """Else it would act on a call long after its caller gave it up, as no portal does."""
    portal, _ = await stage.demo()
    await stage.control("PUT", "options", {"fetch_s": 0.05})
    async with hosting(silent) as host:
        element = an_element("w1")
        element["message"]["files"] = [{"url": f"{host.url}/a.pdf", "name": "a.pdf"}]
        body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [element]}
        status, _ = await stage.rest(portal, "imconnector.send.messages", body)
    assert (status, len(host.asked)) == (200, 1)


async def silent(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()
