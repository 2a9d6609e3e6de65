"""Who may call, how often, and that every refusal is a problem document."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.web.gateway import Gateway, a_gateway, a_message, a_portal, a_webhook, an_event, until


@pytest.fixture
async def strict(database_url: str, redis_url: str, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway with small limits, behind one trusted proxy: the tests' own address."""
    gateway = await a_gateway(
        folder,
        database_url,
        redis_url,
        API_RATE_PER_MIN="5",
        WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN="5",
        TRUSTED_PROXIES="127.0.0.1/32",
    )
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("key", [None, "x", "zx_", "zx_abc", "zx_000000000000_wrong", "Bearer zx_a_b", "zx_é_é"])
async def test_without_a_good_key_the_api_is_closed(gateway: Gateway, key: str | None) -> None:
    for method, path in (("GET", "/api/portals"), ("POST", "/api/messages/text"), ("GET", "/api/messages/1")):
        reply = await gateway.call(method, path, key=key)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert "zx_" in reply.problem["detail"]


async def test_a_key_is_taken_in_either_header(gateway: Gateway) -> None:
    by_name = await gateway.call("GET", "/api/portals", key=None, headers={"X-API-Key": gateway.admin_key})
    lower = await gateway.call(
        "GET", "/api/portals", key=None, headers={"Authorization": f"bearer {gateway.admin_key}"}
    )
    assert (by_name.status, lower.status) == (200, 200)


@pytest.mark.parametrize(
    ("method", "path", "data", "kind", "status"),
    [
        ("POST", "/api/portals", b"{", "application/json", 400),
        ("POST", "/api/portals", b"", "application/json", 400),
        ("POST", "/api/portals", b"\xff", "application/json", 400),
        ("POST", "/api/portals", b"[" * 100_000, "application/json", 422),
        ("POST", "/api/portals", b"[]", "application/json", 422),
        ("POST", "/api/portals", b"null", "application/json", 422),
        ("POST", "/api/portals", b'{"portal_url": 1}', "application/json", 422),
        ("POST", "/api/portals", b"a=1", "application/x-www-form-urlencoded", 415),
        ("POST", "/api/portals", b"{}", "text/plain", 415),
        ("POST", "/api/portals", b"{}", "multipart/form-data; boundary=x", 415),
        ("POST", "/api/portals", b'"' + b"x" * 300_000 + b'"', "application/json", 413),
        ("PATCH", "/api/portals", b"{}", "application/json", 405),
        ("DELETE", "/api/messages/text", b"", "", 405),
        ("GET", "/api/nothing", b"", "", 404),
        ("GET", "/", b"", "", 404),
    ],
)
async def test_every_refusal_is_a_problem_document(
    gateway: Gateway, method: str, path: str, data: bytes, kind: str, status: int
) -> None:
    reply = await gateway.call(method, path, data=data or None, headers={"Content-Type": kind} if kind else {})
    assert reply.status == status
    assert reply.problem["instance"] == path
    if status == 405:
        assert reply.headers["Allow"]


