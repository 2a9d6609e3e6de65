"""Bodies that may bring a file: JSON, or a multipart form with a part `file`; else they tell where the file is."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, NamedTuple, TypeVar

from litestar import Request, Response
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from zaptrix.bridge.files.uploads import StoredUpload
from zaptrix.bridge.send.sender import AttachedFile
from zaptrix.core.delivery.errors import PlatformError, Refused
from zaptrix.core.ids import PortalId
from zaptrix.core.limits import MEDIA_BYTES_MAX
from zaptrix.core.message.media import Blob, fitting_name, judge_file, plain_type
from zaptrix.core.message.message import Content, MediaContent, MediaKind
from zaptrix.core.message.validation import DoesNotFit, Misfits
from zaptrix.core.portal import Channel
from zaptrix.core.wording.catalog import Sentence
from zaptrix.media.blobs import BlobsAway, TooLarge
from zaptrix.store.accounts.budgets import Budget
from zaptrix.web.api.request.callers import app_of, caller_of, request_id_of
from zaptrix.web.api.request.forms import FILE, KeepFile, read_form, whole_body
from zaptrix.web.api.request.patterns import whole
from zaptrix.web.api.request.reading import converted, decoded, says_json
from zaptrix.web.api.send.examples import example_file
from zaptrix.web.api.send.sending import (
    QueuedView,
    Replying,
    answered_of,
    once_of,
    queued_answer,
    target_of,
    told_problems,
)
from zaptrix.web.http.problems import (
    INVALID,
    MALFORMED,
    TOO_LARGE,
    TOO_MANY,
    UNSUPPORTED,
    Problem,
    ProblemKind,
    WrongField,
    invalid,
    unavailable,
)

_OVER_BUDGET = Sentence("api.files.over_budget")

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T", bound=Struct)

BODY = "body"
"""A handler's option: the shape that it reads by itself, for the description."""

WHOLE = "message"  # a form's field with all others in it, as JSON

_WHOLE_NOT_JSON = Sentence("api.files.form_not_json", {"field": WHOLE})
_WHOLE_NO_OBJECT = Sentence("api.files.form_no_object", {"field": WHOLE})
_NEITHER = Sentence("api.files.neither")
_NOT_KEPT = Sentence("api.files.not_kept")


_SLOW = Sentence("api.files.why.slow")
# Why a link gave no file, by the code of `zaptrix.media.fetch`.
_WHY = {
    "forbidden_address": Sentence("api.files.why.forbidden_address"),
    "too_many_redirects": Sentence("api.files.why.too_many_redirects"),
    "gone": Sentence("api.files.why.gone"),
    "file_timeout": _SLOW,
    "file_slow": _SLOW,
    "file_too_slow": _SLOW,
    "file_connection_lost": Sentence("api.files.why.no_connection"),
    "http_429": Sentence("api.files.why.busy"),
}

FileLink = Annotated[str, Meta(min_length=1, max_length=2048, examples=["https://example.com/boleto.pdf"])]
"""An https address, which the gateway fetches before it answers."""
FileId = Annotated[str, Meta(pattern=whole(r"[0-9]{1,64}"), examples=["1037543291543636"])]
"""What Meta calls a file that was uploaded to this number."""


class FileAsked(NamedTuple):
    """A file that a message is to carry. `place` is where the body speaks of it, as a JSON pointer."""

    kind: MediaKind
    link: str | UnsetType
    media_id: str | UnsetType
    name: str | None = None
    voice: bool = False
    place: str = ""


class Carried(NamedTuple):
    """A file on its way to be queued."""

    media: MediaContent
    held: AttachedFile
    kept: StoredUpload | None


@asynccontextmanager
async def brought(request: AnyRequest, shape: type[T], kind: MediaKind) -> AsyncIterator[tuple[T, StoredUpload | None]]:
    """The body as `shape`, with its file; when it comes to a problem the file is dropped. Raises a Problem."""
    _within_budget(request, caller_of(request).portal_id)
    uploads = app_of(request).uploads
    kept: StoredUpload | None = None

    async def keep(parts: AsyncIterator[bytes], name: str | None, told: str | None) -> StoredUpload:
        # Known from here on: the rest of the form may be what is wrong.
        nonlocal kept
        kept = await uploads.keep(parts, kind, name=name, told=told)
        return kept

    try:
        with _told_store(f"/{FILE}"):
            body = await _read(request, shape, keep)
        yield body, kept
    except BaseException:
        await uploads.drop(kept)
        raise


async def _read(request: AnyRequest, shape: type[T], keep: KeepFile[StoredUpload]) -> T:
    told = request.headers.get("content-type", "")
    if says_json(told):
        return decoded(await whole_body(request), shape)
    if not told.lower().startswith("multipart/form-data"):
        raise Problem(UNSUPPORTED, _NEITHER)
    return converted(_whole(await read_form(request, keep)), shape)


def _whole(fields: dict[str, str]) -> dict[str, Any]:
    """A form's fields, those among them that came as one JSON object."""
    told: dict[str, Any] = dict(fields)
    if WHOLE not in told:
        return told
    whole = decoded(told.pop(WHOLE).encode(), object, _WHOLE_NOT_JSON)
    if not isinstance(whole, dict):
        raise Problem(MALFORMED, _WHOLE_NO_OBJECT)
    return whole | told


