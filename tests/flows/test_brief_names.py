"""Every endpoint, table, queue and metric that the brief names, under the name it has there."""

import asyncio

import asyncpg
import pytest
import redis.asyncio
from prometheus_client.parser import text_string_to_metric_families

from proof.world import World
from tests.deploy.queries import uses

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = {
    "portal_config": {
        "id", "portal_url", "client_id", "client_secret", "access_token", "refresh_token", "token_expiration_time",
        "created_at", "updated_at",
    },
    "conversation_mapping": {
        "id", "portal_id", "meta_whatsapp_id", "bitrix_contact_id", "bitrix_chat_id", "contact_name",
        "last_message_at", "created_at", "updated_at",
    },
}  # fmt: skip

QUEUES = ("incoming-messages", "outbound-messages", "meta-messages", "bitrix24-messages")

METRICS = (
    "zaptrix_http_requests_total",
    "zaptrix_http_request_duration_seconds_bucket",
    "zaptrix_webhooks_received_total",
    "zaptrix_messages_processed_total",
    "zaptrix_queue_job_duration_seconds_bucket",
    "zaptrix_queue_job_status",
)

# Method, path and what an empty or senseless call is answered: the door is there, and it judges.
ENDPOINTS = (
    ("GET", "/webhooks/meta", 403),
    ("POST", "/webhooks/meta", 401),
    ("POST", "/webhooks/bitrix24/outbound", 401),
    ("GET", "/api/portals", 200),
    ("POST", "/api/portals", 422),
    ("GET", "/api/portals/00000000-0000-0000-0000-000000000000", 404),
    ("PUT", "/api/portals/00000000-0000-0000-0000-000000000000", 404),
    ("DELETE", "/api/portals/00000000-0000-0000-0000-000000000000", 404),
    ("GET", "/api/channels", 200),
    ("POST", "/api/messages/text", 422),
    ("GET", "/api/conversations", 200),
    ("GET", "/api/dead-letters", 200),
    ("GET", "/health", 200),
    ("GET", "/cache/stats", 200),
    ("GET", "/queues/stats", 200),
    ("GET", "/metrics", 200),
    ("GET", "/metrics/json", 200),
    ("GET", "/docs", 200),
)


@pytest.mark.parametrize(("method", "path", "status"), ENDPOINTS)
async def test_the_endpoints_of_the_brief_answer(world: World, method: str, path: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {world.admin_key}"} if path.startswith("/api") else {}
    body: dict[str, object] | None = {} if method in {"POST", "PUT"} else None
    async with world.session.request(method, f"{world.url}{path}", json=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()


@pytest.mark.parametrize(("table", "columns"), TABLES.items())
async def test_the_tables_of_the_brief_have_its_columns(world: World, table: str, columns: set[str]) -> None:
    connection = await asyncpg.connect(world.servers.postgres.url)
    try:
        rows = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
    finally:
        await connection.close()
    assert columns <= {row["column_name"] for row in rows}


async def test_the_queues_of_the_brief_are_bullmqs_and_reported(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    await tenant.operator_writes("pela fila")
    await world.drained()
    async with redis.asyncio.from_url(world.servers.redis.url, decode_responses=True) as client:
        for queue in QUEUES:
            assert await client.exists(f"bull:{queue}:meta"), queue
    assert set(await world.api("GET", "/queues/stats")) == set(QUEUES)


async def test_the_metrics_of_the_brief_are_exposed(world: World) -> None:
    async with world.session.get(f"{world.url}/metrics") as answer:
        names = {line.partition("{")[0].partition(" ")[0] for line in (await answer.text()).splitlines()}
    assert set(METRICS) <= names


async def test_health_and_cache_tell_what_the_brief_lists(world: World) -> None:
    async with world.session.get(f"{world.url}/health") as answer:
        health = await answer.json()
    assert {"status", "postgresql", "redis", "timestamp"} <= set(health)
    cache = await world.api("GET", "/cache/stats")
    assert {"used_memory_bytes", "connected_clients", "total_keys"} <= set(cache), cache
    for stats in (await world.api("GET", "/queues/stats")).values():
        assert {"waiting", "active", "completed", "failed"} <= set(stats["messages"])
        assert {"waiting", "active", "completed", "failed"} <= set(stats["jobs"])


# Without an https address nobody shows a certificate.
NOT_HERE = {"zaptrix_certificate_expires_timestamp_seconds"}
# Prometheus' own, and labels that Prometheus adds.
PROMETHEUS_OWN = {"up", "ALERTS"}
ADDED = {"instance", "job"}


async def told_by(world: World) -> dict[str, list[dict[str, str]]]:
    """The labels of each series of each metric."""
    told: dict[str, list[dict[str, str]]] = {}
    async with world.session.get(f"{world.url}/metrics") as answer:
        for family in text_string_to_metric_families(await answer.text()):
            for sample in family.samples:
                told.setdefault(sample.name, []).append(dict(sample.labels))
    return told


async def test_each_metric_that_is_shown_or_alarms_is_told_with_the_labels_that_are_asked_for(world: World) -> None:
    """Dashboard, recorded series and alarms, against what a running gateway and its workers tell."""
    tenant = await world.tenant()
    await tenant.opened()
    await tenant.operator_writes("para o painel")
    await world.drained()
    async with asyncio.timeout(30):
        while "zaptrix_channels" not in (told := await told_by(world)):  # a worker works it out after its start
            await asyncio.sleep(0.1)
    wrong = []
    for use in uses():
        if use.metric in PROMETHEUS_OWN | NOT_HERE or ":" in use.metric:
            continue
        series = told.get(use.metric, [])
        values = {(label, value) for labels in series for label, value in labels.items()}
        if not series or use.labels - ADDED - {label for label, _ in values} or use.values - values:
            wrong.append(use)
    assert wrong == []
