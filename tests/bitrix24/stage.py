"""A portal of the simulator, with the room's own parts in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from tests.bitrix24.answering import Answering, Reply
from tests.bitrix24.builders import (
    FreePace,
    MemoryCache,
    MemoryVault,
    a_channel,
    a_claim,
    a_portal,
    an_event,
    utc_now,
)
from zaptrix.bitrix24.inbound.webhook import claimed_sender, parse_form, same_token, to_event
from zaptrix.bitrix24.platform import Bitrix24
from zaptrix.bitrix24.portal.registration import register
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
from zaptrix.bitrix24.translate import translate
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.event import Routed
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Channel, CrmMode, Portal
from zaptrix.core.ports import TokenPair

EVENTS_WAIT_S = 30.0


@dataclass
class Stage:
    """One portal, one line, the gateway's door for its events."""

    url: str
    key: str
    record: dict[str, Any]
    http: aiohttp.ClientSession
    door: Answering
    portal: Portal
    channel: Channel
    client: PortalClient
    platform: Bitrix24
    vault: MemoryVault
    cache: MemoryCache

    async def control(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def faults(self, *faults: dict[str, Any]) -> None:
        """Orders faults for this portal's API, next to none for others."""
        wanted = [
            {"side": "bitrix24", "where": "api", "times": 1, **fault, "match": {"portal": self.key, **fault["match"]}}
            for fault in faults
        ]
        await self.control("faults", wanted, method="PUT")

    async def chats(self) -> list[dict[str, Any]]:
        state = await self.control(f"state?portal={self.key}", method="GET")
        return [chat for chat in state["chats"] if chat["portal"] == self.key]

    async def texts(self) -> list[str]:
        """What operators see, in all chats of the portal."""
        return [message["text"] for chat in await self.chats() for message in chat["messages"]]

    async def ask(self, method: str, **params: object) -> Any:
        return await self.client.call(self.portal, method, params)

    def a_claim(self, text: str = "Olá", **more: Any) -> Claim:
        return a_claim(text, **{"portal": self.portal, "channel": self.channel, **more})

    async def event(self, name: str) -> Routed:
        """What the next event of this name means, read from the form that the portal posted."""
        async with asyncio.timeout(EVENTS_WAIT_S):
            while True:
                for asked in list(self.door.asked):
                    form = parse_form(asked.body)
                    if form.get("event") == name:
                        self.door.asked.remove(asked)
                        return self._routed(form)
                await asyncio.sleep(0.01)

    def _routed(self, form: Any) -> Routed:
        member_id, token = claimed_sender(form)
        assert member_id == self.record["member_id"]
        assert same_token(self.record["application_token"], token)
        (event,) = to_event(form, self.portal.id, "request")
        return translate(an_event(event.name, event.body))


@asynccontextmanager
async def a_stage(
    simulator_url: str,
    *,
    crm_mode: CrmMode = CrmMode.LINE,
    line: dict[str, Any] | None = None,
    registered: bool = True,
    timeout_s: float = 10,
) -> AsyncIterator[Stage]:
    key = f"p{uuid4().hex[:12]}"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        door = await stack.enter_async_context(Answering(Reply(text="")).running())
        portal_id = PortalId(uuid4())
        wanted = {
            "portal": key,
            "lines": [{"id": 14, "name": "Vendas", "crm": "Y", "crm_create": "none", **(line or {})}],
        }
        async with http.post(f"{simulator_url}/control/portals", json=wanted) as response:
            record = await response.json()
        portal = a_portal(record["client_endpoint"], portal_id)
        vault, cache = MemoryVault({portal_id: pair_of(record)}), MemoryCache()
        tokens = Tokens(vault, cache, OAuth(http, url=record["oauth_url"], now=utc_now), utc_now)
        client = PortalClient(
            http,
            tokens=tokens,
            vault=vault,
            pace=FreePace(),
            now=utc_now,
            timeout_s=timeout_s,
        )
        channel = msgspec.structs.replace(a_channel(14, crm_mode), portal_id=portal_id)
        platform = Bitrix24(client, patience=Patience(), calls_at_once=4)
        if registered:
            await register(client, portal, channel, door.url)
        yield Stage(simulator_url, key, record, http, door, portal, channel, client, platform, vault, cache)


def pair_of(record: dict[str, Any]) -> TokenPair:
    return TokenPair(
        client_id=record["client_id"],
        client_secret=record["client_secret"],
        access_token=record["access_token"],
        refresh_token=record["refresh_token"],
        expires_at=datetime.fromtimestamp(record["expires"], UTC),
        oauth_host=None,
    )
