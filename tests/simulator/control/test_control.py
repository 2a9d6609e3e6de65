"""/control itself: the stream, the state, the options, forgetting and remembering."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.simulator.stage import ANA, ANA_WA_ID, NUMBER, WAIT_S, Stage
from zaptrix_sim.settings import Options, Settings


async def test_the_demo_world_is_made_once_and_complete(stage: Stage) -> None:
    first = await stage.control("GET", "demo")
    second = await stage.control("GET", "demo")

    assert first == second
    assert first["number"]["phone_number_id"] == NUMBER
    assert first["number"]["app_secret"] == "demo-app-secret"
    assert first["number"]["verify_token"] == "demo-verify-token"
    assert first["portal"]["portal_url"] == f"{stage.url}/bitrix24/demo"
    assert first["portal"]["client_endpoint"] == f"{stage.url}/bitrix24/demo/rest/"
    assert first["portal"]["oauth_url"] == f"{stage.url}/bitrix24/oauth/token/"
    assert [(line["id"], line["name"]) for line in first["portal"]["lines"]] == [(1, "WhatsApp")]


async def test_a_reset_forgets_everything_even_what_is_under_way(stage: Stage) -> None:
    portal, number = await stage.demo()
    await stage.faults({"side": "meta", "where": "api", "kind": "reset", "times": 0})
    await stage.ana_writes()
    await stage.put_in_chat(portal, "w1")
    await stage.answer(number)
    # Held too early, the listener would hold one of these, and what comes after waits behind it.
    await stage.until(lambda: len(stage.listener.values("statuses")) == 2)
    await stage.told()
    held = asyncio.Event()
    stage.listener.before_answer = held.wait
    await stage.ana_writes("em trânsito")
    await stage.until(lambda: len(stage.listener.values("messages")) == 2)

    await stage.control("POST", "reset", {})
    held.set()
    await stage.demo()
    await stage.ana_writes("no mundo novo")
    await stage.until(lambda: len(stage.listener.values("messages")) == 3)

    state = await stage.control("GET", "state")
    assert [one["text"] for one in state["phones"][0]["messages"]] == ["no mundo novo"]
    assert state["chats"] == []
    ledger = await stage.ledger()
    assert (ledger["customers_wrote"], ledger["in_chats"]) == (1, 0)
    assert (await stage.control("GET", "faults"))["faults"] == []


async def test_the_stream_says_where_something_changed(stage: Stage) -> None:
    portal, _ = await stage.demo()
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    async with stage.http.get(f"{stage.url}/control/stream", timeout=timeout) as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readuntil(b"\n\n")
        wamid = await stage.ana_writes()
        await stage.put_in_chat(portal, wamid)

        heard: list[dict[str, str]] = []
        while {"phone", "chat"} - {one["type"] for one in heard}:
            line = await stream.content.readline()
            if line.startswith(b"data: "):
                heard.append(json.loads(line[6:]))

    assert {"type": "phone", "phone_number_id": NUMBER, "customer": ANA_WA_ID} in heard
    assert {"type": "chat", "portal": "demo", "chat_id": "1767"} in heard


async def test_the_state_can_be_narrowed(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes())
    beto = {"phone_number_id": NUMBER, "from": "5511987654321", "text": "olá", "name": "Beto"}
    (wamid,) = (await stage.control("POST", "customers/write", beto))["wamids"]
    await stage.put_in_chat(portal, wamid, user="beto", chat="beto")

    async def seen(query: str) -> tuple[int, int]:
        state = await stage.control("GET", f"state?{query}")
        return len(state["phones"]), len(state["chats"])

    assert await seen("") == (2, 2)
    assert await seen(f"phone_number_id={NUMBER}&customer=5511987654321") == (1, 1)
    assert await seen("customer=nobody") == (0, 0)
    assert await seen("portal=other") == (2, 0)
    assert await seen("chat_id=beto") == (2, 1)
    assert await seen("threads=1") == (1, 1)


async def test_many_customers_can_write_in_one_call(stage: Stage) -> None:
    await stage.demo()
    writes = [{"phone_number_id": NUMBER, "from": f"55119876543{index:02d}", "text": "oi"} for index in range(50)]

    answer = await stage.control("POST", "customers/write_many", {"writes": writes})
    await stage.until(lambda: len(stage.listener.values("messages")) == 50)

    assert len(set(answer["wamids"])) == 50


async def test_an_unknown_option_changes_nothing(stage: Stage) -> None:
    answer = await stage.control("PUT", "options", {"webhook_batch_max": 5, "colour": "red"}, status=400)

    assert "colour" in answer["error"]
    assert (await stage.control("GET", "options"))["webhook_batch_max"] == 10


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "customers/write", {"phone_number_id": "1", "from": ANA, "text": "oi"}, 404),
        ("POST", "customers/write", {"phone_number_id": NUMBER, "from": ANA}, 400),
        ("POST", "customers/read", {"phone_number_id": NUMBER, "from": "123456789"}, 404),
        ("POST", "operators/write", {"portal": "demo", "chat_id": "nowhere", "text": "x"}, 404),
        ("POST", "operators/write", {"portal": "nobody", "chat_id": "1", "text": "x"}, 404),
        ("POST", "portals", {"portal": "p1", "plan": "golden"}, 400),
        ("POST", "portals", {}, 400),
        ("POST", "portals/demo/revoke", {"what": "everything"}, 400),
        ("POST", "portals/nobody/expire", {}, 404),
        ("GET", "nothing", None, 404),
    ],
)
async def test_a_mistake_is_told(stage: Stage, method: str, path: str, body: object, status: int) -> None:
    await stage.control("GET", "demo")

    assert "error" in await stage.control(method, path, body, status=status)


async def test_a_body_that_is_no_json_is_told(stage: Stage) -> None:
    async with stage.http.post(f"{stage.url}/control/portals", data=b"{") as response:
        assert (response.status, await response.json()) == (400, {"error": "the body is not JSON"})


async def test_the_page_is_served_with_a_strict_policy_and_nothing_beside_it(stage: Stage) -> None:
    async with stage.http.get(f"{stage.url}/") as response:
        assert response.status == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
    for path in ("/page/../server.py", "/page/%2e%2e/server.py", "/page/none.js"):
        async with stage.http.get(URL(stage.url + path, encoded=True)) as response:
            assert response.status == 404


async def test_a_restart_finds_the_old_world_and_goes_on_with_it(tmp_path: Path) -> None:
    options = Options(meta_latency_s=0.0, item_latency_s=0.0, retry_first_s=0.01)
    async with Stage(options, tmp_path) as before:
        portal, _ = await before.demo()
        await before.put_in_chat(portal, await before.ana_writes("antes"))
        await before.until(lambda: before.listener.values("messages"))
        before.listener.statuses = [500] * 1000
        await before.ana_writes("durante")
        await before.until(lambda: len(before.listener.values("messages")) > 1)

    async with Stage(options, tmp_path) as after:
        (message,) = await after.until(lambda: after.listener.values("messages"))
        state = await after.control("GET", "state")
        demo = await after.control("GET", "demo")

    assert message["text"]["body"] == "durante"
    assert [one["text"] for one in state["phones"][0]["messages"]] == ["antes", "durante"]
    assert [one["text"] for one in state["chats"][0]["messages"]] == ["oi"]
    assert demo["portal"]["access_token"] == portal["access_token"]


async def test_the_world_is_written_while_the_simulator_runs(tmp_path: Path) -> None:
    async with Stage(Options(), tmp_path) as stage:
        await stage.demo()

        await stage.until((tmp_path / "world.pickle").exists)


@pytest.mark.parametrize(
    "written",
    [b"not a pickle", b"czaptrix_sim.world\nWorld\n.", b"czaptrix_sim.ledger\nLedger\n."],
    ids=["no world", "class moved", "file moved"],
)
async def test_a_world_that_cannot_be_read_is_set_aside(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "world.pickle").write_bytes(written)

    async with Stage(Options(), tmp_path) as stage:
        assert (await stage.control("GET", "state"))["numbers"] == []

    assert (tmp_path / "world.unreadable").exists()


def test_settings_come_from_the_environment_and_a_bad_one_is_named() -> None:
    environ = {"SIM_PORT": "3901", "GATEWAY_URL": "http://gw:3000/", "SIM_APP_SECRET": "s", "SIM_COUNT_INBOUND": "no"}

    assert Settings.from_env(environ).port == 3901
    assert Settings.from_env(environ).gateway_url == "http://gw:3000"
    assert Options.from_env(environ).app_secret == "s"
    assert Options.from_env(environ).count_inbound is False
    with pytest.raises(ValueError, match="SIM_PORT"):
        Settings.from_env({"SIM_PORT": "many"})
    with pytest.raises(ValueError, match="item_latency_s"):
        Options.from_env({"SIM_ITEM_LATENCY_S": "soon"})
