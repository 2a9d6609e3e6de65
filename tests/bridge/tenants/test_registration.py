"""Registration: tried at once, and again until it is done, and one channel's trouble is its own."""

import asyncio

import pytest

from tests.bridge.house import House
from zaptrix.bridge.tenants.registration import Registrar
from zaptrix.core.delivery.errors import FailureScope, Unavailable, Unexpected
from zaptrix.core.ids import ChannelId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.encryption import UnreadableSecret


class Line:
    """A portal's side of it, scripted."""

    def __init__(self) -> None:
        self.registered: list[str] = []
        self.unregistered: list[str] = []
        self.fails: dict[ChannelId, Exception] = {}
        self.hangs: set[ChannelId] = set()

    async def register(self, _portal: Portal, channel: Channel) -> None:
        if channel.id in self.hangs:
            await asyncio.Event().wait()
        if channel.id in self.fails:
            raise self.fails[channel.id]
        self.registered.append(channel.name)

    async def unregister(self, _portal: Portal, channel: Channel) -> None:
        if channel.id in self.fails:
            raise self.fails[channel.id]
        self.unregistered.append(channel.name)


async def aged(house: House) -> None:
    await house.ledger.run("UPDATE channel SET updated_at = updated_at - interval '1 minute'")


def a_registrar(house: House, line: Line, public_url: str = "https://here.example") -> Registrar:
    return Registrar(
        house.ledger.database,
        house.directory,
        register=line.register,
        unregister=line.unregister,
        public_url=public_url,
    )


async def test_a_channel_is_registered_once_and_then_left_alone(house: House, channel: Channel) -> None:
    line = Line()
    assert await a_registrar(house, line).register(channel.id) is None
    await aged(house)
    await a_registrar(house, line).retry()
    assert line.registered == ["Loja"]


async def test_why_it_failed_is_kept_and_it_is_tried_again(house: House, channel: Channel) -> None:
    line = Line()
    line.fails[channel.id] = Unavailable("503", "maintenance")
    assert await a_registrar(house, line).register(channel.id) == "503: maintenance"
    assert await house.ledger.value("SELECT registration_error FROM channel") == "503: maintenance"
    line.fails.clear()
    await aged(house)
    await a_registrar(house, line).retry()
    assert await house.ledger.value("SELECT registered_at IS NOT NULL FROM channel")
    assert await house.ledger.value("SELECT registration_error FROM channel") is None


async def test_a_channel_whose_secrets_cannot_be_read_keeps_no_other_from_its_turn(
    house: House, portal: Portal
) -> None:
    first, _ = await house.ledger.channel(portal, name="a"), await house.ledger.channel(portal, name="b")
    line = Line()
    line.fails[first.id] = UnreadableSecret(FailureScope.CHANNEL)
    await aged(house)
    for _ in range(2):
        await a_registrar(house, line).retry()
        await aged(house)
    assert line.registered == ["b"]
    assert "ENCRYPTION_KEYS" in await house.ledger.value("SELECT registration_error FROM channel WHERE name = 'a'")


async def test_a_channel_that_is_gone_is_told_as_gone(house: House, channel: Channel) -> None:
    await house.ledger.run("DELETE FROM channel")
    assert await a_registrar(house, Line()).register(channel.id) == "the channel is gone"


async def test_the_connector_leaves_the_line_with_its_last_channel(house: House, portal: Portal) -> None:
    first, second = await house.ledger.channel(portal, name="a"), await house.ledger.channel(portal, name="b")
    line = Line()
    registrar = a_registrar(house, line)
    await registrar.unregister(first.id)
    assert line.unregistered == []  # the other channel answers on the same line
    await house.ledger.run("DELETE FROM channel WHERE name = 'a'")
    await registrar.unregister(second.id)
    assert line.unregistered == ["b"]


async def test_a_channel_can_go_while_its_portal_is_away(house: House, channel: Channel) -> None:
    line = Line()
    line.fails[channel.id] = Unavailable("503", "maintenance")
    await a_registrar(house, line).unregister(channel.id)


async def test_a_gateway_that_moved_is_registered_under_its_new_address(house: House, channel: Channel) -> None:
    line = Line()
    await a_registrar(house, line).register(channel.id)
    await aged(house)
    await a_registrar(house, line).retry()
    assert line.registered == ["Loja"]
    await a_registrar(house, line, "https://there.example").retry()
    assert line.registered == ["Loja", "Loja"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OverflowError("int too large to convert to float"), "broke_down: OverflowError"),
        (RecursionError("too deep"), "broke_down: RecursionError"),
        (Unexpected("ERROR_CORE", "bad\0thing \ud800"), "ERROR_CORE: bad thing  "),
        (Unexpected("x" * 10_000, "y" * 10_000), f"{'x' * 64}: {'y' * 500}"),
    ],
)
async def test_whatever_a_registration_breaks_on_it_is_recorded_and_goes_to_the_end(
    house: House, fault: Exception, told: str
) -> None:
    broken = await house.ledger.channel(await house.ledger.portal(), name="broken")
    line = Line()
    line.fails[broken.id] = fault
    registrar = a_registrar(house, line)
    assert await registrar.register(broken.id) == told
    assert await house.ledger.value("SELECT registration_error FROM channel") == told
    others = [await house.ledger.channel(await house.ledger.portal(), name=f"good {n}") for n in range(25)]
    await aged(house)
    await house.ledger.run("UPDATE channel SET updated_at = updated_at - interval '1 hour' WHERE name = 'broken'")
    await registrar.retry()
    await registrar.retry()
    assert sorted(line.registered) == sorted(channel.name for channel in others)


async def test_a_registration_that_hangs_keeps_nobody_waiting(
    house: House, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zaptrix.bridge.tenants.registration._REGISTER_S_MAX", 1.0)
    hanging = await house.ledger.channel(portal, name="hangs")
    second = await house.ledger.channel(portal, name="second of its portal")
    other = await house.ledger.channel(await house.ledger.portal(), name="other portal")
    line = Line()
    line.hangs.add(hanging.id)
    await aged(house)
    running = asyncio.create_task(a_registrar(house, line).retry())
    async with asyncio.timeout(60):
        while other.name not in line.registered:
            await asyncio.sleep(0.01)
        await running
    assert line.registered == [other.name, second.name]
    told = await house.ledger.value("SELECT registration_error FROM channel WHERE name = 'hangs'")
    assert told == "timeout: the portal did not answer in time"
