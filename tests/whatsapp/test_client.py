"""The Graph API client, against a small server that answers what the test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.whatsapp.builders import ANA, NUMBER, TOKEN, FreePace, OneToken, a_channel, a_conversation
from zaptrix import __version__
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.errors import (
    FailureScope,
    PlatformError,
    Refused,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
    Unexpected,
)
from zaptrix.core.delivery.pace import Bucket
from zaptrix.core.ids import ChannelId, further_id, meta_id
from zaptrix.core.wording.notices import NOTICES
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.outbound.translate import text_message
from zaptrix.whatsapp.outbound.upload import Wamid

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TAKEN = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+554188887777", "wa_id": "554188887777"}],
    "messages": [{"id": "wamid.HBgOUT1"}],
}


class Graph:
    """Stands where graph.facebook.com would: keeps what it hears, and answers what it was told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[web.Request, Any]] = []
        self.answer: Handler = told(TAKEN)
        self.pace = FreePace()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.heard.append((request, json.loads(body) if body else None))
        return await self.answer(request)


def told(content: Any, status: int = 200) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        if isinstance(content, bytes):
            return web.Response(status=status, body=content, content_type="text/html")
        return web.json_response(content, status=status)

    return answer


def failing(code: Any, status: int = 400, **more: Any) -> Handler:
    return told(
        {"error": {"message": "(#1) no", "type": "OAuthException", "code": code, "fbtrace_id": "Az8"} | more}, status
    )


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
async def client(graph: Graph) -> AsyncIterator[GraphClient]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", graph.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield a_client(session, str(server.make_url("/")), pace=graph.pace)


def a_client(
    session: aiohttp.ClientSession, url: str, *, pace: FreePace | None = None, timeout_s: float = 20.0
) -> GraphClient:
    return GraphClient(
        session, graph_url=url, version="v26.0", tokens=OneToken(), pace=pace or FreePace(), timeout_s=timeout_s
    )


async def send(client: GraphClient, body: str = "oi", customer: Customer = ANA) -> Wamid:
    return await client.send(a_channel(), a_conversation(customer), text_message(body), "zx:4711", "req-1")


async def error_of(call: Awaitable[object]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await call
    return caught.value


# --- what is asked ---------------------------------------------------------------------------------------------------


async def test_a_text_goes_out_as_meta_documents_it(graph: Graph, client: GraphClient) -> None:
    assert await send(client, "Olá, veja https://x.example") == Wamid("wamid.HBgOUT1", "554188887777")
    ((request, body),) = graph.heard
    assert (request.method, request.path) == ("POST", f"/v26.0/{NUMBER}/messages")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["X-Request-Id"] == "req-1"
    assert request.headers["User-Agent"] == f"zaptrix/{__version__}"
    assert request.headers["Content-Type"] == "application/json"
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+554188887777",
        "type": "text",
        "text": {"preview_url": True, "body": "Olá, veja https://x.example"},
        "biz_opaque_callback_data": "zx:4711",
    }
    assert graph.pace.taken == [("number", "pair")]


@pytest.mark.parametrize(
    ("customer", "address"),
    [
        (Customer(wa_id="+554188887777"), {"to": "+554188887777"}),
        (Customer(phone="+5541988887777", bsuid="BR.1"), {"to": "+5541988887777"}),
        (Customer(wa_id="554188887777", phone="+5541988887777"), {"to": "+554188887777"}),
        (Customer(bsuid="BR.1"), {"recipient": "BR.1"}),
    ],
)
async def test_a_number_is_sent_with_its_plus_and_a_hidden_one_by_user_id(
    graph: Graph, client: GraphClient, customer: Customer, address: dict[str, str]
) -> None:
    graph.answer = told({"messages": [{"id": "wamid.1"}], "contacts": [{"input": "BR.1", "user_id": "BR.1"}]})
    assert await send(client, customer=customer) == Wamid("wamid.1", None)
    body = graph.heard[0][1]
    assert {key: value for key, value in body.items() if key in {"to", "recipient"}} == address


async def test_a_customer_without_any_address_is_refused_before_any_call(graph: Graph, client: GraphClient) -> None:
    error = await error_of(send(client, customer=Customer(name="Ana")))
    assert isinstance(error, Refused)
    assert not graph.heard


