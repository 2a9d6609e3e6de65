"""The far side, over HTTP: it notices what a platform would notice and forgets nothing that arrived."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.far_record import Arrivals, make_counter, read_told
from benchmarks.letters import text_of
from benchmarks.load import Counted
from proof.ports import free_port
from proof.world import eventually
from zaptrix.cli.local.children import Child, Program


class FarSide:
    def __init__(self, url: str, session: aiohttp.ClientSession, count: Counted) -> None:
        self.url = url
        self.session = session
        self.count = count

    async def post(self, path: str, token: str, body: object) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.post(f"{self.url}{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def record(self) -> Arrivals:
        async with self.session.get(f"{self.url}/control/record") as answer:
            return read_told(await answer.read())

    async def answers(self) -> bool:
        try:
            await self.record()
        except aiohttp.ClientError:
            return False
        return True


@pytest.fixture
async def far_side(tmp_path: Path) -> AsyncIterator[FarSide]:
    port, counter = free_port(), tmp_path / "count"
    count = Counted(make_counter(counter))
    argv = [sys.executable, "-m", "benchmarks.far_side", "--port", str(port), "--counter", str(counter)]
    child = Child(Program(name="far side", argv=argv, log=tmp_path / "far.log"))
    try:
        async with aiohttp.ClientSession() as session:
            far_side = FarSide(f"http://127.0.0.1:{port}", session, count)
            await eventually(far_side.answers, 20, "the far side")
            yield far_side
    finally:
        child.stop()


def element(number: int, chat: str) -> dict[str, object]:
    message = {"id": f"wamid.{number}", "date": 1, "text": text_of(number)}
    return {"user": {"id": "ana"}, "message": message, "chat": {"id": chat}}


async def send(far_side: FarSide, *elements: dict[str, object], token: str = "access-token-3") -> tuple[int, Any]:
    body = {"CONNECTOR": "zaptrix", "LINE": 14, "MESSAGES": list(elements)}
    return await far_side.post("/bitrix24/p3/rest/imconnector.send.messages", token, body)


async def test_texts_are_written_down_in_the_order_of_their_arrival(far_side: FarSide) -> None:
    _, told = await send(far_side, element(4, "a"), element(9, "b"))
    await send(far_side, element(5, "a"), element(5, "a"))
    record = await far_side.record()
    assert record.numbers == [4, 9, 5, 5]
    assert [record.names[place] for place in record.threads] == ["a", "b", "a", "a"]
    assert far_side.count() == 4
    assert [item["session"]["CHAT_ID"] for item in told["result"]["DATA"]["RESULT"]] == ["1", "2"]
    assert told["time"]["operating"] >= 0


async def test_a_token_of_another_portal_is_refused_and_told(far_side: FarSide) -> None:
    status, told = await send(far_side, element(4, "a"), token="access-token-4")
    assert (status, told["error"]) == (401, "expired_token")
    record = await far_side.record()
    assert (record.numbers, record.faults) == ([], {"a portal's wrong token": 1})


async def test_a_graph_message_is_written_down_with_its_number_and_customer(far_side: FarSide) -> None:
    body = {"messaging_product": "whatsapp", "to": "+5511900000001", "type": "text", "text": {"body": text_of(7)}}
    status, told = await far_side.post("/meta/v26.0/210000000000002/messages", "number-token-2", body)
    record = await far_side.record()
    assert (status, told["contacts"][0]["wa_id"]) == (200, "5511900000001")
    assert (record.numbers, record.names) == ([7], ["210000000000002/5511900000001"])


async def test_read_marks_and_confirmations_are_counted(far_side: FarSide) -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}
    await far_side.post("/meta/v26.0/210000000000002/messages", "number-token-2", mark)
    told = {
        "CONNECTOR": "zaptrix",
        "LINE": 14,
        "MESSAGES": [{"im": {"chat_id": 1, "message_id": 77}, "message": {"id": ["w"]}}],
    }
    await far_side.post("/bitrix24/p3/rest/imconnector.send.status.delivery", "access-token-3", told)
    record = await far_side.record()
    assert (record.calls["read mark"], record.confirmed, record.numbers) == (1, [77], [])


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/bitrix24/p3/rest/im.message.delete", "unexpected im.message.delete"),
        ("/bitrix24/p3/rest/imconnector.send.messages", "unreadable imconnector.send.messages"),
        ("/elsewhere", "no such address: elsewhere"),
    ],
)
async def test_a_call_that_no_platform_would_take_is_a_fault(far_side: FarSide, path: str, fault: str) -> None:
    status, _ = await far_side.post(path, "access-token-3", {"MESSAGES": 1})
    assert status in {400, 404}
    assert (await far_side.record()).faults == {fault: 1}


async def test_a_history_tells_what_came_and_what_was_confirmed(far_side: FarSide) -> None:
    await send(far_side, element(1, "a"))
    told = {"MESSAGES": [{"im": {"chat_id": 1, "message_id": 77}, "message": {"id": ["wamid.FAR"]}}]}
    await far_side.post("/bitrix24/p3/rest/imconnector.send.status.delivery", "access-token-3", told)
    asked = {
        "a": "imopenlines.dialog.get?CHAT_ID=1",
        "b": "imopenlines.session.history.get?SESSION_ID=7",
        "c": "imopenlines.dialog.get?CHAT_ID=9",
    }
    _, answer = await far_side.post("/bitrix24/p3/rest/batch", "access-token-3", {"halt": 0, "cmd": asked})
    found, refused = answer["result"]["result"], answer["result"]["result_error"]
    assert found["a"]["message_count"] == 2
    assert [one["params"]["connectorMid"] for one in found["b"]["message"].values()] == [["wamid.1"], ["wamid.FAR"]]
    assert refused["c"]["error"] == "ACCESS_ERROR"


async def test_a_chat_keeps_its_id_when_a_new_record_begins(far_side: FarSide) -> None:
    await send(far_side, element(1, "a"), element(2, "b"))
    async with far_side.session.delete(f"{far_side.url}/control/record"):
        pass
    _, told = await send(far_side, element(3, "b"))
    assert told["result"]["DATA"]["RESULT"][0]["session"]["CHAT_ID"] == "2"
    assert (await far_side.record()).numbers == [3]


async def test_calls_wait_for_their_answers_beside_each_other(far_side: FarSide) -> None:
    calls, wait_s = 200, 0.25
    async with far_side.session.post(f"{far_side.url}/control/latency-ms/{wait_s * 1000:g}"):
        pass
    began = time.monotonic()
    connector = aiohttp.TCPConnector(limit=calls)
    async with aiohttp.ClientSession(connector=connector) as session:
        many = FarSide(far_side.url, session, far_side.count)
        await asyncio.gather(*(send(many, element(number, f"{number}")) for number in range(calls)))
        took = time.monotonic() - began
    record = await far_side.record()
    assert wait_s <= took < calls * wait_s / 4
    assert len(record.late) == calls
    assert record.open_most > calls / 4
