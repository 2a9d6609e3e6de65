"""PostgreSQL or Redis is away: what is refused, what is kept, and what goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import descendants
from tests.web.gateway import Gateway, Json, a_gateway, a_message, a_request_id, a_webhook, an_event, until
from zaptrix.cli.local.servers import Servers
from zaptrix.store.schema.migrate import upgrade


@pytest.fixture
async def lonely(own_servers: Servers, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway on servers that may be stopped."""
    await upgrade(own_servers.postgres.url)
    postgres_url, redis_url = own_servers.postgres.url, own_servers.redis.url
    gateway = await a_gateway(folder, postgres_url, redis_url, WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN="30")
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
    health = await lonely.health(503)
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


async def until_known(gateway: Gateway, portal: Json) -> None:
    """Some seconds after it was made a portal is known on the disk, and told from strangers without PostgreSQL."""
    digests = gateway.folder / "senders.digests"

    async def known() -> bool:
        return digests.exists() and portal["id"].encode() in digests.read_bytes()

    await until(known, "the portal is known on the disk")


async def test_without_postgresql_a_stranger_uses_up_nothing_that_a_portal_needs(
    own_servers: Servers, lonely: Gateway
) -> None:
    portal = await lonely.portal(application_token="token")
    await until_known(lonely, portal)
    await asyncio.to_thread(own_servers.postgres.stop)
    # Nothing that was in memory is left, either.
    lonely.stop()
    lonely.start()
    await lonely.ready()

    async def stranger(size: int, member_id: str = "somebody") -> int:
        return (await lonely.bitrix24(an_event(member_id, "guessed", text="x" * size))).status

    statuses = [await stranger(2_000_000) for _ in range(12)]
    assert statuses == [200] * 8 + [503] * 4
    statuses = [await stranger(10, portal["member_id"]) for _ in range(22)]
    assert set(statuses[:14]) == {200}
    assert 429 in statuses
    spooled = sum(path.stat().st_size for path in (lonely.folder / "spool").iterdir())
    assert spooled < 17 * 1024 * 1024

    request_ids = [a_request_id() for _ in range(5)]
    for number, request_id in enumerate(request_ids):
        event = an_event(portal["member_id"], "token", message_id=str(number), text="y" * 1_000_000)
        assert (await lonely.bitrix24(event, request_id=request_id)).status == 200
    await asyncio.to_thread(own_servers.postgres.start)

    async def arrived() -> bool:
        return all([await lonely.events(request_id) for request_id in request_ids])

    await until(arrived, "the portal's events are in the journal")
    assert await lonely.rows("SELECT count(*) FROM event") == [{"count": 5}]


async def test_a_postgresql_that_hangs_is_given_up_in_seconds_and_nothing_is_doubled_by_that(
    own_servers: Servers, lonely: Gateway
) -> None:
    """What it was told when it stood still it may do when it goes on: the same rows, by their keys."""
    known = await lonely.portal(application_token="token-1")
    assert (await lonely.bitrix24(an_event(known["member_id"], "token-1", message_id="0"))).status == 200
    (row,) = await lonely.rows("SHOW data_directory")
    postmaster = int((Path(row["data_directory"]) / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no further process
    frozen_ones = [postmaster, *descendants(postmaster)]
    for frozen in frozen_ones:
        with suppress(ProcessLookupError):  # one that ended meanwhile
            os.kill(frozen, signal.SIGSTOP)

    async def event(message_id: int) -> int:
        reply = await lonely.bitrix24(an_event(known["member_id"], "token-1", message_id=str(message_id)))
        return reply.status

    async def message(number: int) -> int:
        return (await lonely.meta(a_webhook(a_message(f"wamid.hung.{number}")))).status

    try:
        # Those who come later wait no longer than the first; without a limit of its own it was up to 45 s.
        async with asyncio.timeout(12):
            waves = []
            for wave in range(3):
                waves += [asyncio.create_task(event(wave + 1)), asyncio.create_task(message(wave))]
                await asyncio.wait(waves, timeout=0.5)
            assert await asyncio.gather(*waves) == [200, 503] * 3
    finally:
        for frozen in frozen_ones:
            with suppress(ProcessLookupError):
                os.kill(frozen, signal.SIGCONT)

    async def replayed() -> bool:
        return not list((lonely.folder / "spool").glob("*.event"))

    await until(replayed, "the spool is replayed")
    assert [await message(number) for number in range(3)] == [200] * 3
    counts = "SELECT source, count(*), count(DISTINCT key) AS keys FROM event GROUP BY source ORDER BY source"
    assert await lonely.rows(counts) == [
        {"source": "bitrix24", "count": 4, "keys": 4},
        {"source": "whatsapp", "count": 3, "keys": 3},
    ]


async def test_a_secret_that_cannot_be_read_is_its_own_portals_trouble(
    database_url: str, redis_url: str, folder: Path
) -> None:
    own = await a_gateway(folder, database_url, redis_url, WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN="10")
    try:
        portal = await own.portal(application_token="token")
        await until_known(own, portal)
        own.stop()
        right, other = own.environ["ENCRYPTION_KEYS"], "C1Qm9aZ0Zf0cZ0m3m0d0l2q0y0p0r0s0t0u0v0w0x0Y="
        own.environ["ENCRYPTION_KEYS"] = other
        own.start()
        await own.ready()
        others = await own.portal(application_token="others-token")
        await until_known(own, others)
        statuses = [(await own.bitrix24(an_event(portal["member_id"], "guessed"))).status for _ in range(20)]
        assert 200 in statuses[:10]
        assert 429 in statuses
        request_id = a_request_id()
        assert (await own.bitrix24(an_event(portal["member_id"], "token"), request_id=request_id)).status == 200

        assert list((folder / "spool").glob("*.held"))
        others_id = a_request_id()
        assert (await own.bitrix24(an_event(others["member_id"], "others-token"), request_id=others_id)).status == 200
        assert len(await own.events(others_id)) == 1  # it has not waited behind
        assert own.log.count("event not admitted") == 0
        own.stop()
        own.environ["ENCRYPTION_KEYS"] = f"{other},{right}"
        own.start()
        await own.ready()

        async def arrived() -> bool:
            return len(await own.events(request_id)) == 1

        await until(arrived, "its event is in the journal")
        assert await own.rows("SELECT count(*) FROM event") == [{"count": 2}]
    finally:
        own.stop()


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
    health = await lonely.health(503)
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
