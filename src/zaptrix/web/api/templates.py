"""Templates: what Meta has approved, and sending one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict

from zaptrix.bridge.send.templates import NoAccount, NoSuchTemplate
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unauthorized
from zaptrix.core.ids import ChannelId
from zaptrix.core.limits import PAGE_DEFAULT
from zaptrix.core.message.message import Side
from zaptrix.core.message.template import (
    BodyFill,
    Button,
    ButtonFill,
    Card,
    CardFill,
    Definition,
    Filling,
    Header,
    HeaderFill,
    ParameterFormat,
    Template,
    variables,
)
from zaptrix.core.message.template_filling import fill
from zaptrix.core.portal import Channel
from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.error_codes import UNKNOWN_FIX, own_rule
from zaptrix.store.accounts import channels
from zaptrix.store.accounts import templates as stored
from zaptrix.store.accounts.templates import PageStart, TemplateChangeView, TemplateFilter
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.web.api.request.callers import SCOPE, actor_of, app_of, caller_of, only_of, request_id_of
from zaptrix.web.api.request.paging import INT64_MAX, Cursor, Limit, Page, page_of, place_of
from zaptrix.web.api.request.patterns import whole
from zaptrix.web.api.request.reading import check, one_line
from zaptrix.web.api.send.sending import (
    IdempotencyKey,
    QueuedView,
    Targeted,
    once_of,
    queued_answer,
    target_of,
    told_problems,
)
from zaptrix.web.api.send.with_file import told_misfits
from zaptrix.web.http.problems import (
    CHANNEL_NOT_FIT,
    DOES_NOT_FIT,
    REFUSED_BY_META,
    Problem,
    WrongField,
    invalid,
    no_such,
    too_many,
    unavailable,
)

AnyRequest = Request[Any, Any, Any]
OfStatus = Annotated[
    str | None,
    Parameter(max_length=512, required=False, description="As Meta names it, such as PAUSED; ALL for every status."),
]
OfCategory = Annotated[
    str | None,
    Parameter(max_length=512, required=False, description="MARKETING, UTILITY or AUTHENTICATION."),
]
OfLanguage = Annotated[str | None, Parameter(max_length=512, required=False, description="As Meta names it: pt_BR.")]
OfName = Annotated[str | None, Parameter(max_length=512, required=False, description="The whole name.")]
OfAccount = Annotated[UUID, Parameter(description="The channel whose WhatsApp Business account is meant.")]

Name = Annotated[str, Meta(pattern=whole(r"[a-z0-9_]{1,512}"), max_length=512, examples=["lembrete_consulta"])]
Language = Annotated[
    str, Meta(pattern=whole(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*"), max_length=20, examples=["pt_BR"])
]


class TemplateMessage(Targeted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template and what is filled into it."""

    name: Name
    language: Annotated[Language, Meta(description="May be left out when only one is approved.")] | UnsetType = UNSET
    header: Annotated[HeaderFill, Meta(description="What the template's header asks for.")] | UnsetType = UNSET
    body: Annotated[
        BodyFill, Meta(description="Numbered values as a list, named ones as an object.", examples=[["Ana", "09:30"]])
    ] = field(default_factory=list)
    buttons: Annotated[list[ButtonFill], Meta(max_length=10, description="Those that take something.")] = field(
        default_factory=list
    )
    cards: Annotated[list[CardFill], Meta(max_length=10, description="Of a carousel, in their order.")] = field(
        default_factory=list
    )
    code: Annotated[str, Meta(description="Of an authentication template, and then alone.")] | UnsetType = UNSET
    offer_expires_at_ms: (
        Annotated[int, Meta(ge=0, le=INT64_MAX, description="When a limited-time offer ends, in ms since 1970.")]
        | UnsetType
    ) = UNSET