async def test_blue_ticks_take_pace_of_the_number_alone(graph: Graph, client: GraphClient) -> None:
    graph.answer = told({"success": True})
    await client.mark_read(a_channel(), "wamid.IN1", "req-1")
    assert graph.heard[0][1] == {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN1"}
    assert graph.pace.taken == [("number",)]


async def test_a_second_body_is_known_to_meta_by_the_id_that_both_came_under(graph: Graph, client: GraphClient) -> None:
    graph.answer = told({"success": True})
    await client.mark_read(a_channel(), further_id("wamid.IN1", "0f6c3b7e9a1d"))
    assert graph.heard[0][1]["message_id"] == "wamid.IN1"
    assert meta_id(further_id("w" * 255, "0f6c3b7e9a1d")) == "w" * 240


async def test_a_number_tells_its_account(graph: Graph, client: GraphClient) -> None:
    entities = [{"entity_type": "PHONE_NUMBER", "id": NUMBER}, {"entity_type": "WABA", "id": "108866333444555"}]
    graph.answer = told(
        {
            "id": NUMBER,
            "display_phone_number": "+55 11 4004-1234",
            "health_status": {"can_send_message": "LIMITED", "entities": entities},
        }
    )
    found = await client.phone_number(a_channel())
    assert (found.id, found.display_phone_number) == (NUMBER, "+55 11 4004-1234")
    assert await client.waba_id(a_channel()) == "108866333444555"
    assert graph.heard[0][0].method == "GET"
    assert graph.heard[0][0].query["fields"] == "display_phone_number,health_status"


async def test_the_apps_that_hear_an_account_are_listed(graph: Graph, client: GraphClient) -> None:
    ours = "https://gateway.example.com/webhooks/meta"
    app = {"whatsapp_business_api_data": {"id": 990011223344556, "name": "Gateway"}}
    graph.answer = told({"data": [app, {**app, "override_callback_uri": ours}]})
    listed = await client.subscribed_apps(a_channel(), "108866333444555")
    assert [each.override_callback_uri for each in listed] == [None, ours]
    graph.answer = told({"success": True})
    await client.subscribe(a_channel(), "108866333444555")
    assert graph.heard[-1][0].path == "/v26.0/108866333444555/subscribed_apps"


@pytest.mark.parametrize("call", ["mark_read", "delete_template", "subscribe"])
async def test_what_meta_says_it_has_not_done_is_an_error(graph: Graph, client: GraphClient, call: str) -> None:
    """With 200: a subscription, a deletion or blue ticks that were not done counted as done."""
    graph.answer = told({"success": False})
    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "mark_read": lambda: client.mark_read(a_channel(), "wamid.IN1"),
        "delete_template": lambda: client.delete_template(a_channel(), "108866333444555", "oferta", None),
        "subscribe": lambda: client.subscribe(a_channel(), "108866333444555"),
    }
    told_error = await error_of(calls[call]())
    assert (type(told_error), told_error.code) == (Unexpected, "not_done")


@pytest.mark.parametrize("request_id", ["", "a\r\nX-Evil: 1", "ação", "x" * 200])
async def test_a_strange_request_id_is_not_passed_on(graph: Graph, client: GraphClient, request_id: str) -> None:
    await client.send(a_channel(), a_conversation(), text_message("oi"), "zx:1", request_id)
    assert "X-Request-Id" not in graph.heard[0][0].headers


# --- what is answered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (130429, 400, TooFast),
        (131056, 400, TooFast),
        (80007, 400, TooFast),
        (4, 400, TooFast),
        (2, 503, Unavailable),
        (131000, 500, Unavailable),
        (131016, 500, Unavailable),
        (131057, 500, Unavailable),
        (0, 401, Unauthorized),
        (3, 500, Unauthorized),
        (10, 403, Unauthorized),
        (190, 401, Unauthorized),
        (200, 403, Unauthorized),
        (299, 403, Unauthorized),
        (33, 400, Unauthorized),
        (368, 403, Unauthorized),
        (131005, 403, Unauthorized),
        (131031, 403, Unauthorized),
        (131042, 400, Unauthorized),
        (131045, 500, Unauthorized),
        (133010, 400, Unauthorized),
        (100, 400, Refused),
        (131009, 400, Refused),
        (131026, 400, Refused),
        (131047, 400, Refused),
        (132001, 404, Refused),
        (1, 400, Unexpected),
        (777777, 418, Unexpected),
        (777777, 401, Unauthorized),
        (777777, 402, Unauthorized),
        (777777, 403, Unauthorized),
        (777777, 500, Unclear),
        (777777, 502, Unclear),
        (777777, 503, Unavailable),
    ],
)
async def test_each_code_of_meta_ends_in_one_class(
    graph: Graph, client: GraphClient, code: int, status: int, kind: type[PlatformError]
) -> None:
    graph.answer = failing(code, status)
    error = await error_of(send(client))
    assert type(error) is kind
    assert error.code == str(code)
    if isinstance(error, Unauthorized):
        assert error.scope is FailureScope.CHANNEL
    if isinstance(error, Refused):
        assert error.notice in NOTICES


