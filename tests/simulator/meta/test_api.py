"""The simulated Graph API takes what real clients send: lists of templates, files by link, uploads with a query."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web

from proof.ports import free_port
from tests.simulator.meta.test_templates import WABA, put
from tests.simulator.stage import ANA, NUMBER, Json, Stage

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.fixture
async def token(stage: Stage) -> str:
    return str((await stage.demo())[1]["access_token"])


@pytest.fixture
async def templates(stage: Stage, token: str) -> list[Json]:
    made = [await put(stage, f"t{number}", language="pt_BR" if number % 2 else "en_US") for number in range(7)]
    made.append(await put(stage, "paused", status="PAUSED", category="MARKETING", quality="RED"))
    return made


async def listed(stage: Stage, token: str, **query: str) -> Json:
    status, answer = await stage.graph(f"{WABA}/message_templates?{urlencode(query)}", None, token, "GET")
    assert status == 200, answer
    return answer


async def test_an_entry_has_its_id_and_its_components_unless_other_fields_are_asked_for(
    stage: Stage, token: str, templates: list[Json]
) -> None:
    (whole,) = (await listed(stage, token, name="t0"))["data"]
    (chosen,) = (await listed(stage, token, name="t0", fields="status,rejected_reason"))["data"]
    assert set(whole) == {"id", "name", "language", "status", "category", "components", "parameter_format"}
    assert set(chosen) == {"id", "status", "rejected_reason"}


async def test_the_next_page_is_asked_for_as_this_one_was(stage: Stage, token: str, templates: list[Json]) -> None:
    seen: list[str] = []
    address = f"{stage.url}/meta/v26.0/{WABA}/message_templates?" + urlencode(
        {
            "limit": "2",
            "fields": "name,status",
            "status": "approved",
            "language": "pt_BR,en_US",
            "summary": "total_count",
        }
    )
    pages = []
    headers = {"Authorization": f"Bearer {token}"}
    while address:
        # Only the first call has the header: the addresses that come are whole.
        async with stage.http.get(address, headers=headers) as response:
            assert response.status == 200
            page = await response.json()
        headers = {}
        pages.append(page)
        seen += [one["name"] for one in page["data"]]
        assert all(set(one) == {"id", "name", "status"} for one in page["data"])
        assert page["summary"] == {"total_count": 7}
        address = page["paging"].get("next", "")
        if address:
            query = dict(parse_qsl(urlsplit(address).query))
            assert query == {"limit": "2", "fields": "name,status", "status": "approved", "language": "pt_BR,en_US",
                             "summary": "total_count", "access_token": token,
                             "after": page["paging"]["cursors"]["after"]}  # fmt: skip
    assert seen == [f"t{number}" for number in range(7)]
    assert [len(page["data"]) for page in pages] == [2, 2, 2, 1]
    async with stage.http.get(pages[2]["paging"]["previous"]) as response:
        assert await response.json() == pages[1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "approved"}, 7), ({"status": "PAUSED,rejected"}, 1), ({"status": '["PAUSED","APPROVED"]'}, 8),
        ({"category": "marketing"}, 1), ({"language": "en_US"}, 4), ({"quality_score": "RED"}, 1),
        ({"name": "paused"}, 1), ({"name_or_content": "PAUS"}, 1), ({"name_or_content": "olá"}, 8),
        ({"content": "nothing like it"}, 0), ({"status": "paused", "category": "UTILITY"}, 0),
    ],
)  # fmt: skip
async def test_each_filter_narrows_the_list(
    stage: Stage, token: str, templates: list[Json], query: dict[str, str], expected: int
) -> None:
    assert len((await listed(stage, token, **query))["data"]) == expected


async def test_a_summary_has_what_it_is_asked_for(stage: Stage, token: str, templates: list[Json]) -> None:
    told = await listed(
        stage, token, status="PAUSED",
        summary="total_count,message_template_count,message_template_limit,are_translations_complete",
    )  # fmt: skip
    assert told["summary"] == {
        "total_count": 1, "message_template_count": 8, "message_template_limit": 250, "are_translations_complete": True,
    }  # fmt: skip
    assert "summary" not in await listed(stage, token)


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": "-1"}, {"after": "x"}, {"status": "[1"}])
async def test_a_list_that_cannot_be_asked_for_is_refused(stage: Stage, token: str, query: dict[str, str]) -> None:
    status, answer = await stage.graph(f"{WABA}/message_templates?{urlencode(query)}", None, token, "GET")
    assert (status, answer["error"]["code"]) == (400, 100)


async def test_a_template_is_read_changed_and_deleted_by_its_id(
    stage: Stage, token: str, templates: list[Json]
) -> None:
    first, second, third, *_ = (one["id"] for one in templates)
    _, whole = await stage.graph(first, None, token, "GET")
    _, chosen = await stage.graph(f"{first}?fields=name", None, token, "GET")
    _, changed = await stage.graph(first, {"category": "MARKETING"}, token)
    _, now = await stage.graph(f"{first}?fields=category,status", None, token, "GET")
    assert whole["components"]
    assert chosen == {"id": first, "name": "t0"}
    assert (changed["success"], now["category"], now["status"]) == (True, "MARKETING", "PENDING")
    path = f"{WABA}/message_templates?{urlencode({'hsm_ids': f'[{second},{third}]'})}"
    assert (await stage.graph(path, None, token, "DELETE"))[1] == {"success": True}
    assert (await stage.graph(second, None, token, "GET"))[0] == 400
    other = await stage.control("POST", "numbers", {"phone_number_id": "3333333333", "waba_id": "77777777"})
    assert (await stage.graph(first, None, other["access_token"], "GET"))[0] == 400


async def test_an_account_is_read_by_its_id(stage: Stage, token: str) -> None:
    _, account = await stage.graph(f"{WABA}?fields=name,currency", None, token, "GET")
    assert account == {"id": WABA, "name": "Loja Azul", "currency": "BRL"}


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def host() -> AsyncIterator[str]:
    """Somebody's web server with a picture on it."""

    async def give(request: web.Request) -> web.Response:
        if request.path == "/foto.png":
            return web.Response(body=PNG, content_type="image/png")
        return web.Response(status=404)

    app, port = web.Application(), free_port()
    app.router.add_get("/{tail:.*}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def send(stage: Stage, token: str, kind: str, content: Json) -> tuple[int, Json]:
    body = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": kind, kind: content}
    return await stage.graph(f"{NUMBER}/messages", body, token)


async def test_a_file_is_sent_by_its_link(stage: Stage, token: str, host: str) -> None:
    await stage.ana_writes()
    status, _ = await send(stage, token, "image", {"link": f"{host}/foto.png", "caption": "Olha"})
    assert status == 200
    message = (await stage.control("GET", "state"))["phones"][0]["messages"][-1]
    assert (message["text"], message["file"]["name"], message["file"]["size"]) == ("Olha", "foto.png", len(PNG))


@pytest.mark.parametrize("path", ["none.png", "foto.png"], ids=["not there", "another type"])
async def test_a_link_that_gives_no_file_of_its_kind_is_taken_and_fails_later(
    stage: Stage, token: str, host: str, path: str
) -> None:
    await stage.ana_writes()
    status, _ = await send(stage, token, "sticker", {"link": f"{host}/{path}"})
    assert status == 200
    await stage.until(lambda: bool(stage.listener.values("statuses")))
    (told,) = stage.listener.values("statuses")
    assert (told["status"], told["errors"][0]["code"]) == ("failed", 131053)


@pytest.mark.parametrize("content", [{"link": "ftp://x/y.png"}, {"link": "http://x/y.png", "id": "1"}, {}])
async def test_what_names_no_file_is_refused(stage: Stage, token: str, content: Json) -> None:
    await stage.ana_writes()
    assert (await send(stage, token, "image", content))[0] == 400


async def test_a_link_to_elsewhere_is_taken_for_good_and_not_followed(stage: Stage, token: str) -> None:
    await stage.ana_writes()
    assert (await send(stage, token, "image", {"link": "https://files.example/foto.png"}))[0] == 200
    message = (await stage.control("GET", "state"))["phones"][0]["messages"][-1]
    assert (message["file"]["name"], message["file"]["size"]) == ("foto.png", 0)


async def test_headers_of_interactive_messages_take_links_too(stage: Stage, token: str, host: str) -> None:
    await stage.ana_writes()
    interactive = {
        "type": "button", "header": {"type": "image", "image": {"link": f"{host}/foto.png"}}, "body": {"text": "?"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Sim"}}]},
    }  # fmt: skip
    assert (await send(stage, token, "interactive", interactive))[0] == 200
    message = (await stage.control("GET", "state"))["phones"][0]["messages"][-1]
    assert message["file"]["size"] == len(PNG)


async def test_a_send_may_be_a_form(stage: Stage, token: str) -> None:
    await stage.ana_writes()
    form = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "text", "text": '{"body": "Olá & até já"}'}
    address = f"{stage.url}/meta/v26.0/{NUMBER}/messages?access_token={token}"
    async with stage.http.post(address, data=form) as response:
        assert response.status == 200, await response.text()
    assert (await stage.control("GET", "state"))["phones"][0]["messages"][-1]["text"] == "Olá & até já"
    async with stage.http.post(address, data=form | {"text": "{"}) as response:
        assert response.status == 400


async def test_an_upload_may_tell_its_product_in_the_query(stage: Stage, token: str) -> None:
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="foto.png", content_type="image/png")
    address = f"{stage.url}/meta/v26.0/{NUMBER}/media?messaging_product=whatsapp&access_token={token}"
    async with stage.http.post(address, data=form) as response:
        assert (response.status, set(await response.json())) == (200, {"id"})
