"""Calls of a portal: every envelope and every code has one meaning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.bitrix24.answering import Answering, Reply
from tests.bitrix24.builders import (
    NOW,
    PORTAL_ID,
    FreePace,
    MemoryCache,
    MemoryVault,
    a_pair,
    a_portal,
    utc_now,
)
from zaptrix.bitrix24.rest.client import PortalClient, is_move
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
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
from zaptrix.core.delivery.pace import Operating, Spending, portal_bucket
from zaptrix.core.portal import Portal

SEND = "imconnector.send.messages"
READ = "imopenlines.session.history.get"
OK = Reply(json={"result": {"SUCCESS": True}, "time": {"operating": 1.2, "operating_reset_at": 1793000600}})
HTML = "<html>in maintenance</html>"


def fresh(number: int) -> Reply:
    """A new token pair."""
    return Reply(json={"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600})


def error(status: int, code: Any, description: str = "text", **more: Any) -> Reply:
    return Reply(status=status, json={"error": code, "error_description": description, **more})


@dataclass
class Rig:
    """A portal and its OAuth server, with a client in front."""

    portal: Portal
    client: PortalClient
    server: Answering
    oauth: Answering
    vault: MemoryVault
    pace: FreePace

    async def call(self, method: str = SEND) -> object:
        return await self.client.call(self.portal, method, {"LINE": 14}, request_id="request-7")

    async def fails(self, method: str = SEND) -> PlatformError:
        with pytest.raises(PlatformError) as refusal:
            await self.call(method)
        return refusal.value


@asynccontextmanager
async def a_rig(*replies: Reply, oauth: Reply | None = None, timeout_s: float = 5) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Answering(*replies).running())
        oauth_server = await stack.enter_async_context(Answering(oauth or fresh(1)).running())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        portal = a_portal(f"{server.url}/rest/")
        vault, pace = MemoryVault({portal.id: a_pair()}), FreePace()
        tokens = Tokens(vault, MemoryCache(), OAuth(session, url=oauth_server.url, now=utc_now), utc_now)
        client = PortalClient(session, tokens=tokens, vault=vault, pace=pace, now=utc_now, timeout_s=timeout_s)
        yield Rig(portal, client, server, oauth_server, vault, pace)


async def test_a_call_is_json_with_a_bearer_token_after_a_token_of_the_bucket() -> None:
    async with a_rig(OK) as rig:
        assert await rig.call() == {"SUCCESS": True}
        (asked,) = rig.server.asked
        assert (asked.method, asked.path) == ("POST", f"/rest/{SEND}")
        assert asked.headers["Authorization"] == "Bearer access-0"
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.headers["User-Agent"].startswith("zaptrix/")
        assert asked.headers["X-Request-Id"] == "request-7"
        assert msgspec.json.decode(asked.body) == {"LINE": 14}
        assert rig.pace.taken == [portal_bucket(rig.portal)]


@pytest.mark.parametrize("result", [[], True, 42, None, {"error": "x"}])
async def test_any_result_is_handed_over(result: Any) -> None:
    async with a_rig(Reply(json={"result": result})) as rig:
        assert await rig.call() == result


@pytest.mark.parametrize("error", ["", None, False, [], {}])
async def test_a_result_beside_an_empty_error_is_a_result(error: Any) -> None:
    """Sent again as if it had failed, it would stand in the chat twice."""
    async with a_rig(Reply(json={"result": True, "error": error})) as rig:
        assert await rig.call() is True


ERRORS: list[tuple[Reply, str, type[PlatformError]]] = [
    (error(503, "QUERY_LIMIT_EXCEEDED"), SEND, TooFast),
    (error(429, "OPERATION_TIME_LIMIT"), SEND, TooFast),
    (error(503, "OVERLOAD_LIMIT"), SEND, TooFast),
    (error(401, "CONNECTION_ERROR"), SEND, Unavailable),
    (error(500, "INTERNAL_SERVER_ERROR"), SEND, Unclear),
    (error(500, "INTERNAL_SERVER_ERROR"), READ, Unavailable),
    (error(500, "ERROR_UNEXPECTED_ANSWER"), SEND, Unclear),
    (error(400, "ERROR_ARGUMENT"), SEND, Unexpected),
    (error(400, "ERROR_CORE"), SEND, Unexpected),
    (error(400, ""), "crm.contact.add", Unexpected),
    (error(400, 100), "crm.contact.add", Unexpected),
    (error(400, "Communication type is not defined"), "crm.contact.add", Unexpected),
    (error(429, "TOO_MANY_REQUESTS"), SEND, TooFast),
    (error(429, "NEVER_SEEN"), "crm.contact.add", TooFast),
    (error(429, ""), SEND, TooFast),
    (error(401, "NEVER_SEEN"), SEND, Unauthorized),
    (error(402, "NEVER_SEEN"), SEND, Unauthorized),
    (error(403, "ALLOWED_ONLY_INTRANET_USER"), SEND, Unauthorized),
    (error(403, "ALLOWED_ONLY_INTRANET_USER"), "im.message.add", Unauthorized),
    (error(403, ""), SEND, Unauthorized),
    (error(404, "NEVER_SEEN"), SEND, Unexpected),
    (Reply(status=404, json={"message": "no Route matched"}), SEND, Unavailable),
    (Reply(status=405, json=None), SEND, Unavailable),
    (error(408, "NEVER_SEEN"), SEND, Unclear),
    (error(408, "NEVER_SEEN"), READ, Unavailable),
    (error(423, "PORTAL_LOCKED"), SEND, Unavailable),
    (error(500, "NEVER_SEEN"), READ, Unavailable),
    (error(502, "NEVER_SEEN"), SEND, Unclear),
    (Reply(status=429, text=HTML), SEND, TooFast),
    (Reply(status=403, text=HTML), SEND, Unavailable),
    (Reply(status=410, text=HTML), SEND, Unavailable),
    (error(500, "NEVER_SEEN"), SEND, Unclear),
    (error(503, "NEVER_SEEN"), SEND, Unavailable),
    (error(403, "ACCESS_DENIED"), "crm.contact.add", Refused),
    (error(401, "insufficient_scope"), "im.message.add", Refused),
    (error(403, "ACCESS_ERROR"), "im.message.add", Refused),
    (Reply(status=200, text=HTML), SEND, Unclear),
    (Reply(status=200, text=HTML), READ, Unavailable),
    (Reply(status=502, text=HTML), SEND, Unclear),
    (Reply(status=502, text=HTML), READ, Unavailable),
    (Reply(status=503, text=HTML), SEND, Unavailable),
    (Reply(status=404, text=HTML), SEND, Unavailable),
    (Reply(status=504, text=""), SEND, Unclear),
    (Reply(status=200, json={"time": {}}), SEND, Unclear),
    (Reply(status=200, json=[]), SEND, Unclear),
    (Reply(status=418, json={"what": "ever"}), SEND, Unexpected),
    (Reply(drop=True), SEND, Unclear),
    (Reply(drop=True), READ, Unavailable),
    (Reply(json={"result": {"result": False, "error": "ICON_REQUIRED"}}), "imconnector.register", Unexpected),
]


@pytest.mark.parametrize(("reply", "method", "kind"), ERRORS)
async def test_an_answer_means_one_error(reply: Reply, method: str, kind: type[PlatformError]) -> None:
    async with a_rig(reply) as rig:
        assert type(await rig.fails(method)) is kind


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "APPLICATION_NOT_FOUND"),
        (401, "ERROR_OAUTH"),
        (401, "authorization_error"),
        (200, "wrong_client"),
        (403, "user_access_error"),
        (403, "insufficient_scope"),
        (403, "INVALID_CREDENTIALS"),
        (403, "ACCESS_DENIED"),
        (402, "Payment_Required"),
        (401, "NOT_INSTALLED"),
        (500, "PORTAL_DELETED"),
    ],
)
async def test_a_dead_key_holds_the_portal(status: int, code: str) -> None:
    async with a_rig(error(status, code)) as rig:
        refusal = await rig.fails()
        assert isinstance(refusal, Unauthorized)
        assert (refusal.scope, refusal.code) == (FailureScope.PORTAL, code)


async def test_a_plan_without_rest_holds_the_portal_whatever_was_called() -> None:
    async with a_rig(error(403, "ACCESS_DENIED", "REST is available only on commercial plans")) as rig:
        refusal = await rig.fails("crm.contact.add")
        assert isinstance(refusal, Unauthorized)


@pytest.mark.parametrize("code", ["NOT_ACTIVE_LINE", "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR", "not_active_line"])
async def test_a_connector_that_is_off_holds_its_channel_alone(code: str) -> None:
    async with a_rig(error(400, code)) as rig:
        refusal = await rig.fails()
        assert isinstance(refusal, Unauthorized)
        assert refusal.scope is FailureScope.CHANNEL


@pytest.mark.parametrize(
    ("reply", "least_s", "most_s"),
    [
        (error(503, "QUERY_LIMIT_EXCEEDED"), 1, 2),
        (error(503, "OVERLOAD_LIMIT"), 3600, 3600),
        (error(429, "OPERATION_TIME_LIMIT"), 60, 60),
    ],
)
async def test_a_limit_tells_how_long_to_wait(reply: Reply, least_s: float, most_s: float) -> None:
    async with a_rig(reply) as rig:
        assert least_s <= await wait_of(rig) <= most_s


async def test_a_limit_that_tells_when_it_ends_is_waited_for_until_then() -> None:
    # Counted from here, and not from when the tests were collected: in a long run that was minutes ago.
    began, ends = utc_now().timestamp(), utc_now().timestamp() + 300
    time = {"operating": 480, "operating_reset_at": ends}
    async with a_rig(error(429, "OPERATION_TIME_LIMIT", time=time)) as rig:
        wait_s = await wait_of(rig)
        assert ends - utc_now().timestamp() <= wait_s <= ends - began


async def wait_of(rig: Rig) -> float:
    refusal = await rig.fails()
    assert isinstance(refusal, TooFast)
    assert refusal.wait_s is not None
    return refusal.wait_s


async def test_a_refusal_for_its_pace_fills_the_portals_bucket() -> None:
    async with a_rig(error(503, "QUERY_LIMIT_EXCEEDED"), error(400, "ERROR_ARGUMENT")) as rig:
        await rig.fails()
        assert rig.pace.full == [portal_bucket(rig.portal)]
        await rig.fails()
        assert len(rig.pace.full) == 1


async def test_what_the_portal_counts_of_a_method_is_told_to_the_pace() -> None:
    time = {"operating": 310.5, "operating_reset_at": 1793000600, "finish": 1793000123.5}
    async with a_rig(Reply(json={"result": True, "time": time}), error(429, "OPERATION_TIME_LIMIT")) as rig:
        await rig.call()
        await rig.fails()
        spending = Spending(portal_id=PORTAL_ID, method=SEND)
        told = Operating(used_s=310.5, reset_at=1793000600, at=1793000123.5)
        assert rig.pace.spent == [spending, spending]
        assert rig.pace.settled == [(spending, told, False), (spending, None, True)]


async def test_a_call_spends_for_each_of_its_messages_and_a_batch_for_its_commands() -> None:
    time = {"operating_reset_at": 1793000600, "finish": 1793000123.5}
    commands = {"c0": {"operating": 3, **time}, "c1": {"operating": 4, **time}}
    batch = Reply(json={"result": {"result": {}, "result_time": commands}, "time": {"operating": 9, **time}})
    inner = Spending(portal_id=PORTAL_ID, method=READ, items=2)
    async with a_rig(OK, batch) as rig:
        await rig.client.call(rig.portal, SEND, {"MESSAGES": [{}, {}, {}]})
        await rig.client.call(rig.portal, "batch", {"cmd": {}}, spends=inner)
        assert rig.pace.spent == [Spending(portal_id=PORTAL_ID, method=SEND, items=3), inner]
        assert rig.pace.settled[1] == (inner, Operating(used_s=4, reset_at=1793000600, at=1793000123.5), False)


async def test_a_portal_that_is_not_there_surely_did_not_act() -> None:
    async with a_rig(OK) as rig:
        rig.portal = a_portal("http://127.0.0.1:1/rest/")
        refusal = await rig.fails()
        assert isinstance(refusal, Unavailable)
        assert refusal.code == "no_connection"


@pytest.mark.parametrize(("method", "kind"), [(SEND, Unclear), (READ, Unavailable)])
async def test_a_call_without_an_answer_is_unclear_unless_it_only_reads(method: str, kind: type[PlatformError]) -> None:
    async with a_rig(Reply(hang=True), timeout_s=0.2) as rig:
        refusal = await rig.fails(method)
        assert type(refusal) is kind
        assert refusal.code == "timeout"


async def test_a_connection_that_is_lost_while_it_idles_is_unclear_for_a_send_and_not_repeated() -> None:
    async with a_rig(OK, Reply(drop=True), OK) as rig:
        await rig.call()
        assert isinstance(await rig.fails(), Unclear)
        assert len(rig.server.asked) == 2


@pytest.mark.parametrize("code", ["expired_token", "EXPIRED_TOKEN", "invalid_token", "NO_AUTH_FOUND"])
async def test_a_refused_token_is_renewed_once_and_the_call_repeated_at_once(code: str) -> None:
    async with a_rig(error(401, code), OK) as rig:
        assert await rig.call() == {"SUCCESS": True}
        assert [asked.headers["Authorization"] for asked in rig.server.asked] == ["Bearer access-0", "Bearer access-1"]
        assert len(rig.oauth.asked) == 1
        assert len(rig.pace.taken) == 2
        assert rig.vault.pairs[PORTAL_ID].refresh_token == "refresh-1"


async def test_a_token_that_is_refused_twice_is_not_renewed_for_ever() -> None:
    async with a_rig(error(401, "invalid_token")) as rig:
        assert isinstance(await rig.fails(), Unauthorized)
        assert len(rig.server.asked) == 2
        assert len(rig.oauth.asked) == 1
    async with a_rig(error(401, "expired_token")) as rig:
        assert type(await rig.fails()) is Unavailable


async def test_a_dead_refresh_token_holds_the_portal() -> None:
    async with a_rig(error(401, "expired_token"), oauth=error(400, "invalid_grant")) as rig:
        refusal = await rig.fails()
        assert isinstance(refusal, Unauthorized)
        assert (refusal.scope, refusal.code) == (FailureScope.PORTAL, "invalid_grant")


async def test_a_portal_that_has_moved_is_followed_with_the_same_post_and_remembered() -> None:
    async with Answering(OK).running() as new:
        moved = Reply(status=302, headers={"Location": f"{new.url}/rest/{SEND}"})
        async with a_rig(moved) as rig:
            assert await rig.call() == {"SUCCESS": True}
            assert (new.asked[0].method, new.asked[0].body) == ("POST", b'{"LINE":14}')
            assert rig.vault.endpoints == {PORTAL_ID: f"{new.url}/rest/"}
            await rig.call()
            assert (len(rig.server.asked), len(new.asked)) == (1, 2)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        (f"http://evil.example/rest/{SEND}", Unauthorized),
        ("http://127.0.0.1:1/auth/", Unavailable),
        (f"/rest/{SEND}", Unavailable),
        ("http://[broken", Unavailable),
        ("", Unavailable),
    ],
)
async def test_a_redirect_elsewhere_never_gets_the_token(location: str, kind: type[PlatformError]) -> None:
    async with a_rig(Reply(status=302, headers={"Location": location})) as rig:
        assert type(await rig.fails()) is kind
        assert len(rig.server.asked) == 1
        assert rig.vault.endpoints == {}


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        ("https://a.bitrix24.com.br/rest/", "https://b.bitrix24.com.br/rest/", True),
        ("https://a.bitrix24.com/rest/", "https://a.bitrix24.eu/rest/", True),
        ("https://a.bitrix24.com/rest/", "http://a.bitrix24.com/rest/", False),
        ("http://portal.example/rest/", "https://portal.example/rest/", True),
        ("https://portal.example/rest/", "https://other.example/rest/", False),
        ("https://a.bitrix24.com/rest/", "https://a.bitrix24.com.evil.example/rest/", False),
        ("https://a.bitrix24.com/rest/", "https://bitrix24.evil/rest/", False),
        ("https://a.bitrix24.com/rest/", "https://x.y.bitrix24.com/rest/", False),
        ("https://a.bitrix24.com/rest/", "https://user:pass@b.bitrix24.com/rest/", False),
        ("https://portal.example/rest/", "https://b.bitrix24.com/rest/", False),
    ],
)
def test_a_token_follows_inside_the_cloud_or_one_host_only(old: str, new: str, follows: bool) -> None:
    assert is_move(old, new) is follows


async def test_the_portals_words_lose_what_may_be_a_phone_number() -> None:
    async with a_rig(error(400, "X", "user +55 (41) 99876-5432 of line 14")) as rig:
        refusal = await rig.fails()
        assert "99876" not in str(refusal)
        assert "line 14" in str(refusal)


async def test_many_calls_at_once_renew_a_token_once() -> None:
    async with a_rig(OK) as rig:
        rig.vault.pairs[PORTAL_ID] = a_pair(lasts=timedelta(minutes=2))
        await asyncio.gather(*(rig.call() for _ in range(20)))
        assert len(rig.oauth.asked) == 1
        assert {asked.headers["Authorization"] for asked in rig.server.asked} == {"Bearer access-1"}


def test_the_clock_of_these_tests_is_in_utc() -> None:
    assert datetime.now(UTC).tzinfo is NOW.tzinfo
