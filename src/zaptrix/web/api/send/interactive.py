"""Sending interactive messages: reply buttons, lists, links, requests for a place, and forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Request, Response, Router, post
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from zaptrix.bridge.files.uploads import StoredUpload
from zaptrix.core import limits
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.message.interactive import (
    Ask,
    Choice,
    Choices,
    FlowAction,
    Form,
    Link,
    Menu,
    PlaceWanted,
    Section,
    body_max,
    judge_ask,
)
from zaptrix.core.message.message import Interactive, MediaContent, MediaKind
from zaptrix.core.message.text import Text, plain_text
from zaptrix.core.message.validation import Misfits
from zaptrix.web.api.request.callers import SCOPE, app_of
from zaptrix.web.api.request.reading import check, one_line
from zaptrix.web.api.send.sending import (
    IdempotencyKey,
    QueuedView,
    Replying,
)
from zaptrix.web.api.send.with_file import BODY, FileAsked, FileId, FileLink, brought, judging, queue_carrying

AnyRequest = Request[Any, Any, Any]
Sent = Response[QueuedView]


class HeaderFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file above the words: at an address, at Meta already, or, empty, in the form's part `file`."""

    link: FileLink | UnsetType = UNSET
    media_id: FileId | UnsetType = UNSET
    file_name: Annotated[str, Meta(min_length=1, max_length=limits.FILE_NAME_BYTES_MAX)] | UnsetType = UNSET


class HeaderOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands above the words: one of these. A list takes text only."""

    text: Annotated[str, Meta(min_length=1, description="60 characters.", examples=["Visita"])] | UnsetType = UNSET
    image: HeaderFile | UnsetType = UNSET
    video: HeaderFile | UnsetType = UNSET
    document: HeaderFile | UnsetType = UNSET


class ListOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 10 rows, in sections that have titles when there are several."""

    label: Annotated[str, Meta(description="On the button that opens it; 20 characters.", examples=["Ver horários"])]
    sections: tuple[Section, ...]


class LinkOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button that opens an address."""

    label: Annotated[str, Meta(description="20 characters.", examples=["Acompanhar"])]
    url: Annotated[str, Meta(max_length=2000, examples=["https://example.com/pedido/1"])]


class FlowOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Flow, by its id or its name."""

    label: Annotated[str, Meta(description="20 characters.", examples=["Abrir"])]
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    token: Annotated[str, Meta(description="Comes back with what was filled in.")] | UnsetType = UNSET
    action: FlowAction = FlowAction.NAVIGATE
    screen: Annotated[str, Meta(description="Where it begins.")] | UnsetType = UNSET
    data: Annotated[dict[str, Any], Meta(description="For the first screen.")] | UnsetType = UNSET
    draft: Annotated[bool, Meta(description="One that is not published yet.")] = False


