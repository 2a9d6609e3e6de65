"""Uploads that Meta will not have any more: made anew once, in order, and given up when that does not help."""

from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, attached, got, notices, opened, sha
from tests.flows.test_files_again import dead, revived, uploads
from tests.flows.test_outbound_kinds import send, send_form

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_table(words: bytes) -> dict[str, Any]:
    return attached(PDF + words, "tabela.pdf", "file", "application/pdf")


async def forgotten(tenant: Tenant, media_id: str) -> None:
    """Meta does not keep the file any more, before its time."""
    bearer = {"Authorization": f"Bearer {tenant.phone['access_token']}"}
    async with tenant.world.session.delete(f"{tenant.world.sim}/meta/v23.0/{media_id}", headers=bearer) as answer:
        assert answer.status == 200


async def refused(tenant: Tenant, code: str, times: int) -> None:
    """The next sends on the tenant's number are."""
    match = {"phone_number_id": tenant.number, "method": "messages"}
    fault = {"side": "meta", "where": "api", "kind": "refuse", "code": code, "match": match, "times": times}
    await tenant.world.faults(fault)


async def story_of(tenant: Tenant, message_id: int) -> list[tuple[str, str]]:
    told = await tenant.world.api("GET", f"/api/messages/{message_id}")
    return [(one["verdict"], one["code"]) for one in told["attempts"]]


async def newest(tenant: Tenant) -> int:
    """The last message with a file that went to the customer."""
    sql = "SELECT max(message_id) FROM file WHERE portal_id = $1 AND direction = 'outbound'"
    return int(await tenant.world.sql(sql, tenant.portal_id))


async def test_an_upload_that_meta_has_forgotten_before_its_time_is_made_anew(world: World) -> None:
    tenant, content = await opened(world), b"esquecida"
    await tenant.operator_sends(a_table(content))
    (first,) = await got(tenant, 1)
    await forgotten(tenant, first["file"]["id"])
    before = await uploads(world)
    await tenant.operator_sends(a_table(content), text="a tabela")
    await tenant.operator_writes("chegou?")
    messages = await got(tenant, 3)
    assert [one["text"] for one in messages[1:]] == ["a tabela", "chegou?"]
    assert messages[1]["file"]["sha256"] == sha(PDF + content)
    assert messages[1]["file"]["id"] != first["file"]["id"]
    assert await story_of(tenant, await newest(tenant)) == [("reupload", "100")]
    # And the new one is remembered in its place.
    await tenant.operator_sends(a_table(content))
    messages = await got(tenant, 4)
    assert messages[3]["file"]["id"] == messages[1]["file"]["id"]
    assert await uploads(world) == before + 1
    assert await notices(tenant) == []
    await world.drained()
    assert len(await tenant.on_phone()) == 4


@pytest.mark.parametrize("code", ["131009", "131053"])
async def test_a_file_that_is_refused_once_is_uploaded_anew_and_goes_in_its_place(world: World, code: str) -> None:
    tenant = await opened(world)
    before = await uploads(world)
    await refused(tenant, code, 1)
    await tenant.operator_sends(attached(JPEG + code.encode(), "foto.jpg", "image", "image/jpeg"), text="a foto")
    await tenant.operator_writes("viu?")
    messages = await got(tenant, 2)
    await world.heal()
    assert [one["text"] for one in messages] == ["a foto", "viu?"]
    assert messages[0]["file"]["sha256"] == sha(JPEG + code.encode())
    assert await uploads(world) == before + 2
    assert await story_of(tenant, await newest(tenant)) == [("reupload", code)]


