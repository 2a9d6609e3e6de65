"""Addresses of files that somebody forged: nothing in a private network is asked for anything, no secret leaves, the
operator is told in the chat, and the API explains it."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from proof.world import Tenant, World, eventually
from tests.flows.test_files import PDF, attached, got, notices, opened, sha, shown
from tests.media.hosts import Host, dripping, endless, giving, hosting, redirecting

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_S = 10
NOT_THE_PORTALS = "o endereço dele não é deste portal"
TOO_LARGE = "passa de 100 MB"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The simulators' own address may be reached there, and no other address of a private network."""
    world = World(folder=tmp_path_factory.mktemp("forged"), extra={"MEDIA_TIMEOUT_S": str(TIMEOUT_S)})
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def sends_from(tenant: Tenant, *links: str) -> None:
    """An operator's event names files at these addresses, each in a message of its own."""
    for place, link in enumerate(links):
        await tenant.operator_sends(attached(PDF, f"{place}.pdf") | {"link": link}, text=f"veja {place}")


async def refused(tenant: Tenant, count: int, words: str, code: str) -> None:
    """Each is told in the chat and explained by the API; on the phone are the words alone."""

    async def told() -> bool:
        return len([line for line in await notices(tenant) if words in line]) >= count

    await eventually(told, 120, f"{count} notices: {words}")
    letters = (await tenant.world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}"))["items"]
    explained = [one["explanation"] for one in letters]
    assert [one["code"] for one in explained] == [code] * count
    assert all(words in one["operator"] and one["kind"] == "refused" and one["admin"] for one in explained)
    assert {message["type"] for message in await tenant.on_phone()} <= {"text"}


def nothing_leaked(*hosts: Host) -> None:
    """None of them was shown a token, a cookie or where it was asked from."""
    for asked in (request for host in hosts for request in host.asked):
        assert not {"authorization", "cookie", "referer"} & {name.lower() for name in asked.headers}
        assert "auth" not in asked.query_string


async def test_no_address_beside_the_portals_own_is_asked_for_anything(world: World) -> None:
    tenant = await opened(world)
    async with hosting(giving(b"our secret")) as canary:
        port = canary.url.rpartition(":")[2]
        odd = ["127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0.0.0.0", "localhost", "LOCALHOST."]  # noqa: S104
        links = [f"http://{host}:{port}/a.pdf" for host in (*odd, "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]")]
        links += [
            f"http://127.0.0.1:{world.sim_port}@127.0.0.1:{port}/a.pdf",
            f"http://user:password@127.0.0.1:{world.sim_port}/a.pdf",
            "http://10.0.0.1/a.pdf",
            "http://192.168.1.1/a.pdf",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/latest/meta-data/",
            "https://metadata.google.internal/computeMetadata/v1/",
            "file:///etc/passwd",
        ]
        await sends_from(tenant, *links)
        await refused(tenant, len(links), NOT_THE_PORTALS, "forbidden_address")
        assert canary.asked == []


async def hostile(world: World, host: Host) -> Tenant:
    """A tenant whose portal serves its files from `host`, as an admin has told the gateway."""
    tenant = await world.tenant()
    moved = {"portal_url": host.url, "client_endpoint": tenant.portal["client_endpoint"]}
    await world.api("PUT", f"/api/portals/{tenant.portal_id}", moved)
    await tenant.customer_writes("oi")
    await shown(tenant, 1)
    return tenant


async def test_redirects_of_a_portal_lead_nowhere_else(world: World) -> None:
    async with AsyncExitStack() as hosts:
        canary = await hosts.enter_async_context(hosting(giving(b"our secret")))
        port = canary.url.rpartition(":")[2]
        targets = {
            "/other": canary.url,
            "/name": f"http://localhost:{port}/",
            "/six": f"http://[::1]:{port}/",
            "/cloud": "http://169.254.169.254/latest/meta-data/",
            "/file": "file:///etc/passwd",
        }
        portal = await hosts.enter_async_context(hosting(lambda request: redirecting(targets[request.path])(request)))
        tenant = await hostile(world, portal)
        await sends_from(tenant, *(f"{portal.url}{path}" for path in targets))
        await refused(tenant, len(targets), NOT_THE_PORTALS, "forbidden_address")
        assert (len(portal.asked), canary.asked) == (len(targets), [])
        nothing_leaked(portal)


async def test_a_portal_that_redirects_in_a_circle_is_left_after_some_turns(world: World) -> None:
    async with hosting(redirecting("/")) as portal:
        tenant = await hostile(world, portal)
        await sends_from(tenant, f"{portal.url}/")
        await refused(tenant, 1, NOT_THE_PORTALS, "too_many_redirects")
        assert len(portal.asked) == 4
        nothing_leaked(portal)


async def huge(request: web.BaseRequest) -> web.StreamResponse:
    """A body that says beforehand how large it is."""
    response = web.StreamResponse(headers={"Content-Length": str(10**12)})
    await response.prepare(request)
    return response


@pytest.mark.parametrize("body", [huge, endless])
async def test_a_body_without_measure_is_cut_off_and_told(world: World, body: Any) -> None:
    async with hosting(body) as portal:
        tenant = await hostile(world, portal)
        await sends_from(tenant, f"{portal.url}/a.pdf")
        await refused(tenant, 1, TOO_LARGE, "file_too_large")
        nothing_leaked(portal)
    # By day; beside them stands the mark of the store itself.
    days = (world.folder / "data" / "media").glob("*-*-*")
    assert [path for day in days for path in day.iterdir() if "#" not in path.name] == []


@pytest_asyncio.fixture(loop_scope="module")
async def impatient_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A file has a second to come as a whole."""
    world = World(folder=tmp_path_factory.mktemp("impatient"), extra={"MEDIA_TIMEOUT_S": "1"})
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def test_a_body_that_drips_for_ever_is_given_up_and_told_and_keeps_nobody_else_waiting(
    impatient_world: World,
) -> None:
    """Never silent for long, and never done: neither a still line nor a size ends it."""
    async with hosting(dripping) as portal:
        tenant = await hostile(impatient_world, portal)
        await sends_from(tenant, f"{portal.url}/a.pdf")
        await refused(tenant, 1, "não chegou inteiro", "file_too_slow")
        assert len(portal.asked) == 3
        nothing_leaked(portal)
        kept = [path for path in (impatient_world.folder / "data" / "media").rglob("*.pdf") if path.is_file()]
        assert kept == []
        await tenant.operator_sends(attached(PDF, "b.pdf", "file", "application/pdf"))
        words, message = await got(tenant, 2)
        assert (words["text"], message["file"]["sha256"]) == ("veja 0", sha(PDF))


@pytest_asyncio.fixture(loop_scope="module")
async def strict_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """No private network may be reached there, and the portal itself is a name that leads into one."""
    world = World(folder=tmp_path_factory.mktemp("strict"), extra={"MEDIA_PRIVATE_NETWORKS": ""})
    world.extra["SIM_PUBLIC_URL"] = f"http://localhost:{world.sim_port}"
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def test_a_portals_own_name_that_leads_into_a_private_network_is_refused(strict_world: World) -> None:
    """The guard is on: without its setting not even the simulators give a file."""
    assert socket.gethostbyname("localhost").startswith("127.")
    tenant = await opened(strict_world)
    await tenant.operator_sends(attached(PDF, "a.pdf", "file", "application/pdf"), text="veja")
    await refused(tenant, 1, NOT_THE_PORTALS, "forbidden_address")
