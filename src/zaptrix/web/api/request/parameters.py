"""Query parameters: which ones an operation has, derived from its handler; all others are refused.

A parameter that is silently ignored is a filter that does not filter: whoever misspells one gets everybody's data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from litestar import Request
from litestar.constants import RESERVED_KWARGS
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg

from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.api.request.validation import MISSING, UNKNOWN, listed, pointer, wrong_field
from zaptrix.web.http.problems import UNKNOWN_PARAMETER, Problem, Source, WrongField, invalid

_NAME_MAX = 64
_TOLD_MAX = 10
_NONE = Sentence("api.parameters.none")
_TWICE = Sentence("api.parameters.twice")


class OwnParameter(NamedTuple):
    """A parameter as callers name it, and what may stand in it."""

    name: str
    source: Source
    wanted: Any
    required: bool


@cache
def parameters_of(handler: HTTPRouteHandler) -> Mapping[str, OwnParameter]:
    """The query and header parameters of a handler by its own names for them."""
    found: dict[str, OwnParameter] = {}
    in_path = set().union(*map(_in_path, handler.paths))
    for name, field in handler.parsed_fn_signature.parameters.items():
        if name in RESERVED_KWARGS or name in in_path:
            continue
        told = field.kwarg_definition if isinstance(field.kwarg_definition, ParameterKwarg) else None
        header = told.header if told else None
        wire = header or (told.query if told else None) or name
        found[name] = OwnParameter(wire, "header" if header else "query", field.annotation, field.is_required)
    return found


def check_query(request: Request[Any, Any, Any]) -> None:
    """Raises a Problem for parameters that the operation does not have, that came twice, or that are missing."""
    handler = request.route_handler
    wanted = {each.name: each for each in parameters_of(handler).values() if each.source == "query"}
    given = Counter(name for name, _ in request.query_params.multi_items())
    if unknown := [name for name in given if name not in wanted]:
        words = UNKNOWN.filled(known=listed(wanted)) if wanted else _NONE
        raise Problem(UNKNOWN_PARAMETER, errors=_each(unknown, words, "unknown"), source="query")
    if repeated := [name for name, count in given.items() if count > 1]:
        raise invalid(*_each(repeated, _TWICE, "twice"), source="query")
    if missing := [name for name, each in wanted.items() if each.required and name not in given]:
        raise invalid(*_each(missing, MISSING, "missing"), source="query")


def refused_parameters(request: Request[Any, Any, Any], told: Iterable[Mapping[str, Any]]) -> Problem:
    """What the framework tells of values that do not fit, under the names that callers know."""
    known = parameters_of(request.route_handler)
    source: Source = "query"
    errors = []
    for each in told:
        own = known.get(str(each.get("key", "")))
        if own is None:
            continue
        source = own.source
        words = wrong_field(str(each.get("message", "")), own.wanted)
        errors.append(WrongField(pointer([own.name]), words.message, words.code))
    return invalid(*errors, source=source)


def _in_path(path: str) -> set[str]:
    return {part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")}


def _each(names: Iterable[str], words: Sentence, code: str) -> list[WrongField]:
    return [WrongField(pointer([name[:_NAME_MAX]]), words, code) for name in list(names)[:_TOLD_MAX]]
