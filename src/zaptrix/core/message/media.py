"""Files: what kinds there are, which types WhatsApp takes as what, and how large.

Pure: tables.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from zaptrix.core import limits
from zaptrix.core.message.message import MediaKind
from zaptrix.core.message.validation import Misfits

UNKNOWN_TYPE = "application/octet-stream"
VOICE_TYPE = "audio/ogg"

_KIB = 1024
_MIB = 1024 * 1024


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file. `sha256` is hex; `type` was told by its bytes, and `name` ends as that type does."""

    key: str
    size: int
    sha256: str
    type: str
    name: str
    voice: bool = False  # a recording, in the one form that WhatsApp shows as a voice note


class MediaSource(NamedTuple):
    """Where a file of a customer's can be fetched in the next minutes, with which headers."""

    url: str
    headers: Mapping[str, str]
    type: str | None


class AttachmentState(StrEnum):
    """How a message's file stands when the message is delivered."""

    WANTED = "wanted"  # on its way, and the message waits for it
    READY = "ready"
    FAILED = "failed"
    PROMISED = "promised"  # a line takes its place; it follows in a message of its own


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A message's file. `address` is where anybody can fetch it for a while; `media_id` what Meta calls it."""

    state: AttachmentState
    blob: Blob | None = None
    address: str = ""
    sent_as: MediaKind | None = None  # None: WhatsApp takes it as nothing, and the customer gets the address
    media_id: str | None = None
    code: str | None = None
    notice: str | None = None
    reuploaded: bool = False  # Meta had refused the id of its first upload


class MediaRule(NamedTuple):
    """How a file of some type goes to WhatsApp."""

    send_as: MediaKind
    bytes_max: int


# What Meta shows as what it is. Everything else, and what is too large for its own kind, goes as a document.
WAYS: dict[str, MediaRule] = {
    "image/jpeg": MediaRule(MediaKind.IMAGE, 5 * _MIB),
    "image/png": MediaRule(MediaKind.IMAGE, 5 * _MIB),
    "video/mp4": MediaRule(MediaKind.VIDEO, 16 * _MIB),
    "video/3gpp": MediaRule(MediaKind.VIDEO, 16 * _MIB),
    "audio/aac": MediaRule(MediaKind.AUDIO, 16 * _MIB),
    "audio/amr": MediaRule(MediaKind.AUDIO, 16 * _MIB),
    "audio/mpeg": MediaRule(MediaKind.AUDIO, 16 * _MIB),
    "audio/mp4": MediaRule(MediaKind.AUDIO, 16 * _MIB),
    "audio/ogg": MediaRule(MediaKind.AUDIO, 16 * _MIB),
}
AS_DOCUMENT = MediaRule(MediaKind.DOCUMENT, limits.MEDIA_BYTES_MAX)
# What WhatsApp shows words below. With a sound or a sticker they would be lost.
CAPTIONED = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT})
STICKER_TYPE = "image/webp"
STICKER_BYTES_MAX = 500 * _KIB  # of an animated one
STILL_STICKER_BYTES_MAX = 100 * _KIB


def way_of(blob: Blob, *, sticker: bool = False) -> MediaRule | None:
    """How `blob` goes to WhatsApp; None when it is too large for any way."""
    if sticker and blob.type == STICKER_TYPE and blob.size <= STICKER_BYTES_MAX:
        return MediaRule(MediaKind.STICKER, STICKER_BYTES_MAX)
    own = WAYS.get(blob.type)
    if own and blob.size <= own.bytes_max:
        return own
    return AS_DOCUMENT if blob.size <= AS_DOCUMENT.bytes_max else None


def judge_file(place: str, kind: MediaKind, blob: Blob, noted: Misfits, *, moves: bool = False) -> None:
    """Notes why `blob` cannot be shown as `kind`; `moves`: an animated sticker. A document can be anything."""
    types = sorted(type_ for type_, way in WAYS.items() if way.send_as is kind)
    limit = WAYS[types[0]].bytes_max if types else AS_DOCUMENT.bytes_max
    if kind is MediaKind.STICKER:
        types, limit = [STICKER_TYPE], STICKER_BYTES_MAX if moves else STILL_STICKER_BYTES_MAX
    if not blob.size:
        noted.note(place, "empty")
    elif types and blob.type not in types:
        noted.note(place, "file_type", type=blob.type, types=", ".join(types))
    elif blob.size > limit:
        noted.note(place, "file_size", size=blob.size, limit=limit)


