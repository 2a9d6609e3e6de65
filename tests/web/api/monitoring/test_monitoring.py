"""`/health`, `/cache/stats`, `/queues/stats`, `/metrics`: what they say, and to whom."""

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

import zaptrix
from tests.web.gateway import METRICS_TOKEN, Gateway, a_conversation, a_gateway, a_letter, a_message, a_webhook, until
from zaptrix.cli.local.servers import Servers
from zaptrix.store.schema import migrate
from zaptrix.web.api.monitoring.monitoring import HEALTH_GOOD_FOR_S

PAGES = ("/cache/stats", "/queues/stats", "/metrics", "/metrics/json")
QUEUES = ["incoming-messages", "bitrix24-messages", "outbound-messages", "meta-messages"]


async def test_health_tells_whether_all_is_well(own_servers: Servers, folder: Path) -> None:
    """It never says that everything works while nothing is delivered: nobody works, or a server is of no use."""
    await migrate.upgrade(own_servers.postgres.url)
    gateway = await a_gateway(folder, own_servers.postgres.url, own_servers.redis.url)

    async def says(status: int, words: str) -> None:
        async def said() -> bool:
            reply = await gateway.call("GET", "/health", key=None)
            return reply.status == status and words in " ".join(reply.json["works"])

        await until(said, words)

    processes: list[subprocess.Popen[bytes]] = []

    def work(*queues: str) -> None:
        command = [sys.executable, "-m", "zaptrix", "worker", "--queues", ",".join(queues)]
        processes.append(subprocess.Popen(command, env={**gateway.environ, "METRICS_PORT": "0"}))

    try:
        await says(200, f"no worker runs for them: {', '.join(QUEUES)}; start `zaptrix worker`.")
        work(*QUEUES[:3])
        await says(200, "no worker runs for them: meta-messages;")
        work("meta-messages")
        await says(200, "Everything works.")
        told = (await gateway.call("GET", "/health", key=None)).json
        assert (told["status"], told["version"]) == ("ok", zaptrix.__version__)
        assert all(told[part]["ok"] is True and told[part]["latency_ms"] >= 0 for part in ("postgresql", "redis"))
        assert told["timestamp"]
        processes[0].kill()
        await says(200, f"no worker runs for them: {', '.join(QUEUES[:3])};")

        async with redis.asyncio.from_url(own_servers.redis.url) as client:
            await client.config_set("maxmemory", "1")
            await says(503, "Redis takes no writes")
            await client.config_set("maxmemory", "0")
        connection = await asyncpg.connect(own_servers.postgres.url)
        await connection.execute("UPDATE alembic_version SET version_num = '0003'")
        await says(503, "The database does not have the schema of this version (0003); run `zaptrix migrate`.")
        await connection.execute("DROP TABLE alembic_version")
        await says(503, "The database does not have the schema of this version (-)")
        assert (await gateway.call("GET", "/health/ready", key=None)).status == 200  # nobody takes it any better
        await connection.close()
    finally:
        gateway.stop()
        for process in processes:
            process.kill()
            process.wait()


async def test_the_cache_tells_memory_clients_and_keys(gateway: Gateway) -> None:
    told = (await gateway.call("GET", "/cache/stats", key=None)).json
    assert told["available"] is True
    assert told["used_memory_bytes"] > 0
    assert told["connected_clients"] > 0
    assert told["total_keys"] >= 0


async def test_the_four_queues_tell_messages_and_jobs(gateway: Gateway) -> None:
    channel = await gateway.channel((await gateway.portal())["id"])
    conversation = await a_conversation(gateway, channel)
    before = (await gateway.call("GET", "/queues/stats", key=None)).json
    assert list(before) == QUEUES
    await a_letter(gateway, channel, conversation)
    await gateway.call("POST", "/api/messages/text", {"conversation_id": conversation, "text": "oi"})
    await gateway.meta(a_webhook(a_message("wamid.queues")))
    after = (await gateway.call("GET", "/queues/stats", key=None)).json
    grown = {
        queue: {
            state: after[queue]["messages"][state] - before[queue]["messages"][state]
            for state in ("waiting", "active", "failed")
        }
        for queue in QUEUES
    }
    assert grown == {
        "incoming-messages": {"waiting": 1, "active": 0, "failed": 0},
        "bitrix24-messages": {"waiting": 0, "active": 0, "failed": 0},
        "outbound-messages": {"waiting": 0, "active": 0, "failed": 0},
        "meta-messages": {"waiting": 1, "active": 0, "failed": 1},
    }
    assert after["incoming-messages"]["messages"]["oldest_age_s"] >= 0
    assert set(after["incoming-messages"]["jobs"]) == {"waiting", "active", "delayed", "completed", "failed"}


