"""Problem details for HTTP: every error that the web server answers is such a document.

`document` writes what is said for people in the language that the caller asked for.
https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from zaptrix.core.message.validation import Misfit
from zaptrix.core.portal import Locale
from zaptrix.core.wording.catalog import Sentence

CONTENT_TYPE = "application/problem+json"
RETRY_S = 5  # how soon to come back to a store that is away

Source: TypeAlias = Literal["body", "query", "header"]


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field of the request. `code`, where there is one, is for programs."""

    field: Annotated[
        str,
        Meta(
            description="A JSON pointer (RFC 6901): into the body, `/contacts/0/name`, or to a parameter or header, "
            "`/limit`.",
            examples=["/text"],
        ),
    ]
    message: str
    code: str | None = None
    source: Annotated[Source, Meta(description="Where the field stands; left out: in the body.")] = msgspec.field(
        default="body", name="in"
    )


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: `type` for programs, `title` and `detail` for people, in the language of `Accept-Language`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] = []


class ProblemKind(NamedTuple):
    """A kind of problem."""

    name: str
    status: int

    @property
    def title(self) -> Sentence:
        return Sentence(f"problems.{self.name}")

    @property
    def type(self) -> str:
        return f"urn:zaptrix:problem:{self.name}"


MALFORMED = ProblemKind("malformed", 400)
UNKNOWN_PARAMETER = ProblemKind("unknown-parameter", 400)
UNAUTHORIZED = ProblemKind("unauthorized", 401)
FORBIDDEN = ProblemKind("forbidden", 403)
INSUFFICIENT_SCOPE = ProblemKind("insufficient-scope", 403)
NOT_FOUND = ProblemKind("not-found", 404)
METHOD_NOT_ALLOWED = ProblemKind("method-not-allowed", 405)
TIMEOUT = ProblemKind("request-timeout", 408)
CONFLICT = ProblemKind("conflict", 409)
CHANNEL_NOT_FIT = ProblemKind("channel-not-fit", 409)
TOO_LARGE = ProblemKind("too-large", 413)
UNSUPPORTED = ProblemKind("unsupported-media-type", 415)
INVALID = ProblemKind("invalid", 422)
KEY_REUSED = ProblemKind("idempotency-key-reused", 422)
TOO_MANY = ProblemKind("too-many-requests", 429)
DOES_NOT_FIT = ProblemKind("template-does-not-fit", 422)
NOT_OWNED = ProblemKind("not-owned", 422)
LIMIT_REACHED = ProblemKind("limit-reached", 409)
REFUSED_BY_META = ProblemKind("refused-by-whatsapp", 422)
INTERNAL = ProblemKind("internal", 500)
UNAVAILABLE = ProblemKind("unavailable", 503)

# For errors that a framework raises by their status alone.
BY_STATUS = {
    kind.status: kind
    for kind in (
        MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TIMEOUT, CONFLICT, TOO_LARGE, UNSUPPORTED,
        INVALID, TOO_MANY, INTERNAL, UNAVAILABLE,
    )
}  # fmt: skip


class WrongField(NamedTuple):
    """What is wrong with one field. `field` is a JSON pointer."""

    field: str
    message: Sentence
    code: str | None = None

    @classmethod
    def of(cls, misfit: Misfit) -> WrongField:
        return cls(misfit.place, misfit.sentence, misfit.code)

    def told(self, locale: Locale) -> str:
        """A sentence with the field's name in it."""
        return f"{self.field} {self.message.of(locale)}"


class Problem(Exception):
    """Ends a request with a problem document. `detail` goes to the caller: no secrets, no insides."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: Sentence | None = None,
        *,
        errors: Sequence[WrongField] = (),
        source: Source = "body",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Without `detail` the errors tell all there is to say; `source` is where their fields stand."""
        super().__init__(kind.name)
        self.kind = kind
        self.errors = list(errors)
        self.source: Source = source
        self.headers = dict(headers or {})
        self._detail = detail

    def detail(self, locale: Locale) -> str:
        if self._detail is not None:
            return self._detail.of(locale)
        return "; ".join(error.told(locale) for error in self.errors) or self.kind.title.of(locale)

    def document(self, *, path: str, request_id: str, locale: Locale) -> bytes:
        return msgspec.json.encode(
            ProblemDocument(
                type=self.kind.type,
                title=self.kind.title.of(locale),
                status=self.kind.status,
                detail=self.detail(locale),
                instance=path,
                request_id=request_id,
                errors=[
                    FieldError(error.field, error.message.of(locale), error.code, self.source) for error in self.errors
                ],
            )
        )


def unauthorized(detail: Sentence, *, error: str | None = None) -> Problem:
    """`error` as RFC 6750 names it, when credentials came that are not good."""
    challenge = 'Bearer realm="zaptrix"'
    return Problem(
        UNAUTHORIZED, detail, headers={"WWW-Authenticate": f'{challenge}, error="{error}"' if error else challenge}
    )


def too_many(wait_s: float) -> Problem:
    seconds = max(1, math.ceil(wait_s))
    told = Sentence("api.too_many", {"seconds": seconds})
    return Problem(TOO_MANY, told, headers={"Retry-After": str(seconds)})


def unavailable(detail: Sentence) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_S)})


def broken() -> Problem:
    """Something that nobody thought of; the log has it."""
    return Problem(INTERNAL, Sentence("api.broken"))


Thing: TypeAlias = Literal["portal", "channel", "conversation", "message", "dead letter", "event", "address", "file"]


def no_such(thing: Thing) -> Problem:
    """Also for what belongs to somebody else: whether it exists is not told."""
    return Problem(NOT_FOUND, Sentence(f"api.not_found.{thing}"))


def invalid(*errors: WrongField, source: Source = "body") -> Problem:
    return Problem(INVALID, errors=errors, source=source)
