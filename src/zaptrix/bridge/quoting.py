"""Quoting: a customer may answer a message of ours before the ledger has learned its WhatsApp id; by the time that the
answer is delivered, it mostly has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from zaptrix.bridge.finish import Finished, keep
from zaptrix.bridge.quotes import quoted
from zaptrix.core import limits
from zaptrix.core.message import Notice, Origin, quote_of
from zaptrix.core.parcel import Parcel
from zaptrix.core.template import Template
from zaptrix.store import messages
from zaptrix.store.database import Database
from zaptrix.store.messages import Quotable, Wamid


class Quoting:
    """Waits only while something is on its way to the customer who answers: that may be what is quoted."""

    wanted = "quote_wanted"

    def __init__(
        self, database: Database, now: Callable[[], datetime], wait_s: float = limits.QUOTE_WAIT_S_MAX
    ) -> None:
        self._database = database
        self._now = now
        self._longest = timedelta(seconds=wait_s)

    async def finish(self, parcels: Sequence[Parcel]) -> Finished:
        """Raises StoreUnavailable."""
        lost = {wamid for parcel in parcels if (wamid := _lost(parcel))}
        if not lost:
            return Finished(list(parcels), [])
        may_wait = [(parcel.channel.id, parcel.conversation.id) for parcel in parcels if self._may_wait(parcel)]
        async with self._database.transaction() as connection:
            # First who waits, then what is known: a message that is settled in between is found.
            underway = await messages.underway(connection, may_wait) if may_wait else set()
            known = await messages.quotable(connection, list(lost))
            told = [_told(parcel, known) for parcel in parcels]
            await keep(connection, parcels, told)
        waiting = [parcel for parcel in told if self._may_wait(parcel) and parcel.conversation.id in underway]
        return Finished([parcel for parcel in told if parcel not in waiting], waiting)

    def until(self) -> datetime:
        """When to look again."""
        return self._now() + timedelta(seconds=limits.QUOTE_LOOK_S)

    def _may_wait(self, parcel: Parcel) -> bool:
        return _lost(parcel) is not None and self._now() - parcel.created_at < self._longest


def _lost(parcel: Parcel) -> Wamid | None:
    """What a customer's message speaks of, as long as nobody knows what that says."""
    quote = quote_of(parcel.content) if parcel.origin is Origin.CUSTOMER else None
    return (parcel.channel.id, quote.whatsapp_id) if quote is not None and quote.kind is None else None


def _told(parcel: Parcel, known: Mapping[Wamid, Quotable]) -> Parcel:
    wamid = _lost(parcel)
    if wamid is None or isinstance(parcel.content, Notice | Template):
        return parcel
    content = quoted(parcel.content, parcel.conversation.id, wamid, known)
    return parcel if content is parcel.content else replace(parcel, content=content)
