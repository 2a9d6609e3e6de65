"""Registration: tried at once, and again until it is done, and one channel's trouble is its own."""

from tests.bridge.house import House
from zaptrix.bridge.registration import Registrar
from zaptrix.core.errors import Unavailable
from zaptrix.core.ids import ChannelId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.secrets import UnreadableSecret


class Line:
    """A portal's side of it, scripted."""

    def __init__(self) -> None:
        self.registered: list[str] = []
        self.unregistered: list[str] = []
        self.fails: dict[ChannelId, Exception] = {}

    async def register(self, _portal: Portal, channel: Channel) -> None:
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
    line.fails[first.id] = UnreadableSecret("encrypted with a key that is not among ENCRYPTION_KEYS")
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
