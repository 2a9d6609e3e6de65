"""The first portal and channel, sown before the gateway opens: once a start, however many processes it has."""

from zaptrix.app import open_app
from zaptrix.bridge.seed import seed
from zaptrix.core.errors import PlatformError
from zaptrix.settings import Settings
from zaptrix.store.database import StoreRefused, StoreUnavailable
from zaptrix.telemetry import log


async def sow(settings: Settings) -> None:
    """Make what the environment describes. Where it cannot, the gateway opens all the same, and the log says why."""
    if not settings.has_credentials:
        return
    async with open_app(settings) as app:
        try:
            await seed(settings, app.database, app.tenants)
        except (StoreUnavailable, StoreRefused, PlatformError) as exc:
            log.logger().error("seed failed", reason=str(exc), alarm=True)
