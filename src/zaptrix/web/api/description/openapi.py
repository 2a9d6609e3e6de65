"""The API's description as OpenAPI, made by the framework from the handlers.

The webhooks and the problems are added here. It is told as OpenAPI 3.0, which the bundled Swagger UI shows and most
generators of clients read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import msgspec
from litestar import Litestar, Response, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.routes import BaseRoute, HTTPRoute

import zaptrix
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.wording.catalog import Locale
from zaptrix.settings import Settings
from zaptrix.web.api.request.callers import scope_of
from zaptrix.web.api.request.forms import FILE
from zaptrix.web.api.send.examples import CHANNEL_ID, CONVERSATION_ID, MESSAGE_ID, PORTAL_ID, examples
from zaptrix.web.api.send.with_file import BODY, WHOLE
from zaptrix.web.doors.webhooks import BITRIX24_PATH, META_PATH
from zaptrix.web.http import problems
from zaptrix.web.http.exposure import is_private
from zaptrix.web.http.problems import CONTENT_TYPE, ProblemDocument, ProblemKind

Schema = dict[str, Any]

OPENAPI_VERSION: Final = "3.0.3"
_METHODS: Final = ("get", "post", "put", "delete")

_ABOUT: Final = """
Zaptrix joins WhatsApp numbers (Meta Cloud API) to Bitrix24 open lines.

**Keys.** Every call to `/api` takes an API key (`zaptrix api-key create`), as `Authorization: Bearer zx_...` or
`X-API-Key`. An admin's key sees all; a portal's key sees that portal, and of others not even whether they exist.

**Scopes.** A key has some of `read` (looks), `send` (messages) and `manage` (all the rest), and may have an end. Each
call tells which one it takes (`x-required-scope`); a key without it gets a 403 that names it. Creating and deleting
portals, their addresses, ids and pace, and events take an admin's key besides.

**Limits.** {api_rate} calls a minute for a key, or for the caller's address without one; then 429 with `Retry-After`.

**Errors** are problem documents (RFC 9457), `application/problem+json`: `type` is for programs, `title` and `detail`
are for people, in the language of `Accept-Language` ({languages}; English without one). Each of `errors` names its
field by a JSON pointer (`/contacts/0/name`, `/limit`), and with `in` where it stands when that is not the body. Every
answer has an `X-Request-Id`.

**Query parameters** that an operation does not have are refused with 400.

**Pages.** Lists give `items` and `next_cursor`; send that as `cursor` for the next page, until it is null.

