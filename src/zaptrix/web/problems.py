"""Problem documents: every error that leaves by the web door looks like this. https://www.rfc-editor.org/rfc/rfc9457"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

CONTENT_TYPE = "application/problem+json"
RETRY_S = 5  # how soon to come back to a store that is away


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field of the request. `code`, where there is one, is for programs."""

    field: str
    message: str
    code: str | None = None


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for programs (`type`) and for people (`title`, `detail`)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] = []


class Kind(NamedTuple):
    """A kind of problem."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:zaptrix:problem:{self.name}"


MALFORMED = Kind("malformed", 400, "The request cannot be read")
UNAUTHORIZED = Kind("unauthorized", 401, "Nobody we know")
FORBIDDEN = Kind("forbidden", 403, "Not for this caller")
NOT_FOUND = Kind("not-found", 404, "There is no such thing")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This address does not take this method")
CONFLICT = Kind("conflict", 409, "It is taken already")
CHANNEL_NOT_FIT = Kind("channel-not-fit", 409, "WhatsApp cannot be asked with what the channel holds")
TOO_LARGE = Kind("too-large", 413, "The request is too large")
UNSUPPORTED = Kind("unsupported-media-type", 415, "The body is of another kind than expected")
INVALID = Kind("invalid", 422, "Something in the request cannot be used")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The idempotency key was used for another request")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests")
DOES_NOT_FIT = Kind("template-does-not-fit", 422, "The message does not fit the approved template")
REFUSED_BY_META = Kind("refused-by-whatsapp", 422, "WhatsApp does not take it")
INTERNAL = Kind("internal", 500, "Something broke on our side")
UNAVAILABLE = Kind("unavailable", 503, "Not possible right now")

# For errors that a framework raises by their status alone.
BY_STATUS = {
    kind.status: kind
    for kind in (
        MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, CONFLICT, TOO_LARGE, UNSUPPORTED, INVALID,
        TOO_MANY, INTERNAL, UNAVAILABLE,
    )
}  # fmt: skip


class Problem(Exception):
    """Ends a request with a problem document. `detail` goes to the caller: no secrets, no insides."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def document(self, *, path: str, request_id: str) -> bytes:
        return msgspec.json.encode(
            ProblemDocument(
                type=self.kind.type,
                title=self.kind.title,
                status=self.kind.status,
                detail=self.detail,
                instance=path,
                request_id=request_id,
                errors=self.errors,
            )
        )


def unauthorized(detail: str) -> Problem:
    return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="zaptrix"'})


def too_many(wait_s: float) -> Problem:
    seconds = max(1, math.ceil(wait_s))
    return Problem(TOO_MANY, f"Come back in {seconds} s", headers={"Retry-After": str(seconds)})


def unavailable(detail: str) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_S)})


def no_such(thing: str) -> Problem:
    """Also for what belongs to somebody else: whether it exists is not told."""
    return Problem(NOT_FOUND, f"There is no such {thing}")


def invalid(*errors: FieldError) -> Problem:
    told = "; ".join(f"{error.field} {error.message}" for error in errors)
    return Problem(INVALID, told, errors=errors)
