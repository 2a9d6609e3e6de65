"""The composition root: what the commands ask of it."""

from pathlib import Path

from cryptography.fernet import Fernet

from tests.store.ledger_rows import Ledger
from zaptrix.cli.doctor.checks import check_platforms
from zaptrix.cli.keys.api_keys import create_api_key
from zaptrix.settings import Settings
from zaptrix.store.accounts import api_keys
from zaptrix.store.connection.database import Database
from zaptrix.store.encryption import SecretBox

KEY = Fernet.generate_key().decode()


def settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=folder,
        encryption_keys=(KEY,),
        meta_graph_url="http://127.0.0.1:9",  # nobody listens there
        meta_timeout_s=1,
        bitrix_timeout_s=1,
    )


async def test_the_doctor_is_told_what_is_wrong_with_each_portal_and_number(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    ledger = Ledger(database, SecretBox([KEY]))
    portal = await ledger.portal(portal_url="https://a.example", client_endpoint="http://127.0.0.1:9/rest/")
    await ledger.channel(portal, name="number")
    other_key = Ledger(database, SecretBox([Fernet.generate_key().decode()]))
    unreadable = await other_key.portal(portal_url="https://b.example", client_endpoint="http://127.0.0.1:9/rest/")
    await other_key.channel(unreadable, name="unreadable")
    await ledger.run("UPDATE channel SET registered_at = now()")
    paused = await ledger.channel(portal, name="paused")
    await ledger.run("UPDATE channel SET whatsapp_paused_reason = '190' WHERE id = $1", paused.id)
    await ledger.channel(portal, name="new")
    told = dict(await check_platforms(settings(database_url, redis_url, tmp_path)))
    assert told["portal https://a.example"]
    assert "ENCRYPTION_KEYS" in (told["portal https://b.example"] or "")
    assert told["channel number"]
    assert "ENCRYPTION_KEYS" in (told["channel unreadable"] or "")
    assert told["channel paused"] == "paused: 190"
    assert told["channel new"] == "its connector does not stand on its open line yet"


async def test_a_key_that_the_command_makes_opens_the_api(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    portal = await Ledger(database).portal()
    key = await create_api_key(settings(database_url, redis_url, tmp_path), name="CI", portal_id=portal.id)
    async with database.transaction() as connection:
        holder = await api_keys.check(connection, key)
        assert await connection.fetchval("SELECT subject FROM audit WHERE action = 'api_key.create'") == "CI"
    assert holder is not None
    assert holder.portal_id == portal.id
