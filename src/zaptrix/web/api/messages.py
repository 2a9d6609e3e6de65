"""Messages: sending a text, and what became of a message."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType

from zaptrix.bridge.send import BadTarget, KeyReused, NoSuchTarget, Queued, TextOrder
from zaptrix.core.ids import ChannelId, ConversationId, MessageId
from zaptrix.core.limits import IDEMPOTENCY_KEY_MAX, WHATSAPP_TEXT_MAX
from zaptrix.core.message import Content, Notice, Words, shown
from zaptrix.store import views
from zaptrix.store.views import AttemptView, MessageDetail, MessageView
from zaptrix.web.callers import app_of, caller_of, request_id_of
from zaptrix.web.paging import INT64_MAX
from zaptrix.web.problems import KEY_REUSED, FieldError, Problem, invalid, no_such
from zaptrix.web.reading import Check, check, message_text, one_line

IdempotencyKey = Annotated[
    str | None,
    Parameter(
        header="Idempotency-Key",
        required=False,
        min_length=1,
        max_length=IDEMPOTENCY_KEY_MAX,
        description="Any text of yours. The same key with the same body, within 24 hours, gives the same message.",
    ),
]


class TextMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text, either into a conversation (`conversation_id`) or to a customer on a channel (`channel_id` and `to`)."""

    text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=WHATSAPP_TEXT_MAX,
            description="As WhatsApp shows it, without marks.",
            examples=["Olá! Seu pedido saiu."],
        ),
    ]
    channel_id: Annotated[UUID, Meta(description="The channel to send on.")] | UnsetType = UNSET
    to: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=140,
                description="A phone number as people type it (best with + and country code), a WhatsApp id, or a "
                "customer's business-scoped user id.",
                examples=["+55 41 98888-7777"],
            ),
        ]
        | UnsetType
    ) = UNSET
    conversation_id: Annotated[UUID, Meta(description="A conversation that is there.")] | UnsetType = UNSET


class QueuedView(Struct, frozen=True, kw_only=True):
    """The message is in the ledger and will be delivered; `GET /api/messages/{id}` tells what became of it."""

    id: int
    portal_id: UUID
    channel_id: UUID
    conversation_id: UUID
    status: Annotated[str, Meta(description="Always `queued`.")] = "queued"


class Moment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a message."""

    at: datetime
    what: Annotated[
        str, Meta(description="written, queued, one of the verdicts on a failed attempt, sent, delivered, read, dead.")
    ]
    attempt: int | None = None
    code: str | None = None
    detail: str | None = None


class MessageStory(Struct, frozen=True, kw_only=True):
    """A message with its words, every failed attempt, and what happened to it in the order in which it happened."""

    message: MessageView
    text: str | None
    author: str | None
    notice: Annotated[str | None, Meta(description="The code of a line from the gateway to the operator.")]
    attempts: list[AttemptView]
    timeline: list[Moment]


@post("/text", summary="Send a text", operation_id="sendText", status_code=202)
async def send_text(
    request: Request[Any, Any, Any], data: TextMessage, idempotency_key: IdempotencyKey = None
) -> Response[QueuedView]:
    """Queues a text to a customer. Outside the 24 hours after a customer's last message WhatsApp takes templates only,
    and the message becomes a dead letter."""
    check(data, _RULES)
    if idempotency_key is not None and one_line(idempotency_key):
        raise invalid(FieldError("Idempotency-Key", "has spaces at its ends or a character that cannot be shown"))
    queued = await _queue(request, _order(data), idempotency_key)
    view = QueuedView(
        id=queued.message_id,
        portal_id=queued.portal_id,
        channel_id=queued.channel_id,
        conversation_id=queued.conversation_id,
    )
    headers = {"Location": f"/api/messages/{queued.message_id}"}
    if queued.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(view, headers=headers)


@get("/{message_id:int}", summary="One message", operation_id="getMessage")
async def get_message(request: Request[Any, Any, Any], message_id: int) -> MessageStory:
    """The timeline tells when it was written, taken in, tried in vain, sent, delivered and read."""
    if not 0 < message_id <= INT64_MAX:
        raise no_such("message")
    async with app_of(request).database.connection() as connection:
        found = await views.get(connection, MessageId(message_id), caller_of(request).portal_id)
    if found is None:
        raise no_such("message")
    return _story(found)


messages_router = Router("/api/messages", route_handlers=[send_text, get_message], tags=["Messages"])

_RULES: tuple[tuple[str, Check], ...] = (("text", message_text), ("to", one_line))


def _order(body: TextMessage) -> TextOrder:
    in_conversation = body.conversation_id is not UNSET
    to_somebody = body.channel_id is not UNSET and body.to is not UNSET
    if in_conversation == to_somebody or (in_conversation and body.to is not UNSET):
        raise invalid(FieldError("", "give either conversation_id, or channel_id and to"))
    return TextOrder(
        text=body.text,
        channel_id=None if body.channel_id is UNSET else ChannelId(body.channel_id),
        to=None if body.to is UNSET else body.to,
        conversation_id=None if body.conversation_id is UNSET else ConversationId(body.conversation_id),
    )


async def _queue(request: Request[Any, Any, Any], order: TextOrder, key: str | None) -> Queued:
    try:
        return await app_of(request).texts.send(caller_of(request), order, key=key, request_id=request_id_of(request))
    except NoSuchTarget as exc:
        raise no_such(exc.field.removesuffix("_id")) from None
    except BadTarget as exc:
        raise invalid(FieldError(exc.field, str(exc))) from None
    except KeyReused:
        raise Problem(KEY_REUSED, "This Idempotency-Key came with another body before") from None


def _story(found: MessageDetail) -> MessageStory:
    content = msgspec.convert(found.content, Content)
    return MessageStory(
        message=found.message,
        text=shown(content),
        author=content.author if isinstance(content, Words) else None,
        notice=content.code if isinstance(content, Notice) else None,
        attempts=found.attempts,
        timeline=_timeline(found.message, found.attempts),
    )


def _timeline(message: MessageView, attempts: list[AttemptView]) -> list[Moment]:
    told = (
        ("queued", message.created_at),
        ("sent", message.sent_at),
        ("delivered", message.delivered_at),
        ("read", message.read_at),
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
