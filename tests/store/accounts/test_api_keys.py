"""API keys: shown once, kept as a hash."""

import pytest

from tests.store.ledger_rows import Ledger
from zaptrix.core.ids import PortalId
from zaptrix.store.accounts import api_keys
from zaptrix.store.accounts.api_keys import ApiKey


async def create(ledger: Ledger, portal_id: PortalId | None = None) -> str:
    async with ledger.database.transaction() as connection:
        return await api_keys.create(connection, "CI", portal_id)


async def check(ledger: Ledger, key: str) -> ApiKey | None:
    async with ledger.database.transaction() as connection:
        return await api_keys.check(connection, key)


async def test_a_key_opens_what_it_was_made_for(ledger: Ledger) -> None:
    portal = await ledger.portal()
    admin, one = await create(ledger), await create(ledger, portal.id)
    held = await check(ledger, admin)
    assert held is not None
    assert held.portal_id is None
    held = await check(ledger, one)
    assert held is not None
    assert held.portal_id == portal.id


async def test_a_key_cannot_be_read_from_the_table(ledger: Ledger) -> None:
    key = await create(ledger)
    secret = key.split("_", 2)[2]
    assert len(secret) >= 40
    kept = str(await ledger.rows("SELECT * FROM api_key"))
    assert secret not in kept
    assert key not in kept


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "a",
        lambda key: key.upper(),
        lambda key: key.replace("zx_", "zy_"),
        lambda key: key.rsplit("_", 1)[0],
        lambda key: key.split("_")[1],
        lambda key: "zx_" + "0" * 12 + "_" + key.split("_", 2)[2],
        lambda _: "",
        lambda _: "zx__",
        lambda _: "zx_\x00_\x00",
        lambda _: "zx_é_ü",
        lambda _: "zx_" + "9" * 5_000 + "_x",
    ],
)
async def test_what_is_not_exactly_the_key_opens_nothing(ledger: Ledger, change: object) -> None:
    assert callable(change)
    assert await check(ledger, change(await create(ledger))) is None


async def test_a_revoked_key_opens_nothing(ledger: Ledger) -> None:
    key = await create(ledger)
    await ledger.run("UPDATE api_key SET revoked_at = now()")
    assert await check(ledger, key) is None


async def test_use_is_noted_at_most_once_a_minute(ledger: Ledger) -> None:
    key = await create(ledger)
    await check(ledger, key)
    first = await ledger.value("SELECT last_used_at FROM api_key")
    await check(ledger, key)
    assert await ledger.value("SELECT last_used_at FROM api_key") == first
    await ledger.run("UPDATE api_key SET last_used_at = last_used_at - interval '2 minutes'")
    await check(ledger, key)
    assert await ledger.value("SELECT last_used_at FROM api_key") > first


async def test_a_revoked_key_opens_nothing_and_others_still_do(ledger: Ledger) -> None:
    gone, kept = await create(ledger), await create(ledger)
    async with ledger.database.transaction() as connection:
        assert await api_keys.revoke(connection, gone.split("_")[1])
        assert not await api_keys.revoke(connection, gone.split("_")[1])
        listed = await api_keys.listed(connection)
    assert await check(ledger, gone) is None
    assert await check(ledger, kept) is not None
    assert [key.revoked_at is not None for key in listed] == [True, False]
