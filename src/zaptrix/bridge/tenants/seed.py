"""Makes the first portal and channel from the environment.

Everything after them comes by the API.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from msgspec import UNSET

from zaptrix.bridge.tenants.tenants import Tenants, TooManyChannels
from zaptrix.core.ids import EXAMPLE_CHANNEL, EXAMPLE_PORTAL, PortalId
from zaptrix.core.portal import Locale
from zaptrix.settings import Settings
from zaptrix.store.accounts import channels, portals
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import PortalFields, ValueTaken
from zaptrix.store.connection.database import Database

log = structlog.get_logger(__name__)

_ACTOR = "environment"


async def seed(settings: Settings, database: Database, tenants: Tenants) -> None:
    """Make what the environment describes and the database does not have; what it has is left alone.

    Raises StoreUnavailable.
    """
    portal_id = await _portal(settings, database, tenants)
    if portal_id is not None:
        await _channel(settings, database, tenants, portal_id)


async def _portal(settings: Settings, database: Database, tenants: Tenants) -> PortalId | None:
    if not (settings.bitrix_portal_url and settings.bitrix_member_id and settings.bitrix_refresh_token):
        return None
    known = await _known_portal(database, settings.bitrix_member_id)
    if known is not None:
        return known
    async with database.connection() as connection:
        first = await portals.get(connection, EXAMPLE_PORTAL) is None
    fields = PortalFields(
        id=EXAMPLE_PORTAL if first and _is_simulated(settings) else UNSET,
        portal_url=settings.bitrix_portal_url,
        member_id=settings.bitrix_member_id,
        client_id=settings.bitrix_client_id,
        client_secret=settings.bitrix_client_secret,
        client_endpoint=settings.bitrix_client_endpoint or f"{settings.bitrix_portal_url}/rest/",
        access_token=settings.bitrix_access_token,
        refresh_token=settings.bitrix_refresh_token,
        token_expiration_time=datetime.fromtimestamp(settings.bitrix_token_expires, UTC),
        application_token=settings.bitrix_application_token,
        locale=Locale(settings.default_locale),
    )
    try:
        portal = await tenants.create_portal(_ACTOR, fields)
    except ValueTaken:
        return await _known_portal(database, settings.bitrix_member_id)  # another process of ours was faster
    log.info("seeded the portal", portal_id=str(portal.id))
    return portal.id


def _is_simulated(settings: Settings) -> bool:
    """On simulators the examples of the API can be sent: the first ones have their ids. Real ones are https."""
    return settings.bitrix_portal_url.startswith("http://127.0.0.1:")


async def _known_portal(database: Database, member_id: str) -> PortalId | None:
    async with database.connection() as connection:
        return await portals.id_of_member(connection, member_id)


async def _channel(settings: Settings, database: Database, tenants: Tenants, portal_id: PortalId) -> None:
    if not (settings.meta_phone_number_id and settings.meta_access_token and settings.bitrix_line_id):
        return
    async with database.connection() as connection:
        if await channels.by_number(connection, settings.meta_phone_number_id) is not None:
            return
        first = await channels.get(connection, EXAMPLE_CHANNEL) is None
    fields = ChannelFields(
        id=EXAMPLE_CHANNEL if first and _is_simulated(settings) else UNSET,
        name=settings.meta_display_phone_number or settings.meta_phone_number_id,
        phone_number_id=settings.meta_phone_number_id,
        display_phone_number=settings.meta_display_phone_number or settings.meta_phone_number_id,
        waba_id=settings.meta_waba_id or None,
        access_token=settings.meta_access_token,
        line_id=int(settings.bitrix_line_id),
    )
    try:
        joined = await tenants.create_channel(_ACTOR, portal_id, fields)
    except (ValueTaken, TooManyChannels) as exc:
        log.warning("the channel is not seeded", reason=str(exc))  # mostly another process of ours was faster
        return
    if joined is not None:
        log.info("seeded the channel", channel_id=str(joined.channel.id), error=joined.registration_error)
