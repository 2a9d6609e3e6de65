"""The first portal and channel, made before the gateway opens: once a start, however many processes it has."""

from zaptrix.app import App, open_app
from zaptrix.bridge.tenants.seed import seed
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.settings import Settings
from zaptrix.store.accounts import channels, portals
from zaptrix.store.accounts.portals import PortalFields
from zaptrix.store.connection.database import StoreRefused, StoreUnavailable
from zaptrix.telemetry import log

SIMULATED = "http://127.0.0.1:"
"""A real portal is reached by https; only a simulator's is here."""

_ACTOR = "environment"


async def sow(settings: Settings) -> None:
    """Make what the environment describes. Where it cannot, the gateway opens all the same, and the log says why."""
    if not settings.has_credentials:
        return
    async with open_app(settings) as app:
        try:
            if settings.bitrix_portal_url.startswith(SIMULATED):
                await _follow(settings, app)
            await seed(settings, app.database, app.tenants)
        except (StoreUnavailable, StoreRefused, PlatformError) as exc:
            log.logger().error("seed failed", reason=str(exc), alarm=True)


async def _follow(settings: Settings, app: App) -> None:
    """Simulators stand where SIM_PORT says and the gateway where PORT does: what an earlier start made is moved there.

    Raises StoreUnavailable.
    """
    async with app.database.connection() as connection:
        portal_id = await portals.id_of_member(connection, settings.bitrix_member_id)
        portal = await portals.get(connection, portal_id) if portal_id else None
        channel = await channels.by_number(connection, settings.meta_phone_number_id)
    if portal is None or channel is None:
        return
    if portal.portal_url != settings.bitrix_portal_url:
        moved = PortalFields(portal_url=settings.bitrix_portal_url, client_endpoint=settings.bitrix_client_endpoint)
        await app.tenants.change_portal(_ACTOR, portal.id, moved)
    await app.registrar.register(channel.id)