# A type's endings, the first of which is given to a file without a right one.
ENDINGS: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "image/gif": ("gif",),
    "image/bmp": ("bmp",),
    "image/heic": ("heic", "heif"),
    "image/tiff": ("tif", "tiff"),
    "video/mp4": ("mp4", "m4v"),
    "video/3gpp": ("3gp",),
    "video/webm": ("webm",),
    "video/quicktime": ("mov",),
    "video/x-matroska": ("mkv",),
    "video/x-msvideo": ("avi",),
    "audio/ogg": ("ogg", "oga", "opus"),
    "audio/mpeg": ("mp3",),
    "audio/mp4": ("m4a", "mp4"),
    "audio/aac": ("aac",),
    "audio/amr": ("amr",),
    "audio/webm": ("webm", "weba"),
    "audio/wav": ("wav",),
    "audio/flac": ("flac",),
    "application/pdf": ("pdf",),
    "application/msword": ("doc",),
    "application/vnd.ms-excel": ("xls",),
    "application/vnd.ms-powerpoint": ("ppt",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("docx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("xlsx",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ("pptx",),
    "application/zip": ("zip",),
    "application/vnd.rar": ("rar",),
    "application/x-7z-compressed": ("7z",),
    "application/gzip": ("gz",),
    "text/plain": ("txt", "log", "md"),
    "text/csv": ("csv",),
    "application/json": ("json",),
    "application/xml": ("xml",),
    "text/vcard": ("vcf",),
}
# Of two types with one ending the first is meant.
_BY_ENDING = {ending: type_ for type_, endings in reversed(ENDINGS.items()) for ending in endings}

# Formats that are other formats inside: their own ending says more than the bytes do, and does not contradict them.
_LIKE = {
    "application/zip": frozenset({"docx", "xlsx", "pptx", "odt", "ods", "odp", "apk", "jar", "epub", "kmz", "zipx"}),
    "text/plain": frozenset(
        {"csv", "json", "xml", "vcf", "ics", "html", "htm", "svg", "rtf", "sql", "ofx", "ret", "rem"}
    ),
    UNKNOWN_TYPE: frozenset(),
}

_ENDING = re.compile(r"\.([A-Za-z0-9]{1,8})$")
# What must not stand in a file's name: separators, what shells and browsers take as commands, and signs that turn the
# reading direction, by which "exe.pdf" can look like what it is not.
_UNFIT = re.compile(r"[\x00-\x1f\x7f/%\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def plain_type(told: str | None) -> str:
    """A MIME type without its parameters, in lower case; empty when there is none."""
    return (told or "").partition(";")[0].strip().lower()


def type_of_name(name: str) -> str:
    """The type that a file's ending stands for."""
    found = _ENDING.search(name)
    return _BY_ENDING.get(found[1].lower(), UNKNOWN_TYPE) if found else UNKNOWN_TYPE


def fitting_name(name: str | None, type_: str, *, fallback: str = "arquivo") -> str:
    """A name that is safe everywhere, and whose ending agrees with the bytes."""
    clean = _UNFIT.sub("_", name or "").strip(" ._")
    found = _ENDING.search(clean)
    ending = found[1].lower() if found else ""
    if _agree(ending, type_):
        stem = clean[: found.start()] if found else clean
    else:
        # A known ending that lies is replaced; that of "edital 10.2026" only looks like one.
        stem = clean[: found.start()] if found and ending in _BY_ENDING else clean
        ending = ENDINGS[type_][0] if type_ in ENDINGS else "bin"
    return f"{_cut(stem.strip(' ._') or fallback, limits.FILE_NAME_BYTES_MAX - len(ending) - 1)}.{ending}"


def _agree(ending: str, type_: str) -> bool:
    if not ending:
        return False
    if type_ in ENDINGS:
        return ending in ENDINGS[type_] or ending in _LIKE.get(type_, ())
    # Bytes that tell nothing cannot contradict an ending, unless it stands for a type that they would have shown.
    return ending not in _BY_ENDING


def _cut(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode("utf-8", "ignore").rstrip(" .")
