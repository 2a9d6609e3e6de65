"""The real gateway as a process of its own, on real PostgreSQL and Redis, and the people who call it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from multidict import CIMultiDict

from tests.web.simulators import simulators
from zaptrix.cli.keys.api_keys import create_api_key
from zaptrix.core.ids import PortalId
from zaptrix.settings import Settings

START_S_MAX = 60.0
WAIT_S_MAX = 15.0
POLL_S = 0.05
APP_SECRET = "app-secret-of-the-tests"
OLD_APP_SECRET = "older-app-secret"
VERIFY_TOKEN = "verify-token-of-the-tests"
METRICS_TOKEN = "metrics-token-of-the-tests"
NOBODY = "http://127.0.0.1:9"  # nobody listens there

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> Json:
        """The problem document; fails when it is none, or when it is not whole."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        told: Json = self.json
        assert told["status"] == self.status
        assert told["type"].startswith("urn:zaptrix:problem:")
        assert told["title"]
        assert told["detail"]
        assert told["instance"].startswith("/")
        assert told["request_id"] == self.headers["X-Request-Id"]
        return told


@dataclass(kw_only=True)
class Gateway:
    """A running `zaptrix serve`."""

    settings: Settings
    folder: Path
    admin_key: str = ""
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()  # a command that runs it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def start(self) -> None:
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "zaptrix", "serve"], env=self.environ, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not await self._answers():
            assert self.process is not None
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail("the gateway did not start:\n" + self.log[-3000:])
            await asyncio.sleep(POLL_S)

    def stop(self) -> int:
        """Its exit code, after being asked kindly."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait(5)

    async def _answers(self) -> bool:
        try:
            return (await self.call("GET", "/health", key=None)).status in {200, 503}
        except aiohttp.ClientError:
            return False

    async def health(self, status: int) -> Reply:
        """What `/health` says once it answers with this status: for half a second all are told the same."""

        async def so() -> bool:
            return (await self.call("GET", "/health", key=None)).status == status

        await until(so, f"/health answers {status}")
        return await self.call("GET", "/health", key=None)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """A call with the admin's key, another `key`, or none at all (None)."""
        given = dict(headers or {})
        if key is not None:
            given.setdefault("Authorization", f"Bearer {key or self.admin_key}")
        if body is not None:
            data = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                method, self.url + path, data=BytesIO(data) if data else data, headers=given, allow_redirects=False
            ) as answer,
        ):
            return Reply(answer.status, CIMultiDict(answer.headers), await answer.read())

    async def key_for(self, portal_id: str) -> str:
        return await create_api_key(self.settings, name="test", portal_id=PortalId(UUID(portal_id)))

    async def meta(
        self, body: object, *, secret: str = APP_SECRET, raw: bytes | None = None, request_id: str = ""
    ) -> Reply:
        """What Meta posts, signed."""
        data = json.dumps(body).encode() if raw is None else raw
        signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        given = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json", **_named(request_id)}
        return await self.call("POST", "/webhooks/meta", key=None, data=data, headers=given)

    async def bitrix24(
        self, form: Mapping[str, str] | bytes, *, request_id: str = "", kind: str = "application/x-www-form-urlencoded"
    ) -> Reply:
        """What Bitrix24 posts."""
        data = form if isinstance(form, bytes) else urlencode(form).encode()
        given = {"Content-Type": kind, **_named(request_id)}
        return await self.call("POST", "/webhooks/bitrix24/outbound", key=None, data=data, headers=given)

    async def portal(self, **changes: object) -> Json:
        reply = await self.call("POST", "/api/portals", a_portal(**changes))
        assert reply.status == 201, reply
        created: Json = reply.json
        return created

    async def channel(self, portal_id: str, **changes: object) -> Json:
        reply = await self.call("POST", "/api/channels", a_channel(portal_id, **changes))
        assert reply.status == 201, reply
        created: Json = reply.json
        return created

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, sql: str, *values: object) -> list[Json]:
        async with self.database() as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    async def events(self, request_id: str) -> list[Json]:
        """What a webhook became, by the request id it came with."""
        return await self.rows("SELECT * FROM event WHERE request_id = $1 ORDER BY id", request_id)


