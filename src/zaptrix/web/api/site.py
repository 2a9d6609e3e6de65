"""The framework's part of the web server: the management API, monitoring and the API's documentation."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from zaptrix.core.limits import API_BODY_BYTES_MAX
from zaptrix.core.wording.catalog import Sentence
from zaptrix.settings import Settings
from zaptrix.store.connection.database import StoreRefused, StoreUnavailable
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.api.channels import channels_router
from zaptrix.web.api.conversations import conversations_router
from zaptrix.web.api.dead_letters import dead_letters_router
from zaptrix.web.api.description.docs import docs_handlers
from zaptrix.web.api.description.openapi import describe
from zaptrix.web.api.events import events_router
from zaptrix.web.api.messages import messages_router
from zaptrix.web.api.monitoring import monitoring
from zaptrix.web.api.portals import portals_router
from zaptrix.web.api.request.callers import known_caller, request_id_of
from zaptrix.web.api.request.languages import problem_language
from zaptrix.web.api.request.parameters import refused_parameters
from zaptrix.web.api.request.reading import strict_request
from zaptrix.web.api.restores import restores_router
from zaptrix.web.api.send.files import files_router
from zaptrix.web.api.send.interactive import interactive_router
from zaptrix.web.api.send.kinds import kinds_router
from zaptrix.web.api.templates import templates_router
from zaptrix.web.http.problems import (
    BY_STATUS,
    CONTENT_TYPE,
    INTERNAL,
    INVALID,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    Problem,
    broken,
    no_such,
    unavailable,
)

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]

_DETAILS = {
    TOO_LARGE: Sentence("api.body.limit", {"limit": API_BODY_BYTES_MAX}),
    METHOD_NOT_ALLOWED: Sentence("api.no_method"),
}


def build_site(settings: Settings) -> Litestar:
    """The site, without its resources yet: `state["app"]` is set when they are open."""
    return Litestar(
        route_handlers=[*_routes(), *docs_handlers(describe(_routes(), settings))],
        exception_handlers=_HANDLERS,
        before_request=strict_request,
        openapi_config=None,  # its pages would come from a CDN, and its description in a version that ours cannot show
        request_max_body_size=API_BODY_BYTES_MAX,
        response_headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
        logging_config=None,
    )


def _routes() -> list[Router]:
    api = Router(
        "/",
        route_handlers=[
            portals_router,
            channels_router,
            messages_router,
            files_router,
            kinds_router,
            interactive_router,
            templates_router,
            conversations_router,
            dead_letters_router,
            events_router,
            restores_router,
        ],
        guards=[known_caller],
        security=[{"bearer": []}, {"api_key": []}],
    )
    return [api, Router("/", route_handlers=list(monitoring.HANDLERS), tags=["Monitoring"])]


def _answer(request: AnyRequest, problem: Problem) -> Response[bytes]:
    query = request.scope["query_string"].decode("latin-1")
    locale = problem_language(request.headers.get("accept-language"), query)
    body = problem.document(path=request.url.path, request_id=request_id_of(request), locale=locale)
    headers = {**problem.headers, "Content-Language": locale.value}
    return Response(body, status_code=problem.kind.status, media_type=CONTENT_TYPE, headers=headers)


def _problem(request: AnyRequest, exc: Problem) -> Response[bytes]:
    return _answer(request, exc)


def _of_framework(request: AnyRequest, exc: HTTPException) -> Response[bytes]:
    """What the framework refuses by itself, in our words: its own may quote the request, and are English."""
    kind = BY_STATUS.get(exc.status_code, MALFORMED if exc.status_code < INTERNAL.status else INTERNAL)
    if kind is INTERNAL:
        return _broken(request, exc)
    if isinstance(exc.extra, list):
        return _answer(request, refused_parameters(request, exc.extra))
    if kind is NOT_FOUND:
        return _answer(request, no_such("address"))
    return _answer(request, Problem(kind, _DETAILS.get(kind), headers=exc.headers))


def _away(request: AnyRequest, _exc: StoreUnavailable) -> Response[bytes]:
    return _answer(request, unavailable(Sentence("api.database_away")))


def _refused(request: AnyRequest, exc: StoreRefused) -> Response[bytes]:
    """What slipped through the checks and that the database could not take: the transaction has kept nothing."""
    log.warning("refused by the store", reason=str(exc))
    told = Sentence("api.not_stored")
    return _answer(request, Problem(INVALID, told))


def _broken(request: AnyRequest, exc: Exception) -> Response[bytes]:
    metrics.alarmed(AlarmKind.BROKE_DOWN)
    log.error("request failed", exc_info=exc, alarm=True)
    return _answer(request, broken())


_HANDLERS: ExceptionHandlersMap = {
    Problem: _problem,
    HTTPException: _of_framework,
    StoreUnavailable: _away,
    StoreRefused: _refused,
    Exception: _broken,
}
