"""Budgets: what one portal may use of the gateway in a day, so that it cannot use up what all of them need.

The signature of a platform, or a portal's token, says who posts and not that it makes sense: one portal could fill
the disk with events that lead nowhere, with files, or the processors with recordings. Each process counts in memory,
adds its counts to PostgreSQL every few seconds and learns who is over; a portal can overdraw by what it posts between.

Over its budget a portal's conversations go on: its events are routed, and then kept by their digest; files wait for
the next day, and callers are told so; recordings go as they are. Days are UTC's.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec.structs import replace

from zaptrix.core.delivery.errors import TooFast
from zaptrix.core.event import Event, EventState, NewEvent
from zaptrix.core.ids import PortalId
from zaptrix.core.message.message import Side
from zaptrix.settings import Settings
from zaptrix.store.accounts import budgets
from zaptrix.store.accounts.budgets import Budget, Spending
from zaptrix.store.connection.database import Database, StoreRefused, StoreUnavailable
from zaptrix.store.journal import events
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
KEPT_BY_DIGEST = "kept by its digest alone: the portal is over PORTAL_JOURNAL_MB_PER_DAY"


def daily(settings: Settings) -> dict[Budget, int]:
    """What one portal may use in a day; 0: as much as it likes."""
    return {
        Budget.JOURNAL: settings.portal_journal_mb_per_day * 1_000_000,
        Budget.FILES: settings.portal_files_mb_per_day * 1_000_000,
        Budget.RECODING: settings.portal_recoding_s_per_day * 1_000,
    }


class Budgets:
    """What each portal has used today, as far as this process knows."""

    def __init__(self, database: Database, most: Mapping[Budget, int], now: Callable[[], datetime]) -> None:
        """`most`: of each kind, by portal and day; one that is not there, or 0, is not bounded."""
        self._database = database
        self._most = {budget: amount for budget, amount in most.items() if amount}
        self._now = now
        self._unwritten: Counter[Spending] = Counter()
        self._over: set[Spending] = set()

    def spend(self, portal_id: PortalId, budget: Budget, amount: int) -> None:
        """Count `amount`: bytes, or milliseconds of recoding."""
        self._unwritten[portal_id, budget] += amount

    def is_over(self, portal_id: PortalId, budget: Budget) -> bool:
        """Whether this portal has used up its day."""
        spending = portal_id, budget
        return spending in self._over or self._unwritten[spending] >= self._most.get(budget, math.inf)

    def guard(self, portal_id: PortalId, budget: Budget) -> None:
        """Raises TooFast until tomorrow when this portal has used up its day."""
        if self.is_over(portal_id, budget):
            raise TooFast(f"over_{budget.value}", "the portal has used up its day", wait_s=self.renewed_in_s())

    def journalled(self, coming: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Count what is about to be written to the journal; what leads nowhere loses its body when its portal is over.

        Meta's events are its own word: their rate is Meta's, and one that nobody can route yet may be routed later.
        """
        return [self._journalled(event) if event.source is Side.BITRIX24 else event for event in coming]

    def _journalled(self, event: NewEvent) -> NewEvent:
        portal_id = PortalId(UUID(event.lane.tenant))
        self.spend(portal_id, Budget.JOURNAL, len(event.body))
        if event.state is EventState.NEW or not self.is_over(portal_id, Budget.JOURNAL):
            return event
        reason = "; ".join(filter(None, (event.reason, KEPT_BY_DIGEST)))
        return replace(event, body=events.DIGEST + hashlib.sha256(event.body).hexdigest().encode(), reason=reason)

    def overdrawn(self, routed: Sequence[Event]) -> list[Event]:
        """Those of `routed` whose portals are over their journal: their bodies have been read, and can go."""
        ours = (event for event in routed if event.source is Side.BITRIX24)
        return [event for event in ours if self.is_over(PortalId(UUID(event.lane.tenant)), Budget.JOURNAL)]

    def renewed_in_s(self) -> float:
        """How long it is until the next day begins."""
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - now).total_seconds()

    async def keep(self) -> None:
        """Until cancelled: tell what this process counted, learn who is over."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.exchange()
            except (StoreUnavailable, StoreRefused) as exc:
                log.debug("budgets put off", reason=str(exc))

    async def exchange(self) -> None:
        """Once. What could not be told is told the next time. Raises StoreUnavailable, StoreRefused."""
        today, spent = self._now().date(), self._unwritten
        self._unwritten = Counter()
        try:
            # No transaction: what was added stays added, whoever cannot be asked afterwards.
            async with self._database.connection() as connection:
                if spent:
                    await budgets.add(connection, today, spent)
                    spent = Counter()
                over = await budgets.over(connection, today, self._most)
        except (StoreUnavailable, StoreRefused):  # the latter: a portal was deleted at this very moment
            self._unwritten.update(spent)
            raise
        for portal_id, budget in over - self._over:
            metrics.alarmed(AlarmKind.OVER_BUDGET)
            log.warning("portal over its budget", portal_id=str(portal_id), budget=budget.value, alarm=True)
        self._over = over
