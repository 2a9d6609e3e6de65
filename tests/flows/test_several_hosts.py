"""Several hosts that share nothing but PostgreSQL, Redis and an S3: a file is there wherever it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio

from proof.ports import free_port
from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PNG, attached, got, notices, opened, sha, shown
from tests.media.s3_server import S3Server, running_s3
from zaptrix.cli.local.children import Child

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(kw_only=True)
class Hosts(World):
    """Each process has a data folder of its own, as on a host of its own. The platforms reach the second gateway by the
    address that they are given; what they were told first, WhatsApp's webhooks, goes to the first one."""

    second_port: int = field(default_factory=free_port)
    second: Child | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extra |= {"PUBLIC_URL": f"http://127.0.0.1:{self.second_port}", "RETRY_BASE_S": "0.2"}

    def start_gateway(self) -> None:
        super().start_gateway()
        self.second = self._spawn("zaptrix", "gateway2", "serve", extra={"PORT": str(self.second_port)})

    async def gateway_is_up(self) -> None:
        await super().gateway_is_up()
        await eventually(lambda: self._answers(f"http://127.0.0.1:{self.second_port}/health"), 60, "the second gateway")

    async def stop(self) -> None:
        if self.second is not None:
            await asyncio.to_thread(self.second.stop)
        await super().stop()

    def _spawn(self, module: str, name: str, *arguments: str, extra: Mapping[str, str] | None = None) -> Child:
        own = {"DATA_DIR": str(self.folder / name)}
        return super()._spawn(module, name, *arguments, extra=own | dict(extra or {}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def s3(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3") / "store") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hosts]:
    hosts = Hosts(folder=tmp_path_factory.mktemp("hosts"), extra=s3.environ)
    try:
        await hosts.start(workers=1)
        yield hosts
    finally:
        await hosts.stop()


async def api_sends(hosts: Hosts, tenant: Tenant, content: bytes) -> None:
    """A picture in the body of a call to the first gateway."""
    form = aiohttp.FormData({"conversation_id": (await tenant.conversation())["id"]})
    form.add_field("file", content, filename="foto.png", content_type="image/png")
    headers = {"Authorization": f"Bearer {hosts.admin_key}"}
    async with hosts.session.post(f"{hosts.url}/api/messages/image", data=form, headers=headers) as answer:
        assert answer.status == 202, await answer.text()


def copies(hosts: Hosts, name: str) -> list[bytes]:
    """What a process has in its own folder."""
    return [path.read_bytes() for path in (hosts.folder / name / "media").rglob("*") if path.is_file()]


async def test_a_file_is_found_wherever_it_is_asked_for(hosts: Hosts, s3: S3Server) -> None:
    tenant = await opened(hosts)

    await tenant.customer_sends(JPEG, "o comprovante")  # to the first gateway; the portal fetches it from the second
    assert [file["sha256"] for file in (await shown(tenant, 2))[1]["files"]] == [sha(JPEG)]
    assert copies(hosts, "gateway2") == [JPEG]
    assert copies(hosts, "gateway") == copies(hosts, "worker0") == []

    await api_sends(hosts, tenant, PNG)
    assert [one["file"]["sha256"] for one in await got(tenant, 1)] == [sha(PNG)]
    kept = {sha(path.read_bytes()) for path in s3.objects() if path.parent.name != "store"}
    assert kept == {sha(JPEG), sha(PNG)}


async def test_a_store_that_goes_away_and_comes_back_under_traffic_loses_nothing(hosts: Hosts, s3: S3Server) -> None:
    tenant = await opened(hosts)
    s3.stop()
    pictures = [JPEG + bytes([number]) for number in range(3)]
    for number, picture in enumerate(pictures):
        await tenant.customer_sends(picture, f"foto {number}")
    await tenant.operator_sends(attached(PNG + b"1", "foto.png", "image", "image/png"))

    async def waited_for() -> bool:
        return bool(await hosts.sql("SELECT count(*) >= 4 FROM file WHERE state = 'wanted' AND attempts > 0"))

    await eventually(waited_for, 30, "each file to be tried in vain")
    s3.start()
    arrived = await shown(tenant, 5)  # the greeting, the pictures, the operator's
    inbound = [file["sha256"] for one in arrived for file in one["files"] if one["author"] != "operator"]
    assert inbound == [sha(picture) for picture in pictures]
    assert [one["file"]["sha256"] for one in await got(tenant, 1)] == [sha(PNG + b"1")]
    assert await notices(tenant) == []


async def test_a_wrong_store_is_refused_at_the_start_in_a_sentence(hosts: Hosts) -> None:
    wrong = {
        "gateway3": ({"AWS_SECRET_ACCESS_KEY": "not-it"}, ["serve"], "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "worker3": ({"MEDIA_URL": "s3://nowhere/files"}, ["worker"], "create it, or name the right one"),
    }
    begun = {
        name: hosts._spawn("zaptrix", name, *arguments, extra={**given, "PORT": str(free_port()), "LANG": "C"})
        for name, (given, arguments, _) in wrong.items()
    }
    for name, (_, _, told) in wrong.items():
        assert await asyncio.to_thread(begun[name].wait, 60)
        assert begun[name].exit_code() == 2
        assert told in begun[name].last_words()
