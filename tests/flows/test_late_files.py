"""Files that are late: a line holds their place, and they follow, or the reason why not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proof.world import World, eventually
from tests.flows.test_files import JPEG, PDF, attached, got, notices, opened, sha, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Messages there wait for no file."""
    folder: Path = tmp_path_factory.mktemp("impatient")
    world = World(folder=folder, extra={"MEDIA_READY_S": "0"})
    try:
        await world.start(workers=2)
        yield world
    finally:
        await world.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def world(impatient_world: World) -> AsyncIterator[World]:
    yield impatient_world
    await impatient_world.heal()


async def test_a_file_that_is_late_gives_its_place_to_a_line_and_follows(world: World) -> None:
    tenant = await opened(world)
    slow = {"side": "meta", "where": "api", "kind": "status", "match": {"method": "media_download"}, "status": 503}
    await world.faults(slow)
    await tenant.customer_sends(JPEG, "a foto")
    await tenant.customer_writes("chegou?")
    messages = await shown(tenant, 3)
    assert [one["text"] for one in messages[1:]] == ["📷 Foto a caminho…\na foto", "chegou?"]
    await world.heal()
    messages = await shown(tenant, 4)
    assert (messages[3]["text"], messages[3]["files"][0]["sha256"]) == ("", sha(JPEG))


async def test_an_operators_late_file_gives_its_place_to_a_line_and_follows(world: World) -> None:
    tenant = await opened(world)
    slow = {"side": "bitrix24", "where": "api", "kind": "status", "match": {"method": "im.file.php"}, "status": 503}
    await world.faults(slow)
    await tenant.operator_sends(attached(PDF, "proposta.pdf", "file", "application/pdf"), text="a proposta")
    await tenant.operator_writes("recebeu?")
    messages = await got(tenant, 2)
    assert [one["text"] for one in messages] == ["📄 Arquivo a caminho…\na proposta", "recebeu?"]
    await world.heal()
    messages = await got(tenant, 3)
    assert messages[2]["file"]["sha256"] == sha(PDF)


async def test_a_late_file_that_meta_has_forgotten_is_uploaded_anew_and_follows_once(world: World) -> None:
    tenant = await opened(world)
    table = attached(PDF + b"tarde", "tabela.pdf", "file", "application/pdf")

    async def files_on_phone() -> list[str]:
        return [one["file"]["sha256"] for one in await tenant.on_phone() if one["file"]]

    async def sent(count: int) -> None:
        async def there() -> bool:
            return len(await files_on_phone()) == count

        await tenant.operator_sends(table)
        await eventually(there, 30, f"{count} files on the phone")

    await sent(1)
    (first,) = [one["file"]["id"] for one in await tenant.on_phone() if one["file"]]
    bearer = {"Authorization": f"Bearer {tenant.phone['access_token']}"}
    async with world.session.delete(f"{world.sim}/meta/v23.0/{first}", headers=bearer) as answer:
        assert answer.status == 200
    await sent(2)
    await world.drained()
    assert await files_on_phone() == [sha(PDF + b"tarde")] * 2
    assert await notices(tenant) == []


async def test_a_customers_file_that_is_gone_is_told_although_it_was_promised(world: World) -> None:
    tenant = await opened(world)
    gone = {"side": "meta", "where": "api", "kind": "status", "match": {"method": "media_download"}, "status": 404}
    await world.faults(gone)
    await tenant.customer_sends(JPEG, "a foto")

    async def told() -> bool:
        return any("não chegou" in line for line in await notices(tenant))

    await eventually(told, 60, "a notice")


@pytest.mark.parametrize("times", [1, 2])
async def test_a_file_is_not_gone_because_it_failed_before_it_was_not_there(world: World, times: int) -> None:
    """Seed 37: two answers 500 and one 404 were taken for three times "not there", and the file was given up."""
    tenant = await opened(world)
    fails = {"side": "meta", "where": "api", "kind": "status", "match": {"method": "media_download"}}
    await world.faults(fails | {"status": 503, "times": 3}, fails | {"status": 404, "times": times})
    await tenant.customer_sends(JPEG, "a foto")
    messages = await shown(tenant, 3)
    assert messages[2]["files"][0]["sha256"] == sha(JPEG)
    faults = (await world.control("GET", "faults"))["faults"]
    assert [fault["fired"] for fault in faults] == [3, times]
    assert not any("não chegou" in line for line in await notices(tenant))
