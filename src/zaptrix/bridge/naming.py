"""Naming: in the notice of a closed window, just before it is delivered, the templates that would work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from zaptrix.bridge.finish import Finished, keep
from zaptrix.bridge.templates import Templates
from zaptrix.core import limits
from zaptrix.core.ids import ChannelId
from zaptrix.core.message import Notice
from zaptrix.core.parcel import Parcel
from zaptrix.core.template import sketch
from zaptrix.core.text import in_a_line
from zaptrix.store import templates
from zaptrix.store.database import Connection, Database

WINDOW_CLOSED = "window_closed"
_WITH_TEMPLATES = "window_closed_templates"


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
            await keep(connection, parcels, filled)
        return filled


def _wants_names(parcel: Parcel) -> bool:
    return isinstance(parcel.content, Notice) and parcel.content.code == WINDOW_CLOSED


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