class InteractiveMessage(Replying, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words with one of `buttons`, `list`, `link`, `location_request` and `flow` below them."""

    body: Annotated[
        str,
        Meta(min_length=1, description="1,024 characters; of a list 4,096. Without marks.", examples=["Confirma?"]),
    ]
    header: HeaderOf | UnsetType = UNSET
    footer: Annotated[str, Meta(min_length=1, description="60 characters.")] | UnsetType = UNSET
    buttons: (
        Annotated[
            tuple[Choice, ...],
            Meta(
                description="Up to 3, each with a title of 20 characters and an id that comes back.",
                examples=[[{"id": "yes", "title": "Sim"}, {"id": "no", "title": "Não"}]],
            ),
        ]
        | UnsetType
    ) = UNSET
    list: ListOf | UnsetType = UNSET
    link: LinkOf | UnsetType = UNSET
    location_request: Annotated[bool, Meta(description="A button by which the customer sends a place.")] = False
    flow: FlowOf | UnsetType = UNSET


@post(
    "/interactive",
    summary="Send buttons, a list, a link, a location request or a Flow",
    operation_id="sendInteractive",
    status_code=202,
    opt={BODY: InteractiveMessage},
)
async def send_interactive(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues an interactive message. What WhatsApp would not take is refused with every field at fault:
    `errors[].field` is a JSON pointer into the body. What the customer presses comes back as a `reply` that quotes it.
    A file for the header can come in a form, with the rest as JSON in its field `message`."""
    async with brought(request, InteractiveMessage, MediaKind.DOCUMENT) as (body, kept):
        check(body, (("to", one_line),))
        with judging() as noted:
            content = _judged(body, kept, noted, app_of(request).sender.length_of)
        asked = _header_file(body)

        def headed(media: MediaContent | None) -> Interactive:
            return replace(content, file=media)

        return await queue_carrying(request, body, idempotency_key, asked, kept=kept, content_of=headed)


interactive_router = Router(
    "/api/messages",
    route_handlers=[send_interactive],
    request_max_body_size=None,
    tags=["Messages"],
    opt={SCOPE: KeyScope.SEND},
)


def _judged(
    body: InteractiveMessage, kept: StoredUpload | None, noted: Misfits, length_of: Callable[[Text], int]
) -> Interactive:
    """The message, its file apart; what is wrong with it is noted."""
    asks = _asks(body)
    asked = [name for name in _ASKS if getattr(body, name)]
    if len(asks) != 1:
        for name in asked[1:] or _ASKS[:1]:
            noted.note(f"/{name}", "one_of", names=", ".join(_ASKS))
        noted.judge()
    (ask,) = asks
    judge_ask(ask, noted)
    words = plain_text(body.body)
    noted.text("/body", body.body, body_max(ask), lines=True)
    if len(body.body) <= body_max(ask) < length_of(words):
        noted.note("/body", "too_long", limit=body_max(ask))
    if body.footer is not UNSET:
        noted.text("/footer", body.footer, limits.INTERACTIVE_FOOTER_MAX)
    header = _judged_header(body, ask, kept, noted)
    return Interactive(body=words, ask=ask, header=header, footer=body.footer or None)


_ASKS = ("buttons", "list", "link", "location_request", "flow")


def _asks(body: InteractiveMessage) -> list[Ask]:
    asks: list[Ask] = []
    if body.buttons is not UNSET:
        asks.append(Choices(body.buttons))
    if body.list is not UNSET:
        asks.append(Menu(label=body.list.label, sections=body.list.sections))
    if body.link is not UNSET:
        asks.append(Link(label=body.link.label, url=body.link.url))
    if body.location_request:
        asks.append(PlaceWanted())
    if body.flow is not UNSET:
        asks.append(_form(body.flow))
    return asks


def _form(flow: FlowOf) -> Form:
    return Form(
        label=flow.label,
        id=None if flow.id is UNSET else flow.id,
        name=None if flow.name is UNSET else flow.name,
        token=None if flow.token is UNSET else flow.token,
        action=flow.action,
        screen=None if flow.screen is UNSET else flow.screen,
        data=None if flow.data is UNSET else flow.data,
        draft=flow.draft,
    )


_FILES = {"image": MediaKind.IMAGE, "video": MediaKind.VIDEO, "document": MediaKind.DOCUMENT}


def _judged_header(body: InteractiveMessage, ask: Ask, kept: StoredUpload | None, noted: Misfits) -> str | None:
    """The text of the header, if it has one."""
    header = body.header
    if header is UNSET:
        if kept is not None:
            noted.note("/header", "missing")
        return None
    given = [name for name in ("text", *_FILES) if getattr(header, name) is not UNSET]
    if len(given) != 1:
        noted.note("/header", "one_of", names=", ".join(("text", *_FILES)))
    elif isinstance(ask, PlaceWanted):
        noted.note("/header", "no_header")
    elif isinstance(ask, Menu) and header.text is UNSET:
        noted.note(f"/header/{given[0]}", "text_header")
    elif header.text is not UNSET:
        noted.text("/header/text", header.text, limits.INTERACTIVE_HEADER_MAX)
        if kept is not None:
            noted.note("/header/text", "one_of", names="text, file")
        return header.text
    return None


def _header_file(body: InteractiveMessage) -> FileAsked | None:
    for name, kind in _FILES.items():
        named = UNSET if body.header is UNSET else getattr(body.header, name)
        if isinstance(named, HeaderFile):
            file_name = None if named.file_name is UNSET else named.file_name
            return FileAsked(kind, named.link, named.media_id, file_name, place=f"/header/{name}")
    return None
