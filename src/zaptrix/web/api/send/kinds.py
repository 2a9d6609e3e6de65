"""Sending what is neither text nor file: places, cards of people, reactions."""

from __future__ import annotations

import re
from typing import Annotated, Any

from litestar import Request, Response, Router, post
from msgspec import UNSET, Meta, Struct, UnsetType

from zaptrix.bridge.send.sender import Answered, Target
from zaptrix.core import limits
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.ids import MessageId
from zaptrix.core.message.kinds import Cards, Location, PersonCard, Reaction
from zaptrix.core.message.message import Content
from zaptrix.core.message.validation import Misfits
from zaptrix.web.api.request.callers import SCOPE, app_of, caller_of, request_id_of
from zaptrix.web.api.request.paging import INT64_MAX
from zaptrix.web.api.request.reading import check, one_line
from zaptrix.web.api.send.sending import (
    IdempotencyKey,
    QueuedView,
    Replying,
    once_of,
    queue,
    queued_answer,
    told_problems,
)
from zaptrix.web.api.send.with_file import judging

AnyRequest = Request[Any, Any, Any]
Sent = Response[QueuedView]

Name = Annotated[str, Meta(min_length=1, max_length=limits.PLACE_TEXT_MAX)]


class LocationMessage(Replying, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A location, by its coordinates."""

    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees.", examples=[-25.4296])]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees.", examples=[-49.2719])]
    name: Annotated[Name, Meta(examples=["Loja Azul"])] | UnsetType = UNSET
    address: (
        Annotated[Name, Meta(description="Shown below the name.", examples=["R. XV de Novembro, 100"])] | UnsetType
    ) = UNSET


class ContactCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person, or a company."""

    name: Annotated[Name, Meta(examples=["Suporte"])]
    organisation: Name | UnsetType = UNSET
    phones: Annotated[
        tuple[Name, ...],
        Meta(
            max_length=10,
            description="With + and the country code, so that they can be written to at once.",
            examples=[["+551140041234"]],
        ),
    ] = ()
    emails: Annotated[tuple[Name, ...], Meta(max_length=10)] = ()
    addresses: Annotated[tuple[Name, ...], Meta(max_length=10)] = ()
    urls: Annotated[tuple[Name, ...], Meta(max_length=10)] = ()
    birthday: Annotated[str, Meta(max_length=10, description="YYYY-MM-DD", examples=["1990-05-17"])] | UnsetType = UNSET


class ContactsMessage(Replying, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cards of people or companies."""

    contacts: Annotated[tuple[ContactCard, ...], Meta(min_length=1, max_length=limits.CARDS_SENT_MAX)]


class ReactionMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An emoji on a message; an empty one takes ours away again. The message tells the conversation."""

    message_id: Annotated[int, Meta(ge=1, le=INT64_MAX, description="The id of a message, ours or the customer's.")]
    emoji: Annotated[str, Meta(max_length=limits.EMOJI_CHARACTERS_MAX, examples=["👍"])]


@post("/location", summary="Send a location", operation_id="sendLocation", status_code=202)
async def send_location(request: AnyRequest, data: LocationMessage, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a place, which the phone shows on a map."""
    with judging() as noted:
        for field in ("name", "address"):
            if (text := getattr(data, field)) is not UNSET:
                noted.text(f"/{field}", text, limits.PLACE_TEXT_MAX, lines=field == "address")
    place = Location(
        latitude=data.latitude, longitude=data.longitude, name=data.name or None, address=data.address or None
    )
    return await _send(request, data, place, idempotency_key)


@post("/contacts", summary="Send contacts", operation_id="sendContacts", status_code=202)
async def send_contacts(request: AnyRequest, data: ContactsMessage, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues cards, which the customer can keep or write to."""
    with judging() as noted:
        for number, card in enumerate(data.contacts):
            _judge_card(f"/contacts/{number}", card, noted)
    return await _send(request, data, Cards(cards=tuple(map(_card, data.contacts))), idempotency_key)


@post("/reaction", summary="React to a message", operation_id="sendReaction", status_code=202)
async def send_reaction(request: AnyRequest, data: ReactionMessage, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a reaction. WhatsApp tells that it was sent, and no more."""
    with judging() as noted:
        if data.emoji and not is_emoji(data.emoji):
            noted.note("/emoji", "emoji")
    once = once_of(data, idempotency_key)
    answered = Answered(message_id=MessageId(data.message_id), field="message_id", days_max=limits.REACTION_DAYS)
    sender, caller = app_of(request).sender, caller_of(request)
    with told_problems():
        target = Target(conversation_id=await sender.talk_of(caller, answered))
        queued = await sender.send(
            caller,
            target,
            Reaction(emoji=data.emoji or None),
            once=once,
            request_id=request_id_of(request),
            answered=answered,
        )
    return queued_answer(queued)


kinds_router = Router(
    "/api/messages",
    route_handlers=[send_location, send_contacts, send_reaction],
    tags=["Messages"],
    opt={SCOPE: KeyScope.SEND},
)


async def _send(request: AnyRequest, data: Replying, content: Content, key: str | None) -> Sent:
    check(data, (("to", one_line),))
    return await queue(request, data, content, key)


# --- cards -----------------------------------------------------------------------------------------------------------

_LISTS = ("phones", "emails", "addresses", "urls")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def _judge_card(place: str, card: ContactCard, noted: Misfits) -> None:
    noted.text(f"{place}/name", card.name, limits.PLACE_TEXT_MAX)
    if card.organisation is not UNSET:
        noted.text(f"{place}/organisation", card.organisation, limits.PLACE_TEXT_MAX)
    for name in _LISTS:
        for number, text in enumerate(getattr(card, name)):
            noted.text(f"{place}/{name}/{number}", text, limits.PLACE_TEXT_MAX, lines=name == "addresses")
    if card.birthday is not UNSET and not _DATE.fullmatch(card.birthday):
        noted.note(f"{place}/birthday", "date")


def _card(card: ContactCard) -> PersonCard:
    return PersonCard(
        name=card.name,
        organisation=card.organisation or None,
        phones=card.phones,
        emails=card.emails,
        addresses=card.addresses,
        urls=card.urls,
        birthday=card.birthday or None,
    )


# --- emoji -----------------------------------------------------------------------------------------------------------

_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")
_PICTURES = re.compile(
    # Symbols, then what lies beyond the first plane, with what joins, varies and tints them.
    "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff\u200d\ufe0f\U000e0020-\U000e007f]+"
)


def is_emoji(text: str) -> bool:
    """Whether it can be one emoji: nothing but pictures, and short. Whether WhatsApp has that one, WhatsApp knows."""
    return bool(_KEYCAP.fullmatch(text) or _PICTURES.fullmatch(text))
