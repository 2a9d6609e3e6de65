"""The restore drill: a dump under load, the world goes on, everything is killed, and starts again elsewhere."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proof.topologies import single
from proof.world import Tenant, World, eventually

CUSTOMERS = [f"55119{70000000 + number}" for number in range(3)]
NEW = "5511977776666"

NOT_SENT = "Não enviado de novo: "
FORGOTTEN = "O Zaptrix foi restaurado de um backup"


def zaptrix(world: World, *words: str) -> str:
    """A command as an admin types it; what it said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("META_", "BITRIX_"))}
    done = subprocess.run(
        [sys.executable, "-m", "zaptrix", *words],
        env=environ | world.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def write_on_both_sides(tenant: Tenant, word: str, wa_ids: list[str] = CUSTOMERS) -> None:
    for wa_id in wa_ids:
        await tenant.customer_writes(f"cliente {word} {wa_id}", wa_id=wa_id)
        await tenant.operator_writes(f"operador {word} {wa_id}", wa_id=wa_id)


async def open_in_the_dump(world: World, tenant: Tenant) -> None:
    """Messages that both platforms refuse just now, and behind them webhooks that nobody routes."""
    chats = {wa_id: (await tenant.chat(wa_id))["chat_id"] for wa_id in CUSTOMERS}
    await world.faults(
        {"side": "bitrix24", "where": "api", "kind": "status", "status": 503},
        {"side": "meta", "where": "api", "kind": "status", "status": 503},
    )
    await write_on_both_sides(tenant, "aberto")

    async def both_wait() -> bool:
        waiting = "SELECT count(*) FROM message WHERE state IN ('pending', 'sending') AND direction = $1"
        return [await world.sql(waiting, way) for way in ("inbound", "outbound")] == [len(CUSTOMERS)] * 2

    await eventually(both_wait, 20, "messages to wait")
    while world.workers:
        world.kill_worker()
    for wa_id, chat_id in chats.items():
        await tenant.customer_writes(f"cliente sem rota {wa_id}", wa_id=wa_id)
        letter = {"portal": tenant.key, "chat_id": chat_id, "text": f"operador sem rota {wa_id}", "operator": "Bia"}
        await world.control("POST", "operators/write", letter)

    async def unrouted() -> bool:
        return bool(await world.sql("SELECT count(*) FROM event WHERE state = 'new'") == 2 * len(CUSTOMERS))

    await eventually(unrouted, 20, "webhooks to wait")


async def the_world_goes_on(world: World, tenant: Tenant) -> None:
    """What was open is delivered, and more; a customer writes for the first time; the last replies are unconfirmed."""
    await world.heal()
    for _ in range(2):
        world.start_worker()
    await world.drained()
    await write_on_both_sides(tenant, "depois")
    await tenant.customer_writes("primeira vez", wa_id=NEW)
    await world.drained()
    never = {"method": "imconnector.send.status.delivery"}
    await world.faults({"side": "bitrix24", "where": "api", "kind": "status", "status": 503, "match": never})
    for wa_id in CUSTOMERS:
        await tenant.operator_writes(f"operador sem visto {wa_id}", wa_id=wa_id)
    await world.drained()


async def lost_without_a_trace(world: World, tenant: Tenant) -> None:
    """Meta has its 200, and everything dies before anybody sees the message; an operator writes meanwhile, too."""
    chat_id = (await tenant.chat(CUSTOMERS[0]))["chat_id"]
    while world.workers:
        world.kill_worker()
    await tenant.customer_writes("perdida de todo", wa_id=CUSTOMERS[0])

    async def acknowledged() -> bool:
        return bool(await world.sql("SELECT count(*) FROM event WHERE state = 'new'"))

    await eventually(acknowledged, 20, "the webhook")
    world.kill_gateway()
    letter = {"portal": tenant.key, "chat_id": chat_id, "text": "operador sem ninguém", "operator": "Bia"}
    await world.control("POST", "operators/write", letter)
    await tenant.customer_writes("enquanto ninguém atendia", wa_id=CUSTOMERS[1])
    await world.heal()


async def move_elsewhere(world: World, folder: Path) -> None:
    await asyncio.to_thread(world.servers.stop)
    world.servers = single(folder / "servers")
    world.folder = folder
    await asyncio.to_thread(world.servers.start)


async def report_of(world: World) -> dict[str, Any]:
    told: dict[str, Any] = (await world.api("GET", "/api/restore"))["last"]
    return told


@pytest.mark.timeout(120)
async def test_after_a_restore_nothing_is_sent_twice_and_what_is_missing_is_told(
    own_world: World, tmp_path: Path
) -> None:
    world, archives = own_world, tmp_path / "archives"
    tenant = await world.tenant()
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in CUSTOMERS))
    await open_in_the_dump(world, tenant)
    await asyncio.to_thread(zaptrix, world, "backup", "--to", str(archives))
    await the_world_goes_on(world, tenant)
    in_chats = (await world.ledger())["in_chats"]
    phones = {wa_id: await on_phone(tenant, wa_id) for wa_id in CUSTOMERS}
    await lost_without_a_trace(world, tenant)
    unconfirmed, replies = await written_by_operators(world, tenant)
    await move_elsewhere(world, tmp_path / "elsewhere")
    said = await asyncio.to_thread(zaptrix, world, "restore", str(next(archives.iterdir())))
    assert "3 messages to operators, 3 to customers, 6 webhooks" in said
    world.start_gateway()
    for _ in range(2):
        world.start_worker()
    await world.gateway_is_up()

    async def looked_into() -> bool:
        report = await report_of(world)
        waits = await world.sql("SELECT count(*) FROM event WHERE state IN ('new', 'held')")
        return not waits and not report["to_verify"] and not report["portals_to_look_at"]

    await eventually(looked_into, 60, "everything to be looked into")
    await tenant.customer_writes("segunda vez", wa_id=NEW)
    # In the chats: what was there, what Meta told of again, and the one that was written now. Lost: one.
    await eventually(lambda: _in_chats(world, in_chats + 2), 30, "what customers wrote meanwhile")
    ledger = await world.ledger()
    doubled = [each for each in ledger["violations"] if each["kind"] not in {"lost", "not_drained"}]
    assert doubled == []
    # Not on the phones, and told: what was written while nobody was there. All else is there once, as before.
    for wa_id in CUSTOMERS:
        assert await on_phone(tenant, wa_id) == phones[wa_id]

    await eventually(lambda: _told(world), 20, "the lines in the chats")
    report = await report_of(world)
    dead = await world.sql("SELECT count(*) FROM message WHERE state = 'dead' AND error_code = 'perhaps_sent'")
    # What the portal was not told to have arrived, the one among it that was written while nobody was there.
    assert report["perhaps_sent"] == dead == unconfirmed > len(CUSTOMERS)
    everybody = [*CUSTOMERS, NEW]
    notices = [line for wa_id in everybody for line in await tenant.said_in_chat("system", wa_id=wa_id)]
    assert sum(NOT_SENT in line for line in notices) == dead
    assert any("“operador sem ninguém”" in line for line in notices)
    # The ledger has as many as the chats, but for those that are told to be missing. Nobody knows of the first one of a
    # new customer, until she writes again and that chat is looked at, too.
    looked_at = await world.sql(
        "SELECT count(*) FROM restore_gap g JOIN conversation_mapping c ON c.id = g.conversation_id WHERE c.wa_id = $1",
        NEW,
    )
    here = await world.sql("SELECT count(*) FROM message WHERE direction = 'inbound' AND origin = 'customer'")
    assert (await world.ledger())["in_chats"] == here + report["missing_from_customers"] + 1 - looked_at
    known = await world.sql("SELECT count(*) FROM message WHERE direction = 'outbound' AND origin = 'operator'")
    assert replies == known + report["missing_from_operators"]
    assert report["missing_from_customers"] == len(CUSTOMERS) + looked_at
    assert report["conversations_with_gaps"] == len(CUSTOMERS) + looked_at
    assert sum(FORGOTTEN in line for line in notices) == len(CUSTOMERS) + looked_at


async def written_by_operators(world: World, tenant: Tenant) -> tuple[int, int]:
    """How many of their messages the portal holds for under way, and how many there are."""
    state = await world.control("GET", f"state?portal={tenant.key}")
    written = [one for chat in state["chats"] for one in chat["messages"] if one["author"] == "operator"]
    return sum(one["status"] == "sending" for one in written), len(written)


async def on_phone(tenant: Tenant, wa_id: str) -> list[str]:
    return [one["text"] for one in await tenant.on_phone(wa_id=wa_id)]


async def _told(world: World) -> bool:
    """Whether nothing is on its way into a chat any more, lines included."""
    return not await world.sql(
        "SELECT count(*) FROM message WHERE direction = 'inbound' AND state IN ('pending', 'sending', 'verifying')"
    )


async def _in_chats(world: World, count: int) -> bool:
    return bool((await world.ledger())["in_chats"] >= count)
