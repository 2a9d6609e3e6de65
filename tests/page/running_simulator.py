"""A simulator running alone: the program, its two platforms as a gateway would call them, and its remote control."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

START_S_MAX = 30.0
POLL_S = 0.05
CONNECTOR = "zaptrix_test"


@dataclass(kw_only=True)
class Simulator:
    """The running program, its two platforms as a gateway would call them, and its remote control."""

    data_dir: Path
    port: int
    gateway_url: str = "http://127.0.0.1:9"  # nobody listens there: the simulator is alone
    process: "subprocess.Popen[bytes] | None" = None
    world: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Also after a stop: the same port and the same data. Raises when it does not answer in START_S_MAX."""
        self.process = self._spawn()
        deadline = time.monotonic() + START_S_MAX
        while not await self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail("the simulator did not start:\n" + self._log.read_text()[-3000:])
            await asyncio.sleep(POLL_S)
        self.world = await self.control("GET", "demo")

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    async def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return await self._call(method, f"/control/{path}", body, {})

    async def rest(self, method: str, body: object) -> dict[str, Any]:
        portal = self.world["portal"]
        key = {"Authorization": f"Bearer {portal['access_token']}"}
        return await self._call("POST", f"/bitrix24/{portal['portal']}/rest/{method}", body, key)

    async def graph_send(self, to: str, text: str) -> str:
        return await self.graph_sends("text", {"body": text}, to=to)

    async def graph_sends(self, kind: str, content: object, *, to: str = "554188887777", **more: object) -> str:
        body = {"to": f"+{to}", "type": kind, kind: content} | more
        return str((await self.graph_calls(body))["messages"][0]["id"])

    async def graph_calls(self, body: dict[str, object]) -> dict[str, Any]:
        number = self.world["number"]
        key = {"Authorization": f"Bearer {number['access_token']}"}
        whole = {"messaging_product": "whatsapp"} | body
        return await self._call("POST", f"/meta/v26.0/{number['phone_number_id']}/messages", whole, key)

    async def graph_uploads(self, content: bytes, name: str, mime: str) -> str:
        number = self.world["number"]
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": mime})
        form.add_field("file", content, filename=name, content_type=mime)
        key = {"Authorization": f"Bearer {number['access_token']}"}
        url = f"{self.url}/meta/v26.0/{number['phone_number_id']}/media"
        async with aiohttp.ClientSession(headers=key) as session, session.post(url, data=form) as answer:
            return str((await answer.json())["id"])

    async def customer_writes(self, text: str, *, wa_id: str = "554188887777", name: str = "Ana Souza") -> str:
        number = self.world["number"]["phone_number_id"]
        letter = {"phone_number_id": number, "from": wa_id, "text": text, "name": name}
        answer = await self.control("POST", "customers/write", letter)
        return str(answer["wamids"][0])

    async def customer_sends(self, kind: str, **what: object) -> str:
        number = self.world["number"]["phone_number_id"]
        letter = {"phone_number_id": number, "from": "554188887777", "customer_name": "Ana Souza", "kind": kind}
        return str((await self.control("POST", "customers/send", letter | what))["wamids"][0])

    async def put_in_chat(self, wamid: str, text: str, *, chat: str = "ana", name: str = "Ana Souza") -> None:
        """What a gateway does with a customer's text: the connector, then the message."""
        await self.rest("imconnector.register", connector())
        await self.rest("imconnector.activate", {"CONNECTOR": CONNECTOR, "LINE": 1, "ACTIVE": 1})
        item = {
            "user": {"id": chat, "name": name},
            "message": {"id": wamid, "text": text},
            "chat": {"id": chat},
        }
        await self.rest("imconnector.send.messages", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [item]})

    async def operator_writes(self, text: str, *, chat: str = "ana") -> int:
        letter = {"portal": self.world["portal"]["portal"], "chat_id": chat, "text": text, "operator": "Bia"}
        answer = await self.control("POST", "operators/write", letter)
        return int(answer["message_id"])

    async def confirm(self, message_id: int, wamid: str, *, chat: str = "ana") -> None:
        """What a gateway does once WhatsApp took an operator's text."""
        state = await self.control("GET", "state")
        chat_id = next(one["chat_id"] for one in state["chats"] if one["external_chat_id"] == chat)
        item = {
            "im": {"chat_id": chat_id, "message_id": message_id},
            "message": {"id": [wamid]},
            "chat": {"id": chat},
        }
        await self.rest("imconnector.send.status.delivery", {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [item]})

    @property
    def _log(self) -> Path:
        return self.data_dir / "simulator.log"

    def _spawn(self) -> "subprocess.Popen[bytes]":
        environ = os.environ | {
            "SIM_HOST": "127.0.0.1",
            "SIM_PORT": str(self.port),
            "SIM_DATA_DIR": str(self.data_dir),
            "GATEWAY_URL": self.gateway_url,
        }
        with self._log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "zaptrix_sim"], env=environ, stdout=log, stderr=log)

    async def _answers(self) -> bool:
        try:
            await self.control("GET", "health")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def _call(self, method: str, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.url + path, json=body, headers=headers) as response,
        ):
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, f"{method} {path}: {response.status} {answer}"
            return answer


def connector(**flags: object) -> dict[str, object]:
    return flags | {
        "ID": CONNECTOR,
        "NAME": "WhatsApp",
        "ICON": {"DATA_IMAGE": "data:image/svg+xml,%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg%22%2F%3E"},
        "PLACEMENT_HANDLER": "https://gateway.example.com/settings",
        "NEED_SIGNATURE": False,
        "CHAT_GROUP": False,
    }
