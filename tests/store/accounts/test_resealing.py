"""Keys that are changed: every secret goes over to the new one, and the old one may go."""

from cryptography.fernet import Fernet

from tests.store.ledger_rows import Ledger
from zaptrix.store.accounts import channels, portals, resealing
from zaptrix.store.accounts.portals import StoredTokens
from zaptrix.store.encryption import SecretBox

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))


async def rotated(ledger: Ledger, *keys: str) -> tuple[int, list[str]]:
    """How many secrets were sealed anew, and what could not be."""
    batches = [each async for each in resealing.reseal(ledger.database, SecretBox(keys))]
    return sum(each.resealed for each in batches), [name for each in batches for name in each.unreadable]


async def test_the_old_key_may_go_once_all_is_under_the_new_one(ledger: Ledger) -> None:
    before = Ledger(ledger.database, SecretBox([OLD]))
    portal = await before.portal(member_id="abc")
    channel = await before.channel(portal)
    found = await resealing.sealed(ledger.database, SecretBox([NEW, OLD]))
    assert (found.by_key, found.unreadable) == ({1: 5}, [])
    assert await rotated(ledger, NEW, OLD) == (5, [])
    alone = SecretBox([NEW])
    assert (await resealing.sealed(ledger.database, alone)).by_key == {0: 5}
    pair = await StoredTokens(ledger.database, alone).pair(portal.id)
    assert (pair.client_secret, pair.access_token, pair.refresh_token) == (
        "a-client-secret",
        "an-access-token",
        "a-refresh-token",
    )
    async with ledger.database.connection() as connection:
        assert await channels.access_token(connection, channel.id, alone) == "a-number-token"
        assert await portals.by_member_id(connection, "abc", alone) == (portal, "an-application-token")


async def test_rotating_again_changes_nothing(ledger: Ledger) -> None:
    await Ledger(ledger.database, SecretBox([OLD])).channel()
    assert (await rotated(ledger, NEW, OLD))[0] == 5
    kept = await ledger.rows("SELECT * FROM portal_config"), await ledger.rows("SELECT * FROM channel")
    assert await rotated(ledger, NEW, OLD) == (0, [])
    assert await rotated(ledger, NEW) == (0, [])
    assert kept == (await ledger.rows("SELECT * FROM portal_config"), await ledger.rows("SELECT * FROM channel"))


async def test_what_no_key_opens_is_named_and_left_alone(ledger: Ledger) -> None:
    lost = await Ledger(ledger.database, SecretBox([STRANGE])).channel()
    await Ledger(ledger.database, SecretBox([OLD])).channel()
    resealed, unreadable = await rotated(ledger, NEW, OLD)
    assert resealed == 5
    assert len(unreadable) == 5
    assert f"channel {lost.id}: access_token" in unreadable
    async with ledger.database.connection() as connection:
        assert await channels.access_token(connection, lost.id, SecretBox([STRANGE])) == "a-number-token"


async def test_many_rows_are_gone_through_in_batches(ledger: Ledger) -> None:
    before = Ledger(ledger.database, SecretBox([OLD]))
    await before.channel()
    await ledger.run(
        """INSERT INTO channel (portal_id, name, phone_number_id, display_phone_number, access_token, line_id)
        SELECT portal_id, name, phone_number_id || n, '1', access_token, 1 FROM channel, generate_series(1, 450) n"""
    )
    batches = [each async for each in resealing.reseal(ledger.database, SecretBox([NEW, OLD]))]
    assert sum(each.rows for each in batches) == await resealing.rows(ledger.database) == 452
    assert sum(each.resealed for each in batches) == 451 + 4
    assert len(batches) > 2


async def test_a_token_that_is_renewed_meanwhile_is_not_brought_back(ledger: Ledger) -> None:
    before = Ledger(ledger.database, SecretBox([OLD]))
    portal = await before.portal()
    box = SecretBox([NEW, OLD])
    vault = StoredTokens(ledger.database, box)
    at = (await vault.pair(portal.id)).expires_at
    reading = resealing._secrets(ledger.database)
    _, batch = await anext(reading)
    spent = "a-refresh-token"
    assert await vault.save(portal.id, spent=spent, access_token="renewed", refresh_token="renewed-too", expires_at=at)
    for secret in batch:
        await resealing._replace(ledger.database, secret, box.rotated(secret.sealed))
    pair = await vault.pair(portal.id)
    assert (pair.access_token, pair.refresh_token, pair.client_secret) == ("renewed", "renewed-too", "a-client-secret")


async def test_every_sealed_column_is_known(ledger: Ledger) -> None:
    """A secret in a column that rotation does not know would be lost with the old key."""
    await ledger.channel()
    known = {(table, column) for table, columns in resealing.SEALED.items() for column in columns}
    tables = await ledger.rows("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'")
    for table in (row["name"] for row in tables):
        for row in await ledger.rows(f'SELECT * FROM "{table}"'):  # noqa: S608
            for column, value in row.items():
                if isinstance(value, str) and value.startswith("gAAAA"):
                    assert (table, column) in known
