"""Idempotency keys: the same key gives the same message, also when two requests come at once."""

import asyncio

from tests.store.ledger_rows import Ledger, outbound
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import MessageId
from zaptrix.store.accounts import api_keys, idempotency
from zaptrix.store.accounts.idempotency import Used
from zaptrix.store.ledger import messages

PRINT = b"fingerprint"


async def a_caller(ledger: Ledger) -> str:
    async with ledger.database.transaction() as connection:
        key = await api_keys.create(connection, "CI", None)
        holder = await api_keys.check(connection, key)
    assert holder is not None
    return holder.id


async def send_once(ledger: Ledger, caller: str, key: str, talk: Conversation) -> MessageId:
    async with ledger.database.transaction() as connection:
        before = await idempotency.used(connection, caller, key)
        if before:
            return before.message_id
        (message_id,) = await messages.insert(connection, [outbound(talk)])
        await idempotency.remember(connection, caller, key, PRINT, message_id)
        return message_id


async def test_two_requests_at_once_with_one_key_are_one_message(ledger: Ledger) -> None:
    caller, talk = await a_caller(ledger), await ledger.talk(await ledger.channel())
    sent = await asyncio.gather(*(send_once(ledger, caller, "k", talk) for _ in range(8)))
    assert len(set(sent)) == 1
    assert await ledger.value("SELECT count(*) FROM message") == 1


async def test_a_key_is_its_callers_own(ledger: Ledger) -> None:
    one, other, talk = await a_caller(ledger), await a_caller(ledger), await ledger.talk(await ledger.channel())
    assert await send_once(ledger, one, "k", talk) != await send_once(ledger, other, "k", talk)
    assert await send_once(ledger, one, "k2", talk) != await send_once(ledger, one, "k", talk)


async def test_a_key_remembers_what_it_was_used_for_until_it_is_forgotten(ledger: Ledger) -> None:
    caller, talk = await a_caller(ledger), await ledger.talk(await ledger.channel())
    message_id = await send_once(ledger, caller, "k", talk)
    async with ledger.database.transaction() as connection:
        assert await idempotency.used(connection, caller, "k") == Used(PRINT, message_id)
        await idempotency.forget(connection, hours=24)
        assert await idempotency.used(connection, caller, "k") is not None
        await connection.execute("UPDATE idempotency SET created_at = now() - interval '25 hours'")
        await idempotency.forget(connection, hours=24)
        assert await idempotency.used(connection, caller, "k") is None
