"""PostgreSQL or Redis is away: what is refused, what is kept, and what goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.gateway import Gateway, a_gateway, a_message, a_request_id, a_webhook, an_event, until
from zaptrix.cli.embedded import Servers
from zaptrix.store.migrate import upgrade


@pytest.fixture
async def lonely(own_servers: Servers, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway on servers that may be stopped."""
    await upgrade(own_servers.postgres.url)
    gateway = await a_gateway(folder, own_servers.postgres.url, own_servers.redis.url)
    yield gateway
    gateway.stop()


async def test_without_postgresql_meta_is_told_to_come_back_and_bitrix24s_events_are_spooled(
    own_servers: Servers, lonely: Gateway
) -> None:
    known = await lonely.portal(application_token="token-1")
    unseen = await lonely.portal(application_token="token-2")
    strangers = await lonely.portal(application_token="token-3")
    await asyncio.to_thread(own_servers.postgres.stop)

    refused = await lonely.meta(a_webhook(a_message("wamid.away")))
    assert refused.status == 503
    assert refused.problem["title"] == "Temporarily unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    first, second, third = a_request_id(), a_request_id(), a_request_id()
    for portal, token, request_id in (
        (known, "token-1", first),
        (unseen, "token-2", second),
        (strangers, "not-theirs", third),
    ):
        reply = await lonely.bitrix24(an_event(portal["member_id"], token), request_id=request_id)
        assert (reply.status, reply.body) == (200, b"")
    # Who does not even say who they are is nobody, with or without PostgreSQL.
    assert (await lonely.bitrix24({"event": "ONIMCONNECTORMESSAGEADD"})).status == 401
    assert len(list((lonely.folder / "spool").glob("*.event"))) == 3

    listed = await lonely.call("GET", "/api/portals")
    assert listed.status == 503
    assert listed.problem["detail"] == "PostgreSQL is away; try again"
    health = await lonely.call("GET", "/health", key=None)
    assert health.status == 503
    assert health.json["postgresql"] == {"ok": False, "latency_ms": None}
    assert health.json["redis"]["ok"] is True
    assert "Bitrix24's events are kept on this host's disk" in " ".join(health.json["works"])
    for path in ("/cache/stats", "/queues/stats", "/metrics", "/metrics/json"):
        assert (await lonely.call("GET", path, key=None)).status == 200, path

    await asyncio.to_thread(own_servers.postgres.start)

    async def replayed() -> bool:
        return not list((lonely.folder / "spool").glob("*.event"))

    await until(replayed, "the spool is replayed")
    assert len(await lonely.events(first)) == 1
    assert len(await lonely.events(second)) == 1
    assert await lonely.events(third) == []  # the spool's replay has found out that it was not theirs
    assert (await lonely.meta(a_webhook(a_message("wamid.away")))).status == 200


async def test_without_postgresql_and_without_a_disk_bitrix24_is_told_so(own_servers: Servers, lonely: Gateway) -> None:
    await asyncio.to_thread(own_servers.postgres.stop)
    spool = lonely.folder / "spool"
    spool.rmdir()
    spool.touch()
    reply = await lonely.bitrix24(an_event("somebody", "token"))
    assert reply.status == 503
    assert reply.problem["detail"] == "Neither PostgreSQL nor the local disk can take it"


async def test_without_redis_webhooks_are_accepted_and_the_api_answers(own_servers: Servers, lonely: Gateway) -> None:
    portal = await lonely.portal(application_token="token")
    await asyncio.to_thread(own_servers.redis.stop)
    first, second = a_request_id(), a_request_id()
    assert (await lonely.meta(a_webhook(a_message("wamid.noredis")), request_id=first)).status == 200
    event = an_event(portal["member_id"], "token")
    assert (await lonely.bitrix24(event, request_id=second)).status == 200
    assert len(await lonely.events(first)) == len(await lonely.events(second)) == 1
    assert (await lonely.call("GET", "/api/portals")).status == 200
    health = await lonely.call("GET", "/health", key=None)
    assert health.status == 503
    assert health.json["redis"] == {"ok": False, "latency_ms": None}
    assert "Webhooks are accepted" in " ".join(health.json["works"])
    assert (await lonely.call("GET", "/cache/stats", key=None)).json["available"] is False
    reply = await lonely.call("GET", "/queues/stats", key=None)
    assert reply.status == 200, lonely.log[-6000:]
    stats = reply.json
    assert stats["incoming-messages"]["jobs"] is None
    assert stats["incoming-messages"]["messages"]["waiting"] == 1


async def test_a_gateway_that_starts_before_its_servers_answers_and_recovers(
    own_servers: Servers, lonely: Gateway
) -> None:
    await asyncio.to_thread(own_servers.postgres.stop)
    lonely.stop()
    lonely.start()
    await lonely.ready()
    assert (await lonely.meta(a_webhook(a_message("wamid.early")))).status == 503
    await asyncio.to_thread(own_servers.postgres.start)
    assert (await lonely.meta(a_webhook(a_message("wamid.early")))).status == 200
