"""Endpoints for events: webhook items without a tenant, which are kept to be replayed.

For admins: they belong to no portal.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Router, get, post
from litestar.params import Parameter
from msgspec import Struct

from zaptrix.core.event import EventState
from zaptrix.core.ids import EventId
from zaptrix.core.limits import PAGE_DEFAULT
from zaptrix.store.journal import events
from zaptrix.store.journal.events import EventView
from zaptrix.web.api.request.callers import actor_of, admin, app_of
from zaptrix.web.api.request.paging import INT64_MAX, Cursor, Limit, Page, page_of, place_of
from zaptrix.web.http.problems import no_such

# The journal has an index of these alone.
Listed = Annotated[
    Literal["unroutable", "new"],
    Parameter(
        query="state",
        description="unroutable: not understood, or for a number that no channel has; new: not routed yet.",
    ),
]


class Replayed(Struct, frozen=True, kw_only=True):
    """The event is routed once more."""

    id: int
    state: str = "new"


@get("/", summary="List events", operation_id="listEvents")
async def list_events(
    request: Request[Any, Any, Any], which: Listed = "unroutable", limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Page[EventView]:
    """The newest first, with the reason and without the content."""
    before = place_of(cursor, int)
    found = await app_of(request).reads.ask(
        lambda connection: events.listed(connection, EventState(which), before, limit + 1)
    )
    return page_of(found[:limit], found[limit - 1].id if len(found) > limit else None)


@post("/{event_id:int}/replay", summary="Replay an event", operation_id="replayEvent", status_code=200)
async def replay_event(request: Request[Any, Any, Any], event_id: int) -> Replayed:
    """Routes an unroutable or ignored event once more, as after its number was connected."""
    if not 0 < event_id <= INT64_MAX:
        raise no_such("event")
    if not await app_of(request).letters.replay_event(actor_of(request), EventId(event_id)):
        raise no_such("event")
    return Replayed(id=event_id)


events_router = Router("/api/events", route_handlers=[list_events, replay_event], tags=["Events"], guards=[admin])
