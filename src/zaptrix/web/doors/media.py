"""The endpoint for files: signed addresses, answered in parts, also from the middle of a file.

The next part is read when the reader has taken the one before, so that a slow one costs no more than that.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

import msgspec
import structlog

from zaptrix.app import App
from zaptrix.core.message.media import UNKNOWN_TYPE, type_of_name
from zaptrix.core.wording.catalog import Sentence
from zaptrix.media.blobs import BlobsAway, NoSuchBlob
from zaptrix.media.signed_links import PREFIX, SignedFile
from zaptrix.web.http.problems import METHOD_NOT_ALLOWED, NOT_FOUND, Problem, no_such, unavailable
from zaptrix.web.http.responses import REQUEST_ID
from zaptrix.web.http.talk import Headers, Scope, Talk

log = structlog.get_logger(__name__)

_NOT_SIGNED = Sentence("media.not_signed")

PATH_LABEL = f"{PREFIX}{{file}}"

_PART_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
# Shown by a browser where it stands; everything else is for keeping, and a page among it never runs as one of ours.
_SHOWN = ("image/", "audio/", "video/", "application/pdf", "text/plain")
_NEVER_SHOWN = frozenset({"image/svg+xml"})
_SAFE: Headers = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "cross-origin"),
    ("cache-control", "private, max-age=300"),
)


class ByteRange(msgspec.Struct, frozen=True):
    """Which bytes are wanted: from `start` up to `end`."""

    start: int
    end: int


class Files:
    """Answers for one process."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def answer(self, scope: Scope, talk: Talk, request_id: str) -> int:
        """Give the file; the status. Raises Problem when nothing was given yet."""
        if scope.method not in {"GET", "HEAD"}:
            raise Problem(METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        link = self._app.media.links.opened(scope.path, self._app.clock.now())
        if link is None:
            raise Problem(NOT_FOUND, _NOT_SIGNED)
        file = await self._at_hand(link)
        size = file.stat().st_size
        tag = f'"{link.key.rpartition("/")[2]}"'
        wanted = scope.headers.get("range") if scope.headers.get("if-range", tag) == tag else None
        span = span_of(wanted, size)
        headers = [(REQUEST_ID, request_id), *_SAFE, ("accept-ranges", "bytes"), ("etag", tag)]
        if span is None:
            await talk.begin(416, [*headers, ("content-range", f"bytes */{size}"), ("content-length", "0")])
            await talk.give(b"")
            return 416
        status = 206 if span != ByteRange(0, size) else 200
        headers += [*described(link.name), ("content-length", str(span.end - span.start))]
        if status == 206:
            headers.append(("content-range", f"bytes {span.start}-{span.end - 1}/{size}"))
        await _give(talk, status, headers, file, ByteRange(0, 0) if scope.method == "HEAD" else span)
        return status

    async def _at_hand(self, link: SignedFile) -> Path:
        try:
            return await self._app.media.blobs.at_hand(link.key)
        except NoSuchBlob:
            raise no_such("file") from None
        except BlobsAway as exc:
            log.warning("a file could not be given", reason=str(exc))
            raise unavailable(Sentence("media.unreadable")) from exc


async def _give(talk: Talk, status: int, headers: Headers, file: Path, span: ByteRange) -> None:
    """Raises OSError, before anything was given when the file cannot be opened."""
    left = span.end - span.start
    with await asyncio.to_thread(file.open, "rb") as opened:
        opened.seek(span.start)
        await talk.begin(status, headers)
        gone = asyncio.create_task(talk.gone())
        try:
            while left and not gone.done():
                part = await asyncio.to_thread(opened.read, min(left, _PART_BYTES))
                if not part:
                    raise EOFError(f"{left} bytes of a file are missing")
                left -= len(part)
                await talk.give(part, more=left > 0)
        finally:
            gone.cancel()
    if span.start == span.end:
        await talk.give(b"")


def span_of(wanted: str | None, size: int) -> ByteRange | None:
    """The one range that was asked for; all of it when none was, or several; None when it lies outside.

    https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
    """
    found = _RANGE.fullmatch(wanted.replace(" ", "")) if wanted else None
    if found is None or found[0] == "bytes=-":
        return ByteRange(0, size)
    if not found[1]:
        last = min(int(found[2]), size)
        return ByteRange(size - last, size) if last else None
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return ByteRange(0, size)
    return ByteRange(start, end) if start < size else None


def described(name: str) -> Headers:
    """What a file is, by its name: its ending was made to agree with its bytes."""
    kind = type_of_name(name)
    shown = kind.startswith(_SHOWN) and kind not in _NEVER_SHOWN
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._- ") else "_" for sign in name)
    disposition = "inline" if shown else "attachment"
    return (
        ("content-type", f"{kind}; charset=utf-8" if kind == "text/plain" else kind or UNKNOWN_TYPE),
        ("content-disposition", f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"),
    )