async def test_what_all_hosts_have_delivered_is_told_by_any_of_them(gateway: Gateway) -> None:
    async with gateway.database() as connection:
        await connection.execute("INSERT INTO queue_total VALUES ('bitrix24-messages', 12), ('meta-messages', 34)")
    told = (await gateway.call("GET", "/queues/stats", key=None)).json
    assert {queue: each["messages"]["completed"] for queue, each in told.items()} == {
        "incoming-messages": None,
        "bitrix24-messages": 12,
        "outbound-messages": None,
        "meta-messages": 34,
    }


async def test_requests_and_webhooks_are_counted_by_route_and_not_by_path(gateway: Gateway) -> None:
    portal = await gateway.portal()
    await gateway.call("GET", f"/api/portals/{portal['id']}")
    await gateway.call("GET", "/nothing/here")
    await gateway.meta(a_webhook(a_message("wamid.counted")))
    reply = await gateway.call("GET", "/metrics", key=None)
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = reply.body.decode()
    for line in (
        'zaptrix_http_requests_total{method="GET",route="/api/portals/{portal_id}",status="200"}',
        'zaptrix_http_requests_total{method="GET",route="unmatched",status="404"}',
        'zaptrix_http_requests_total{method="POST",route="/webhooks/meta",status="200"}',
        'zaptrix_http_request_duration_seconds_bucket{le="0.005",method="POST",route="/webhooks/meta"}',
        'zaptrix_webhooks_received_total{source="meta"}',
        'zaptrix_queue_size{queue="incoming-messages",state="waiting"}',
        'zaptrix_queue_oldest_age_seconds{queue="meta-messages"}',
        'zaptrix_paused{kind="portal"}',
    ):
        assert line in told
    for name in (
        "zaptrix_messages_processed_total",
        "zaptrix_queue_job_duration_seconds",
        "zaptrix_queue_job_status",
    ):
        assert f"# TYPE {name}" in told
    assert portal["id"] not in told
    assert "nothing/here" not in told


async def test_metrics_come_as_json_too(gateway: Gateway) -> None:
    families = {family["name"] for family in (await gateway.call("GET", "/metrics/json", key=None)).json}
    assert {"zaptrix_http_requests", "zaptrix_webhooks_received", "zaptrix_queue_size"} <= families


@pytest.mark.parametrize("path", PAGES)
async def test_on_a_private_bind_a_call_through_a_proxy_needs_a_key(gateway: Gateway, path: str) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.1"}
    assert (await gateway.call("GET", path, key=None)).status == 200
    for told in (forwarded, {"Via": "1.1 proxy"}, {"X-Forwarded-Proto": "https"}, {"Host": "gateway.example.com"}):
        assert (await gateway.call("GET", path, key=None, headers=told)).status == 401
    assert (await gateway.call("GET", path, headers=forwarded)).status == 200


async def test_each_webhook_is_logged_at_debug_without_its_words(
    database_url: str, redis_url: str, folder: Path
) -> None:
    telling = await a_gateway(folder, database_url, redis_url, LOG_LEVEL="debug")
    try:
        reply = await telling.meta(a_webhook(a_message("wamid.logged")))
        (line,) = [each for each in telling.log.splitlines() if '"webhook received"' in each]
        told = json.loads(line)
        assert (told["source"], told["request_id"]) == ("meta", reply.headers["X-Request-Id"])
        assert "wamid" not in line
    finally:
        telling.stop()


async def test_on_a_public_bind_monitoring_needs_the_token_or_an_admins_key(
    database_url: str, redis_url: str, folder: Path
) -> None:
    public = await a_gateway(folder, database_url, redis_url, HOST="0.0.0.0")  # noqa: S104
    try:
        portal = await public.portal()
        portals_key = await public.key_for(portal["id"])
        for path in PAGES:
            assert (await public.call("GET", path, key=None)).status == 401
            assert (await public.call("GET", path, key="wrong")).status == 401
            assert (await public.call("GET", path, key=portals_key)).status == 403
            assert (await public.call("GET", path, key=METRICS_TOKEN)).status == 200
            assert (await public.call("GET", path)).status == 200
        assert (await public.call("GET", "/health", key=None)).status == 200
        assert "METRICS_TOKEN" in public.log
    finally:
        public.stop()


async def test_who_asks_how_it_is_a_hundred_times_costs_redis_a_look_or_two(gateway: Gateway, redis_url: str) -> None:
    """`/health` is open to strangers, and lists the clients of Redis."""
    async with redis.asyncio.from_url(redis_url) as client:
        before = await _listings(client)
        replies = await asyncio.gather(*(gateway.call("GET", "/health", key=None) for _ in range(100)))
        assert {reply.status for reply in replies} == {200}
        looks = await _listings(client) - before
    taken = max(reply.json["timestamp"] for reply in replies), min(reply.json["timestamp"] for reply in replies)
    spent_s = (datetime.fromisoformat(taken[0]) - datetime.fromisoformat(taken[1])).total_seconds()
    assert 1 <= looks <= 2 + spent_s / HEALTH_GOOD_FOR_S


async def _listings(client: redis.asyncio.Redis) -> int:
    return int((await client.info("commandstats")).get("cmdstat_client|list", {}).get("calls", 0))
