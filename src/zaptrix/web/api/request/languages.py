"""The language of an answer's texts for people, by the rule of `core/wording/language.py`.

An answer has one language: errors never come beside other texts. Only where nobody says which, a list over several
portals explains each message in the language in which its operator was told.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from litestar import Request
from litestar.params import Parameter

from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Locale
from zaptrix.core.wording.language import accepted, choose
from zaptrix.web.api.request.callers import app_of

Lang = Annotated[
    Locale | None,
    Parameter(
        query="lang",
        required=False,
        description="The language of texts for people; without it `Accept-Language` decides, else the portal's "
        "language, else it is English.",
    ),
]

_QUERY_MAX = 2000


def language_of(request: Request[Any, Any, Any], lang: Locale | None) -> Locale:
    """Of a result."""
    return choose(*_wished(request, lang))


async def language_about(request: Request[Any, Any, Any], lang: Locale | None, portal_id: UUID) -> Locale:
    """Of what a result tells of one portal."""
    portal = await app_of(request).directory.portal(PortalId(portal_id))
    return choose(*_wished(request, lang), otherwise=portal.locale if portal else None)


def problem_language(accept_language: str | None, query: str) -> Locale:
    """Of an error, by the header and the query string as they came."""
    asked = parse_qs(query[:_QUERY_MAX]).get("lang", [""])[0] if "lang=" in query else ""
    return choose(asked, *accepted(accept_language or ""))


def _wished(request: Request[Any, Any, Any], lang: Locale | None) -> list[str]:
    return [lang or "", *accepted(request.headers.get("accept-language", ""))]
