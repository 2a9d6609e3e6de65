"""What all sends have in common: whom they are for, once for all time, and what their caller is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType

from zaptrix.bridge.send.sender import Answered, BadTarget, KeyReused, NoSuchTarget, Once, Queued, Target
from zaptrix.core.ids import ChannelId, ConversationId, MessageId
from zaptrix.core.limits import IDEMPOTENCY_KEY_MAX
from zaptrix.core.message.message import Content
from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.api.request.callers import app_of, caller_of, request_id_of
from zaptrix.web.api.request.paging import INT64_MAX
from zaptrix.web.api.request.reading import one_line
from zaptrix.web.api.request.validation import pointer
from zaptrix.web.http.problems import KEY_REUSED, Problem, Thing, WrongField, invalid, no_such

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


class Targeted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a message is for: a conversation, or a customer on a channel."""

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


class Replying(Targeted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that may answer another one."""

    reply_to: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=INT64_MAX,
                description="The id of a message of this conversation, which is shown as a quote above.",
            ),
        ]
        | UnsetType
    ) = UNSET


class QueuedView(Struct, frozen=True, kw_only=True):
    """The message is in the ledger and will be delivered; `GET /api/messages/{id}` tells what became of it."""

    id: int
    portal_id: UUID
    channel_id: UUID
    conversation_id: UUID
    status: Annotated[str, Meta(description="Always `queued`.")] = "queued"


_TARGET = Sentence("api.send.target")
_KEY = Sentence("api.send.key")
_KEY_REUSED = Sentence("api.send.key_reused")
_THINGS: dict[str, Thing] = {"channel_id": "channel", "conversation_id": "conversation", "message_id": "message"}


def target_of(body: Targeted) -> Target:
    """Raises a Problem unless exactly one target is named."""
    if wrong := _wrong_target(body):
        raise invalid(WrongField(wrong, _TARGET, "target"))
    return Target(
        channel_id=None if body.channel_id is UNSET else ChannelId(body.channel_id),
        to=None if body.to is UNSET else body.to,
        conversation_id=None if body.conversation_id is UNSET else ConversationId(body.conversation_id),
    )


def _wrong_target(body: Targeted) -> str | None:
    """The field that is too many or missing: a conversation already tells the customer."""
    if body.conversation_id is not UNSET:
        return None if body.to is UNSET else "/to"
    if body.channel_id is UNSET:
        return "/conversation_id" if body.to is UNSET else "/channel_id"
    return "/to" if body.to is UNSET else None


def answered_of(body: Replying) -> Answered | None:
    """The message that is answered, if any."""
    return None if body.reply_to is UNSET else Answered(message_id=MessageId(body.reply_to))


def once_of(body: Struct, key: str | None, also: bytes = b"") -> Once | None:
    """`also`: what came beside the body. Raises a Problem for a key that cannot be kept."""
    if key is None:
        return None
    if one_line(key):
        raise invalid(WrongField("/Idempotency-Key", _KEY, "invalid"), source="header")
    return Once(key, msgspec.json.encode(body) + also)


def queued_answer(queued: Queued) -> Response[QueuedView]:
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


@contextmanager
def told_problems() -> Iterator[None]:
    """What a send can fail with, as problem documents."""
    try:
        yield
    except NoSuchTarget as exc:
        raise no_such(_THINGS[exc.field]) from None
    except BadTarget as exc:
        raise invalid(WrongField(pointer([exc.field]), exc.why, "target")) from None
    except KeyReused:
        raise Problem(KEY_REUSED, _KEY_REUSED) from None


async def queue(
    request: Request[Any, Any, Any], body: Replying, content: Content, key: str | None
) -> Response[QueuedView]:
    """Queue what brings no file. Raises a Problem."""
    target, once = target_of(body), once_of(body, key)
    with told_problems():
        queued = await app_of(request).sender.send(
            caller_of(request),
            target,
            content,
            once=once,
            request_id=request_id_of(request),
            answered=answered_of(body),
        )
    return queued_answer(queued)