async def queue_carrying(
    request: AnyRequest,
    body: Replying,
    key: str | None,
    asked: FileAsked | None,
    *,
    kept: StoredUpload | None,
    content_of: Callable[[MediaContent | None], Content],
) -> Response[QueuedView]:
    """Queue a message with the file that `asked` tells of, or that came as `kept`, which counts by its content.

    Raises a Problem.
    """
    sender, uploads, caller = app_of(request).sender, app_of(request).uploads, caller_of(request)
    target, once = target_of(body), once_of(body, key, also=kept.blob.sha256.encode() if kept else b"")
    with told_problems():
        if once and (queued := await sender.replayed(caller, once)):
            await uploads.drop(kept)
            return queued_answer(queued)
        channel = await sender.channel_of(caller, target)
        file = await carried(request, channel, asked, kept) if asked else None
        try:
            queued = await sender.send(
                caller,
                target,
                content_of(file.media if file else None),
                once=once,
                request_id=request_id_of(request),
                answered=answered_of(body),
                held=file.held if file else None,
            )
        except BaseException:
            await uploads.drop(file.kept if file else None)
            raise
    return queued_answer(queued)


async def carried(request: AnyRequest, channel: Channel, asked: FileAsked, kept: StoredUpload | None) -> Carried:
    """The file that a body names, or that came with it as `kept`; fetched when it has to be, and judged.

    Raises a Problem.
    """
    given = {"link": asked.link, "media_id": asked.media_id, FILE: kept or UNSET}
    if sum(value is not UNSET for value in given.values()) != 1:
        with judging() as noted:
            noted.note(asked.place or f"/{FILE}", "one_of", names=", ".join(given))
    media = MediaContent(kind=asked.kind, source="", name=asked.name, voice=asked.voice)
    _within_budget(request, channel.portal_id)
    if asked.media_id is not UNSET:
        await _judge_at_meta(request, channel, asked, asked.media_id)
        return Carried(replace(media, source=asked.media_id), AttachedFile(media_id=asked.media_id), None)
    at = f"/{FILE}" if asked.link is UNSET else f"{asked.place}/link"
    if asked.link is not UNSET:
        kept = await _fetched(request, at, asked, asked.link)
    assert kept is not None
    try:
        _judge(at, asked, kept)
    except Problem:
        await app_of(request).uploads.drop(kept)
        raise
    app_of(request).budgets.spend(channel.portal_id, Budget.FILES, kept.blob.size)
    blob = replace(kept.blob, name=fitting_name(asked.name or kept.blob.name, kept.blob.type))
    told = replace(media, source=blob.key, name=blob.name, mime=blob.type, size=blob.size, sha256=blob.sha256)
    return Carried(told, AttachedFile(blob=blob), kept)


def _within_budget(request: AnyRequest, portal_id: PortalId | None) -> None:
    """Before anything is read: what comes is for a portal that may still keep files today. Raises a Problem."""
    budgets = app_of(request).budgets
    if portal_id is not None and budgets.is_over(portal_id, Budget.FILES):
        retry_s = math.ceil(budgets.renewed_in_s())
        raise Problem(TOO_MANY, _OVER_BUDGET, headers={"Retry-After": str(retry_s), "Connection": "close"})


def _judge(at: str, asked: FileAsked, kept: StoredUpload) -> None:
    with judging() as noted:
        if not asked.voice:
            judge_file(at, asked.kind, kept.blob, noted, moves=kept.moves)
        elif not kept.recording:
            noted.note(at, "no_voice")


async def _fetched(request: AnyRequest, at: str, asked: FileAsked, link: str) -> StoredUpload:
    app = app_of(request)
    try:
        with _told_store(at):
            if example := example_file(link, app.settings.public_url):
                parts = _parts(example.content)
                return await app.uploads.keep(parts, asked.kind, name=asked.name or example.name, told=example.type)
            return await app.uploads.fetch(link, asked.kind, name=asked.name)
    except PlatformError as exc:
        if exc.code == "file_too_large":
            raise _too_large(at) from None
        raise invalid(_not_fetched(at, exc.code)) from None


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _not_fetched(at: str, code: str, why: Sentence | None = None) -> WrongField:
    why = why or _WHY.get(code) or Sentence("api.files.why.not_given")
    told = Sentence("api.files.not_fetched", {"why": why, "code": code})
    return WrongField(at, told, "fetch")


async def _judge_at_meta(request: AnyRequest, channel: Channel, asked: FileAsked, media_id: str) -> None:
    """Asks Meta what it has there. When Meta cannot say now the message goes its way, and is told of later."""
    at = f"{asked.place}/media_id"
    with judging() as noted:
        try:
            info = await app_of(request).graph.media_info(channel, media_id)
        except Refused as exc:
            raise invalid(_not_fetched(at, exc.code, Sentence("api.files.why.not_at_meta"))) from None
        except PlatformError:
            return
        else:
            size = 1 if info.file_size is None else info.file_size
            blob = Blob(key="", size=size, sha256="", type=plain_type(info.mime_type), name="")
            judge_file(at, asked.kind, blob, noted, moves=True)


@contextmanager
def judging() -> Iterator[Misfits]:
    """What is noted in here becomes a problem document with an error a field."""
    noted = Misfits()
    with told_misfits():
        yield noted
        noted.judge()


@contextmanager
def told_misfits(kind: ProblemKind = INVALID) -> Iterator[None]:
    """What does not fit, as a problem document with an error a field."""
    try:
        yield
    except DoesNotFit as exc:
        raise Problem(kind, errors=[WrongField.of(each) for each in exc.misfits]) from None


@contextmanager
def _told_store(at: str) -> Iterator[None]:
    try:
        yield
    except TooLarge:
        raise _too_large(at) from None
    except BlobsAway:
        raise unavailable(_NOT_KEPT) from None


def _too_large(at: str) -> Problem:
    told = Sentence("api.files.too_large", {"limit": MEDIA_BYTES_MAX})
    return Problem(TOO_LARGE, errors=[WrongField(at, told, "file_size")])
