"""Replay: what was spooled while PostgreSQL was away becomes rows, oldest first, and nothing stops the rest."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.bridge.house import House, now
from zaptrix.bridge.receive.heartbeat import Watch
from zaptrix.bridge.receive.receiver import Receiver
from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.lanes import outbound_lane
from zaptrix.core.portal import Portal
from zaptrix.store.connection.database import StoreUnavailable, open_database
from zaptrix.store.journal.spool import Spool
from zaptrix.web.doors.bitrix24_admission import Admission, NotAdmitted
from zaptrix.web.doors.spool_replay import Replay


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


async def a_replay(house: House, spool: Spool) -> Replay:
    """Of a gateway that has looked: nothing is being recovered."""
    await house.ledger.run("UPDATE gateway_beat SET at = now()")
    watch = Watch(house.ledger.database)
    await watch.begin()
    return Replay(spool, Admission(house.directory, watch), house.receiver)


def a_form(portal: Portal, talk: Conversation, number: int, *, token: str = "an-application-token") -> bytes:
    return urlencode(
        {
            "event": "ONIMCONNECTORMESSAGEADD",
            "ts": "1772366400",
            "auth[member_id]": portal.member_id,
            "auth[application_token]": token,
            "data[CONNECTOR]": portal.connector_id,
            "data[LINE]": "7",
            "data[MESSAGES][0][im][chat_id]": "5",
            "data[MESSAGES][0][im][message_id]": str(number),
            "data[MESSAGES][0][chat][id]": talk.external_chat_id,
            "data[MESSAGES][0][message][text]": f"olá {number}",
        }
    ).encode()


async def run(replay: Replay) -> list[type[Exception]]:
    """Replay all that waits, as the gateway does; what was raised and did not mean that PostgreSQL is away."""
    raised: list[type[Exception]] = []
    for path in await replay.waiting():
        try:
            await replay.one(path)
        except StoreUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - what it is is what the test asks
            raised.append(type(exc))
            await replay.set_aside(path)
    return raised


async def keys(house: House) -> list[str]:
    return [row["request_id"] for row in await house.ledger.rows("SELECT request_id FROM event ORDER BY id")]


async def test_spooled_events_become_rows_in_their_order_and_ring_their_lane(
    house: House, spool: Spool, portal: Portal, talk: Conversation
) -> None:
    for number in range(1, 6):
        await spool.keep(a_form(portal, talk, number), f"r-{number}")
    assert await run(await a_replay(house, spool)) == []
    assert await keys(house) == [f"r-{number}" for number in range(1, 6)]
    assert spool.waiting() == []
    assert outbound_lane(portal.id).round in await house.rung_now()
    assert await (await a_replay(house, spool)).waiting() == []


async def test_an_event_that_is_replayed_twice_is_one_event(
    house: House, spool: Spool, portal: Portal, talk: Conversation
) -> None:
    for name in ("r-1", "r-2"):
        await spool.keep(a_form(portal, talk, 1), name)
    await run(await a_replay(house, spool))
    assert await keys(house) == ["r-1"]


async def test_what_is_no_event_is_set_aside_and_holds_up_nobody(
    house: House, spool: Spool, portal: Portal, talk: Conversation
) -> None:
    await spool.keep(b"&".join([b"a[b]=1"] * 5_000), "r-bad")
    await spool.keep(a_form(portal, talk, 1), "r-torn")
    (_, torn) = spool.waiting()
    torn.write_bytes(torn.read_bytes()[:40])
    await spool.keep(a_form(portal, talk, 2), "r-2")
    raised = await run(await a_replay(house, spool))
    assert len(raised) == 2
    assert await keys(house) == ["r-2"]
    assert spool.waiting() == []


async def test_a_strangers_event_is_dropped_now_that_somebody_can_be_asked(
    house: House, spool: Spool, portal: Portal, talk: Conversation
) -> None:
    await spool.keep(a_form(portal, talk, 1, token="a-guess"), "r-1")
    await run(await a_replay(house, spool))
    assert await keys(house) == []
    assert spool.waiting() == []


async def test_while_postgresql_is_away_everything_waits_on(
    house: House, spool: Spool, bells: Bells, tmp_path: Path, portal: Portal, talk: Conversation
) -> None:
    away = await open_database(f"postgresql://nobody@/nothing?host={tmp_path}", acquire_timeout_s=0.5)
    receiver = Receiver(away, bells, Budgets(away, {}, now))
    replay = Replay(spool, Admission(Directory(away, house.ledger.box), Watch(away)), receiver)
    await spool.keep(a_form(portal, talk, 1), "r-1")
    with pytest.raises(StoreUnavailable):
        await run(replay)
    await away.close()
    assert len(spool.waiting()) == 1


async def test_only_the_installations_own_token_admits(house: House, portal: Portal, talk: Conversation) -> None:
    admission = Admission(house.directory, Watch(house.ledger.database))
    assert len(await admission.admit(a_form(portal, talk, 1), "r")) == 1
    for token in ("", "an-application-token ", "other"):
        with pytest.raises(NotAdmitted):
            await admission.admit(a_form(portal, talk, 1, token=token), "r")
    stranger = await house.ledger.portal(application_token="theirs")
    with pytest.raises(NotAdmitted):
        await admission.admit(a_form(stranger, talk, 1), "r")
    with pytest.raises(NotAdmitted):
        await admission.admit(b"event=x", "r")