async def test_a_key_may_call_so_often_and_no_more(strict: Gateway) -> None:
    replies = await asyncio.gather(*(strict.call("GET", "/api/portals") for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 3
    refused = next(reply for reply in replies if reply.status == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.problem["title"] == "Too many requests"
    # Another key has a budget of its own.
    portal_id = (await strict.rows("INSERT INTO portal_config (portal_url, member_id, client_id, client_secret, "
        "client_endpoint, application_token) VALUES ('u', 'm', 'c', 's', 'e', 't') RETURNING id"))[0]["id"]  # fmt: skip
    assert (await strict.call("GET", "/api/portals", key=await strict.key_for(str(portal_id)))).status == 200


async def test_calls_without_a_key_count_for_their_address(strict: Gateway) -> None:
    async def call(address: str) -> int:
        return (await strict.call("GET", "/api/portals", key=None, headers={"X-Forwarded-For": address})).status

    statuses = [await call("203.0.113.1") for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert await call("203.0.113.2") == 401
    # What stands left of the last untrusted hop is the caller's own invention.
    assert await call("203.0.113.9, 203.0.113.1") == 429
    assert await call("203.0.113.1, 127.0.0.1") == 429
    # A good key is not held up by strangers at the same address.
    assert (await strict.call("GET", "/api/portals", headers={"X-Forwarded-For": "203.0.113.1"})).status == 200


async def test_one_network_of_ipv6_is_one_caller(strict: Gateway) -> None:
    statuses = []
    for n in range(6):
        headers = {"X-Forwarded-For": f"2001:db8:1:1::{n}"}
        statuses.append((await strict.call("GET", "/api/portals", key=None, headers=headers)).status)
    assert statuses == [401] * 5 + [429]


async def test_strangers_at_the_doors_are_slowed_down_and_platforms_are_not(strict: Gateway) -> None:
    statuses = [(await strict.meta(a_webhook(), secret="wrong")).status for _ in range(4)]
    statuses.append((await strict.bitrix24(an_event("nobody", "x"))).status)
    assert statuses == [401] * 5
    refused = await strict.bitrix24(b"%ff=1")
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await strict.call("GET", "/webhooks/meta?hub.mode=x", key=None)).status == 429
    replies = await asyncio.gather(*(strict.meta(a_webhook(a_message(f"wamid.{n}"))) for n in range(50)))
    assert {reply.status for reply in replies} == {200}


async def test_strangers_over_their_limit_cost_postgresql_nothing_and_a_good_sender_is_still_let_in(
    strict: Gateway,
) -> None:
    portal = await strict.portal(application_token="token")
    assert (await strict.bitrix24(an_event(portal["member_id"], "token"))).status == 200
    made_up = "zx_0123456789ab_wrong"
    for _ in range(7):
        await strict.bitrix24(an_event("nobody", "x"))
        await strict.call("GET", "/api/portals", key=made_up)
    async with strict.database() as connection, connection.transaction():
        # Who looks for anything would wait.
        await connection.execute("LOCK TABLE portal_config, api_key")
        async with asyncio.timeout(10):
            for member_id, token in (("nobody", "x"), (portal["member_id"], "y"), ("", "")):
                assert (await strict.bitrix24(an_event(member_id, token))).status == 429
            assert (await strict.call("GET", "/api/portals", key=made_up)).status == 429
            event = an_event(portal["member_id"], "token", message_id="2")
            assert (await strict.bitrix24(event)).status == 200
    # Made a moment ago, at an address that is over its limit; so is a key below.
    new = await strict.portal(application_token="new-token")
    assert (await strict.bitrix24(an_event("nobody", "x"))).status in {401, 429}
    assert (await strict.bitrix24(an_event(new["member_id"], "new-token"))).status == 200
    key = await strict.key_for(portal["id"])

    async def let_in() -> bool:
        return (await strict.call("GET", f"/api/portals/{portal['id']}", key=key)).status == 200

    await until(let_in, "a new key is known")


async def test_what_a_stranger_over_the_limit_sends_is_not_read(strict: Gateway) -> None:
    for _ in range(7):
        await strict.meta(a_webhook(), secret="wrong")
    reader, writer = await asyncio.open_connection("127.0.0.1", strict.settings.port)
    writer.write(b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n{")
    async with asyncio.timeout(4):
        assert b" 429 " in await reader.readline()
    writer.close()


async def test_a_callers_own_header_is_not_believed(
    gateway: Gateway, database_url: str, redis_url: str, folder: Path
) -> None:
    unproxied = await a_gateway(folder, database_url, redis_url, WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN="3")
    try:
        statuses = []
        for n in range(4):
            headers = {"X-Forwarded-For": f"203.0.113.{n}", "X-Real-IP": f"203.0.113.{n}"}
            statuses.append((await unproxied.call("POST", "/webhooks/meta", key=None, headers=headers)).status)
        assert statuses == [401] * 3 + [429]
    finally:
        unproxied.stop()


async def test_the_api_says_what_may_not_be_cached_or_guessed_at(gateway: Gateway) -> None:
    for reply in (await gateway.call("GET", "/api/portals"), await gateway.call("POST", "/api/portals", a_portal())):
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_request_id_is_kept_and_given_back(gateway: Gateway) -> None:
    given = f"caller-{uuid4().hex}"
    reply = await gateway.call("GET", "/api/nothing", headers={"X-Request-Id": given})
    assert reply.headers["X-Request-Id"] == reply.problem["request_id"] == given
    reply = await gateway.call("GET", "/api/nothing", headers={"X-Request-Id": "short"})
    assert len(reply.headers["X-Request-Id"]) == 32
