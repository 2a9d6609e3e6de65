"""Multipart forms, read while they come: a file is stored in parts, and is never held whole.

https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from litestar import Request
from litestar.exceptions import ClientException
from multipart import MultipartError, PushMultipartParser, parse_options_header

from zaptrix.core.limits import API_BODY_BYTES_MAX, FORM_FIELDS_MAX
from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.http.problems import MALFORMED, TOO_LARGE, Problem, WrongField, invalid

T = TypeVar("T")
FILE = "file"

_BODY_TOO_LARGE = Sentence("api.form.body_too_large", {"limit": API_BODY_BYTES_MAX})
_FIELD_TOO_LARGE = Sentence("api.form.field_too_large", {"limit": API_BODY_BYTES_MAX})
_NO_FORM = Sentence("api.form.none")
_NO_BOUNDARY = Sentence("api.form.no_boundary")
_NO_TEXT = Sentence("api.form.no_text")

KeepFile = Callable[[AsyncIterator[bytes], str | None, str | None], Awaitable[T]]
"""What is done with the file: its bytes, its name and its type as the caller tells them."""

AnyRequest = Request[Any, Any, Any]


class Segment(Protocol):
    """What the library tells of one part of a form."""

    name: str
    filename: str | None
    content_type: str | None


_Event: TypeAlias = Segment | bytes | None


async def whole_body(request: AnyRequest) -> bytes:
    """The body of a request that may carry a file, and does not. Raises a Problem when it is as large as one."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > API_BODY_BYTES_MAX:
            raise Problem(TOO_LARGE, _BODY_TOO_LARGE)
    return bytes(body)


async def read_form(request: AnyRequest, keep: KeepFile[T]) -> dict[str, str]:
    """The fields of a form. A file goes to `keep`; who handed that in drops what was kept when this raises.

    Raises a Problem, and whatever `keep` raises.
    """
    fields: dict[str, str] = {}
    file: T | None = None
    events = _events(request)
    try:
        async for event in events:
            if event is None or isinstance(event, bytes):
                continue
            if event.name != FILE:
                fields[event.name] = await _text(events)
            elif file is not None:
                raise invalid(WrongField(f"/{FILE}", Sentence("api.form.twice"), "twice"))
            else:
                file = await keep(_until_end(events), event.filename, event.content_type)
    except MultipartError as exc:
        raise Problem(MALFORMED, _NO_FORM) from exc
    return fields


async def _events(request: AnyRequest) -> AsyncIterator[_Event]:
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get("boundary")
    if not boundary:
        raise Problem(MALFORMED, _NO_BOUNDARY)
    try:
        with PushMultipartParser(boundary, max_segment_count=FORM_FIELDS_MAX) as parser:
            async for part in request.stream():
                if part and not parser.closed:
                    for event in parser.parse(part):
                        yield bytes(event) if isinstance(event, bytearray) else event
    except ClientException as exc:
        raise Problem(MALFORMED, _NO_FORM) from exc


async def _until_end(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        if isinstance(event, bytes):
            yield event


async def _text(events: AsyncIterator[_Event]) -> str:
    text = bytearray()
    async for part in _until_end(events):
        text += part
        if len(text) > API_BODY_BYTES_MAX:
            raise Problem(TOO_LARGE, _FIELD_TOO_LARGE)
    try:
        return text.decode()
    except UnicodeDecodeError as exc:
        raise Problem(MALFORMED, _NO_TEXT) from exc
