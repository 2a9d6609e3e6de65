"""The largest files that cross, both ways, through a worker and a gateway that hold little of them."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from proof.world import Tenant, World, eventually
from tests.flows.memory import MIB, bounded
from tests.flows.test_files import JPEG, PDF, attached, got, opened, shown
from tests.flows.test_outbound_kinds import send_form

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROWTH_MAX = 32 * MIB
CROSSES_S = 60
# As in production: a portal fetches a large file inside the call, and may take its time.
PATIENT = {"META_TIMEOUT_S": "20", "BITRIX_TIMEOUT_S": "60", "CLAIM_LEASE_S": "90"}


class Heavy(NamedTuple):
    """A file that its sender's platform draws by a seed, byte by byte, behind the beginning of its type."""

    kind: str
    start: bytes
    size: int
    mime: str
    name: str
    seed: int

    def told(self, kind: str = "") -> dict[str, Any]:
        start = base64.b64encode(self.start).decode()
        file = {"content_base64": start, "size": self.size, "seed": self.seed, "mime": self.mime, "filename": self.name}
        return {"type": kind or self.kind, **file}


DOCUMENT = Heavy("document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 100 * MIB, "application/pdf", "planta.pdf", 1)
VIDEO = Heavy("video", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", 16 * MIB, "video/mp4", "obra.mp4", 2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(folder=tmp_path_factory.mktemp("heavy"), extra=PATIENT)
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def warmed(world: World) -> Tenant:
    """A tenant between whose sides a small file of each kind has crossed: whatever a process loads once is loaded."""
    tenant = await opened(world)
    await tenant.customer_sends(JPEG)
    await shown(tenant, 2)
    await tenant.operator_sends(attached(PDF, "a.pdf", "file", "application/pdf"))
    await got(tenant, 1)
    return tenant


async def files_in(tenant: Tenant, place: Callable[[Tenant], Awaitable[list[dict[str, Any]]]], count: int) -> list[Any]:
    """Name, type, size and hash of each file there, when there are so many messages."""

    async def there() -> bool:
        return len(await place(tenant)) >= count

    await eventually(there, CROSSES_S, f"{count} messages: {place.__name__}")
    files = [file for one in await place(tenant) for file in one.get("files") or [one.get("file")] if file]
    return [(file["name"], file["type"], file["size"], file["sha256"]) for file in files]


async def on_phone(tenant: Tenant) -> list[dict[str, Any]]:
    return await tenant.on_phone()


async def from_customer(tenant: Tenant) -> list[dict[str, Any]]:
    return [one for one in (await tenant.chat())["messages"] if one["author"] == "customer"]


async def from_operator(tenant: Tenant) -> list[dict[str, Any]]:
    return [one for one in (await tenant.chat())["messages"] if one["author"] == "operator"]


async def test_the_largest_files_cross_both_ways_at_once_and_cost_little_memory(world: World) -> None:
    tenant = await warmed(world)
    assert world.gateway is not None
    with bounded([world.gateway, *world.workers], GROWTH_MAX):
        document = await tenant.customer_sends(b"", **DOCUMENT.told())
        await tenant.operator_sends(DOCUMENT.told("file"))
        video = await tenant.customer_sends(b"", **VIDEO.told())
        await tenant.operator_sends(VIDEO.told())
        came = await files_in(tenant, from_customer, 4)
        arrived = await files_in(tenant, on_phone, 3)

    assert came[1:] == [
        ("planta.pdf", "file", 100 * MIB, document["sha256"]),
        ("video.mp4", "video", 16 * MIB, video["sha256"]),  # WhatsApp's videos have no name
    ]
    sent = await files_in(tenant, from_operator, 3)
    assert [file[2:] for file in sent] == [file[2:] for file in arrived]
    assert [file[:3] for file in arrived[1:]] == [
        ("planta.pdf", "document", 100 * MIB),
        ("obra.mp4", "video", 16 * MIB),
    ]


async def test_an_upload_of_100_mb_goes_through_the_gateway_in_parts(world: World) -> None:
    tenant = await warmed(world)
    await send_form(tenant, "document", PDF, "b.pdf")
    await got(tenant, 2)

    async def parts() -> AsyncIterator[bytes]:
        yield PDF
        for _ in range(100):
            yield bytes(MIB - len(PDF) // 100 - 1)

    assert world.gateway is not None
    with bounded([world.gateway, *world.workers], GROWTH_MAX):
        await send_form(tenant, "document", parts(), "planta.pdf")
        arrived = await files_in(tenant, on_phone, 3)
    assert arrived[2][:2] == ("planta.pdf", "document")
    assert arrived[2][2] == 100 * (MIB - len(PDF) // 100 - 1) + len(PDF)
