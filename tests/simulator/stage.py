"""A stage for the simulator's own tests: the simulator in this process, and a listener in the gateway's place."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

from proof.ports import free_port
from zaptrix_sim.bitrix24.php_form import decode
from zaptrix_sim.server import application
from zaptrix_sim.settings import Options, Settings

NUMBER = "210987654321098"
ANA = "5541988887777"
ANA_WA_ID = "554188887777"
CONNECTOR = "wagw_test"
WAIT_S = 30.0

Json = dict[str, Any]


@dataclass
class Heard:
    """One request that the listener got, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed

    @property
    def form(self) -> Json:
        return decode(self.body.decode())


@dataclass
class Listener:
    """Stands where the gateway would: it keeps what it hears and answers what it was told to."""

    heard: list[Heard] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[object]] | None = None

    async def serve(self, request: web.Request) -> web.Response:
        self.heard.append(Heard(request.path, dict(request.headers), await request.read()))
        if self.before_answer is not None:
            await self.before_answer()
        if "hub.challenge" in request.query:
            return web.Response(text=request.query["hub.challenge"])
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    def values(self, kind: str) -> list[Json]:
        """The messages or statuses of all of Meta's posts, in the order in which they came."""
        return [
            item
            for one in self.heard
            if one.path == "/webhooks/meta"
            for entry in one.json["entry"]
            for change in entry["changes"]
            for item in change["value"].get(kind, [])
        ]

    def events(self, name: str = "ONIMCONNECTORMESSAGEADD") -> list[Json]:
        return [one.form for one in self.heard if one.path == "/events" and one.form["event"] == name]


class Stage:
    def __init__(self, options: Options, data_dir: Path | None = None) -> None:
        self.listener = Listener()
        self.options = options
        self._data_dir = data_dir
        self._runners: list[web.AppRunner] = []
        self.url = self.gateway = ""

    async def __aenter__(self) -> Self:
        listening = web.Application()
        listening.router.add_route("*", "/{tail:.*}", self.listener.serve)
        self.gateway = await self._start(listening, free_port())
        port = free_port()
        settings = Settings(port=port, gateway_url=self.gateway, data_dir=self._data_dir)
        self.url = await self._start(application(settings, self.options), port)
        self.http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()
        for runner in reversed(self._runners):
            await runner.cleanup()

    async def _start(self, app: web.Application, port: int) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{port}"

    # --- calls ---------------------------------------------------------------------------------------------------

    async def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as response:
            answer = await response.json()
            assert response.status == status, answer
            return answer

    async def graph(self, path: str, body: Json | None, token: str = "", method: str = "POST") -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, f"{self.url}/meta/v26.0/{path}", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def rest(self, portal: Json, method: str, body: Json | None = None) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {portal['access_token']}"}
        url = f"{portal['client_endpoint']}{method}"
        async with self.http.post(url, json=body or {}, headers=headers) as response:
            return response.status, await response.json()

    async def faults(self, *faults: Json, seed: int = 1) -> None:
        await self.control("PUT", "faults", {"seed": seed, "faults": list(faults)})

    # --- scenes --------------------------------------------------------------------------------------------------

    async def demo(self) -> tuple[Json, Json]:
        """The demo world, its connector registered and active, its events bound to the listener."""
        demo = await self.control("GET", "demo")
        portal: Json = demo["portal"]
        await self.open_line(portal)
        return portal, demo["number"]

    async def open_line(self, portal: Json, line: int = 1, **flags: Any) -> None:
        icon = {"DATA_IMAGE": "data:image/svg+xml,%3Csvg/%3E"}
        wanted = {"ID": CONNECTOR, "NAME": "WhatsApp", "ICON": icon, "PLACEMENT_HANDLER": "https://gw.example.net/s"}
        assert (await self.rest(portal, "imconnector.register", wanted | flags))[1]["result"] == {"result": True}
        await self.rest(portal, "imconnector.activate", {"CONNECTOR": CONNECTOR, "LINE": line, "ACTIVE": 1})
        for event in ("ONIMCONNECTORMESSAGEADD", "ONIMCONNECTORDIALOGSTART", "ONIMCONNECTORSTATUSDELETE"):
            await self.rest(portal, "event.bind", {"event": event, "handler": f"{self.gateway}/events"})

    async def ana_writes(self, text: str = "oi", **more: Any) -> str:
        body = {"phone_number_id": NUMBER, "from": ANA, "text": text, "name": "Ana Souza"} | more
        wamid: str = (await self.control("POST", "customers/write", body))["wamids"][0]
        return wamid

    async def put_in_chat(self, portal: Json, wamid: str, text: str = "oi", **more: str) -> Json:
        """One element of send.messages, as a gateway would write it; the item of the answer."""
        element = an_element(wamid, text, **more)
        body = {"CONNECTOR": CONNECTOR, "LINE": 1, "MESSAGES": [element]}
        status, answer = await self.rest(portal, "imconnector.send.messages", body)
        assert status == 200, answer
        item: Json = answer["result"]["DATA"]["RESULT"][0]
        return item

    async def operator_writes(self, portal: str = "demo", chat: str = ANA_WA_ID, text: str = "Bom dia") -> int:
        body = {"portal": portal, "chat_id": chat, "text": text, "operator": "Bia"}
        note: int = (await self.control("POST", "operators/write", body))["message_id"]
        return note

    async def answer(self, number: Json, text: str = "Bom dia", **more: Any) -> tuple[int, Json]:
        body = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "text", "text": {"body": text}}
        return await self.graph(f"{number['phone_number_id']}/messages", body | more, number["access_token"])

    async def ledger(self, *, drained: bool = False) -> Json:
        verdict: Json = await self.control("GET", f"ledger{'?drained=1' if drained else ''}")
        return verdict

    async def told(self) -> None:
        """Wait until the gateway has acknowledged every webhook that there is."""
        async with asyncio.timeout(WAIT_S):
            while (await self.control("GET", "health"))["webhooks_waiting"]:
                await asyncio.sleep(0.005)

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something is so, and give it; fail when it never comes."""
        async with asyncio.timeout(WAIT_S):
            while not (found := holds()):
                await asyncio.sleep(0.005)
        return found


def an_element(wamid: str, text: str = "oi", *, user: str = ANA_WA_ID, chat: str = ANA_WA_ID, phone: str = "") -> Json:
    return {
        "user": {"id": user, "name": "Ana", "last_name": "Souza", "phone": phone or f"+{ANA}"},
        "message": {"id": wamid, "date": 1, "text": text},
        "chat": {"id": chat},
    }
