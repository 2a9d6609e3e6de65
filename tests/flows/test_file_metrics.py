"""Files are counted where they end, by real workers, and told by the gateway for all processes of the host."""

from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, attached, got, opened, shown
from tests.flows.test_files_again import dead

pytestmark = pytest.mark.asyncio(loop_scope="module")

Key = tuple[str, frozenset[tuple[str, str]]]


def series(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


async def told(world: World) -> dict[Key, float]:
    """Every sample of files, by its name and labels."""
    families: list[dict[str, Any]] = await world.api("GET", "/metrics/json")
    samples = [
        sample for family in families if family["name"].startswith("zaptrix_file") for sample in family["samples"]
    ]
    return {series(sample["name"], **sample["labels"]): sample["value"] for sample in samples}


async def grown(world: World, before: dict[Key, float], count: int) -> dict[Key, float]:
    """What has grown when so many files have ended: a worker counts after its message may go. Without buckets."""

    async def all_counted() -> bool:
        now = await told(world)
        ends = ("zaptrix_files_total", "zaptrix_files_failed_total")
        return sum(value - before[key] for key, value in now.items() if key[0] in ends) >= count

    await eventually(all_counted, 20, f"{count} files to be counted")
    risen = {key: value - before[key] for key, value in (await told(world)).items() if value != before[key]}
    return {key: by for key, by in risen.items() if not key[0].endswith("_bucket")}


async def test_a_file_that_is_ready_is_counted_by_direction_and_kind_with_its_bytes_and_its_time(world: World) -> None:
    tenant = await opened(world)
    before = await told(world)
    await tenant.customer_sends(JPEG, "a foto")
    await shown(tenant, 2)
    await tenant.operator_sends(
        attached(PDF, "a.pdf", "file", "application/pdf"), attached(JPEG, "b.jpg", "image", "image/jpeg")
    )
    await got(tenant, 2)
    risen = await grown(world, before, 3)
    seconds = {name: risen.pop(series("zaptrix_file_ready_seconds_sum", direction=name)) for name in _DIRECTIONS}
    assert all(0 < each < 30 for each in seconds.values())
    assert risen == {
        series("zaptrix_files_total", direction="inbound", kind="image"): 1,
        series("zaptrix_files_total", direction="outbound", kind="image"): 1,
        series("zaptrix_files_total", direction="outbound", kind="document"): 1,
        series("zaptrix_file_bytes_total", direction="inbound"): len(JPEG),
        series("zaptrix_file_bytes_total", direction="outbound"): len(PDF) + len(JPEG),
        series("zaptrix_file_ready_seconds_count", direction="inbound"): 1,
        series("zaptrix_file_ready_seconds_count", direction="outbound"): 2,
    }


async def _gone(tenant: Tenant) -> None:
    fault = {"side": "bitrix24", "where": "api", "kind": "status", "status": 404}
    methods = ("im.file.php", "disk.download")
    await tenant.world.faults(*(fault | {"match": {"portal": tenant.key, "method": each}} for each in methods))
    await tenant.operator_sends(attached(PDF, "a.pdf", "file", "application/pdf"))


async def _empty(tenant: Tenant) -> None:
    await tenant.operator_sends(attached(b"", "vazio.pdf", "file", "application/pdf"))


async def _elsewhere(tenant: Tenant) -> None:
    link = {"link": "http://169.254.169.254/latest/meta-data"}
    await tenant.operator_sends(attached(PDF, "a.pdf", "file", "application/pdf") | link)


@pytest.mark.parametrize(
    ("send", "reason"), [(_gone, "gone"), (_empty, "size"), (_elsewhere, "address")], ids=["gone", "size", "address"]
)
async def test_a_file_that_is_given_up_is_counted_by_its_reason(world: World, send: Any, reason: str) -> None:
    tenant = await opened(world)
    before = await told(world)
    await send(tenant)
    await dead(tenant)
    await world.heal()
    key = series("zaptrix_files_failed_total", direction="outbound", reason=reason)
    assert await grown(world, before, 1) == {key: 1}


async def test_a_file_that_is_not_ready_yet_waits_until_it_is(world: World) -> None:
    tenant = await opened(world)
    waiting = series("zaptrix_files_waiting", direction="outbound")
    assert (await told(world))[waiting] == 0
    await world.faults({"side": "meta", "where": "api", "kind": "status", "status": 503, "match": {"method": "media"}})
    await tenant.operator_sends(attached(PDF + b"espera", "a.pdf", "file", "application/pdf"))

    async def waits() -> bool:
        return (await told(world))[waiting] == 1

    await eventually(waits, 20, "a file to wait")
    await world.heal()

    async def is_ready() -> bool:
        return (await told(world))[waiting] == 0

    await eventually(is_ready, 40, "the file to be ready")


_DIRECTIONS = ("inbound", "outbound")
