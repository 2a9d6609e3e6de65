"""ENCRYPTION_KEYS are changed as the runbook says, and are wrong for a while: nothing is lost."""

import asyncio
import os
import sys

from cryptography.fernet import Fernet

from proof.world import Tenant, World, eventually


async def restarted(world: World, keys: str) -> None:
    """Everything of ours stops, and starts with these keys."""
    world.stop_gateway()
    while world.workers:
        world.kill_worker()
    world.keys = keys
    world.start_gateway()
    world.start_worker()
    await world.gateway_is_up()


async def typed(world: World, *words: str) -> str:
    """What an admin reads who types a command beside the running house."""
    command = [sys.executable, "-m", "zaptrix", *words]
    environ = os.environ | world.environ | {"COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def talk(tenant: Tenant, words: str) -> None:
    await tenant.customer_writes(f"customer {words}")
    await tenant.operator_writes(f"operator {words}")


async def is_held(tenant: Tenant) -> bool:
    portal = await tenant.world.api("GET", f"/api/portals/{tenant.portal_id}")
    channel = await tenant.world.api("GET", f"/api/channels/{tenant.channel_id}")
    reasons = (portal["paused_reason"], channel["whatsapp_paused_reason"])
    return all((reason or "").startswith("secret_unreadable") for reason in reasons)


async def test_keys_are_rotated_dropped_lost_and_brought_back(own_world: World) -> None:
    world, old, new = own_world, "", Fernet.generate_key().decode()
    tenant = await world.tenant()
    await tenant.opened()
    old = world.keys

    await restarted(world, f"{new},{old}")
    assert "run `zaptrix keys rotate`" in await typed(world, "keys", "list")
    assert "5 secrets are under the first key now" in await typed(world, "keys", "rotate")
    assert "0 secrets are under the first key now" in await typed(world, "keys", "rotate")
    assert "may be taken out" in await typed(world, "keys", "list")
    assert await world.sql("SELECT count(*) FROM audit WHERE action = 'keys.rotate'") == 2

    await restarted(world, new)
    await talk(tenant, "under the new key")
    await world.drained()

    await restarted(world, Fernet.generate_key().decode())
    await talk(tenant, "while the key is lost")
    await world.api("POST", "/api/messages/text", await to_customer(tenant, "by a program"))
    await eventually(lambda: is_held(tenant), 30, "the pauses of the portal and its channel")
    assert await world.sql("SELECT count(*) FROM message WHERE state = 'verifying' OR attempts > 0") == 0
    assert "Traceback" not in (world.folder / f"worker{len(world.workers) - 1}.log").read_text()

    await restarted(world, new)
    await world.drained()
    assert not await is_held(tenant)
    said = await tenant.said_in_chat("customer")
    assert said[-2:] == ["customer under the new key", "customer while the key is lost"]
    assert sorted(one["text"] for one in await tenant.on_phone()) == [
        "by a program",
        "operator under the new key",
        "operator while the key is lost",
    ]


async def to_customer(tenant: Tenant, text: str) -> dict[str, str]:
    (talk,) = (await tenant.world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}"))["items"]
    return {"conversation_id": talk["id"], "text": text}