class TemplateView(Struct, frozen=True, kw_only=True):
    """A template as Meta keeps it. Only an APPROVED one can be sent."""

    id: str
    name: str
    language: str
    status: str
    category: str
    quality: str
    rejected_reason: str | None
    parameter_format: ParameterFormat
    header: Header | None
    body: str
    footer: str
    buttons: list[Button]
    cards: list[Card]
    offer_expires: bool
    variables: Annotated[list[str], Meta(description="Of the body: what `body` of a send brings.")]

    @classmethod
    def of(cls, definition: Definition) -> TemplateView:
        fields = asdict(definition) | {"buttons": list(definition.buttons), "cards": list(definition.cards)}
        return cls(**fields, variables=list(variables(definition.body)))


class Category(StrEnum):
    """What a template is for; Meta may put it into another one."""

    MARKETING = "MARKETING"
    UTILITY = "UTILITY"
    AUTHENTICATION = "AUTHENTICATION"


class NewTemplate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template to be reviewed. Its components are as Meta's own documentation has them."""

    channel_id: UUID
    name: Name
    language: Language
    category: Category
    components: Annotated[
        list[dict[str, Any]],
        Meta(min_length=1, max_length=10, examples=[[{"type": "BODY", "text": "Seu pedido saiu para entrega."}]]),
    ]
    parameter_format: ParameterFormat | UnsetType = UNSET
    message_send_ttl_seconds: Annotated[int, Meta(ge=-1, le=2_592_000)] | UnsetType = UNSET


class CreatedView(Struct, frozen=True, kw_only=True):
    """It is with Meta now, which reviews it within a day; its category may be another than was asked for."""

    id: str
    name: str
    language: str
    status: str
    category: str


