"""What one worker works out for all of them, twice a minute: gateways tell it at `/metrics`."""

from __future__ import annotations

from uuid import UUID

import structlog

from zaptrix.app import App
from zaptrix.elapsed import elapsed_s
from zaptrix.store.processes import figures
from zaptrix.telemetry.certificate import expires_at
from zaptrix.telemetry.exposition import Figure

log = structlog.get_logger(__name__)

FIGURES_EVERY_S = 30.0
_GOOD_S = 180.0  # a figure that nobody renews is not told any more
_CERTIFICATE_LOOK_S = 3_600.0
_CERTIFICATE_GOOD_S = 3 * _CERTIFICATE_LOOK_S


class Figures:
    """Works them out; remembers which numbers were told of, so that each silence is logged once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._told: frozenset[UUID] = frozenset()
        self._certificate_due_s = 0.0

    async def take(self) -> None:
        """All of them. Raises StoreUnavailable."""
        async with self._app.database.transaction() as connection:
            await figures.count_hours(connection)
        async with self._app.database.connection() as connection:
            numbers = await figures.numbers(connection)
            facts = await figures.database_facts(connection)
            found: dict[str, float] = {
                Figure.CHANNELS_CONNECTED: float(numbers.connected),
                Figure.CHANNELS_BUSY: float(numbers.busy),
                Figure.CHANNELS_SILENT: float(len(numbers.silent)),
                Figure.DATABASE_SIZE: float(facts.size_bytes),
                Figure.DATABASE_SESSIONS: float(facts.sessions),
                Figure.DATABASE_SESSIONS_MAX: float(facts.sessions_max),
                Figure.DATABASE_OLDEST_TRANSACTION: facts.oldest_transaction_s,
            }
            await figures.put(connection, found, _GOOD_S)
        self._tell(numbers.silent)
        if elapsed_s() >= self._certificate_due_s:
            self._certificate_due_s = elapsed_s() + _CERTIFICATE_LOOK_S
            await self._look_at_certificate()

    def _tell(self, silent: frozenset[UUID]) -> None:
        for channel_id in silent - self._told:
            log.warning("number silent", channel_id=channel_id)
        self._told = silent

    async def _look_at_certificate(self) -> None:
        expires = await expires_at(self._app.settings.public_url)
        if expires is not None:
            async with self._app.database.connection() as connection:
                await figures.put(connection, {Figure.CERTIFICATE_EXPIRES: expires.timestamp()}, _CERTIFICATE_GOOD_S)
