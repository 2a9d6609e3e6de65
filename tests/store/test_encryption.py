"""Secrets at rest: unreadable in the table, readable through rotation, and a lost key says so."""

import pytest
from cryptography.fernet import Fernet

from tests.store.ledger_rows import Ledger
from zaptrix.core.ids import PortalId
from zaptrix.store.accounts import channels, portals
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import PortalFields, StoredTokens
from zaptrix.store.encryption import SecretBox, UnreadableSecret

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = SecretBox([OLD]).seal("segredo")
    rotated = SecretBox([NEW, OLD])
    assert rotated.open(sealed) == "segredo"
    assert SecretBox([NEW]).open(rotated.seal("segredo")) == "segredo"


def test_a_secret_of_a_key_that_is_gone_is_unreadable_and_stays_secret() -> None:
    sealed = SecretBox([OLD]).seal("segredo")
    with pytest.raises(UnreadableSecret) as raised:
        SecretBox([NEW]).open(sealed)
    assert "segredo" not in str(raised.value)
    assert sealed not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("sealed", ["", "segredo", "ção"])
def test_what_was_never_sealed_is_unreadable(sealed: str) -> None:
    with pytest.raises(UnreadableSecret):
        SecretBox([OLD]).open(sealed)


@pytest.mark.parametrize("keys", [["no key"], [OLD, "x" * 44]])
def test_a_key_that_is_none_is_refused_at_once(keys: list[str]) -> None:
    with pytest.raises(ValueError, match=r"Fernet key|base64"):
        SecretBox(keys)


async def test_nothing_secret_can_be_read_in_the_tables(ledger: Ledger) -> None:
    portal = await ledger.portal()
    await ledger.channel(portal)
    tokens = StoredTokens(ledger.database, ledger.box)
    pair = await tokens.pair(portal.id)
    await tokens.save(
        portal.id,
        spent="a-refresh-token",
        access_token="a-second-access",
        refresh_token="a-second-refresh",
        expires_at=pair.expires_at,
    )
    async with ledger.database.transaction() as connection:
        await portals.change(connection, portal.id, PortalFields(client_secret="a-changed-secret"), ledger.box)
    kept = str(await ledger.rows("SELECT * FROM portal_config")) + str(await ledger.rows("SELECT * FROM channel"))
    for secret in ("a-client-secret", "a-changed-secret", "-access", "-refresh", "an-application", "a-number-token"):
        assert secret not in kept


async def test_secrets_come_back_as_they_went_in(ledger: Ledger) -> None:
    portal = await ledger.portal(member_id="abc")
    channel = await ledger.channel(portal)
    pair = await StoredTokens(ledger.database, ledger.box).pair(portal.id)
    assert (pair.client_secret, pair.access_token, pair.refresh_token) == (
        "a-client-secret",
        "an-access-token",
        "a-refresh-token",
    )
    async with ledger.database.connection() as connection:
        assert await channels.access_token(connection, channel.id, ledger.box) == "a-number-token"
        assert await portals.by_member_id(connection, "abc", ledger.box) == (portal, "an-application-token")


async def test_a_changed_key_set_reads_what_the_old_one_wrote(ledger: Ledger) -> None:
    before = Ledger(ledger.database, SecretBox([OLD]))
    channel = await before.channel()
    async with ledger.database.connection() as connection:
        rotated = await channels.access_token(connection, channel.id, SecretBox([NEW, OLD]))
        assert rotated == "a-number-token"
        with pytest.raises(UnreadableSecret):
            await channels.access_token(connection, channel.id, SecretBox([NEW]))
        with pytest.raises(UnreadableSecret):
            await StoredTokens(ledger.database, SecretBox([NEW])).pair(PortalId(channel.portal_id))


async def test_a_number_token_is_sealed_again_when_it_is_changed(ledger: Ledger) -> None:
    channel = await ledger.channel()
    async with ledger.database.transaction() as connection:
        await channels.change(connection, channel.id, ChannelFields(access_token="another"), ledger.box)
        assert await channels.access_token(connection, channel.id, ledger.box) == "another"