**Monitoring.** `/health`, `/health/live` and `/health/ready` are open. The other monitoring pages are {monitoring}.
""".replace("{languages}", ", ".join(Locale))
_OPEN: Final = "open to who calls it directly, as HOST and PUBLIC_URL are private addresses (else they take a key)"
_CLOSED: Final = "for admins' keys and METRICS_TOKEN (`Authorization: Bearer`), as HOST or PUBLIC_URL is public"
_TAGS: Final = {
    "Portals": "Bitrix24 accounts.",
    "Channels": "WhatsApp numbers, each joined to one open line.",
    "Messages": "Sending messages, and what became of them.",
    "Templates": "What Meta has approved to be sent at any time.",
    "Conversations": "Customers and the channels that they write to.",
    "Dead letters": "Messages that could not be delivered.",
    "Events": "Webhook events that could not be routed (admins).",
    "Monitoring": "Health, metrics and queues.",
    "Webhooks": "What Meta and Bitrix24 call.",
}


def monitoring_words(settings: Settings) -> str:
    """Who may see the monitoring pages."""
    return _OPEN if is_private(settings) else _CLOSED


def describe(routes: Sequence[Router], settings: Settings) -> bytes:
    """The description as JSON."""
    framework = Litestar(route_handlers=routes, openapi_config=_config(settings), logging_config=None)
    drawn = _LONG_NAME.sub(rb"\1_\2_", msgspec.json.encode(framework.openapi_schema.to_schema()))
    told = _older(msgspec.json.decode(drawn))
    told["openapi"] = OPENAPI_VERSION
    shapes = _shapes([*_types(framework.routes), *_own_bodies(framework.routes).values()])
    _add_formats(shapes, told["components"]["schemas"])
    told["components"]["schemas"] = shapes
    for path, shape in _own_bodies(framework.routes).items():
        told["paths"][path]["post"]["requestBody"] = _with_file(shapes, shape.__name__)
    scopes = _scopes(framework.routes)
    bodies = examples(settings.public_url)
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _add_problems(path, method, operation)
                if scope := scopes.get((path, method)):
                    _add_scope(scope, operation)
                _add_examples(operation, bodies.get(operation["operationId"], {}))
    told["paths"] |= _webhooks()
    return msgspec.json.encode(told)


# The framework names a generic shape by all its modules.
_LONG_NAME: Final = re.compile(rb"\b(Page)_[\w.]*\.(\w+?)_(?=\W)")


def _types(routes: Iterable[BaseRoute]) -> Iterator[Any]:
    """What handlers take and give."""
    for route in routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            given = handler.parsed_return_field
            if given.is_subclass_of(Response):
                yield from (inner.annotation for inner in given.inner_types)
            else:
                yield given.annotation
            if (taken := handler.parsed_data_field) is not None:
                yield taken.annotation


def _scopes(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], KeyScope]:
    """What a key has to have for a call, by path and method."""
    return {
        (route.path_format, method.lower()): scope_of(method, handler.opt)
        for route in routes
        for handler in (route.route_handlers if isinstance(route, HTTPRoute) else ())
        for method in handler.http_methods
        if route.path_format.startswith("/api/")
    }


def _add_scope(scope: KeyScope, operation: Schema) -> None:
    """OpenAPI 3.0 has no scopes for keys: they are told in words, and in a field of our own for programs."""
    operation["x-required-scope"] = scope.value
    operation["description"] = f"{operation.get('description', '')}\n\nTakes a key with the scope `{scope}`.".strip()
    operation["responses"]["403"]["description"] += f"; or the key lacks the scope `{scope}`"


def _own_bodies(routes: Iterable[BaseRoute]) -> dict[str, type]:
    """What handlers read by themselves, because a file may come with it, by path."""
    return {
        route.path_format: handler.opt[BODY]
        for route in routes
        for handler in (route.route_handlers if isinstance(route, HTTPRoute) else ())
        if BODY in handler.opt
    }


def _with_file(shapes: Schema, name: str) -> Schema:
    """A body as JSON, or as a form: its fields of one value, or all of them as JSON in one, and a file."""
    flat = {
        field: told
        for field, told in shapes[name]["properties"].items()
        if told.get("type") in {"string", "integer", "number", "boolean"}
    }
    whole = {"type": "string", "description": "All other fields as one JSON object, in place of fields of their own."}
    form = {"type": "object", "properties": flat | {WHOLE: whole, FILE: {"type": "string", "format": "binary"}}}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}},
            "multipart/form-data": {"schema": form},
        },
    }


def _shapes(types: Iterable[Any]) -> Schema:
    """All shapes by msgspec, which is what reads and writes them: the framework's drawing leaves limits out."""
    wanted = [each for each in types if each not in {None, NoneType, str}]
    _, components = msgspec.json.schema_components(
        [*wanted, ProblemDocument], ref_template="#/components/schemas/{name}"
    )
    shapes: Schema = _older(components)
    return shapes


def _add_formats(shapes: Schema, drawn: Schema) -> None:
    """The framework knows that a time is a time, also where no zone is demanded."""
    for name, shape in shapes.items():
        for field, told in shape.get("properties", {}).items():
            if form := drawn.get(name, {}).get("properties", {}).get(field, {}).get("format"):
                told.setdefault("format", form)


