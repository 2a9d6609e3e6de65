"""Erasure: what was written to a deleted tenant is nowhere any more, and nothing of its neighbours' is touched."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bridge.house import House, a_customer, now
from zaptrix.bridge.upkeep.erasure import Erasure
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.portal import Channel, Portal
from zaptrix.media.blobs import Blobs
from zaptrix.store.accounts import channels, erasures, portals


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs("", tmp_path / "media")


@pytest.fixture
def erasure(house: House, blobs: Blobs) -> Erasure:
    return Erasure(house.ledger.database, blobs)


async def a_file(house: House, blobs: Blobs, talk: Conversation) -> str:
    """A message with a file of its own; the file's key."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"um comprovante"

    written = await blobs.write(parts(), day=now().date(), bytes_max=100)
    (message_id,) = await house.ledger.outbound(talk)
    await house.ledger.run(
        "INSERT INTO file (message_id, portal_id, channel_id, direction, state, blob)"
        " VALUES ($1, $2, $3, 'outbound', 'ready', jsonb_build_object('key', $4::text))",
        message_id,
        talk.portal_id,
        talk.channel_id,
        written.key,
    )
    return written.key


async def lanes(house: House) -> set[str]:
    rows = await house.ledger.rows("SELECT lane FROM event")
    return {row["lane"].rpartition(".")[0] for row in rows}


async def files(blobs: Blobs) -> set[str]:
    return {path.name for path in blobs._folder.rglob("*") if path.is_file()}


async def delete_portal(house: House, portal: Portal) -> None:
    async with house.ledger.database.transaction() as connection:
        await erasures.order_portal(connection, portal.id)
        assert await portals.delete(connection, portal.id)


async def delete_channel(house: House, channel: Channel) -> None:
    async with house.ledger.database.transaction() as connection:
        await erasures.order_channel(connection, channel.id)
        assert await channels.delete(connection, channel.id)


@pytest.fixture
async def neighbour(house: House) -> Conversation:
    return await house.ledger.talk(await house.ledger.channel(), chat_id=9)


async def both_write(house: House, mine: Conversation, channel: Channel, neighbour: Conversation) -> str:
    """Words of both in the journal; the neighbour's number."""
    (row,) = await house.ledger.rows("SELECT phone_number_id FROM channel WHERE id = $1", neighbour.channel_id)
    async with house.ledger.database.connection() as connection:
        (other,) = [c for c in await channels.listed(connection, None, None, 9) if c.id == neighbour.channel_id]
    for each in (channel, other):
        await house.customer_says(each, *(f"segredo {n}" for n in range(7)), customer=a_customer())
    for talk in (mine, neighbour):
        await house.operator_says(talk, "resposta")
    return str(row["phone_number_id"])


async def test_a_deleted_portal_takes_its_words_and_files_along(
    house: House,
    erasure: Erasure,
    blobs: Blobs,
    portal: Portal,
    channel: Channel,
    talk: Conversation,
    neighbour: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zaptrix.core.limits.ERASE_STEP", 3)
    number = await both_write(house, talk, channel, neighbour)
    await a_file(house, blobs, talk)
    kept = await a_file(house, blobs, neighbour)
    await delete_portal(house, portal)
    await erasure.run()
    await erasure.run()
    assert await lanes(house) == {number, str(neighbour.portal_id)}
    assert await files(blobs) == {kept.rpartition("/")[2]}
    for table in ("erasure_journal", "erasure_blob"):
        assert await house.ledger.value(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


async def test_a_deleted_channel_takes_what_came_for_its_number(
    house: House, erasure: Erasure, channel: Channel, talk: Conversation, neighbour: Conversation
) -> None:
    number = await both_write(house, talk, channel, neighbour)
    await delete_channel(house, channel)
    await erasure.run()
    assert await lanes(house) == {number, str(neighbour.portal_id), str(talk.portal_id)}


@pytest.mark.parametrize("whole", [True, False])
async def test_words_that_came_for_a_number_that_was_let_go_are_erased_too(
    house: House, erasure: Erasure, portal: Portal, channel: Channel, neighbour: Conversation, whole: bool
) -> None:
    await house.customer_says(channel, "segredo", customer=a_customer())
    await house.ledger.run("UPDATE channel SET phone_number_id = '777000111' WHERE id = $1", channel.id)
    await house.ledger.run(
        "UPDATE channel SET phone_number_id = $2 WHERE id = $1", neighbour.channel_id, channel.phone_number_id
    )
    await house.customer_says(channel, "do novo dono", customer=a_customer())
    if whole:
        await delete_portal(house, portal)
    else:
        await delete_channel(house, channel)
    await erasure.run()
    assert await house.ledger.value("SELECT count(*) FROM event") == 1


async def test_a_recording_goes_with_the_voice_note_that_it_became(
    house: House, erasure: Erasure, blobs: Blobs, portal: Portal, talk: Conversation
) -> None:
    note, recording = await a_file(house, blobs, talk), await a_file(house, blobs, talk)
    await house.ledger.run("DELETE FROM file WHERE blob->>'key' = $1", recording)
    await house.ledger.run(
        "UPDATE message SET origin = 'api', content = jsonb_set(content, '{source}', to_jsonb($2::text))"
        " WHERE id = (SELECT message_id FROM file WHERE blob->>'key' = $1)",
        note,
        recording,
    )
    await delete_portal(house, portal)
    await erasure.run()
    assert not await files(blobs)


async def test_what_a_portal_says_of_its_files_erases_nobody_elses(
    house: House, erasure: Erasure, blobs: Blobs, portal: Portal, talk: Conversation, neighbour: Conversation
) -> None:
    mine, kept = await a_file(house, blobs, talk), await a_file(house, blobs, neighbour)
    await house.ledger.run(
        "UPDATE message SET origin = 'operator', content = jsonb_set(content, '{source}', to_jsonb($2::text))"
        " WHERE id = (SELECT message_id FROM file WHERE blob->>'key' = $1)",
        mine,
        kept,
    )
    await delete_portal(house, portal)
    await erasure.run()
    assert await files(blobs) == {kept.rpartition("/")[2]}


async def test_what_comes_for_the_number_after_the_deletion_is_kept(
    house: House, erasure: Erasure, portal: Portal, channel: Channel
) -> None:
    await house.customer_says(channel, "antes", customer=a_customer())
    await delete_portal(house, portal)
    await house.customer_says(channel, "depois", customer=a_customer())
    await erasure.run()
    assert await house.ledger.value("SELECT count(*) FROM event") == 1


async def test_a_deletion_that_does_not_happen_erases_nothing(
    house: House, erasure: Erasure, portal: Portal, channel: Channel
) -> None:
    await house.customer_says(channel, "fica", customer=a_customer())
    with suppress(RuntimeError):
        async with house.ledger.database.transaction() as connection:
            await erasures.order_portal(connection, portal.id)
            raise RuntimeError
    await erasure.run()
    assert await house.ledger.value("SELECT count(*) FROM event") == 1
