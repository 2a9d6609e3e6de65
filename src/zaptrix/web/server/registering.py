"""Channels that do not stand on their line yet, or stand there under an address that the gateway has left; and whose
WhatsApp account does not send us its webhooks.

The gateway does this and no worker: it alone is sure to know PUBLIC_URL, where Bitrix24 is to post its events.
"""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.app import App
from zaptrix.bridge.tenants.seed import seed
from zaptrix.core.access.ownership import NotOwned
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.store.connection.database import StoreRefused, StoreUnavailable
from zaptrix.store.processes.leases import turn
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_EVERY_S = 15.0


async def keep_registering(app: App) -> None:
    """Runs beside requests; one process in the cluster at a time."""
    seeded = False
    while True:
        try:
            async with turn(app.database, "register") as mine:
                if mine:
                    seeded = seeded or await is_seeded(app)
                    await app.registrar.retry()
                    await app.subscriptions.retry()
        except (StoreUnavailable, TimeoutError):
            pass  # nothing can be registered now, or another does it
        except Exception:
            # The others' connectors must not stay off their lines because one broke something.
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("channels not registered", alarm=True)
        await asyncio.sleep(_EVERY_S)


async def is_seeded(app: App) -> bool:
    """Make what the environment describes, if that could not be asked for at the start; whether nothing is left to do.

    Raises StoreUnavailable.
    """
    if not app.settings.has_credentials:
        return True
    try:
        await seed(app.settings, app.database, app.tenants)
    except (NotOwned, StoreRefused):
        return True  # it was told at the start, and another try needs another token
    except PlatformError as exc:
        log.warning("not seeded yet", reason=str(exc))
        return False
    return True
