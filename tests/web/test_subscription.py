"""A number's account that sends us no webhooks any more: the gateway sees it, says it again, and the doctor tells."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import structlog.testing

from tests.web.gateway import POLL_S, Gateway, Json
from tests.web.simulators import simulators
from zaptrix.app import App, open_app
from zaptrix.core.ids import ChannelId
from zaptrix.core.portal import Channel
from zaptrix.store.accounts import channels
from zaptrix.store.processes.leases import turn


@asynccontextmanager
async def alone(gateway: Gateway) -> AsyncIterator[App]:
    """A process of the gateway's that looks at subscriptions, while the other one may not."""
    async with open_app(gateway.settings) as app:
        while True:
            async with turn(app.database, "register") as mine:
                if mine:
                    yield app
                    return
            await asyncio.sleep(POLL_S)


async def a_channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


async def a_subscribed_channel(gateway: Gateway, app: App) -> Json:
    channel = await a_channel(gateway)
    if not channel["subscription"]["done"]:
        await subscribed(app, channel)
    return channel


async def subscribed(app: App, channel: Json) -> None:
    """Also on a busy machine, where Redis may not tell in time how often Meta was called."""
    while await app.subscriptions.subscribe(await known(app, channel)):
        await asyncio.sleep(POLL_S)


async def taken_away(gateway: Gateway, channel: Json) -> None:
    """By somebody at Meta; and an hour has passed since the last look."""
    token = simulators().number(channel["phone_number_id"])["access_token"]
    simulators().unsubscribe(channel["waba_id"], token)
    await gateway.rows(
        """UPDATE channel SET subscription_looked_at =
        CASE WHEN id = $1::uuid THEN now() - interval '61 minutes' ELSE now() END""",
        channel["id"],
    )


async def known(app: App, channel: Json) -> Channel:
    async with app.database.connection() as connection:
        found = await channels.get(connection, ChannelId(UUID(channel["id"])))
    assert found is not None
    return found


async def test_a_cells_accounts_send_to_its_own_address_and_the_others_see_it(gateway: Gateway) -> None:
    """Two gateways of one Meta app: who has the app's own address, and who asks for its accounts' webhooks."""
    async with alone(gateway) as app:
        channel = await a_subscribed_channel(gateway, app)
        cell = msgspec.structs.replace(gateway.settings, meta_callback="account")
        async with open_app(cell) as other:
            told = await other.subscriptions.trouble(await known(other, channel))
            assert told is not None
            assert "override_callback_uri" in told
            await subscribed(other, channel)  # Meta has asked us first
            assert await other.subscriptions.trouble(await known(other, channel)) is None
            (heard,) = await other.graph.subscribed_apps(await known(other, channel), channel["waba_id"])
            assert heard.override_callback_uri == f"{gateway.settings.public_url}/webhooks/meta"
        assert "override_callback_uri" in (await app.subscriptions.trouble(await known(app, channel)) or "")
        await subscribed(app, channel)  # back to the app's own
        assert await app.subscriptions.trouble(await known(app, channel)) is None


async def test_an_address_that_does_not_answer_metas_challenge_is_told(gateway: Gateway) -> None:
    async with alone(gateway) as app:
        channel = await a_subscribed_channel(gateway, app)
        wrong = msgspec.structs.replace(
            gateway.settings, meta_callback="account", meta_verify_token="somebody-else-s-1"
        )
        async with open_app(wrong) as other:
            told = await other.subscriptions.subscribe(await known(other, channel))
        assert told is not None


async def test_a_lost_subscription_is_told_and_made_again(gateway: Gateway) -> None:
    async with alone(gateway) as app:
        channel = await a_subscribed_channel(gateway, app)
        assert await app.subscriptions.trouble(await known(app, channel)) is None
        await taken_away(gateway, channel)
        told = await app.subscriptions.trouble(await known(app, channel))
        assert told == "its WhatsApp Business account sends no webhooks to any app"
        with structlog.testing.capture_logs() as logs:
            await app.subscriptions.retry()
        assert [line["channel_id"] for line in logs if line["event"] == "subscription lost"] == [channel["id"]]
        assert await app.subscriptions.trouble(await known(app, channel)) is None


async def test_what_could_not_be_subscribed_is_tried_again_after_a_minute(gateway: Gateway) -> None:
    fault = {"side": "meta", "where": "api", "kind": "status", "status": 503}
    async with alone(gateway) as app:
        simulators().faults(fault | {"match": {"method": "subscribed_apps"}})
        channel = await a_channel(gateway)
        assert channel["subscription"]["done"] is False
        simulators().heal()
        await app.subscriptions.retry()  # not yet
        assert (await known(app, channel)).subscribed_at is None
        await gateway.rows(
            """UPDATE channel SET subscription_looked_at =
            CASE WHEN id = $1::uuid THEN now() - interval '2 minutes' ELSE now() END""",
            channel["id"],
        )
        await app.subscriptions.retry()
        assert (await known(app, channel)).subscribed_at is not None


async def test_a_number_that_stands_still_is_left_alone(gateway: Gateway) -> None:
    async with alone(gateway) as app:
        channel = await a_subscribed_channel(gateway, app)
        await gateway.rows("UPDATE channel SET whatsapp_paused_at = now() WHERE id = $1::uuid", channel["id"])
        await taken_away(gateway, channel)
        await app.subscriptions.retry()
        assert await app.subscriptions.trouble(await known(app, channel))
