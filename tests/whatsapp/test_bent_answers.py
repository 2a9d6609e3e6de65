"""Whatever stands where the Graph API would, every method ends in one of our errors or in a value that fits.

The methods are found, not listed: a new one is in the test as soon as it is written.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, get_type_hints

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.bent_answers import ANSWERS, Bending, assert_discreet, assert_storable, bent, raw
from tests.whatsapp.builders import FreePace, NoneUnderWay, OneToken, a_channel, a_claim, a_conversation
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.portal import Channel
from zaptrix.whatsapp import wire
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.outbound.translate import text_message
from zaptrix.whatsapp.platform import WhatsApp

SECONDS = 4.0

# Good answers by how an address ends, to be bent.
GOOD: dict[str, Any] = {
    "/messages": {"messages": [{"id": "wamid.1"}], "contacts": [{"input": "+55", "wa_id": "554188887777"}]},
    "/media": {"id": "123"},
    "/message_templates": {
        "data": [{
            "id": "7", "name": "hello", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
            "quality_score": {"score": "GREEN"}, "rejected_reason": "NONE", "parameter_format": "NAMED",
            "components": [
                {"type": "HEADER", "format": "TEXT", "text": "a"}, {"type": "BODY", "text": "b"},
                {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "c", "url": "https://x.example"}]},
                {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "d"}]}]},
                {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "e", "has_expiration": True}},
            ],
        }],
        "paging": {"cursors": {"after": "x"}},
    },
    "/subscribed_apps": {"data": [{"whatsapp_business_api_data": {"id": "9", "name": "Gateway"}}], "success": True},
    "": {
        "id": "123", "url": "https://lookaside.fbsbx.com/x", "mime_type": "image/jpeg", "sha256": "a", "file_size": 7,
        "success": True, "status": "CONNECTED", "throughput": {"level": "STANDARD"}, "category": "UTILITY",
        "health_status": {"entities": [{"entity_type": "WABA", "id": "108866333444555"}]},
        "data": [{"id": "123", "display_phone_number": "+55 11 4004-1234"}], "paging": {"cursors": {"after": "x"}},
    },
}  # fmt: skip


async def some_parts() -> AsyncIterator[bytes]:
    yield b"x" * 10


GIVEN: dict[Any, Callable[[], Any]] = {
    Channel: a_channel,
    Conversation: a_conversation,
    Claim: a_claim,
    str: lambda: "123456",
    int: lambda: 10,
    float: lambda: SECONDS,
    bool: lambda: True,
}
BY_NAME: dict[str, Callable[[], Any]] = {
    "message": lambda: text_message("oi"),
    "parts": some_parts,
    "wanted": lambda: {"name": "hello"},
    "template_id": lambda: None,
    "type_": lambda: "image/jpeg",
    "shape": lambda: wire.PhoneNumber,
    "call": lambda: (a_claim(),),
    "claims": lambda: [a_claim(whatsapp_id="wamid.1")],
}


def given(name: str, kind: Any) -> Any:
    if name in BY_NAME:
        return BY_NAME[name]()
    assert kind in GIVEN, f"say in GIVEN or BY_NAME what to give for {name}: {kind}"
    return GIVEN[kind]()


def called(client: GraphClient, owner: type, method: str) -> Any:
    whose = client if owner is GraphClient else WhatsApp(client, NoneUnderWay(), patience=Patience())
    function = getattr(whose, method)
    hints = get_type_hints(function)
    wanted = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    values = {each.name: given(each.name, hints.get(each.name)) for each in wanted}
    places = [values.pop(each.name) for each in wanted if each.kind is not each.KEYWORD_ONLY]
    return function(*places, **values)


CALLS: dict[str, Callable[[GraphClient], Awaitable[Any]]] = {
    f"{owner.__name__}.{name}": partial(lambda owner, name, client: called(client, owner, name), owner, name)
    for owner in (GraphClient, WhatsApp)
    for name, thing in vars(owner).items()
    if inspect.iscoroutinefunction(thing) and not name.startswith("_")
}


@pytest.fixture
async def server() -> AsyncIterator[Bending]:
    async with Bending().running() as server:
        yield server


@pytest.fixture
async def client(server: Bending) -> AsyncIterator[GraphClient]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield a_client(session, server, SECONDS)


def a_client(session: aiohttp.ClientSession, server: Bending, timeout_s: float) -> GraphClient:
    return GraphClient(
        session, graph_url=server.url, version="v26.0", tokens=OneToken(), pace=FreePace(), timeout_s=timeout_s
    )


async def ended(call: Awaitable[Any]) -> Any:
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
    assert_storable([each for each in told if not isinstance(each, PlatformError)])
    return value


def test_every_method_is_met() -> None:
    assert {"GraphClient.send", "GraphClient.upload", "GraphClient.templates", "WhatsApp.send"} <= {*CALLS}
    assert len(CALLS) >= 16


@pytest.mark.parametrize("name", CALLS)
async def test_a_bent_answer_ends_in_an_error_of_ours_or_a_value_that_fits(
    server: Bending, client: GraphClient, name: str
) -> None:
    with capture_logs() as logs:
        for odd, answer in ANSWERS.items():
            server.always(answer)
            try:
                await ended(CALLS[name](client))
            except Exception as exc:
                raise AssertionError(f"{odd}: {type(exc).__name__}") from exc
    assert_discreet(str(logs))


@pytest.mark.parametrize("name", CALLS)
async def test_each_value_of_a_good_answer_may_be_anything(server: Bending, client: GraphClient, name: str) -> None:
    ends: set[str] = set()

    def good(_method: str, path: str) -> bytes:
        end = next(end for end in GOOD if path.partition("?")[0].endswith(end))
        ends.add(end)
        return raw(GOOD[end])

    server.answer = good
    await ended(CALLS[name](client))
    for document in (document for end in ends for document in bent(GOOD[end])):
        server.always(raw(document))
        try:
            await ended(CALLS[name](client))
        except Exception as exc:
            raise AssertionError(str(document)[:500]) from exc


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_drips_ends_with_the_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GIVEN, float, lambda: 0.3)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Bending().running())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        server.always(None)
        async with asyncio.timeout(60):
            await ended(CALLS[name](a_client(session, server, 0.3)))


async def test_a_server_that_takes_no_upload_and_says_nothing_ends_with_the_time(client: GraphClient) -> None:
    """The file is larger than what lies in sockets, so that somebody has to read it."""

    async def much() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(2**20)

    waiting = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await waiting.wait()
        writer.transport.abort()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1_000)
    client._root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v26.0"
    async with server, asyncio.timeout(60):
        call = client.upload(a_channel(), much(), size=200 * 2**20, type_="video/mp4", name="v", timeout_s=0.5)
        error = await ended(call)
        waiting.set()
    assert (type(error).__name__, error.code) == ("Unavailable", "timeout")


async def test_a_list_of_templates_that_never_ends_is_given_up(server: Bending, client: GraphClient) -> None:
    page = {"data": [{"id": "1", "name": "a"}] * 100, "paging": {"cursors": {"after": "x"}, "next": "https://x"}}
    server.always(raw(page))
    error = await ended(client.templates(a_channel(), "123456"))
    assert isinstance(error, PlatformError)
    assert server.asked <= 100
