"""A number's credentials: what Meta has to have said before a number is taken."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.whatsapp.test_client import Graph, Handler, a_client, failing, told
from zaptrix.core.access.ownership import Denial, NotOwned
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.whatsapp.credentials import GraphCredentials

NUMBER, ACCOUNT, ANOTHER = "210987654321098", "102290129340398", "999999999999999"
DISPLAY = {"id": NUMBER, "display_phone_number": "+55 11 4004-1234"}


def of_account(*accounts: str) -> dict[str, Any]:
    entities = [{"entity_type": "PHONE_NUMBER", "id": NUMBER}]
    entities += [{"entity_type": "WABA", "id": each} for each in accounts]
    return {**DISPLAY, "health_status": {"can_send_message": "AVAILABLE", "entities": entities}}


def listing(*pages: list[str]) -> Handler:
    """The number, which names no account, and an account's numbers, page by page."""

    async def answer(request: web.Request) -> web.Response:
        if not request.path.endswith("/phone_numbers"):
            return web.json_response(DISPLAY)
        at = int(request.query.get("after", "0"))
        paging: dict[str, Any] = {"cursors": {"after": str(at + 1)}}
        if at + 1 < len(pages):
            paging["next"] = "https://graph.example/next"
        return web.json_response({"data": [{"id": each} for each in pages[at]], "paging": paging})

    return answer


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
async def credentials(graph: Graph) -> AsyncIterator[GraphCredentials]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", graph.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield GraphCredentials(a_client(session, str(server.make_url("/")), pace=graph.pace))


async def denial(call: Awaitable[object]) -> Denial:
    with pytest.raises(NotOwned) as caught:
        await call
    return caught.value.denial


async def test_meta_is_asked_with_the_token_that_is_to_be_kept_and_at_nobodys_pace(
    graph: Graph, credentials: GraphCredentials
) -> None:
    graph.answer = told(of_account(ACCOUNT))
    assert await credentials.account_of(NUMBER, "EAA-new", None) == ACCOUNT
    ((request, body),) = graph.heard
    assert (request.method, request.path, body) == ("GET", f"/v26.0/{NUMBER}", None)
    assert request.headers["Authorization"] == "Bearer EAA-new"
    assert "EAA-new" not in str(request.url)
    assert graph.pace.taken == []


@pytest.mark.parametrize(
    "answer",
    [
        {"id": ANOTHER, "display_phone_number": "+55 11 4004-1234"},
        {"id": NUMBER},  # a page, a user or a file: whatever is no number has no such field
        {"id": NUMBER, "display_phone_number": ""},
        {"display_phone_number": "+55 11 4004-1234"},
        {},
        {"data": [DISPLAY]},
    ],
)
async def test_another_answer_is_no_proof(graph: Graph, credentials: GraphCredentials, answer: Any) -> None:
    graph.answer = told(answer)
    assert await denial(credentials.account_of(NUMBER, "EAA", None)) is Denial.NUMBER


@pytest.mark.parametrize(
    ("code", "why"),
    [(190, Denial.NUMBER_TOKEN), (200, Denial.NUMBER_TOKEN), (33, Denial.NUMBER), (100, Denial.NUMBER)],
)
async def test_what_meta_denies_is_told_apart(
    graph: Graph, credentials: GraphCredentials, code: int, why: Denial
) -> None:
    graph.answer = failing(code)
    assert await denial(credentials.account_of(NUMBER, "EAA", None)) is why


@pytest.mark.parametrize(
    "answer",
    [
        failing(4),
        failing(1),
        failing(2, 503),
        told(b"<html>", 502),
        told(b"<html>", 200),
        told([], 200),
        told(b"", 404),
    ],
)
async def test_an_answer_that_says_nothing_is_neither_proof_nor_denial(
    graph: Graph, credentials: GraphCredentials, answer: Handler
) -> None:
    graph.answer = answer
    with pytest.raises(PlatformError) as caught:
        await credentials.account_of(NUMBER, "EAA", None)
    assert not isinstance(caught.value, NotOwned)


async def test_a_meta_that_is_away_is_neither(graph: Graph) -> None:
    async with aiohttp.ClientSession() as session:
        away = GraphCredentials(a_client(session, f"http://127.0.0.1:{unused_port()}", pace=graph.pace))
        with pytest.raises(PlatformError) as caught:
            await away.account_of(NUMBER, "EAA", None)
    assert not isinstance(caught.value, NotOwned)


async def test_an_account_is_the_one_that_the_number_names(graph: Graph, credentials: GraphCredentials) -> None:
    graph.answer = told(of_account(ACCOUNT))
    assert await credentials.account_of(NUMBER, "EAA", ACCOUNT) == ACCOUNT
    assert await denial(credentials.account_of(NUMBER, "EAA", ANOTHER)) is Denial.ACCOUNT
    assert len(graph.heard) == 2  # the number's own word is enough


async def test_where_the_number_names_none_its_account_has_to_list_it(
    graph: Graph, credentials: GraphCredentials
) -> None:
    graph.answer = listing(["1", "2"], ["3", NUMBER])
    assert await credentials.account_of(NUMBER, "EAA", ACCOUNT) == ACCOUNT
    assert await credentials.account_of(NUMBER, "EAA", None) is None
    graph.answer = listing(["1", "2"], ["3"])
    assert await denial(credentials.account_of(NUMBER, "EAA", ACCOUNT)) is Denial.ACCOUNT
    graph.answer = listing([])
    assert await denial(credentials.account_of(NUMBER, "EAA", ACCOUNT)) is Denial.ACCOUNT


async def test_a_list_that_does_not_end_is_no_proof(graph: Graph, credentials: GraphCredentials) -> None:
    async def answer(request: web.Request) -> web.Response:
        if not request.path.endswith("/phone_numbers"):
            return web.json_response(DISPLAY)
        return web.json_response({"data": [{"id": "1"}], "paging": {"next": "x", "cursors": {"after": "again"}}})

    graph.answer = answer
    assert await denial(credentials.account_of(NUMBER, "EAA", ACCOUNT)) is Denial.ACCOUNT
    assert len(graph.heard) < 100