@get("/templates", summary="List templates", operation_id="listTemplates")
async def list_templates(
    request: AnyRequest,
    channel_id: OfAccount,
    *,
    status: OfStatus = "APPROVED",
    category: OfCategory = None,
    language: OfLanguage = None,
    name: OfName = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[TemplateView]:
    """The templates of a channel's WhatsApp Business account in the order of their names; `status=ALL` for those too
    that cannot be sent. They are asked of Meta when Meta has told of a change, or when an hour is over."""
    after = place_of(cursor, PageStart)
    channel = await _channel(request, channel_id)
    wanted = TemplateFilter(
        status=None if status in {None, "ALL"} else status, category=category, language=language, name=name
    )
    with told_platform(request):
        found = await app_of(request).templates.listed(channel, wanted, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return page_of(
        [TemplateView.of(each) for each in found[:limit]], (last.name, last.language, last.id) if last else None
    )


@get("/templates/changes", summary="What Meta changed", operation_id="listTemplateChanges")
async def list_changes(
    request: AnyRequest, channel_id: OfAccount, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Page[TemplateChangeView]:
    """Statuses, categories and qualities that Meta changed, the latest first."""
    before = place_of(cursor, int)
    channel = await _channel(request, channel_id)
    found = await app_of(request).reads.ask(
        lambda connection: stored.changes(connection, channel.id, before, limit + 1)
    )
    return page_of(found[:limit], found[limit - 1].id if len(found) > limit else None)


@post("/templates", summary="Create a template", operation_id="createTemplate", status_code=201)
async def create_template(request: AnyRequest, data: NewTemplate) -> CreatedView:
    """Hands a template in for Meta's review."""
    channel = await _channel(request, data.channel_id)
    wanted = {name: value for name, value in asdict(data).items() if value is not UNSET and name != "channel_id"}
    with told_platform(request):
        created = await app_of(request).templates.create(actor_of(request), channel, wanted)
    return CreatedView(
        id=created.id, name=data.name, language=data.language, status=created.status, category=created.category
    )


@delete("/templates/{name:str}", summary="Delete a template", operation_id="deleteTemplate")
async def delete_template(request: AnyRequest, name: str, channel_id: OfAccount, language: OfLanguage = None) -> None:
    """In one language, or in all. Meta lets an approved one's name be used again after 30 days."""
    channel = await _channel(request, channel_id)
    with told_platform(request):
        await app_of(request).templates.delete(actor_of(request), channel, name, language)


@post("/template", summary="Send a template", operation_id="sendTemplate", status_code=202, opt={SCOPE: KeyScope.SEND})
async def send_template(
    request: AnyRequest, data: TemplateMessage, idempotency_key: IdempotencyKey = None
) -> Response[QueuedView]:
    """Queues a template to a customer, at any time. It is checked against what Meta has approved, and refused with
    every field that does not fit."""
    check(data, (("to", one_line),))
    target, once, sender = target_of(data), once_of(data, idempotency_key), app_of(request).sender
    with told_problems():
        if once and (queued := await sender.replayed(caller_of(request), once)):
            return queued_answer(queued)
        channel = await sender.channel_of(caller_of(request), target)
        message = await _template(request, channel, data)
        queued = await sender.send(caller_of(request), target, message, once=once, request_id=request_id_of(request))
    return queued_answer(queued)


templates_router = Router(
    "/api/messages",
    route_handlers=[list_templates, list_changes, create_template, delete_template, send_template],
    tags=["Templates"],
)


async def _channel(request: AnyRequest, channel_id: UUID) -> Channel:
    async with app_of(request).database.connection() as connection:
        channel = await channels.get(connection, ChannelId(channel_id))
    if channel is None or only_of(caller_of(request)) not in {None, channel.portal_id}:
        raise no_such("channel")
    return channel


async def _template(request: AnyRequest, channel: Channel, data: TemplateMessage) -> Template:
    language = None if data.language is UNSET else data.language
    with told_platform(request):
        definition = await app_of(request).templates.find(channel, data.name, language)
    filling = Filling(
        header=None if data.header is UNSET else data.header,
        body=data.body,
        buttons=data.buttons,
        cards=data.cards,
        code=None if data.code is UNSET else data.code,
        offer_expires_at_ms=None if data.offer_expires_at_ms is UNSET else data.offer_expires_at_ms,
    )
    with told_misfits(DOES_NOT_FIT):
        return fill(definition, filling)


_NO_ACCOUNT = Sentence("api.templates.no_account")
_BAD_KEY = Sentence("api.templates.bad_key")
_UNREADABLE = Sentence("api.templates.unreadable")


_NO_TEMPLATE = Sentence("api.templates.none")
_LANGUAGES = Sentence("api.templates.languages")
_REFUSED = Sentence("api.templates.refused")
_UNCLEAR = Sentence("api.templates.unclear")


def _bad_key(request: AnyRequest, code: str) -> Sentence:
    """What is wrong, and what an admin does about it."""
    rule = app_of(request).codes[Side.WHATSAPP].rule_of(code) or own_rule(code)
    fix = rule.fix if rule else UNKNOWN_FIX
    return _BAD_KEY.filled(code=code, fix=fix)


def _no_template(languages: Sequence[str]) -> Problem:
    words = _NO_TEMPLATE.filled(there=_LANGUAGES.filled(languages=", ".join(languages)) if languages else "")
    return invalid(WrongField("/language" if languages else "/name", words, "no_such_template"))


@contextmanager
def told_platform(request: AnyRequest) -> Iterator[None]:
    """What Meta answers, as problem documents. Its own words are English, and quoted as they came."""
    try:
        yield
    except NoSuchTemplate as exc:
        raise _no_template(exc.languages) from None
    except NoAccount:
        raise Problem(CHANNEL_NOT_FIT, _NO_ACCOUNT) from None
    except Refused as exc:
        raise Problem(REFUSED_BY_META, _REFUSED.filled(code=exc.code, detail=exc.detail)) from None
    except UnreadableSecret:
        raise Problem(CHANNEL_NOT_FIT, _UNREADABLE) from None
    except Unauthorized as exc:
        raise Problem(CHANNEL_NOT_FIT, _bad_key(request, exc.code)) from None
    except TooFast as exc:
        raise too_many(exc.wait_s or 60) from None
    except PlatformError as exc:
        raise unavailable(_UNCLEAR.filled(code=exc.code)) from None
