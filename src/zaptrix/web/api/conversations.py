"""Conversations: who talks on which channel, and their messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Router, get

from zaptrix.core.ids import ConversationId
from zaptrix.core.limits import PAGE_DEFAULT
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import views
from zaptrix.store.ledger.views import MessageView
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import ConversationView
from zaptrix.web.api.request.callers import app_of, caller_of, only_of
from zaptrix.web.api.request.paging import Cursor, Limit, OfChannel, OfPortal, Page, page_of, place_of
from zaptrix.web.http.problems import no_such


@get("/", summary="List conversations", operation_id="listConversations")
async def list_conversations(
    request: Request[Any, Any, Any],
    portal_id: OfPortal = None,
    channel_id: OfChannel = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[ConversationView]:
    """The latest first, by when something was last said."""
    only, before = only_of(caller_of(request), portal_id), place_of(cursor, tuple[datetime, UUID])
    found = await app_of(request).reads.ask(
        lambda connection: conversations.listed(
            connection, portal_id=only, channel_id=channel_id, before=before, limit=limit + 1
        )
    )
    last = found[limit - 1] if len(found) > limit else None
    return page_of(found[:limit], (last.last_message_at, last.id) if last else None)


@get("/{conversation_id:uuid}/messages", summary="A conversation's messages", operation_id="listMessages")
async def list_messages(
    request: Request[Any, Any, Any], conversation_id: UUID, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Page[MessageView]:
    """The newest first. A conversation that was merged into another shows that one's."""
    before, only = place_of(cursor, int), caller_of(request).portal_id

    async def look(connection: Connection) -> list[MessageView]:
        asked = ConversationId(conversation_id)
        talk = (await conversations.by_ids(connection, [asked])).get(asked)
        if talk is None or only not in {None, talk.portal_id}:
            raise no_such("conversation")
        return await views.of_conversation(connection, talk.id, only, before, limit + 1)

    found = await app_of(request).reads.ask(look)
    return page_of(found[:limit], found[limit - 1].id if len(found) > limit else None)


conversations_router = Router(
    "/api/conversations", route_handlers=[list_conversations, list_messages], tags=["Conversations"]
)
