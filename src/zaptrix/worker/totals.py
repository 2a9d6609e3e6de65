"""What this worker has delivered, added to the totals of all hosts every few seconds."""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.app import App
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.message.message import Direction
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.processes import totals
from zaptrix.telemetry import metrics

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
_DELIVERS = {Direction.INBOUND: Queue.BITRIX24, Direction.OUTBOUND: Queue.META}


async def keep_totals(app: App) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_S)
        await add_totals(app)


async def add_totals(app: App) -> None:
    """Add what was delivered since the last time; while PostgreSQL is away the number is told and given up."""
    completed = {_DELIVERS[direction]: count for direction, count in metrics.take_delivered().items()}
    if not completed:
        return
    try:
        async with app.database.connection() as connection:
            await totals.add(connection, completed)
    except StoreUnavailable as exc:
        log.warning("totals not added", messages=sum(completed.values()), reason=str(exc))
