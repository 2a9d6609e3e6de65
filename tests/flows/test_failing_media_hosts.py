"""Two hundred pictures between two hundred texts, in ten conversations, while the host of the files is slow and fails.

Whatever a picture's file does, its message or a line in its place keeps its place, and each file arrives once.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, attached, sha

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = 20  # of each conversation, and as many texts
CUSTOMERS = [f"55119{70000000 + number}" for number in range(5)]
READY_S = 3
ALL_S = 90
# The first wait for longer than their messages do; later ones are slow or fail at random, some in the middle of a body,
# some as if their address had run out.
TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "delay", "delay_s": READY_S + 2, "times": 10},
    {"kind": "status", "status": 404, "times": 2},
    {"kind": "status", "status": 503, "probability": 0.2},
    {"kind": "reset", "probability": 0.15},
    {"kind": "delay", "delay_s": 0.3, "probability": 0.2},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(folder=tmp_path_factory.mktemp("failing"), extra={"MEDIA_READY_S": str(READY_S)})
    try:
        await world.start(workers=2)
        yield world
    finally:
        await world.stop()


async def in_trouble(world: World, side: str, method: str) -> None:
    await world.faults(*({"side": side, "where": "api", "match": {"method": method}} | one for one in TROUBLE), seed=7)


async def two_portals(world: World) -> list[tuple[Tenant, str]]:
    """Ten conversations, each with a chat."""
    tenants = [await world.tenant(enterprise=True) for _ in range(2)]
    talks = [(tenant, wa_id) for tenant in tenants for wa_id in CUSTOMERS]
    await asyncio.gather(*(tenant.customer_writes("bom dia", wa_id=wa_id) for tenant, wa_id in talks))
    await world.drained()
    return talks


def picture(tenant: Tenant, wa_id: str, number: int) -> bytes:
    return JPEG + f"{tenant.key} {wa_id} {number}".encode()


async def everything_arrived(world: World) -> dict[str, Any]:
    """The ledger, when all words and all files are at their far ends; it knows of no violation then."""

    async def arrived() -> bool:
        ledger = await world.ledger()
        return bool(ledger["drained"]) and ledger["files_left"] == 0

    await eventually(arrived, ALL_S, "every text and every file")
    ledger = await world.ledger()
    assert ledger["violations"] == []
    faults = (await world.control("GET", "faults"))["faults"]
    assert all(fault["fired"] for fault in faults)
    return ledger


def said(messages: Iterable[dict[str, Any]]) -> list[str]:
    """What names a turn of the conversation, in order: of a picture the words with it, or those of the line in its
    place."""
    return [found[0] for one in messages if (found := re.search(r"(?:foto|texto) \d+", one["text"]))]


def late(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in messages if "a caminho…" in one["text"]]


def judge(talks: list[tuple[Tenant, str]], messages: list[list[dict[str, Any]]], files: list[list[str]]) -> None:
    """By the far ends' own screens, beside the ledger."""
    turns = list(chain.from_iterable((f"foto {number}", f"texto {number}") for number in range(PICTURES)))
    for (tenant, wa_id), shown, hashes in zip(talks, messages, files, strict=True):
        assert said(shown) == turns
        assert sorted(hashes) == sorted(sha(picture(tenant, wa_id, number)) for number in range(PICTURES))
    lines = sum(len(late(shown)) for shown in messages)
    assert 10 <= lines < PICTURES * len(talks)


async def test_customers_pictures_and_texts_keep_their_order_while_metas_media_host_fails(world: World) -> None:
    talks = await two_portals(world)
    await in_trouble(world, "meta", "media_download")

    async def talk(tenant: Tenant, wa_id: str) -> None:
        for number in range(PICTURES):
            await tenant.customer_sends(picture(tenant, wa_id, number), f"foto {number}", wa_id=wa_id)
            await tenant.customer_writes(f"texto {number}", wa_id=wa_id)

    await asyncio.gather(*(talk(tenant, wa_id) for tenant, wa_id in talks))
    ledger = await everything_arrived(world)
    assert ledger["counts"]["files_of_customers_arrived"] == PICTURES * len(talks)
    chats = [(await tenant.chat(wa_id))["messages"] for tenant, wa_id in talks]
    shown = [[one for one in messages if one["author"] == "customer"] for messages in chats]
    judge(talks, shown, [[file["sha256"] for one in messages for file in one["files"]] for messages in shown])


async def test_operators_pictures_and_texts_keep_their_order_while_the_portals_files_fail(world: World) -> None:
    talks = await two_portals(world)
    await in_trouble(world, "bitrix24", "im.file.php")

    async def talk(tenant: Tenant, wa_id: str) -> None:
        for number in range(PICTURES):
            file = attached(picture(tenant, wa_id, number), f"f{number}.jpg", "image", "image/jpeg")
            await tenant.operator_sends(file, text=f"foto {number}", wa_id=wa_id)
            await tenant.operator_writes(f"texto {number}", wa_id=wa_id)

    await asyncio.gather(*(talk(tenant, wa_id) for tenant, wa_id in talks))
    ledger = await everything_arrived(world)
    assert ledger["counts"]["files_of_operators_arrived"] == PICTURES * len(talks)
    shown = [await tenant.on_phone(wa_id=wa_id) for tenant, wa_id in talks]
    judge(talks, shown, [[one["file"]["sha256"] for one in messages if one["file"]] for messages in shown])
