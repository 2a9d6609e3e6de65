"""Files that the portal could not fetch, for a moment or for good: none is lost, and nobody waits for one for ever."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, in_chat, notices, sha


@pytest.fixture
async def patient_world(tmp_path: Path) -> AsyncIterator[World]:
    """Its tries are so far apart that a gateway starts between two of them on any machine."""
    world = World(folder=tmp_path, extra={"RETRY_BASE_S": "4"})
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def files_shown(tenant: Tenant) -> list[str]:
    """The hashes of the files in the chat, in order."""
    return [file["sha256"] for one in await in_chat(tenant) for file in one["files"]]


async def sent_while_no_gateway_runs(world: World, words: str, *faults: dict[str, Any]) -> Tenant:
    """A picture that is delivered while nothing answers at its address."""
    tenant = await world.tenant()
    await tenant.opened()
    known = (await world.ledger())["counts"]["webhooks_acknowledged"]
    for worker in world.workers:
        worker.stop()
    world.workers.clear()
    await tenant.customer_sends(JPEG, words)

    async def accepted() -> bool:
        return bool((await world.ledger())["counts"]["webhooks_acknowledged"] > known)

    await eventually(accepted, 30, "the webhook to be acknowledged")
    world.stop_gateway()
    await world.faults(*faults)
    world.start_worker()
    return tenant


async def it_fails(world: World, times: int) -> None:
    async def failed() -> bool:
        counted = await world.sql("SELECT count(*) FROM attempt WHERE code = 'file_not_fetched'")
        return bool(counted >= times)

    await eventually(failed, 60, f"{times} tries in vain")


async def chat_of(world: World, tenant: Tenant) -> list[dict[str, object]]:
    """By the simulators' word alone, for no gateway runs."""
    chats = (await world.control("GET", f"state?portal={tenant.key}"))["chats"]
    return [one for chat in chats for one in chat["messages"]]


async def test_a_picture_without_words_waits_for_the_gateway_and_comes_once(patient_world: World) -> None:
    tenant = await sent_while_no_gateway_runs(patient_world, "")
    await it_fails(patient_world, 1)
    patient_world.start_gateway()
    await patient_world.drained()
    await patient_world.gateway_is_up()
    assert await files_shown(tenant) == [sha(JPEG)]
    assert await notices(tenant) == []


# The portal took the words and could not fetch the picture, and its answer, which says so, never came.
NO_ANSWER = {
    "side": "bitrix24", "where": "api", "kind": "accept_then_reset", "times": 1,
    "match": {"method": "imconnector.send.messages"},
}  # fmt: skip


@pytest.mark.parametrize("faults", [[], [NO_ANSWER]], ids=["answered", "unclear"])
async def test_words_whose_picture_was_not_fetched_are_followed_by_it(
    patient_world: World, faults: list[dict[str, Any]]
) -> None:
    tenant = await sent_while_no_gateway_runs(patient_world, "o comprovante", *faults)

    async def words_are_there() -> bool:
        return any(one["text"] == "o comprovante" for one in await chat_of(patient_world, tenant))

    await eventually(words_are_there, 60, "the words")
    patient_world.start_gateway()
    await patient_world.gateway_is_up()

    async def file_is_there() -> bool:
        return await files_shown(tenant) == [sha(JPEG)]

    await eventually(file_is_there, 60, "the picture behind its words")
    assert [one["text"] for one in (await in_chat(tenant))[1:]] == ["o comprovante", ""]
    assert await notices(tenant) == []


async def test_a_picture_that_is_never_fetched_holds_nobody_up_and_can_be_opened_by_its_link(own_world: World) -> None:
    tenant = await sent_while_no_gateway_runs(own_world, "")
    await it_fails(own_world, 5)

    async def told() -> bool:
        return any("/media/" in str(one["text"]) for one in await chat_of(own_world, tenant))

    await eventually(told, 60, "the link")
    said = await chat_of(own_world, tenant)
    assert [one["files"] for one in said if one["author"] == "customer"] == [[], []]
    own_world.start_gateway()
    await own_world.gateway_is_up()
    (line,) = await notices(tenant)
    async with own_world.session.get(line[line.index(own_world.url) :]) as answer:
        assert sha(await answer.read()) == sha(JPEG)
    assert (await own_world.drained())["counts"]["in_chats"] == 2
