"""Dead letters: messages that could not be delivered, revived or dismissed, one or many."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Router, get, post
from msgspec import UNSET, Meta, Struct, UnsetType

from zaptrix.bridge.tell.explain import Explanation, explain
from zaptrix.bridge.upkeep.dead_letters import Fate
from zaptrix.core.ids import PortalId
from zaptrix.core.limits import BULK_MAX, PAGE_DEFAULT
from zaptrix.core.message.message import Notice
from zaptrix.core.wording.catalog import Sentence
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import views
from zaptrix.store.ledger.views import MessageView
from zaptrix.web.api.request.callers import actor_of, app_of, caller_of, only_of
from zaptrix.web.api.request.languages import Lang, language_about
from zaptrix.web.api.request.paging import INT64_MAX, Cursor, Limit, OfPortal, Page, page_of, place_of
from zaptrix.web.http.problems import WrongField, invalid, no_such


class Selection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `ids`, or `all` (of one portal, if `portal_id` is given)."""

    ids: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=INT64_MAX)]],
            Meta(min_length=1, max_length=BULK_MAX, description=f"Up to {BULK_MAX} ids of messages."),
        ]
        | UnsetType
    ) = UNSET
    all: Literal[True] | UnsetType = UNSET
    portal_id: UUID | UnsetType = UNSET


class DeadLetter(MessageView, frozen=True, kw_only=True):
    """A message that was given up, and why."""

    explanation: Explanation | None


class Moved(Struct, frozen=True, kw_only=True):
    """How many dead letters were moved. With `ids`: which, and which of them are no dead letters."""

    count: int
    ids: list[int] | None = None
    not_dead: list[int] | None = None


class MovedOne(Struct, frozen=True, kw_only=True):
    """A dead letter that is none any more."""

    id: int
    state: Annotated[str, Meta(description="`pending` after a revival, `dismissed` after a dismissal.")]


_IDS_OR_ALL = Sentence("api.dead_letters.ids_or_all")
_STATES = {Fate.REVIVE: "pending", Fate.DISMISS: "dismissed"}


@get("/", summary="List dead letters", operation_id="listDeadLetters")
async def list_dead_letters(
    request: Request[Any, Any, Any],
    portal_id: OfPortal = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
    lang: Lang = None,
) -> Page[DeadLetter]:
    """The newest first. `error_code` and `error_detail` tell why it died; `explanation` says so to people."""
    only, before = only_of(caller_of(request), portal_id), place_of(cursor, int)

    async def look(connection: Connection) -> tuple[list[MessageView], dict[int, Notice]]:
        found = await views.dead_letters(connection, only, before, limit + 1)
        return found, await views.notices(connection, found)

    found, told = await app_of(request).reads.ask(look)
    spoken = {each: await language_about(request, lang, each) for each in {one.portal_id for one in found}}
    letters = [
        DeadLetter(
            **msgspec.structs.asdict(each),
            explanation=explain(each, told.get(each.id), spoken[each.portal_id], app_of(request).codes),
        )
        for each in found[:limit]
    ]
    return page_of(letters, found[limit - 1].id if len(found) > limit else None)


@post("/{message_id:int}/revive", summary="Revive a dead letter", operation_id="reviveDeadLetter", status_code=200)
async def revive_one(request: Request[Any, Any, Any], message_id: int) -> MovedOne:
    """It is delivered again, with all its attempts before it."""
    return await _move_one(request, Fate.REVIVE, message_id)


@post("/{message_id:int}/dismiss", summary="Dismiss a dead letter", operation_id="dismissDeadLetter", status_code=200)
async def dismiss_one(request: Request[Any, Any, Any], message_id: int) -> MovedOne:
    """It stays in its conversation and is never delivered."""
    return await _move_one(request, Fate.DISMISS, message_id)


@post("/revive", summary="Revive many dead letters", operation_id="reviveDeadLetters", status_code=200)
async def revive_many(request: Request[Any, Any, Any], data: Selection) -> Moved:
    """Those named, or all of them."""
    return await _move_many(request, Fate.REVIVE, data)


@post("/dismiss", summary="Dismiss many dead letters", operation_id="dismissDeadLetters", status_code=200)
async def dismiss_many(request: Request[Any, Any, Any], data: Selection) -> Moved:
    """Those named, or all of them."""
    return await _move_many(request, Fate.DISMISS, data)


dead_letters_router = Router(
    "/api/dead-letters",
    route_handlers=[list_dead_letters, revive_one, dismiss_one, revive_many, dismiss_many],
    tags=["Dead letters"],
)


async def _move_one(request: Request[Any, Any, Any], fate: Fate, message_id: int) -> MovedOne:
    if not 0 < message_id <= INT64_MAX:
        raise no_such("dead letter")
    letters = app_of(request).letters
    if not await letters.move(fate, actor_of(request), [message_id], caller_of(request).portal_id):
        raise no_such("dead letter")
    return MovedOne(id=message_id, state=_STATES[fate])


async def _move_many(request: Request[Any, Any, Any], fate: Fate, chosen: Selection) -> Moved:
    caller, letters = caller_of(request), app_of(request).letters
    if (chosen.ids is UNSET) == (chosen.all is UNSET):
        raise invalid(WrongField("/ids", _IDS_OR_ALL, "one_of"))
    if caller.portal_id is not None and chosen.portal_id not in {UNSET, caller.portal_id}:
        raise no_such("portal")
    only = caller.portal_id or (None if chosen.portal_id is UNSET else PortalId(chosen.portal_id))
    if chosen.ids is UNSET:
        return Moved(count=await letters.move_all(fate, actor_of(request), only))
    moved = await letters.move(fate, actor_of(request), chosen.ids, only)
    return Moved(count=len(moved), ids=sorted(moved), not_dead=sorted(set(chosen.ids) - set(moved)))
