"""Files that did not go: fetched anew when their message is revived, uploaded anew when Meta's id is no good."""

from datetime import timedelta
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, attached, got, notices, opened, sha, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def uploads(world: World) -> int:
    return int((await world.ledger())["counts"].get("uploads", 0))


async def dead(tenant: Tenant, count: int = 1) -> list[dict[str, Any]]:
    """The dead letters of a tenant, when there are so many."""

    async def letters() -> list[dict[str, Any]]:
        told = await tenant.world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}")
        return list(told["items"])

    async def there() -> bool:
        return len(await letters()) == count

    await eventually(there, 40, f"{count} dead letters")
    return await letters()


async def revived(tenant: Tenant) -> None:
    (letter,) = await dead(tenant)
    await tenant.world.api("POST", f"/api/dead-letters/{letter['id']}/revive")


async def test_the_same_file_is_uploaded_once_for_each_number(world: World) -> None:
    first, second = await opened(world), await opened(world)
    before = await uploads(world)
    table = attached(PDF + b"uma vez", "tabela.pdf", "file", "application/pdf")
    for tenant in (first, second):
        for count in (1, 2):
            await tenant.operator_sends(table)
            await got(tenant, count)
    assert await uploads(world) == before + 2


async def test_an_upload_that_meta_has_forgotten_is_made_anew(world: World) -> None:
    tenant = await opened(world)
    table = attached(PDF + b"de novo", "tabela.pdf", "file", "application/pdf")
    await tenant.operator_sends(table)
    await got(tenant, 1)
    before = await uploads(world)
    await world.sql("UPDATE whatsapp_media SET uploaded_at = now() - $1::interval", timedelta(days=29))
    await tenant.operator_sends(table)
    await got(tenant, 2)
    assert await uploads(world) == before + 1


async def test_an_operators_file_that_failed_is_fetched_anew_when_its_letter_is_revived(world: World) -> None:
    tenant = await opened(world)
    gone = {"side": "bitrix24", "where": "api", "kind": "status", "status": 404, "match": {"portal": tenant.key}}
    await world.faults(
        *(gone | {"match": {"portal": tenant.key, "method": each}} for each in ("im.file.php", "disk.download"))
    )
    await tenant.operator_sends(attached(PDF, "proposta.pdf", "file", "application/pdf"), text="a proposta")
    await dead(tenant)

    async def told() -> bool:
        return any("não está mais no Bitrix24" in line for line in await notices(tenant))

    await eventually(told, 20, "a notice")
    await world.heal()
    await revived(tenant)
    words, file = await got(tenant, 2)
    assert (words["text"], words["file"]) == ("a proposta", None)
    assert (file["text"], file["file"]["sha256"]) == ("", sha(PDF))


async def test_a_link_that_the_portal_does_not_honour_any_more_is_asked_for_anew(world: World) -> None:
    """Its sign key was changed: the file is there still, and the application may have it by its id."""
    tenant = await opened(world)
    gone = {"side": "bitrix24", "where": "api", "kind": "status", "status": 403}
    await world.faults(gone | {"match": {"portal": tenant.key, "method": "im.file.php"}})
    await tenant.operator_sends(attached(PDF, "proposta.pdf", "file", "application/pdf"))
    (message,) = await got(tenant, 1)
    await world.heal()
    assert message["file"]["sha256"] == sha(PDF)


async def test_a_customers_file_whose_blob_has_expired_is_fetched_anew_from_meta(world: World) -> None:
    tenant = await opened(world)
    down = {"side": "bitrix24", "where": "api", "kind": "item_error", "match": {"portal": tenant.key}}
    await world.faults(down)
    await tenant.customer_sends(JPEG, "a foto")
    await dead(tenant)
    await world.heal()
    await world.sql(
        """UPDATE file SET blob = jsonb_set(blob, '{key}', '"2020-01-01/00000000000000000000000000000000"')
        WHERE portal_id = $1""",
        tenant.portal_id,
    )
    await revived(tenant)
    messages = await shown(tenant, 2)
    assert (messages[1]["text"], messages[1]["files"][0]["sha256"]) == ("a foto", sha(JPEG))


async def test_an_address_of_metas_that_has_run_out_is_asked_for_anew(world: World) -> None:
    tenant = await opened(world)
    before = (await world.ledger())["counts"].get("media_downloads", 0)
    await world.control("PUT", "options", {"media_url_s": -1})
    try:
        await tenant.customer_sends(JPEG)

        async def refused() -> bool:
            tried: int = await world.sql("SELECT max(attempts) FROM file WHERE portal_id = $1", tenant.portal_id)
            return bool(tried)

        await eventually(refused, 20, "a first attempt")
    finally:
        await world.control("PUT", "options", {"media_url_s": 300})
    messages = await shown(tenant, 2)
    assert messages[1]["files"][0]["sha256"] == sha(JPEG)
    assert (await world.ledger())["counts"]["media_downloads"] == before + 1
