"""Detection of a file's type by its bytes.

What a sender says of its type is a hint at most. Pure.
"""

from __future__ import annotations

import codecs

import filetype

from zaptrix.core.message.media import UNKNOWN_TYPE, plain_type, type_of_name

# The library's name for a type, where it is not the registered one.
_REGISTERED = {
    "audio/x-wav": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-msdownload": "application/vnd.microsoft.portable-executable",
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word, Excel and PowerPoint of old, and more
_OLE_TYPES = frozenset({"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"})
_3GP = b"ftyp3gp"
_SOUND_OR_FILM = {"video/mp4": "audio/mp4", "video/webm": "audio/webm", "video/ogg": "audio/ogg"}


def type_of(head: bytes, *, told: str | None = None, name: str | None = None) -> str:
    """The MIME type of a file that begins with `head`; `told` and `name` only choose among what the bytes allow."""
    hints = (plain_type(told), type_of_name(name or ""))
    if head[4:11] == _3GP:
        return "video/3gpp"
    if head.startswith(_OLE):
        return next((hint for hint in hints if hint in _OLE_TYPES), UNKNOWN_TYPE)
    found = _guess(head)
    if found == "application/zip":
        return next((hint for hint in hints if hint.startswith(_OFFICE)), found)
    if found in _SOUND_OR_FILM:
        # One and the same container holds sound alone or a film.
        return _SOUND_OR_FILM[found] if any(hint.startswith("audio/") for hint in hints) else found
    return found or ("text/plain" if _is_text(head) else UNKNOWN_TYPE)


def is_animated(head: bytes) -> bool:
    """Whether a WebP picture moves. https://developers.google.com/speed/webp/docs/riff_container"""
    return head[8:16] == b"WEBPVP8X" and bool(head[20:21]) and bool(head[20] & 0x02)


def _guess(head: bytes) -> str:
    kind = filetype.guess(head) if head else None
    return _REGISTERED.get(kind.mime, kind.mime) if kind else ""


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        # The end may be in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = head.decode("cp1252", "replace")
    return all(sign.isprintable() or sign in "\t\n\r\f\ufeff" for sign in text)
