"""Reminds operators of customers whose window closes soon, as WhatsApp then takes templates only.

The reminder is a notice in the chat, once a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import structlog

from zaptrix.bridge.tell.notices import Line, say
from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import bitrix24_lane
from zaptrix.core.message.message import Notice
from zaptrix.store.connection.database import Database
from zaptrix.store.people import windows

log = structlog.get_logger(__name__)


class Reminders:
    """Looks for windows that close soon; `minutes` 0: never."""

    def __init__(self, database: Database, bells: Bells, minutes: int, now: Callable[[], datetime]) -> None:
        self._database = database
        self._bells = bells
        self._minutes = minutes
        self._now = now

    async def run(self) -> None:
        """Raises StoreUnavailable."""
        if not self._minutes:
            return
        async with self._database.transaction() as connection:
            found = await windows.closing(connection, self._minutes, limits.WINDOW_HOURS, limits.REMINDERS_BATCH)
            if not found:
                return
            now = self._now()
            await say(connection, [Line(each.id, _reminder(each.window_expires_at, now), now) for each in found])
        self._bells.ring_soon({bitrix24_lane(each.portal_id) for each in found})
        log.info("reminded of closing windows", conversations=len(found))


def _reminder(ends: datetime, now: datetime) -> Notice:
    return Notice("window_closes", {"minutes": str(max(1, math.floor((ends - now).total_seconds() / 60)))})
