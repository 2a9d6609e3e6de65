"""Problem documents: every error that leaves by the web door looks like this. https://www.rfc-editor.org/rfc/rfc9457

All that is said for people is said in both languages; `document` writes the one that the caller asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from zaptrix.core.codes import Both
from zaptrix.core.misfit import Misfit
from zaptrix.core.portal import Locale

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


class Kind(NamedTuple):
    """A kind of problem."""

    name: str
    status: int
    title: Both

    @property
    def type(self) -> str:
        return f"urn:zaptrix:problem:{self.name}"


def _kind(name: str, status: int, pt: str, en: str) -> Kind:
    return Kind(name, status, Both(pt, en))


MALFORMED = _kind("malformed", 400, "Requisição malformada", "Malformed request")
UNKNOWN_PARAMETER = _kind("unknown-parameter", 400, "Parâmetro desconhecido", "Unknown parameter")
UNAUTHORIZED = _kind("unauthorized", 401, "Autenticação necessária", "Authentication required")
FORBIDDEN = _kind("forbidden", 403, "Acesso não permitido", "Access denied")
INSUFFICIENT_SCOPE = _kind("insufficient-scope", 403, "A chave não tem o escopo", "The key lacks the scope")
NOT_FOUND = _kind("not-found", 404, "Não encontrado", "Not found")
METHOD_NOT_ALLOWED = _kind("method-not-allowed", 405, "Método não permitido", "Method not allowed")
TIMEOUT = _kind("request-timeout", 408, "A requisição demorou demais", "The request took too long")
CONFLICT = _kind("conflict", 409, "Já existe", "Already exists")
CHANNEL_NOT_FIT = _kind("channel-not-fit", 409, "O canal não pode ser usado", "The channel cannot be used")
TOO_LARGE = _kind("too-large", 413, "Requisição grande demais", "Request too large")
UNSUPPORTED = _kind("unsupported-media-type", 415, "Tipo de conteúdo não aceito", "Unsupported content type")
INVALID = _kind("invalid", 422, "Requisição inválida", "Invalid request")
KEY_REUSED = _kind("idempotency-key-reused", 422, "Idempotency-Key já usada", "Idempotency-Key already used")
TOO_MANY = _kind("too-many-requests", 429, "Requisições demais", "Too many requests")
DOES_NOT_FIT = _kind(
    "template-does-not-fit", 422, "O envio não corresponde ao modelo", "The message does not match the template"
)
NOT_OWNED = _kind("not-owned", 422, "A plataforma não confirma", "The platform does not confirm it")
LIMIT_REACHED = _kind("limit-reached", 409, "Limite atingido", "Limit reached")
REFUSED_BY_META = _kind("refused-by-whatsapp", 422, "Recusado pelo WhatsApp", "Refused by WhatsApp")
INTERNAL = _kind("internal", 500, "Erro interno", "Internal error")
UNAVAILABLE = _kind("unavailable", 503, "Indisponível no momento", "Temporarily unavailable")

# For errors that a framework raises by their status alone.
BY_STATUS = {
    kind.status: kind
    for kind in (
        MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TIMEOUT, CONFLICT, TOO_LARGE, UNSUPPORTED,
        INVALID, TOO_MANY, INTERNAL, UNAVAILABLE,
    )
}  # fmt: skip


class WrongField(NamedTuple):
    """What is wrong with one field, in both languages. `field` is a JSON pointer."""

    field: str
    message: Both
    code: str | None = None

    @classmethod
    def of(cls, misfit: Misfit) -> WrongField:
        return cls(misfit.place, Both(misfit.told(Locale.PT_BR), misfit.told(Locale.EN)), misfit.code)

    def told(self, locale: Locale) -> str:
        """A sentence with the field's name in it."""
        return f"{self.field} {self.message.of(locale)}"


class Problem(Exception):
    """Ends a request with a problem document. `detail` goes to the caller: no secrets, no insides."""

    def __init__(
        self,
        kind: Kind,
        detail: Both | None = None,
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


def unauthorized(detail: Both, *, error: str | None = None) -> Problem:
    """`error` as RFC 6750 names it, when credentials came that are not good."""
    challenge = 'Bearer realm="zaptrix"'
    return Problem(
        UNAUTHORIZED, detail, headers={"WWW-Authenticate": f'{challenge}, error="{error}"' if error else challenge}
    )


def too_many(wait_s: float) -> Problem:
    seconds = max(1, math.ceil(wait_s))
    told = Both(f"Tente de novo em {seconds} s", f"Try again in {seconds} s")
    return Problem(TOO_MANY, told, headers={"Retry-After": str(seconds)})


def unavailable(detail: Both) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_S)})


def broken() -> Problem:
    """Something that nobody thought of; the log has it."""
    return Problem(INTERNAL, Both("Está no log, sob este request_id", "It is in the log under this request_id"))


Thing: TypeAlias = Literal["portal", "channel", "conversation", "message", "dead letter", "event", "address", "file"]

_NO_SUCH: dict[Thing, Both] = {
    "portal": Both("Este portal não existe", "There is no such portal"),
    "channel": Both("Este canal não existe", "There is no such channel"),
    "conversation": Both("Esta conversa não existe", "There is no such conversation"),
    "message": Both("Esta mensagem não existe", "There is no such message"),
    "dead letter": Both("Esta mensagem não entregue não existe", "There is no such dead letter"),
    "event": Both("Não há tal evento a reprocessar", "There is no such event to replay"),
    "address": Both("Não há nada neste endereço", "There is nothing at this address"),
    "file": Both("O arquivo não está mais guardado", "The file is not kept any more"),
}


def no_such(thing: Thing) -> Problem:
    """Also for what belongs to somebody else: whether it exists is not told."""
    return Problem(NOT_FOUND, _NO_SUCH[thing])


def invalid(*errors: WrongField, source: Source = "body") -> Problem:
    return Problem(INVALID, errors=errors, source=source)
