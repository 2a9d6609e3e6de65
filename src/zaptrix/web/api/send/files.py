"""Sending files: pictures, films, documents, sounds, voice notes and stickers."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from litestar import Request, Response, Router, post
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.limits import FILE_NAME_BYTES_MAX, MEDIA_CAPTION_MAX
from zaptrix.core.message.message import MediaContent, MediaKind
from zaptrix.core.message.text import plain_text
from zaptrix.web.api.request.callers import SCOPE, app_of
from zaptrix.web.api.request.reading import check, message_text, one_line
from zaptrix.web.api.send.sending import (
    IdempotencyKey,
    QueuedView,
    Replying,
)
from zaptrix.web.api.send.with_file import BODY, FileAsked, FileId, FileLink, brought, judging, queue_carrying

AnyRequest = Request[Any, Any, Any]
Sent = Response[QueuedView]
T = TypeVar("T", bound="FileMessage")

Caption = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MEDIA_CAPTION_MAX,
        description="Below the file, as WhatsApp shows it, without marks.",
        examples=["Seu boleto"],
    ),
]


class FileMessage(Replying, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file: in a form's part `file`, at an address, or at Meta already."""

    link: Annotated[FileLink, Meta(description="Fetched by the gateway before it answers.")] | UnsetType = UNSET
    media_id: Annotated[FileId, Meta(description="Of a file that was uploaded to this number.")] | UnsetType = UNSET


class CaptionedMessage(FileMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file with words below it."""

    caption: Caption | UnsetType = UNSET


class ImageMessage(CaptionedMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture: JPEG or PNG, 5 MB."""


class VideoMessage(CaptionedMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A film: MP4 or 3GPP, 16 MB."""


class DocumentMessage(CaptionedMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document: any type, 100 MB. What WhatsApp does not take as a file goes as an address to fetch it from."""

    file_name: (
        Annotated[str, Meta(min_length=1, max_length=FILE_NAME_BYTES_MAX, examples=["boleto.pdf"])] | UnsetType
    ) = UNSET


class AudioMessage(FileMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sound: AAC, AMR, MP3, M4A or Ogg with Opus, 16 MB."""

    voice: Annotated[
        bool,
        Meta(description="Shown as a voice note; recordings as WebM, WAV, FLAC and M4A are turned into one, too."),
    ] = False


class StickerMessage(FileMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sticker: WebP of 512 x 512, 100 KB, or 500 KB when it moves."""


@post("/image", summary="Send an image", operation_id="sendImage", status_code=202, opt={BODY: ImageMessage})
async def send_image(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a picture. What WhatsApp would not take is refused with every field at fault."""
    return await _send(request, ImageMessage, MediaKind.IMAGE, idempotency_key)


@post("/video", summary="Send a video", operation_id="sendVideo", status_code=202, opt={BODY: VideoMessage})
async def send_video(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a film. What WhatsApp would not take is refused with every field at fault."""
    return await _send(request, VideoMessage, MediaKind.VIDEO, idempotency_key)


@post("/document", summary="Send a document", operation_id="sendDocument", status_code=202, opt={BODY: DocumentMessage})
async def send_document(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a document of any type."""
    return await _send(request, DocumentMessage, MediaKind.DOCUMENT, idempotency_key)


@post(
    "/audio", summary="Send audio or a voice note", operation_id="sendAudio", status_code=202, opt={BODY: AudioMessage}
)
async def send_audio(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a sound, or a voice note."""
    return await _send(request, AudioMessage, MediaKind.AUDIO, idempotency_key)


@post("/sticker", summary="Send a sticker", operation_id="sendSticker", status_code=202, opt={BODY: StickerMessage})
async def send_sticker(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Sent:
    """Queues a sticker."""
    return await _send(request, StickerMessage, MediaKind.STICKER, idempotency_key)


files_router = Router(
    "/api/messages",
    route_handlers=[send_image, send_video, send_document, send_audio, send_sticker],
    request_max_body_size=None,  # a file is counted while it comes, and everything else is small
    tags=["Messages"],
    opt={SCOPE: KeyScope.SEND},
)


async def _send(request: AnyRequest, shape: type[T], kind: MediaKind, key: str | None) -> Sent:
    async with brought(request, shape, kind) as (body, kept):
        check(body, (("to", one_line),))
        caption = plain_text(_text(body, "caption"))
        with judging() as noted:
            if caption and message_text(caption.plain):
                noted.note("/caption", "control")
            if app_of(request).sender.length_of(caption) > MEDIA_CAPTION_MAX:
                noted.note("/caption", "too_long", limit=MEDIA_CAPTION_MAX)
        asked = FileAsked(
            kind, body.link, body.media_id, _text(body, "file_name") or None, bool(getattr(body, "voice", False))
        )

        def captioned(media: MediaContent | None) -> MediaContent:
            assert media is not None
            return replace(media, caption=caption)

        return await queue_carrying(request, body, key, asked, kept=kept, content_of=captioned)


def _text(body: FileMessage, name: str) -> str:
    value = getattr(body, name, UNSET)
    return "" if value is UNSET else str(value)
