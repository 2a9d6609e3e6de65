"""Pages: `items`, and a cursor that only the server reads."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import Parameter

from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.limits import PAGE_MAX
from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.http.problems import WrongField, invalid

Item = TypeVar("Item")
Place = TypeVar("Place")

INT64_MAX = 2**63 - 1  # the largest id that PostgreSQL can hold
_CURSOR_CHARACTERS_MAX = 400
_NOT_OURS = Sentence("api.parameters.cursor")

Limit = Annotated[int, Parameter(ge=1, le=PAGE_MAX, description="How many items at most.")]
Cursor = Annotated[
    str | None,
    Parameter(
        max_length=_CURSOR_CHARACTERS_MAX, required=False, description="`next_cursor` of the page before, as it came."
    ),
]

OfPortal = Annotated[
    UUID | None,
    Parameter(required=False, description="Only what belongs to this portal; a portal's key sees no other."),
]
OfChannel = Annotated[UUID | None, Parameter(required=False, description="Only what stands on this channel.")]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page. `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None


def page_of(items: Sequence[Item], next_place: object | None) -> Page[Item]:
    """`next_place` is where the next page begins; None when there is none."""
    return Page(list(items), None if next_place is None else _written(next_place))


def place_of(cursor: str | None, kind: type[Place]) -> Place | None:
    """Where a page begins; raises a Problem for a cursor that we did not write."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=kind)
    except (*BROKEN, ValueError, binascii.Error):
        wrong = WrongField("/cursor", _NOT_OURS, "cursor")
        raise invalid(wrong, source="query") from None


def _written(place: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode("ascii").rstrip("=")
