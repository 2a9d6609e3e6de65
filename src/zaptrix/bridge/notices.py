"""Notices: lines from the gateway to the operator, in the conversation that they are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from zaptrix.core import limits
from zaptrix.core.ids import ChannelId, ConversationId
from zaptrix.core.message import Direction, Notice, Origin
from zaptrix.core.portal import Channel
from zaptrix.core.template import sketch
from zaptrix.store import conversations, templates
from zaptrix.store.database import Connection
from zaptrix.store.messages import NewMessage

WINDOW_CLOSED = "window_closed"

TemplatesReady = Callable[[Iterable[Channel]], Awaitable[None]]
"""Sees to it, before a transaction opens, that the templates of channels are known, if they can be."""


async def notices_for(
    connection: Connection, said: Sequence[tuple[ConversationId, Notice, datetime]]
) -> list[NewMessage]:
    """`said` as ledger rows. A conversation that has no chat in Bitrix24 yet has nobody to tell."""
    talks = await conversations.by_ids(connection, [row[0] for row in said])
    closed = {talks[row[0]].channel_id for row in said if row[1].code == WINDOW_CLOSED and row[0] in talks}
    named = {channel_id: await _templates(connection, channel_id) for channel_id in closed}
    return [
        NewMessage(
            conversation=talks[conversation_id],
            direction=Direction.INBOUND,
            origin=Origin.GATEWAY,
            content=_with_templates(notice, named.get(talks[conversation_id].channel_id, "")),
            request_id="notice",
            written_at=at,
            bitrix_chat_id=talks[conversation_id].bitrix_chat_id,
        )
        for conversation_id, notice, at in said
        if conversation_id in talks and talks[conversation_id].bitrix_chat_id
    ]


async def _templates(connection: Connection, channel_id: ChannelId) -> str:
    """A few templates that would reach the customer, as lines; empty when none is known."""
    found = await templates.usable(connection, channel_id, limits.TEMPLATES_NAMED)
    lines = [f"• {each.name} ({each.language}): {_cut(' '.join(sketch(each).split()))}" for each in found]
    return "\n".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= limits.TEMPLATE_SKETCH_MAX else f"{text[: limits.TEMPLATE_SKETCH_MAX - 1]}…"


def _with_templates(notice: Notice, named: str) -> Notice:
    if notice.code != WINDOW_CLOSED or not named:
        return notice
    return Notice("window_closed_templates", {**notice.params, "templates": named})
