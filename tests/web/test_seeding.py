"""The first portal and channel, from the environment: asked for like any other, and again while nobody answers."""

import pytest

from tests.web.gateway import Gateway, Json
from tests.web.simulators import simulators
from zaptrix.app import App, open_app
from zaptrix.settings import Settings
from zaptrix.store.accounts import channels, portals
from zaptrix.web.server.registering import is_seeded

META_DOWN = {"side": "meta", "where": "api", "kind": "status", "status": 503}
BITRIX24_DOWN = {"side": "bitrix24", "where": "api", "kind": "status", "status": 503}


def settings_of(gateway: Gateway, portal: Json, number: Json, **changes: str) -> Settings:
    seeded = {
        # As a portal of somebody's: one at 127.0.0.1 is the demo's, and has the id of the API's examples.
        "BITRIX_PORTAL_URL": portal["portal_url"].replace("127.0.0.1", "localhost"),
        "BITRIX_MEMBER_ID": portal["member_id"],
        "BITRIX_CLIENT_ID": portal["client_id"],
        "BITRIX_CLIENT_SECRET": portal["client_secret"],
        "BITRIX_ACCESS_TOKEN": portal["access_token"],
        "BITRIX_REFRESH_TOKEN": portal["refresh_token"],
        "BITRIX_TOKEN_EXPIRES": str(portal["expires"]),
        "BITRIX_APPLICATION_TOKEN": portal["application_token"],
        "BITRIX_LINE_ID": "1",
        "META_ACCESS_TOKEN": number["access_token"],
        "META_PHONE_NUMBER_ID": number["phone_number_id"],
    }
    return Settings.from_env(gateway.environ | seeded | changes)


async def made(app: App, portal: Json, number: Json) -> tuple[bool, bool]:
    """Whether the portal and the channel are there."""
    async with app.database.connection() as connection:
        portal_id = await portals.id_of_member(connection, portal["member_id"])
        channel = await channels.by_number(connection, number["phone_number_id"])
    return portal_id is not None, channel is not None


@pytest.mark.parametrize(("fault", "then"), [(META_DOWN, (True, False)), (BITRIX24_DOWN, (False, False))])
async def test_what_could_not_be_asked_at_the_start_is_made_later(
    gateway: Gateway, fault: Json, then: tuple[bool, bool]
) -> None:
    portal, number = simulators().portal(), simulators().number()
    async with open_app(settings_of(gateway, portal, number)) as app:
        simulators().faults(fault)
        assert not await is_seeded(app)
        assert await made(app, portal, number) == then
        simulators().heal()
        assert await is_seeded(app)
        assert await made(app, portal, number) == (True, True)


async def test_another_ones_number_is_not_seeded(gateway: Gateway) -> None:
    portal, number, theirs = simulators().portal(), simulators().number(), simulators().number()
    settings = settings_of(gateway, portal, number, META_PHONE_NUMBER_ID=theirs["phone_number_id"])
    async with open_app(settings) as app:
        assert await is_seeded(app)  # nothing that another try would mend
        assert await made(app, portal, theirs) == (True, False)