@pytest.mark.parametrize(("code", "wait_s"), [(130429, 1.0), (131056, 6.0), (80007, 60.0), (4, 60.0)])
async def test_a_limit_says_how_long_to_leave_it_alone(
    graph: Graph, client: GraphClient, code: int, wait_s: float
) -> None:
    graph.answer = failing(code)
    error = await error_of(send(client))
    assert isinstance(error, TooFast)
    assert error.wait_s == wait_s
    assert error.one_conversation is (code == 131056)


@pytest.mark.parametrize(
    ("code", "notice"),
    [
        (131047, "window_closed"),
        (131026, "unreachable"),
        (130403, "blocked"),
        (131050, "opted_out"),
        (131049, "withheld"),
        (132000, "template_fields"),
        (132099, "template"),
        (131030, "test_number"),
    ],
)
async def test_a_refusal_tells_the_operator_why(graph: Graph, client: GraphClient, code: int, notice: str) -> None:
    graph.answer = failing(code)
    error = await error_of(send(client))
    assert isinstance(error, Refused)
    assert error.notice == notice


async def test_a_missing_object_is_a_bad_key_although_its_code_is_of_a_bad_parameter(
    graph: Graph, client: GraphClient
) -> None:
    graph.answer = failing(100, error_subcode=33)
    assert isinstance(await error_of(send(client)), Unauthorized)


@pytest.mark.parametrize("error_data", [None, "text", "{}", {"details": 7}, [], {"details": "more than 24 hours"}])
async def test_an_error_is_read_however_its_data_looks(graph: Graph, client: GraphClient, error_data: Any) -> None:
    graph.answer = failing("131047", error_data=error_data)
    error = await error_of(send(client))
    assert (type(error), error.code) == (Refused, "131047")
    assert "(trace Az8)" in error.detail


async def test_an_error_never_names_the_customer_or_shows_the_token(graph: Graph, client: GraphClient) -> None:
    graph.answer = failing(131009, error_data={"details": "+55 41 98888-7777 and BR.7391046285510937264 are bad"})
    error = await error_of(send(client))
    assert str(error) == "131009: … and … are bad (trace Az8)"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"<html>oops</html>", Unclear),
        (502, b"", Unclear),
        (504, b"gateway timeout", Unclear),
        (500, b'{"error": "oops"}', Unclear),
        (503, b"<html>busy</html>", Unavailable),
        (429, b"slow down", TooFast),
        (500, b'{"error":{"message":"An unknown error has occurred."}}', Unclear),
        (500, b'{"error":{"message":"no","code":null}}', Unclear),
        (429, b'{"error":{"message":"no"}}', TooFast),
        (429, b'{"error":{"message":"no","code":777777}}', TooFast),
        (401, b'{"error":{"message":"no"}}', Unauthorized),
        (403, b'{"error":{"message":"no","code":"no code"}}', Unauthorized),
        (400, b'{"error":{"message":"no"}}', Unexpected),
        (200, b'{"error":{"message":"no"}}', Unexpected),
        (408, b'{"error":{"message":"timed out"}}', Unclear),
        (404, b"<html>who?</html>", Unavailable),
        (403, b"<html>who are you?</html>", Unavailable),
        (302, b"", Unavailable),
        (200, b"<html>fine</html>", Unclear),
        (200, b"", Unclear),
        (200, b"{}", Unclear),
        (200, b'{"messages":[]}', Unclear),
        (200, b'{"messages":[{"id":""}]}', Unclear),
    ],
)
async def test_an_answer_without_a_code_of_meta_is_judged_by_what_may_have_happened(
    graph: Graph, client: GraphClient, status: int, body: bytes, kind: type[PlatformError]
) -> None:
    graph.answer = told(body, status)
    assert type(await error_of(send(client))) is kind