async def test_a_file_that_is_refused_twice_is_given_up_and_what_follows_goes(world: World) -> None:
    tenant = await opened(world)
    before = await uploads(world)
    await refused(tenant, "131053", 2)
    await tenant.operator_sends(a_table(b"recusada"))
    await tenant.operator_writes("recebeu?")
    (message,) = await got(tenant, 1)
    assert message["text"] == "recebeu?"
    (letter,) = await dead(tenant)
    assert letter["error_code"] == "131053"
    assert await story_of(tenant, letter["id"]) == [("reupload", "131053"), ("bury", "131053")]
    assert await uploads(world) == before + 2

    async def told() -> bool:
        return [line for line in await notices(tenant) if "Arquivo não entregue" in line] != []

    await eventually(told, 20, "a notice")
    assert len(await notices(tenant)) == 1
    await world.heal()
    await revived(tenant)
    messages = await got(tenant, 2)
    assert messages[1]["file"]["sha256"] == sha(PDF + b"recusada")


async def test_a_revived_letter_may_be_uploaded_anew_once_more(world: World) -> None:
    tenant = await opened(world)
    await refused(tenant, "131053", 3)
    await tenant.operator_sends(a_table(b"de novo recusada"))
    await dead(tenant)
    await revived(tenant)
    (message,) = await got(tenant, 1)
    await world.heal()
    assert message["file"]["sha256"] == sha(PDF + b"de novo recusada")


async def test_a_programs_file_is_uploaded_anew_from_the_house(world: World) -> None:
    tenant = await opened(world)
    await refused(tenant, "131053", 1)
    queued = await send_form(tenant, "image", JPEG + b"programa", "foto.jpg", caption="oi")
    (message,) = await got(tenant, 1)
    await world.heal()
    assert (message["text"], message["file"]["sha256"]) == ("oi", sha(JPEG + b"programa"))
    assert await story_of(tenant, queued["id"]) == [("reupload", "131053")]


async def test_an_id_that_a_program_gave_is_nobodys_to_make_anew(world: World) -> None:
    tenant = await opened(world)
    await send_form(tenant, "image", JPEG + b"dela", "foto.jpg")
    (first,) = await got(tenant, 1)
    before = await uploads(world)
    await refused(tenant, "131009", 1)
    queued = await send(tenant, "image", media_id=first["file"]["id"])
    await dead(tenant)
    await world.heal()
    assert await story_of(tenant, queued["id"]) == [("bury", "131009")]
    assert await uploads(world) == before
    assert len(await tenant.on_phone()) == 1


async def test_a_file_that_goes_as_an_address_has_no_upload_to_make_anew(world: World) -> None:
    tenant = await opened(world)
    await world.control("PUT", "options", {"strict_types": True})
    before = await uploads(world)
    await refused(tenant, "131009", 1)
    try:
        await tenant.operator_sends(attached(b"PK\x03\x04" + bytes(500), "tudo.zip", "file", "application/zip"))
        await dead(tenant)
    finally:
        await world.heal()
        await world.control("PUT", "options", {"strict_types": False})
    assert await story_of(tenant, await newest(tenant)) == [("bury", "131009")]
    assert await uploads(world) == before


async def test_a_file_that_is_not_in_the_house_any_more_is_fetched_anew_to_be_uploaded(world: World) -> None:
    tenant, content = await opened(world), b"de longe"
    await tenant.operator_sends(a_table(content))
    (first,) = await got(tenant, 1)
    await forgotten(tenant, first["file"]["id"])
    await world.faults({"side": "meta", "where": "api", "kind": "status", "status": 503, "match": {"method": "media"}})
    await tenant.operator_sends(a_table(content), text="a tabela")
    await tenant.operator_writes("chegou?")

    async def tried() -> bool:
        return bool(await world.sql("SELECT attempts FROM file WHERE portal_id = $1 AND reuploaded", tenant.portal_id))

    await eventually(tried, 30, "an attempt to upload it anew")
    await world.sql(
        """UPDATE file SET blob = jsonb_set(blob, '{key}', '"2020-01-01/00000000000000000000000000000000"')
        WHERE portal_id = $1 AND reuploaded""",
        tenant.portal_id,
    )
    assert len(await tenant.on_phone()) == 1
    await world.heal()
    messages = await got(tenant, 3)
    assert [one["text"] for one in messages[1:]] == ["a tabela", "chegou?"]
    assert messages[1]["file"]["sha256"] == sha(PDF + content)
