"""Messages: sending a text, and what became of a message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from msgspec import Meta, Struct

from zaptrix.bridge.tell.explain import Explanation, explain
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.ids import MessageId
from zaptrix.core.limits import WHATSAPP_TEXT_MAX
from zaptrix.core.message.message import Content, MediaContent, Notice, Side, Words, shown
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Locale
from zaptrix.core.wording.error_codes import CodeTable
from zaptrix.store.ledger import views
from zaptrix.store.ledger.views import AttemptView, MessageDetail, MessageView
from zaptrix.web.api.request.callers import SCOPE, app_of, caller_of
from zaptrix.web.api.request.languages import Lang, language_about
from zaptrix.web.api.request.paging import INT64_MAX
from zaptrix.web.api.request.reading import Check, check, message_text, one_line
from zaptrix.web.api.send.sending import (
    IdempotencyKey,
    QueuedView,
    Replying,
    queue,
)
from zaptrix.web.api.send.with_file import judging
from zaptrix.web.http.problems import no_such


class TextMessage(Replying, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text, either into a conversation (`conversation_id`) or to a customer on a channel (`channel_id` and `to`)."""

    text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=WHATSAPP_TEXT_MAX,
            description="As WhatsApp shows it, without marks. A sign that a phone would take for one counts for up to "
            "three characters.",
            examples=["Olá! Seu pedido saiu."],
        ),
    ]


class Moment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a message."""

    at: datetime
    what: Annotated[
        str,
        Meta(description="written, queued, a failed attempt's verdict, sent, delivered, read, played, dead."),
    ]
    attempt: int | None = None
    code: str | None = None
    detail: str | None = None


class MessageStory(Struct, frozen=True, kw_only=True):
    """A message with its words, every failed attempt, and what happened to it in the order in which it happened."""

    message: MessageView
    text: Annotated[str | None, Meta(description="The words in it, whatever its kind; null when it has none.")]
    author: str | None
    notice: Annotated[str | None, Meta(description="The code of a line from the gateway to the operator.")]
    explanation: Annotated[Explanation | None, Meta(description="Of the error that the message stands in.")]
    content: Annotated[
        dict[str, Any], Meta(description="All of it, as the ledger keeps it; `type` names which fields there are.")
    ]
    attempts: list[AttemptView]
    timeline: list[Moment]


@post("/text", summary="Send a text", operation_id="sendText", status_code=202)
async def send_text(
    request: Request[Any, Any, Any], data: TextMessage, idempotency_key: IdempotencyKey = None
) -> Response[QueuedView]:
    """Queues a text to a customer. Outside the 24 hours after a customer's last message WhatsApp takes templates only,
    and the message becomes a dead letter."""
    check(data, _RULES)
    words = plain_text(data.text)
    with judging() as noted:
        if app_of(request).sender.length_of(words) > WHATSAPP_TEXT_MAX:
            noted.note("/text", "too_long", limit=WHATSAPP_TEXT_MAX)
    return await queue(request, data, Words(words), idempotency_key)


@get("/{message_id:int}", summary="One message", operation_id="getMessage")
async def get_message(request: Request[Any, Any, Any], message_id: int, lang: Lang = None) -> MessageStory:
    """The timeline tells when it was written, taken in, tried in vain, sent, delivered and read; the explanation, what
    the operator was told of a failure and what an admin can do about it."""
    if not 0 < message_id <= INT64_MAX:
        raise no_such("message")
    async with app_of(request).database.connection() as connection:
        found = await views.get(connection, MessageId(message_id), caller_of(request).portal_id)
    if found is None:
        raise no_such("message")
    return _story(found, await language_about(request, lang, found.message.portal_id), app_of(request).codes)


messages_router = Router(
    "/api/messages", route_handlers=[send_text, get_message], tags=["Messages"], opt={SCOPE: KeyScope.SEND}
)

_RULES: tuple[tuple[str, Check], ...] = (("text", message_text), ("to", one_line))


def _story(found: MessageDetail, locale: Locale, codes: Mapping[Side, CodeTable]) -> MessageStory:
    content = msgspec.convert(found.content, Content)
    return MessageStory(
        message=found.message,
        text=shown(content),
        author=content.author if isinstance(content, Words | MediaContent) else None,
        notice=content.code if isinstance(content, Notice) else None,
        explanation=explain(found.message, found.told, locale, codes),
        content=found.content,
        attempts=found.attempts,
        timeline=_timeline(found.message, found.attempts),
    )


def _timeline(message: MessageView, attempts: list[AttemptView]) -> list[Moment]:
    told = (
        ("queued", message.created_at),
        ("sent", message.sent_at),
        ("delivered", message.delivered_at),
        ("read", message.read_at),
        ("played", message.played_at),
    )
    moments = [Moment(at=at, what=what) for what, at in told if at is not None]
    moments += [
        Moment(at=each.ended_at, what=each.verdict, attempt=each.number, code=each.code, detail=each.detail or None)
        for each in attempts
    ]
    if message.dead_at is not None:
        moments.append(Moment(at=message.dead_at, what="dead", code=message.error_code, detail=message.error_detail))
    # Written comes first, whatever the platform's clock said; what the ledger wrote at one moment stays in this order.
    moments.sort(key=lambda moment: moment.at)
    return [Moment(at=message.written_at, what="written"), *moments]
