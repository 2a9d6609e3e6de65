"""The simulated Graph API holds a send against its template, and refuses as Meta does."""

from typing import Any

import pytest

from tests.simulator.stage import ANA, NUMBER, Json, Stage

WABA = "108866333444555"
POSITIONAL = [{"type": "BODY", "text": "Olá {{1}}, às {{2}}."}]


async def put(stage: Stage, name: str = "aviso", **more: Any) -> Json:
    wanted = {"phone_number_id": NUMBER, "name": name, "components": POSITIONAL, **more}
    made: Json = await stage.control("POST", "templates", wanted)
    return made


async def send(stage: Stage, token: str, template: Json) -> tuple[int, Json]:
    body = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "template", "template": template}
    return await stage.graph(f"{NUMBER}/messages", body, token)


def a_send(*values: str, name: str = "aviso", language: str = "pt_BR", **more: Any) -> Json:
    body = {"type": "body", "parameters": [{"type": "text", "text": value, **more} for value in values]}
    return {"name": name, "language": {"code": language}, "components": [body] if values else []}


async def test_a_template_needs_no_open_window_and_a_text_does(stage: Stage) -> None:
    _, number = await stage.demo()
    await put(stage)
    status, answer = await send(stage, number["access_token"], a_send("Ana", "9h"))
    assert status == 200
    assert answer["messages"][0]["message_status"] == "accepted"
    assert (await stage.answer(number))[1]["error"]["code"] == 131047


@pytest.mark.parametrize(
    ("template", "code"),
    [
        (a_send("Ana"), 132000),
        (a_send(), 132000),
        (a_send("Ana", "9h", "x"), 132000),
        (a_send("Ana", "9h", name="outro"), 132001),
        (a_send("Ana", "9h", language="en_US"), 132001),
        (a_send("Ana", "9h\n"), 132018),
        (a_send("Ana", "9     h"), 132018),
        (a_send("Ana", ""), 131008),
        (a_send("Ana", "9h", parameter_name="hora"), 132012),
        ({"language": {"code": "pt_BR"}}, 131008),
        ({"name": "aviso"}, 131008),
    ],
)
async def test_what_does_not_match_is_refused_by_its_code(stage: Stage, template: Json, code: int) -> None:
    _, number = await stage.demo()
    await put(stage)
    status, answer = await send(stage, number["access_token"], template)
    assert (status, answer["error"]["code"]) == (404 if code == 132001 else 400, code)


@pytest.mark.parametrize(("status", "code"), [("PENDING", 132001), ("PAUSED", 132015), ("DISABLED", 132016)])
async def test_only_an_approved_template_is_taken(stage: Stage, status: str, code: int) -> None:
    _, number = await stage.demo()
    await put(stage, status=status)
    _, answer = await send(stage, number["access_token"], a_send("Ana", "9h"))
    assert answer["error"]["code"] == code


async def test_a_header_of_another_kind_is_a_format_mismatch(stage: Stage) -> None:
    _, number = await stage.demo()
    await put(stage, components=[{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "oi"}])
    for parameters in ([], [{"type": "document", "document": {"id": "1"}}]):
        template = a_send() | {"components": [{"type": "header", "parameters": parameters}]}
        _, answer = await send(stage, number["access_token"], template)
        assert answer["error"]["code"] == 132012


async def test_a_list_comes_in_pages_until_there_is_no_next(stage: Stage) -> None:
    _, number = await stage.demo()
    for name in ("a", "b", "c"):
        await put(stage, name)
    names: list[str] = []
    after = ""
    while True:
        path = f"{WABA}/message_templates?fields=name,components&limit=2{after}"
        _, answer = await stage.graph(path, None, number["access_token"], "GET")
        names += [one["name"] for one in answer["data"]]
        if "next" not in answer["paging"]:
            break
        after = f"&after={answer['paging']['cursors']['after']}"
    assert names == ["a", "b", "c"]


async def test_what_meta_changes_is_told_by_webhook_in_the_shape_of_its_field(stage: Stage) -> None:
    await stage.demo()
    made = await put(stage)
    change = {"phone_number_id": NUMBER, "name": "aviso", "status": "PAUSED", "quality": "RED", "category": "MARKETING"}
    await stage.control("POST", "templates/change", change)

    def told() -> list[Json]:
        posts = [one.json for one in stage.listener.heard if one.path == "/webhooks/meta"]
        return [change for post in posts for entry in post["entry"] for change in entry["changes"]]

    changes = await stage.until(lambda: told() if len(told()) == 3 else None)
    assert {one["field"] for one in changes} == {
        "message_template_status_update", "message_template_quality_update", "template_category_update",
    }  # fmt: skip
    assert all(one["value"]["message_template_id"] == int(made["id"]) for one in changes)
    assert all("metadata" not in one["value"] for one in changes)