def _config(settings: Settings) -> OpenAPIConfig:
    about = _ABOUT.format(api_rate=settings.api_rate_per_min, monitoring=monitoring_words(settings))
    bearer = SecurityScheme(type="http", scheme="bearer", description="An API key, zx_...")
    api_key = SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header", description="The same.")
    return OpenAPIConfig(
        title="Zaptrix",
        version=zaptrix.__version__,
        description=about.strip(),
        license=License(name="MIT"),
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(security_schemes={"bearer": bearer, "api_key": api_key}),
        use_handler_docstrings=True,
    )


# --- examples --------------------------------------------------------------------------------------------------------

_EXAMPLE_IDS: Final = {
    "portal_id": PORTAL_ID,
    "channel_id": CHANNEL_ID,
    "conversation_id": CONVERSATION_ID,
    "message_id": MESSAGE_ID,
    "event_id": 1,
    "name": "lembrete_consulta",
}


def _add_examples(operation: Schema, bodies: Mapping[str, Mapping[str, Any]]) -> None:
    """What is filled in where somebody tries the operation: left alone, a page makes up what nobody can send."""
    for parameter in operation.get("parameters", ()):
        if parameter.get("required") and parameter["name"] in _EXAMPLE_IDS:
            parameter["example"] = _EXAMPLE_IDS[parameter["name"]]
    if not bodies:
        return
    content = operation["requestBody"]["content"]
    content["application/json"]["examples"] = {
        summary.lower().replace(" ", "-"): {"summary": summary, "value": body} for summary, body in bodies.items()
    }
    if form := content.get("multipart/form-data"):
        first = next(iter(bodies.values()))
        flat = {field: value for field, value in first.items() if field in form["schema"]["properties"]}
        form["example"] = {field: value for field, value in flat.items() if field != "link"}


# --- problems --------------------------------------------------------------------------------------------------------

_EVERYWHERE: Final = (problems.UNAUTHORIZED, problems.FORBIDDEN, problems.TOO_MANY, problems.UNAVAILABLE)
_PROBES: Final = {
    "/health": "PostgreSQL or Redis is away.",
    "/health/ready": "It was told to stop.",
    "/health/live": "",
}
_WITH_BODY: Final = (problems.MALFORMED, problems.TOO_LARGE, problems.UNSUPPORTED, problems.INVALID)


def _add_problems(path: str, method: str, operation: Schema) -> None:
    """The errors that an operation can end in, in place of what the framework thinks they are."""
    for parameter in operation.get("parameters", ()):
        parameter["schema"].pop("nullable", None)  # left out is not null
    answers = operation["responses"]
    answers.pop("400", None)
    answers[str(problems.UNKNOWN_PARAMETER.status)] = _problem(problems.UNKNOWN_PARAMETER)
    if path in _PROBES:
        if why := _PROBES[path]:
            answers["503"] = {**answers["200"], "description": why}
        return
    for kind in dict.fromkeys(_kinds(path, method, operation)):
        status, answer = str(kind.status), _problem(kind)
        if before := answers.get(status):
            answer["description"] = f"{before['description']}; {answer['description']}"
        answers[status] = answer


_TEMPLATES: Final = "/api/messages/template"


def _kinds(path: str, method: str, operation: Schema) -> Iterable[ProblemKind]:
    yield from _EVERYWHERE
    if "requestBody" in operation:
        yield from _WITH_BODY
    if "{" in path or method == "post" or path.startswith(_TEMPLATES):
        yield problems.NOT_FOUND
    if "parameters" in operation:
        yield problems.INVALID
    if path.startswith(("/api/portals", "/api/channels")) and method in {"post", "put"}:
        yield problems.CONFLICT
    if path.startswith(_TEMPLATES):
        yield problems.CHANNEL_NOT_FIT


def _problem(kind: ProblemKind) -> Schema:
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    answer: Schema = {"description": kind.title.of(Locale.EN), "content": content}
    if kind in {problems.TOO_MANY, problems.UNAVAILABLE}:
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return answer


# --- webhooks --------------------------------------------------------------------------------------------------------