async def a_gateway(
    folder: Path, database_url: str, redis_url: str, *, prefix: tuple[str, ...] = (), **environ: str
) -> Gateway:
    """A gateway that answers already, with an admin's key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "ENCRYPTION_KEYS": "x8oQv2Yl1q3eYV0gq4n0o3l2a5H1jvUj5k2b0q2m7rA=",
        "META_APP_SECRET": f"{APP_SECRET},{OLD_APP_SECRET}",
        "META_VERIFY_TOKEN": VERIFY_TOKEN,
        "METRICS_TOKEN": METRICS_TOKEN,
        "API_RATE_PER_MIN": "1000000",
        "SHUTDOWN_DELAY_S": "0",
        "WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN": "1000000",
        **simulators().environ,
        **environ,
    }
    settings = Settings.from_env(given)
    gateway = Gateway(settings=settings, folder=folder, prefix=prefix, environ={"PATH": os.environ["PATH"], **given})
    gateway.start()
    try:
        await gateway.ready()
        gateway.admin_key = await create_api_key(settings, name="admin of the tests", portal_id=None)
    except BaseException:
        gateway.stop()
        raise
    return gateway


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not await condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {WAIT_S_MAX:g} s: {what}")
        await asyncio.sleep(POLL_S)


# --- what people send ------------------------------------------------------------------------------------------------


def _named(request_id: str) -> dict[str, str]:
    return {"X-Request-Id": request_id} if request_id else {}


def a_request_id() -> str:
    return f"test-{uuid4().hex}"


def a_portal(**changes: object) -> Json:
    """A body that creates a portal, of an account that is new at Bitrix24."""
    told = simulators().portal()
    names = ("portal_url", "member_id", "client_id", "client_secret", "access_token", "refresh_token")
    return {name: told[name] for name in (*names, "application_token")} | {"expires_in": 3600} | changes


def a_new_pair(portal: Json) -> Json:
    """What an admin gets who authorises the application again."""
    key = portal["portal_url"].rpartition("/")[2]
    told = simulators().control("POST", f"portals/{key}/tokens")
    return {name: told[name] for name in ("access_token", "refresh_token")} | {"expires_in": 3600}


def a_channel(portal_id: str, **changes: object) -> Json:
    """A body that creates a channel, of a number that is new at Meta."""
    number, account = str(changes.get("phone_number_id") or ""), str(changes.get("waba_id") or "")
    good = [each if each.isascii() and each.isdigit() and len(each) >= 5 else "" for each in (number, account)]
    told = simulators().number(*good)
    return {
        "portal_id": portal_id,
        "name": "Loja",
        "phone_number_id": told["phone_number_id"],
        "display_phone_number": "+55 11 91234-5678",
        "access_token": told["access_token"],
        "line_id": 1,
        **changes,
    }


def a_message(wamid: str, text: str = "oi", *, sender: str = "554188887777") -> Json:
    return {"from": sender, "id": wamid, "timestamp": "1794300010", "type": "text", "text": {"body": text}}


def processes_of(gateway: Gateway) -> list[int]:
    """The processes that serve, which the first one made."""
    assert gateway.process is not None
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def a_signed_request(webhook: Json, *, more: str = "") -> bytes:
    """What Meta posts, as it stands on the wire; `more` lines of its head."""
    body = json.dumps(webhook).encode()
    signature = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = f"Host: x\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n{more}"
    return f"POST /webhooks/meta HTTP/1.1\r\n{head}\r\n".encode() + body


def a_webhook(*messages: object, number: str = "210987654321098") -> Json:
    """What Meta posts for customers' messages."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551140041234", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Ana Souza"}, "wa_id": "554188887777"}],
        "messages": list(messages),
    }
    change = {"field": "messages", "value": value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}


def an_event(member_id: str, token: str, *, message_id: str = "1", chat: str = "zx1-a-b", text: str = "oi") -> Json:
    """What Bitrix24 posts for an operator's message."""
    return {
        "event": "ONIMCONNECTORMESSAGEADD",
        "data[CONNECTOR]": "zaptrix_test",
        "data[LINE]": "1",
        "data[MESSAGES][0][im][chat_id]": "77",
        "data[MESSAGES][0][im][message_id]": message_id,
        "data[MESSAGES][0][message][user_id]": "1",
        "data[MESSAGES][0][message][text]": text,
        "data[MESSAGES][0][chat][id]": chat,
        "ts": "1794300010",
        "auth[member_id]": member_id,
        "auth[application_token]": token,
    }


# --- what workers would have written ---------------------------------------------------------------------------------


async def a_conversation(gateway: Gateway, channel: Json, **columns: object) -> str:
    given = {"meta_whatsapp_id": uuid4().hex, **columns}
    names, marks = ", ".join(given), ", ".join(f"${n}" for n in range(3, len(given) + 3))
    sql = f"INSERT INTO conversation_mapping (portal_id, channel_id, {names}) VALUES ($1, $2, {marks}) RETURNING id"  # noqa: S608
    (row,) = await gateway.rows(sql, UUID(channel["portal_id"]), UUID(channel["id"]), *given.values())
    return str(row["id"])


async def a_letter(gateway: Gateway, channel: Json, conversation_id: str, **columns: object) -> int:
    """A message in the ledger: a dead one, unless `state` says otherwise."""
    content = '{"type": "text", "text": {"spans": [{"text": "oi"}]}}'
    given = {"state": "dead", "error_code": "131047", "error_detail": "window closed", **columns}
    names, marks = ", ".join(given), ", ".join(f"${n}" for n in range(5, len(given) + 5))
    sql = f"""
    INSERT INTO message (portal_id, channel_id, lane_id, conversation_id, content, direction, kind, origin, request_id,
        written_at, {names})
    VALUES ($1, $2, $2, $3, $4::jsonb, 'outbound', 'text', 'operator', 'test-request', now(), {marks}) RETURNING id"""  # noqa: S608
    ids = UUID(channel["portal_id"]), UUID(channel["id"]), UUID(conversation_id)
    (row,) = await gateway.rows(sql, *ids, content, *given.values())
    return int(row["id"])
