"""Whatever a portal or the OAuth server answers, every method ends in one of our errors or in a value that fits.

The methods are found, not listed: a new one is in the test as soon as it is written.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Any, get_type_hints
from uuid import UUID

import aiohttp
import pytest
from structlog.testing import capture_logs

import zaptrix.bitrix24
from tests.bent_answers import ANSWERS, Bending, assert_discreet, assert_storable, bent, raw, whole
from tests.bitrix24.builders import (
    FreePace,
    MemoryCache,
    MemoryVault,
    a_channel,
    a_claim,
    a_customer,
    a_pair,
    a_portal,
    in_chat,
    utc_now,
)
from zaptrix.bitrix24.portal.contacts import Contacts
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError, Unavailable
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.event import Recovered
from zaptrix.core.ids import ConversationId
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.recovery import Chat, ChatState, OfflineRows

PORTAL_SECONDS = 4.0
RAW = ("PortalClient.call", "PortalClient.ask")  # what they hand over is the caller's to read
CHAT = Chat(
    conversation_id=ConversationId(UUID(int=7)), external_chat_id="zx", line_id=1, bitrix_chat_id=5,
    bitrix_session_id=3, looked_message_id=None,
)  # fmt: skip
STATE = ChatState(last_message_id=9, bitrix_session_id=3)

# A good answer of each REST method, to be bent; a method that stands here not is bent by ANSWERS alone.
TIME = {"operating": 1.5, "operating_reset_at": 1793000600, "finish": 1793000123.5}
HISTORY = {
    "chatId": 5,
    "sessionId": 3,
    "message": {
        "8": {"id": 8, "senderid": 2, "date": "2026-09-01T12:00:00+03:00", "text": "oi", "textlegacy": "oi",
            "params": {"connectorMid": ["w"]}},
        "9": {"id": 9, "senderid": 2, "date": "2026-09-01T12:00:01+03:00", "text": "oi", "params": {"fileId": [4]}},
    },
    "users": {"2": {"id": 2, "name": "Rui", "connector": False, "externalAuthId": "x"}},
    "files": {"4": {"id": 4, "name": "a.pdf", "type": "file", "size": 100}},
}  # fmt: skip
SAID = {"im": {"chat_id": 5, "message_id": 8}, "chat": {"id": "zx"}, "message": {"text": "oi", "user_id": 2}}
EVENT = {
    "ID": "1",
    "EVENT_NAME": "ONIMCONNECTORMESSAGEADD",
    "TIMESTAMP_X": "2026-09-01T12:00:00+03:00",
    "PROCESS_ID": "p1",
    "EVENT_DATA": {"CONNECTOR": "zx", "LINE": 1, "MESSAGES": [SAID]},
}
GOOD: dict[str, Any] = {
    "crm.duplicate.findbycomm": {"CONTACT": [3]},
    "imopenlines.crm.chat.get": [{"CHAT_ID": "5", "CONNECTOR_ID": "zaptrix"}],
    "crm.contact.add": 42,
    "disk.file.get": {"ID": 4, "DOWNLOAD_URL": "https://portal.invalid/file"},
    "batch": {"result": {"c0": HISTORY | {"last_message_id": 9, "entity_data_1": "Y|A|1|N|N|3|1"}}, "result_error": []},
    "imopenlines.session.history.get": HISTORY,
    "imconnector.send.messages": {"SUCCESS": True, "DATA": {"RESULT": [{"SUCCESS": True, "ERRORS": [],
        "session": {"ID": 3, "CHAT_ID": 5}, "message": {"files": [4]}}]}},
    "im.message.add": 8,
    "imconnector.status": {"STATUS": True},
    "event.get": [{"event": "ONIMCONNECTORMESSAGEADD", "handler": "https://x.example/webhooks/bitrix24/outbound",
        "offline": 0}],
    "feature.get": {"value": "Y"},
    "event.offline.get": {"process_id": "p1", "events": [EVENT]},
    "event.offline.list": [EVENT],
}  # fmt: skip
TOKEN_ANSWER = {"access_token": "a", "refresh_token": "b", "expires_in": 3600}

GIVEN: dict[Any, Any] = {
    Portal: lambda rig: rig.portal,
    Channel: lambda _rig: a_channel(),
    Customer: lambda _rig: a_customer(),
    Claim: lambda rig: a_claim(portal=rig.portal),
    Contacts: lambda rig: Contacts(rig.client),
    PortalClient: lambda rig: rig.client,
    Patience: lambda _rig: Patience(),
    str: lambda _rig: "disk.file.get",
    int: lambda _rig: 4,
    bool: lambda _rig: True,
}
BY_NAME: dict[str, Any] = {
    "call": lambda rig: (in_chat(a_claim(portal=rig.portal), 5),),
    "claims": lambda rig: [in_chat(a_claim(portal=rig.portal, bitrix_message_id=8), 5)],
    "claim": lambda rig: in_chat(a_claim(portal=rig.portal), 5),
    "chats": lambda _rig: [CHAT],
    "asked": lambda _rig: [(CHAT, STATE)],
    "params": lambda _rig: {"LINE": 1},
    "reader": lambda _rig: lambda result: result,
    "source": lambda _rig: "portal-file:4",
    "phone": lambda _rig: "+5541998765432",
    "public_url": lambda _rig: "https://gateway.example",
    "now": lambda _rig: utc_now,
    "pair": lambda _rig: a_pair(),
    "token": lambda _rig: "access-0",
}


class Rig:
    """A portal and an OAuth server that may answer anything, and all that asks them."""

    def __init__(self, server: Bending, session: aiohttp.ClientSession, *, seconds: float = PORTAL_SECONDS) -> None:
        self.server = server
        self.portal = a_portal(f"{server.url}/rest/")
        self.pace = FreePace()
        self.vault = MemoryVault({self.portal.id: a_pair()})
        self.oauth = OAuth(session, url=f"{server.url}/oauth/token/", now=utc_now)
        self.tokens = Tokens(self.vault, MemoryCache(), self.oauth, utc_now)
        self.client = PortalClient(
            session, tokens=self.tokens, vault=self.vault, pace=self.pace, now=utc_now, timeout_s=seconds
        )

    def value(self, name: str, kind: Any) -> Any:
        if name in BY_NAME:
            return BY_NAME[name](self)
        assert kind in GIVEN, f"say in GIVEN or BY_NAME what to give for {name}: {kind}"
        return GIVEN[kind](self)

    def called(self, function: Callable[..., Any]) -> Any:
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
        wanted = inspect.signature(function).parameters.values()
        given = {
            each.name: self.value(each.name, hints.get(each.name)) for each in wanted if each.default is each.empty
        }
        places = [given.pop(each.name) for each in wanted if each.name in given and each.kind is not each.KEYWORD_ONLY]
        return function(*places, **given)


def found() -> dict[str, Callable[[Rig], Awaitable[Any]]]:
    """Whatever asks a portal: the methods of all that has a client, and the functions that take one."""
    calls: dict[str, Callable[[Rig], Awaitable[Any]]] = {}
    for module in pkgutil.walk_packages(zaptrix.bitrix24.__path__, "zaptrix.bitrix24."):
        room = importlib.import_module(module.name)
        for name, thing in vars(room).items():
            if getattr(thing, "__module__", "") != room.__name__ or name.startswith("_"):
                continue
            if inspect.iscoroutinefunction(thing):
                calls[name] = partial(_of_function, thing)
            elif inspect.isclass(thing) and (thing in OWN or PortalClient in get_type_hints(thing.__init__).values()):
                for method in (each for each in vars(thing) if not each.startswith("_")):
                    if inspect.iscoroutinefunction(vars(thing)[method]):
                        calls[f"{name}.{method}"] = partial(_of_method, thing, method)
    return calls


def _of_function(function: Callable[..., Any], rig: Rig) -> Awaitable[Any]:
    called: Awaitable[Any] = rig.called(function)
    return called


def _of_method(kind: Any, method: str, rig: Rig) -> Awaitable[Any]:
    return _of_function(getattr(OWN[kind](rig) if kind in OWN else rig.called(kind), method), rig)


OWN: dict[Any, Callable[[Rig], Any]] = {
    PortalClient: lambda rig: rig.client,
    OAuth: lambda rig: rig.oauth,
    Tokens: lambda rig: rig.tokens,
}
CALLS = found()


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr("zaptrix.bitrix24.rest.tokens._LOOK_EVERY_S", 0.0)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Bending().running())
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Rig(server, session)


async def ended(call: Awaitable[Any], name: str = "") -> Any:
    """The value or the error, which is one of ours; both fit into every row, and name nobody."""
    try:
        value = await call
    except PlatformError as error:
        value = error
    told = value if isinstance(value, list) else [value]
    for each in told:
        if isinstance(each, PlatformError):
            assert len(each.code) <= 64
            assert str(each).isprintable()
            assert_discreet(str(each))
    if name not in RAW:
        assert_storable([_read(each) for each in told if not isinstance(each, PlatformError)])
    return value


def _read(value: Any) -> Any:
    return value.process_id if isinstance(value, OfflineRows) else value  # its rows are read by `events`


def test_every_room_of_the_portal_is_met() -> None:
    assert {"PortalClient.call", "PortalHistories.looks", "PortalQueue.left", "OAuth.refresh", "register"} <= {*CALLS}
    assert len(CALLS) >= 24


@pytest.mark.parametrize("name", CALLS)
async def test_a_bent_answer_ends_in_an_error_of_ours_or_a_value_that_fits(rig: Rig, name: str) -> None:
    with capture_logs() as logs:
        for odd, answer in ANSWERS.items():
            rig.server.always(answer)
            try:
                await ended(CALLS[name](rig), name)
            except Exception as exc:
                raise AssertionError(f"{odd}: {type(exc).__name__}") from exc
            rig.client._moved.clear()
            rig.vault.pairs[rig.portal.id] = a_pair()
    assert_discreet(str(logs))
    assert {line.get("alarm") for line in logs} <= {True, None}


@pytest.mark.parametrize("name", CALLS)
async def test_each_value_of_a_good_answer_may_be_anything(rig: Rig, name: str) -> None:
    """The method that is asked last is bent, so that what comes behind a good answer is met, too."""
    asked: list[str] = []

    def good(_method: str, path: str) -> bytes:
        asked.append(path.partition("?")[0].rpartition("/rest/")[2])
        return raw({"result": GOOD.get(asked[-1], True), "time": TIME})

    rig.server.answer = good
    await ended(CALLS[name](rig), name)
    for method in {each for each in asked if each in GOOD}:
        for document in bent({"result": GOOD[method], "time": TIME}):

            def answer(_method: str, path: str, method: str = method, document: Any = document) -> bytes:
                at = path.partition("?")[0].rpartition("/rest/")[2]
                return raw(document) if at == method else good(_method, path)

            rig.server.answer = answer
            try:
                await ended(CALLS[name](rig), name)
            except Exception as exc:
                raise AssertionError(f"{method}: {str(document)[:500]}") from exc


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("Tokens")])
async def test_an_answer_that_drips_ends_with_the_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zaptrix.bitrix24.rest.oauth._ANSWER_S", 0.3)
    async with Bending().running() as server, aiohttp.ClientSession() as session:
        rig = Rig(server, session, seconds=0.3)
        server.always(None)
        async with asyncio.timeout(60):
            await ended(CALLS[name](rig), name)


async def test_each_value_of_the_oauth_servers_answer_may_be_anything(rig: Rig) -> None:
    for document in bent(TOKEN_ANSWER):
        rig.server.always(raw(document))
        grant = await ended(rig.oauth.refresh(a_pair()))
        if not isinstance(grant, PlatformError):
            assert grant.access_token.isascii()
            assert grant.expires_at - utc_now() <= timedelta(days=30)


async def test_a_page_of_404_at_the_oauth_server_holds_the_portal_in_the_end_and_buries_nothing(rig: Rig) -> None:
    rig.server.always(whole("<html>gone</html>", 404))
    error = await ended(rig.oauth.refresh(a_pair()))
    assert isinstance(error, Unavailable)
    assert error.hold == "portal"


async def test_events_of_a_bent_offline_queue_fit_into_the_journal(rig: Rig) -> None:
    queue = rig.called(importlib.import_module("zaptrix.bitrix24.portal.offline_queue").PortalQueue)
    recovered = Recovered(late=False, written_at=None, give_up=None)

    def judge(_at: datetime | None) -> Recovered:
        return recovered

    for document in bent({"result": GOOD["event.offline.get"]}):
        rig.server.always(raw(document))
        kept = await ended(queue.read(rig.portal, keep=True))
        if not isinstance(kept, PlatformError):
            for told in queue.events(rig.portal, kept.rows, judge):
                assert len(told.event.name) <= 64
                assert_storable([told.event.name, told.event.lane.name, told.bitrix_message_id])
