"""What operators do with messages that are there, in the documented shapes; and how the phone shows typing."""

from typing import Any

import pytest

from tests.simulator.judge.test_ledger import inbound, reached, wrote
from tests.simulator.stage import ANA, ANA_WA_ID, CONNECTOR, Json, Stage
from zaptrix_sim.judge.facts import Fact, OperatorChanged, OperatorWrote
from zaptrix_sim.judge.ledger import judge

UPDATE, DELETE = "ONIMCONNECTORMESSAGEUPDATE", "ONIMCONNECTORMESSAGEDELETE"


async def does(stage: Stage, act: str, *, status: int = 200, **wanted: Any) -> Json:
    body = {"portal": "demo", "chat_id": ANA_WA_ID, "operator": "Bia", **wanted}
    told: Json = await stage.control("POST", f"operators/{act}", body, status)
    return told


async def a_chat(stage: Stage, **flags: bool) -> tuple[Json, Json, str]:
    portal, number = await stage.demo()
    await stage.open_line(portal, **flags)
    for event in (UPDATE, DELETE):
        await stage.rest(portal, "event.bind", {"event": event, "handler": f"{stage.gateway}/events"})
    wamid = await stage.ana_writes("Qual o preço?")
    await stage.put_in_chat(portal, wamid, "Qual o preço?")
    return portal, number, wamid


async def confirmed(stage: Stage, portal: Json, note: int, mids: list[str]) -> None:
    element = {"im": {"chat_id": 1, "message_id": note}, "message": {"id": mids}, "chat": {"id": ANA_WA_ID}}
    body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [element]}
    assert (await stage.rest(portal, "imconnector.send.status.delivery", body))[0] == 200


async def test_a_quote_stands_above_the_answer_as_the_portal_writes_it(stage: Stage) -> None:
    await a_chat(stage)
    state = await stage.control("GET", "state")
    quoted = state["chats"][0]["messages"][0]["id"]
    for way in ("frame", "named", "arrows"):
        await does(stage, "write", text=f"R$ 10 {way}", quotes=quoted, quote_as=way)
    heard = await stage.until(lambda: len(stage.listener.events()) == 3 and stage.listener.events())
    frame, named, arrows = (
        one["data"]["MESSAGES"]["0"]["message"]["text"].removeprefix("[b]Bia:[/b] [br]") for one in heard
    )
    lines = frame.split("\n")
    assert (lines[0], lines[2:]) == ("-" * 54, ["Qual o preço?", "-" * 54, "R$ 10 frame"])
    assert lines[1].startswith("Ana Souza [")
    assert named.split("\n")[1].endswith(f"/{quoted}")
    assert arrows == ">>Qual o preço?\nR$ 10 arrows"


@pytest.mark.parametrize(("act", "flag"), [("edit", "EDIT_INTERNAL_MESSAGES"), ("delete", "DEL_INTERNAL_MESSAGES")])
async def test_what_the_connector_does_not_allow_is_not_offered(stage: Stage, act: str, flag: str) -> None:
    await a_chat(stage, **{flag: False})
    note = await stage.operator_writes()
    await does(stage, act, message_id=note, text="x", status=400)
    assert (await does(stage, act, message_id=note, text="x", anyway=True))["told"]


async def test_a_portal_tells_of_changes_when_the_message_was_confirmed(stage: Stage) -> None:
    portal, _, _ = await a_chat(stage)
    note = await stage.operator_writes(text="custa R$ 10")
    assert not (await does(stage, "edit", message_id=note, text="custa R$ 11"))["told"]
    await confirmed(stage, portal, note, ["wamid.1", "wamid.2"])
    assert (await does(stage, "edit", message_id=note, text="custa R$ 12"))["told"]
    (edit,) = await stage.until(lambda: stage.listener.events(UPDATE))
    message = edit["data"]["MESSAGES"]["0"]["message"]
    assert message == {"id": {"0": "wamid.1", "1": "wamid.2"}, "text": "[b]Bia:[/b][br] custa R$ 12"}
    await does(stage, "delete", message_id=note)
    (deletion,) = await stage.until(lambda: stage.listener.events(DELETE))
    assert [one["message"] for one in deletion["data"]["MESSAGES"].values()] == [{"id": "wamid.1"}, {"id": "wamid.2"}]
    await does(stage, "delete", message_id=note, status=400)


async def test_typing_is_shown_until_the_answer(stage: Stage) -> None:
    _, number, wamid = await a_chat(stage)
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    path, token = f"{number['phone_number_id']}/messages", number["access_token"]

    async def typing() -> tuple[bool, int]:
        (phone,) = (await stage.control("GET", f"state?customer={ANA_WA_ID}"))["phones"]
        return phone["typing"], phone["typing_shown"]

    assert (await stage.graph(path, mark, token))[0] == 200
    assert await typing() == (False, 0)
    assert (await stage.graph(path, mark | {"typing_indicator": {"type": "dance"}}, token))[0] == 400
    assert (await stage.graph(path, mark | {"typing_indicator": {"type": "text"}}, token))[0] == 200
    assert await typing() == (True, 1)
    assert (await stage.answer(number, to=f"+{ANA}"))[0] == 200
    assert await typing() == (False, 1)


# --- the judge -------------------------------------------------------------------------------------------------------


def answered(note: int, text: str, quote: str) -> list[Fact]:
    _, *told = wrote(note, text)
    return [OperatorWrote(("p1", note), ("p1", 1), "Bia", text, quote), *told]


def changed(note: int, text: str | None) -> list[Fact]:
    return [OperatorChanged(("p1", note), text)]


@pytest.mark.parametrize(
    "history",
    [
        [*answered(1, "R$ 10", ">>preço?\n"), *reached("R$ 10")],
        [*answered(1, "R$ 10", ">>preço?\n"), *reached("> preço?\nR$ 10")],
        [*wrote(1, "R$ 10"), *changed(1, "R$ 100"), *reached("R$ 100")],
        [*wrote(1, "R$ 10"), *changed(1, "R$ 100"), *reached("R$ 10")],
        [*wrote(1, "ops"), *changed(1, None)],
        [*wrote(1, "ops"), *reached("ops"), *changed(1, None)],
    ],
    ids=["named", "repeated", "new words", "old words", "deleted", "deleted too late"],
)
def test_either_way_is_right(history: list[Fact]) -> None:
    verdict = judge([*inbound("a"), *history])
    assert (verdict["violations"], verdict["drained"]) == ([], True)


@pytest.mark.parametrize(
    ("history", "kind"),
    [
        ([*answered(1, "R$ 10", ">>preço?\n")], "lost"),
        ([*wrote(1, "R$ 10"), *changed(1, "R$ 100")], "lost"),
        ([*wrote(1, "R$ 10"), *changed(1, "R$ 100"), *reached("R$ 100"), *reached("R$ 100", wamid="2")], "doubled"),
    ],
    ids=["an answer that never came", "an edit that never came", "an edit that came twice"],
)
def test_what_is_wrong_is_seen(history: list[Fact], kind: str) -> None:
    assert {one["kind"] for one in judge([*inbound("a"), *history])["violations"]} == {kind}
