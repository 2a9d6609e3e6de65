"""Operators' files that no event told of: found in the history, fetched from the portal's disk, sent once."""

from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, attached, sha
from tests.flows.test_recovery import CUSTOMERS, age_histories, it_is_time_to_look, lost, nobody_was_there_for, notices

ANA = CUSTOMERS[0]
PICTURE = attached(JPEG, "foto.jpg", "image", "image/jpeg")
CONTRACT = attached(PDF, "contrato.pdf", "file", "application/pdf")


async def opened(world: World, **portal: Any) -> tuple[Tenant, int]:
    tenant = await world.tenant()
    if portal:
        await world.control("POST", "portals", {"portal": tenant.key, **portal})
    await tenant.opened(ANA)
    return tenant, (await tenant.chat(ANA))["chat_id"]


async def sends(world: World, tenant: Tenant, chat_id: int, text: str, *files: dict[str, Any]) -> None:
    letter = {"portal": tenant.key, "chat_id": chat_id, "text": text, "operator": "Bia", "files": list(files)}
    await world.control("POST", "operators/write", letter)


async def away_for(world: World, tenant: Tenant, chat_id: int) -> None:
    """An operator answers with two files, then with words, while the gateway is away for two minutes."""
    world.kill_gateway()
    await sends(world, tenant, chat_id, "segue", PICTURE, CONTRACT)
    await sends(world, tenant, chat_id, "recebeu?")
    await lost(world, 2)
    await nobody_was_there_for(world, 2)
    await age_histories(world, seconds=60)
    world.start_gateway()
    await world.gateway_is_up()


def shown(messages: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(one["text"], (one["file"] or {}).get("sha256")) for one in messages]


async def test_files_that_were_sent_while_the_gateway_was_away_arrive_late_once_and_in_order(own_world: World) -> None:
    tenant, chat_id = await opened(own_world)
    await away_for(own_world, tenant, chat_id)
    await own_world.drained()
    assert shown(await tenant.on_phone(wa_id=ANA)) == [("segue", sha(JPEG)), ("", sha(PDF)), ("recebeu?", None)]
    assert [one["file"]["name"] for one in (await tenant.on_phone(wa_id=ANA))[1:2]] == ["contrato.pdf"]
    assert (await own_world.ledger())["files_left"] == 0
    (line,) = await notices(tenant, ANA)
    assert line == "Com atraso: 2 respostas que não tinham chegado ao gateway seguem agora para o cliente."


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 500}], ids=["cut", "500"])
async def test_a_file_is_asked_for_again_when_the_portals_answer_did_not_come(
    own_world: World, fault: dict[str, Any]
) -> None:
    """Seed 322: a connection that broke while the portal's disk was asked was taken for the end of the file."""
    tenant, chat_id = await opened(own_world)
    await own_world.faults(
        {"side": "bitrix24", "where": "api", "match": {"method": "disk.file.get"}, "times": 2} | fault
    )
    await away_for(own_world, tenant, chat_id)
    await own_world.drained()

    async def arrived() -> bool:
        return bool((await own_world.ledger())["files_left"] == 0)

    await eventually(arrived, 30, "both files")
    assert [sha256 for _, sha256 in shown(await tenant.on_phone(wa_id=ANA))][:2] == [sha(JPEG), sha(PDF)]
    assert [one["fired"] for one in (await own_world.control("GET", "faults"))["faults"]] == [2]


async def test_a_portal_that_gives_no_files_to_the_application_is_told_and_words_go_on(own_world: World) -> None:
    tenant, chat_id = await opened(own_world, features=["no_disk"])
    await away_for(own_world, tenant, chat_id)

    async def arrived() -> bool:
        told = " ".join(await notices(tenant, ANA))
        return told.count("Envie o arquivo de novo") == 2 and len(await tenant.on_phone(wa_id=ANA)) == 2

    await eventually(arrived, 60, "two notices and the words")
    assert shown(await tenant.on_phone(wa_id=ANA)) == [("segue", None), ("recebeu?", None)]
    letters = await own_world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}")
    assert {one["explanation"]["code"] for one in letters["items"]} == {"file_not_given"}


async def test_a_file_whose_event_is_only_slow_comes_by_its_event(own_world: World) -> None:
    """Found in the history before anybody was told of it, it is not sent as words without its file."""
    tenant, chat_id = await opened(own_world, features=["no_disk"])
    slow = {"side": "bitrix24", "where": "webhook", "kind": "delay", "delay_s": 4.0}
    await own_world.faults(slow | {"match": {"method": "ONIMCONNECTORMESSAGEADD"}})
    await sends(own_world, tenant, chat_id, "a foto", PICTURE)
    await sends(own_world, tenant, chat_id, "chegou?")
    await it_is_time_to_look(own_world)
    assert shown(await got_by(tenant, 2)) == [("a foto", sha(JPEG)), ("chegou?", None)]
    await own_world.drained()
    assert len(await tenant.on_phone(wa_id=ANA)) == 2
    assert await notices(tenant, ANA) == []


async def got_by(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    async def there() -> bool:
        return len(await tenant.on_phone(wa_id=ANA)) >= count

    await eventually(there, 30, f"{count} messages on the phone")
    return await tenant.on_phone(wa_id=ANA)


async def test_a_portal_whose_clock_is_ahead_holds_no_file_for_as_long_as_that(own_world: World) -> None:
    tenant, chat_id = await opened(own_world)
    own_world.kill_gateway()
    await sends(own_world, tenant, chat_id, "segue", PICTURE)
    await lost(own_world, 1)
    await nobody_was_there_for(own_world, 2)
    await age_histories(own_world, seconds=-3600)
    own_world.start_gateway()
    await own_world.gateway_is_up()
    await own_world.drained()
    assert shown(await tenant.on_phone(wa_id=ANA)) == [("segue", sha(JPEG))]