async def test_what_may_be_done_twice_is_never_unclear(graph: Graph, client: GraphClient) -> None:
    for status, body in ((500, b"oops"), (200, b"not json")):
        graph.answer = told(body, status)
        assert type(await error_of(client.mark_read(a_channel(), "wamid.IN1"))) is Unavailable


# --- no answer -------------------------------------------------------------------------------------------------------


async def test_nobody_listening_means_that_nothing_was_sent() -> None:
    async with aiohttp.ClientSession() as session:
        error = await error_of(send(a_client(session, f"http://127.0.0.1:{unused_port()}")))
    assert (type(error), error.code) == (Unavailable, "no_connection")


async def test_an_unknown_host_means_that_nothing_was_sent() -> None:
    async with aiohttp.ClientSession() as session:
        error = await error_of(send(a_client(session, "http://graph.invalid")))
    assert (type(error), error.code) == (Unavailable, "no_connection")


async def test_failing_tls_means_that_nothing_was_sent(graph: Graph) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", graph.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        error = await error_of(send(a_client(session, f"https://127.0.0.1:{server.port}")))
    assert (type(error), error.code) == (Unavailable, "no_connection")
    assert not graph.heard


async def test_an_answer_that_never_comes_is_unclear(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, loop, timeout_s = asyncio.Event(), asyncio.get_running_loop(), 600.0
    told_time, passed_s = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: told_time() + sum(passed_s))

    async def hang(_request: web.Request) -> web.Response:
        # The time is over when the request was heard, and not before, however busy the machine is.
        passed_s.append(timeout_s)
        await waiting.wait()
        return web.Response()

    graph.answer = hang
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", graph.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        client = a_client(session, str(server.make_url("/")), timeout_s=timeout_s)
        error = await error_of(send(client))
        assert (type(error), error.code) == (Unclear, "timeout")
        error = await error_of(client.mark_read(a_channel(), "wamid.IN1"))
        assert (type(error), error.code) == (Unavailable, "timeout")
        waiting.set()
    assert len(graph.heard) == 2


async def test_a_connection_lost_after_the_request_is_unclear(graph: Graph, client: GraphClient) -> None:
    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    graph.answer = cut
    error = await error_of(send(client))
    assert (type(error), error.code) == (Unclear, "connection_lost")
    assert len(graph.heard) == 1


async def test_an_answer_cut_short_is_unclear(graph: Graph, client: GraphClient) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"messages"')
        assert request.transport is not None
        request.transport.close()
        return response

    graph.answer = half
    error = await error_of(send(client))
    assert (type(error), error.code) == (Unclear, "connection_lost")


async def test_a_send_on_a_kept_connection_that_was_gone_is_never_repeated() -> None:
    """The server answers once, then reads the second request and hangs up without a word."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(TAKEN).encode()
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body), b""):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            heard.append(await reader.readexactly(length))
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        client = a_client(session, f"http://127.0.0.1:{port}")
        assert (await send(client)).whatsapp_id == "wamid.HBgOUT1"
        error = await error_of(send(client))
    assert (type(error), error.code) == (Unclear, "connection_lost")
    assert len(heard) == 2


@pytest.mark.parametrize(("code", "full"), [(130429, ["number"]), (131056, ["pair"]), (80007, []), (131047, [])])
async def test_a_refusal_for_its_pace_is_told_to_the_bucket_it_speaks_of(
    graph: Graph, client: GraphClient, code: int, full: list[str]
) -> None:
    graph.answer = failing(code)
    await error_of(send(client))
    assert graph.pace.full == full


# --- before the call -------------------------------------------------------------------------------------------------


class NoToken:
    async def number_token(self, channel_id: ChannelId) -> str:  # noqa: ARG002
        raise Unauthorized("no_token", scope=FailureScope.CHANNEL)


class NoPace:
    async def take(self, *buckets: Bucket) -> None:  # noqa: ARG002
        raise TooFast("pace", wait_s=12.0)

    async def refused(self, *buckets: Bucket) -> None:
        raise AssertionError(buckets)


async def test_without_token_or_pace_nothing_is_called(graph: Graph) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", graph.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/"))
        untold = GraphClient(session, graph_url=url, version="v26.0", tokens=NoToken(), pace=FreePace())
        assert isinstance(await error_of(send(untold)), Unauthorized)
        hasty = GraphClient(session, graph_url=url, version="v26.0", tokens=OneToken(), pace=NoPace())
        error = await error_of(send(hasty))
    assert isinstance(error, TooFast)
    assert error.wait_s == 12.0
    assert not graph.heard
