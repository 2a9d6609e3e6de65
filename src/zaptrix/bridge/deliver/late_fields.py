"""Late fields: what a message lacks until just before it is delivered, for only then it is known.

The notice of a closed window names the templates that would work (`Naming`). A customer may answer a message of ours
before the ledger has learned its WhatsApp id; by the time that the answer is delivered, it mostly has (`Quoting`).
Who waits for what is lacking waits in the ledger, for a while, and holds nobody but its own conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from zaptrix.bridge.send.templates import Templates
from zaptrix.bridge.tell.quotes import quoted
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Parcel
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.message import Notice, Origin, quote_of
from zaptrix.core.message.template import Template, sketch
from zaptrix.core.message.text import in_a_line
from zaptrix.store.accounts import templates
from zaptrix.store.connection.database import Connection, Database
from zaptrix.store.ledger import messages
from zaptrix.store.ledger.messages import Quotable, Wamid

_WINDOW_CLOSED = "window_closed"
_WITH_TEMPLATES = "window_closed_templates"


class Finished(NamedTuple):
    """Parcels that may go, and those that wait for what they lack."""

    ready: list[Parcel]
    waiting: list[Parcel]


class LateField(Protocol):
    """One thing that may be lacking."""

    wanted: str  # what is waited for, as the ledger names it

    async def finish(self, parcels: Sequence[Parcel]) -> Finished:
        """Raises StoreUnavailable."""
        ...

    def until(self) -> datetime:
        """When to look again."""
        ...


async def _keep(connection: Connection, before: Iterable[Parcel], after: Iterable[Parcel]) -> None:
    """Whoever looks for the line in the chat, or asks what the operator was told, has to know its words."""
    await messages.fill(
        connection,
        [
            (new.message_id, new.attempt_id, new.content)
            for old, new in zip(before, after, strict=True)
            if old is not new
        ],
    )


# --- templates that would work ---------------------------------------------------------------------------------------


class Naming:
    """Meta's list may be slow: the notice waits for it."""

    wanted = "templates_wanted"

    def __init__(
        self,
        database: Database,
        templates_: Templates,
        now: Callable[[], datetime],
        wait_s: float = limits.TEMPLATES_WAIT_S_MAX,
    ) -> None:
        self._database = database
        self._templates = templates_
        self._now = now
        self._longest = timedelta(seconds=wait_s)

    async def finish(self, parcels: Sequence[Parcel]) -> Finished:
        """Raises StoreUnavailable."""
        wanted = {parcel.channel.id: parcel.channel for parcel in parcels if _wants_names(parcel)}
        if not wanted:
            return Finished(list(parcels), [])
        fetching = await self._templates.fetching(wanted.values())
        waiting = [parcel for parcel in parcels if parcel.channel.id in fetching and self._may_wait(parcel)]
        ready = [parcel for parcel in parcels if parcel not in waiting]
        return Finished(await self._filled(ready), waiting)

    def until(self) -> datetime:
        """When to look again."""
        return self._now() + timedelta(seconds=limits.TEMPLATES_LOOK_S)

    def _may_wait(self, parcel: Parcel) -> bool:
        return _wants_names(parcel) and self._now() - parcel.created_at < self._longest

    async def _filled(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        channels = {parcel.channel.id for parcel in parcels if _wants_names(parcel)}
        if not channels:
            return list(parcels)
        async with self._database.transaction() as connection:
            named = {channel_id: await _named(connection, channel_id) for channel_id in channels}
            filled = [_filled(parcel, named) for parcel in parcels]
            await _keep(connection, parcels, filled)
        return filled


def _wants_names(parcel: Parcel) -> bool:
    return isinstance(parcel.content, Notice) and parcel.content.code == _WINDOW_CLOSED


def _filled(parcel: Parcel, named: Mapping[ChannelId, str]) -> Parcel:
    if not (isinstance(parcel.content, Notice) and _wants_names(parcel) and named[parcel.channel.id]):
        return parcel
    params = {**parcel.content.params, "templates": named[parcel.channel.id]}
    return replace(parcel, content=Notice(_WITH_TEMPLATES, params))


async def _named(connection: Connection, channel_id: ChannelId) -> str:
    """A few templates that would reach the customer, as lines; empty when none is known."""
    found = await templates.usable(connection, channel_id, limits.TEMPLATES_NAMED)
    most = limits.TEMPLATE_SKETCH_MAX
    return "\n".join(f"• {each.name} ({each.language}): {in_a_line(sketch(each), most)}" for each in found)


# --- what is quoted --------------------------------------------------------------------------------------------------


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
            await _keep(connection, parcels, told)
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