_STRANGERS: Final = (problems.UNAUTHORIZED, problems.TOO_LARGE, problems.TOO_MANY, problems.UNAVAILABLE)


def _webhooks() -> Schema:
    taken = {"200": {"description": "It is on disk."}}
    refused = {str(kind.status): _problem(kind) for kind in _STRANGERS}
    signature = {
        "name": "X-Hub-Signature-256",
        "in": "header",
        "required": True,
        "description": "sha256=, and the HMAC of the raw body under the app's secret.",
        "schema": {"type": "string"},
    }
    return {
        META_PATH: {
            "get": {
                **_door("verifyMetaCallback", "Meta verifies this address"),
                "parameters": [
                    {"name": name, "in": "query", "required": True, "schema": {"type": "string"}}
                    for name in ("hub.mode", "hub.verify_token", "hub.challenge")
                ],
                "responses": {
                    "200": {
                        "description": "The challenge.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    "403": _problem(problems.FORBIDDEN),
                    "429": _problem(problems.TOO_MANY),
                },
            },
            "post": {
                **_door("receiveMetaWebhook", "Meta's webhooks: messages and statuses"),
                "parameters": [signature],
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {**taken, **refused},
            },
        },
        BITRIX24_PATH: {
            "post": {
                **_door("receiveBitrix24Event", "Bitrix24's events of the open line connector"),
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
                },
                "responses": {**taken, **refused, "400": _problem(problems.MALFORMED)},
            }
        },
    }


def _door(operation_id: str, summary: str) -> Schema:
    return {"operationId": operation_id, "summary": summary, "tags": ["Webhooks"], "security": []}


# --- OpenAPI 3.1 as 3.0 ----------------------------------------------------------------------------------------------


def _older(node: Any) -> Any:
    """A description in the words of OpenAPI 3.0: `nullable`, one `example`, flags for exclusive bounds."""
    if isinstance(node, list):
        return [_older(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    told = {name: _older(value) for name, value in node.items()}
    if "$ref" in told and len(told) > 1:
        told = {"allOf": [{"$ref": told.pop("$ref")}], **told}
    if told.get("required") == []:
        del told["required"]
    if "const" in told:
        told["enum"] = [told.pop("const")]
    if "enum" in told:
        told = _enumerated(told)
    if isinstance(examples := told.get("examples"), list):
        del told["examples"]
        if examples:
            told["example"] = examples[0]
    if isinstance(told.get("type"), list):
        told = _typed(told)
    for union in ("oneOf", "anyOf"):
        if isinstance(told.get(union), list):
            told = _united(told, union)
    return told


def _enumerated(told: Schema) -> Schema:
    """With its type, without which some generators leave out all that has such a field; and none of flags."""
    kinds = {type(value) for value in told["enum"]}
    if kinds == {bool}:
        only = " or ".join(msgspec.json.encode(value).decode() for value in told["enum"])
        rest = {name: value for name, value in told.items() if name != "enum"}
        return {**rest, "type": "boolean", "description": f"{rest.get('description', '')} Only {only}.".strip()}
    return {"type": "string", **told} if kinds == {str} else told


def _typed(told: Schema) -> Schema:
    kinds = [kind for kind in told["type"] if kind != "null"]
    told["nullable"] = "null" in told["type"]
    told["type"] = kinds[0]
    return told


def _united(told: Schema, union: str) -> Schema:
    kinds = [each for each in told[union] if each != {"type": "null"}]
    nullable = len(kinds) < len(told[union])
    if nullable and len(kinds) == 1 and "enum" in kinds[0]:
        kinds = [{**kinds[0], "enum": [*kinds[0]["enum"], None]}]
    rest = {name: value for name, value in told.items() if name != union}
    if len(kinds) == 1 and "$ref" not in kinds[0]:
        told = {**kinds[0], **rest}
    elif len(kinds) == 1:
        told = {"allOf": kinds, **rest}
    else:
        told = {union: kinds, **rest}
    return {**told, "nullable": True} if nullable else told
