"""What a caller did wrong: always a 4xx that names it, in one form and one language; never a 500, never an alarm."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.web.gateway import Gateway, Json, Reply
from zaptrix.core.wording.catalog import Locale

NOBODY = "00000000-0000-4000-8000-000000000000"
POINTER = re.compile(r"(/[^/]+)+")
PORTUGUESE = {"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.5"}
ENGLISH = {"Accept-Language": "en-GB,en;q=0.9,pt;q=0.5"}


@pytest.fixture
async def description(gateway: Gateway) -> Json:
    told: Json = (await gateway.call("GET", "/openapi.json", key=None)).json
    return told


@pytest.fixture
async def channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


def operations(description: Json) -> Iterator[tuple[str, str, Json]]:
    """Method, path with something in place of its parameters, and what is told of it; of the framework's part."""
    for path, item in description["paths"].items():
        if path.startswith("/webhooks"):
            continue
        for method, operation in item.items():
            filled = re.sub(
                r"\{(\w+)\}", lambda name: "1" if "message" in name[1] or "event" in name[1] else NOBODY, path
            )
            yield method.upper(), filled, operation


def fields(reply: Reply) -> list[tuple[str, str]]:
    return [(error.get("in", "body"), error["field"]) for error in reply.problem["errors"]]


# --- query parameters ------------------------------------------------------------------------------------------------


async def test_every_operation_refuses_a_parameter_that_it_does_not_have(gateway: Gateway, description: Json) -> None:
    for method, path, operation in operations(description):
        known = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        reply = await gateway.call(method, f"{path}?phone=%2B5541988887777&Limit=3")
        assert (reply.status, reply.problem["type"]) == (400, "urn:zaptrix:problem:unknown-parameter"), (method, path)
        assert sorted(fields(reply)) == [("query", "/Limit"), ("query", "/phone")]
        assert all(name in reply.problem["errors"][0]["message"] for name in known)


@pytest.mark.parametrize(
    "query", ["portal_ID=1", "limit[]=1", "limit=1&=2", "=", "a%2Fb~c=1", "request=1", "self=1", "data=1"]
)
async def test_a_parameter_that_is_nearly_one_is_none(gateway: Gateway, query: str) -> None:
    reply = await gateway.call("GET", f"/api/conversations?{query}")
    assert reply.status == 400
    assert all(name in reply.problem["detail"] for name in ("portal_id", "channel_id", "limit", "cursor"))


async def test_a_parameter_that_is_wrong_or_missing_is_named_as_the_caller_names_it(gateway: Gateway) -> None:
    for path, field, told in (
        ("/api/messages/templates", "/channel_id", "is missing"),
        ("/api/messages/templates/changes?limit=3", "/channel_id", "is missing"),
        ("/api/events?state=routed", "/state", "has to be one of: new, unroutable"),
        ("/api/dead-letters?lang=fr", "/lang", f"has to be one of: {', '.join(Locale)}"),
        ("/api/portals?limit=0", "/limit", "is less than 1"),
        ("/api/portals?limit=x", "/limit", "has to be a whole number"),
        ("/api/portals?limit=1&limit=2", "/limit", "is given more than once"),
        ("/api/channels?portal_id=7", "/portal_id", "is not a UUID"),
        ("/api/conversations?cursor=abc", "/cursor", "is no next_cursor of this list"),
        (f"/api/conversations?cursor={'W1' * 150}", "/cursor", "is no next_cursor of this list"),
        ("/api/conversations?cursor=" + "x" * 401, "/cursor", "is longer than 400 characters"),
    ):
        reply = await gateway.call("GET", path)
        assert (reply.status, fields(reply)) == (422, [("query", field)]), path
        assert reply.problem["errors"][0]["message"] == told
        assert field in reply.problem["detail"]


# --- one form, one language ------------------------------------------------------------------------------------------


def wrong_calls(channel: Json) -> Iterator[tuple[str, str, object]]:
    """Calls that are refused, of every kind that a caller can get wrong."""
    to = {"channel_id": channel["id"], "to": "+5541988887777"}
    yield "GET", "/api/nothing", None
    yield "PATCH", "/api/portals", {}
    yield "GET", f"/api/channels/{uuid4()}", None
    yield "GET", "/api/portals?q=1", None
    yield "GET", "/api/portals?limit=1000", None
    yield "POST", "/api/portals", {"portal_url": "ftp://x"}
    yield "POST", "/api/channels", {"portal_id": 1}
    yield "PUT", f"/api/channels/{channel['id']}", {"crm_mode": "all"}
    yield "PUT", f"/api/channels/{channel['id']}", {"name": " x"}
    yield "PUT", f"/api/portals/{channel['portal_id']}", {"expires_at": "1999-01-01T00:00:00Z"}
    yield "PUT", f"/api/portals/{channel['portal_id']}", {"expires_at": "2030-01-01T00:00:00Z", "expires_in": 5}
    yield "POST", "/api/messages/text", {"text": "oi"}
    yield "POST", "/api/messages/text", {"text": "oi", "channel_id": channel["id"]}
    yield "POST", "/api/messages/text", {**to, "text": "oi", "conversation_id": NOBODY}
    yield "POST", "/api/messages/text", {**to, "text": "oi", "to": "abc"}
    yield "POST", "/api/messages/text", {**to, "text": "oi", "reply_to": 1}
    yield "POST", "/api/messages/text", {**to, "text": "x" * 5000}
    yield "POST", "/api/messages/text", {**to, "text": "oi", "colour": "red"}
    yield "POST", "/api/messages/text", [1]
    yield "POST", "/api/messages/image", {**to, "link": "https://127.0.0.1/x.jpg"}
    yield "POST", "/api/messages/image", {**to}
    yield "POST", "/api/messages/document", {**to, "link": "ftp://example.com/x.pdf"}
    yield "POST", "/api/messages/contacts", {**to, "contacts": [{"name": "A", "birthday": "x"}, {"name": 7}]}
    yield "POST", "/api/messages/contacts", {**to, "contacts": [{"name": "A", "birthday": "x"}]}
    yield "POST", "/api/messages/interactive", {**to, "body": "?"}
    yield (
        "POST",
        "/api/messages/interactive",
        {**to, "body": "?", "location_request": True, "buttons": [{"id": "1", "title": "x" * 21}]},
    )
    yield "POST", "/api/messages/interactive", {**to, "body": "?", "flow": {"label": "x", "action": "fly"}}
    yield (
        "POST",
        "/api/messages/templates",
        {"channel_id": channel["id"], "name": "a", "language": "pt_BR", "category": "ADS", "components": [{}]},
    )
    yield "POST", "/api/dead-letters/revive", {}
    yield "POST", "/api/dead-letters/dismiss", {"ids": [1], "all": True}
    yield "POST", "/api/dead-letters/dismiss", {"all": False}


# Words that stand in no text of the other language.
ONLY_PORTUGUESE = re.compile(r"\b(não|tem|têm|esta|este|falta|com|outro|dê|passa|pede|uma?)\b", re.IGNORECASE)
ONLY_ENGLISH = re.compile(r"\b(the|is|has|not|give|with|this|there|takes)\b", re.IGNORECASE)


async def test_an_error_has_one_language_and_its_fields_are_pointers(gateway: Gateway, channel: Json) -> None:
    for method, path, body in wrong_calls(channel):
        for headers, language, strange in (
            (PORTUGUESE, "pt-BR", ONLY_ENGLISH),
            (ENGLISH, "en", ONLY_PORTUGUESE),
            ({}, "en", ONLY_PORTUGUESE),
        ):
            reply = await gateway.call(method, path, body, headers=headers)
            problem = reply.problem
            assert 400 <= reply.status < 500, (method, path, body)
            assert reply.headers["Content-Language"] == language
            said = [problem["title"], problem["detail"], *(error["message"] for error in problem["errors"])]
            assert not [text for text in said if strange.search(text)], said
            assert all(POINTER.fullmatch(error["field"]) for error in problem["errors"]), problem
            if reply.status == 422 and isinstance(body, dict):
                assert problem["errors"], (path, body)


async def test_the_language_can_be_asked_for_in_the_query_where_there_is_such_a_parameter(gateway: Gateway) -> None:
    reply = await gateway.call("GET", "/api/messages/999999999?lang=pt-BR", headers=ENGLISH)
    assert (reply.status, reply.problem["title"]) == (404, "Não encontrado")


async def test_a_value_that_is_not_among_those_allowed_names_them(gateway: Gateway, channel: Json) -> None:
    to = {"channel_id": channel["id"], "to": "+5541988887777"}
    for method, path, body, field, allowed in (
        ("PUT", f"/api/channels/{channel['id']}", {"crm_mode": "all"}, "/crm_mode", "line, gateway, none"),
        ("PUT", f"/api/portals/{channel['portal_id']}", {"oauth_host": "x"}, "/oauth_host",
         "oauth.bitrix.info, oauth.bitrix24.tech"),
        ("PUT", f"/api/portals/{channel['portal_id']}", {"locale": 5}, "/locale", "pt-BR, en"),
        ("POST", "/api/dead-letters/revive", {"all": False}, "/all", "true"),
        ("POST", "/api/messages/interactive", {**to, "body": "?", "flow": {"label": "x", "action": "fly"}},
         "/flow/action", "navigate, data_exchange"),
        ("POST", "/api/messages/text", {**to, "txt": "oi", "text": "oi"}, "/txt",
         "channel_id, to, conversation_id, reply_to, text"),
    ):  # fmt: skip
        reply = await gateway.call(method, path, body)
        assert (reply.status, fields(reply)) == (422, [("body", field)])
        assert allowed in reply.problem["errors"][0]["message"]


async def test_a_wrong_key_reads_otherwise_than_none(gateway: Gateway) -> None:
    none = await gateway.call("GET", "/api/portals", key=None)
    portal = await gateway.portal()
    revoked = await gateway.key_for(portal["id"])
    await gateway.rows("DELETE FROM api_key WHERE portal_id = $1 RETURNING id", portal["id"])
    wrong = [await gateway.call("GET", "/api/portals", key=key) for key in ("x", "zx_000000000000_wrong", revoked)]
    assert none.problem["title"] == "Authentication required"
    assert none.problem["detail"].startswith("Send an API key")
    assert {reply.status for reply in wrong} == {401}
    assert {reply.problem["detail"] for reply in wrong} == {
        "The API key (zx_...) is not valid: it is wrong, expired or revoked"
    }
    assert 'error="invalid_token"' in wrong[0].headers["WWW-Authenticate"]
    assert "error" not in none.headers["WWW-Authenticate"]


# --- JSON that nobody would write in earnest -------------------------------------------------------------------------

BROKEN_JSON: dict[str, bytes] = {
    "arrays in arrays": b"[" * 5000 + b"]" * 5000,
    "arrays without an end": b"[" * 100_000,
    "objects in objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "900 deep": b"[" * 900 + b"]" * 900,
    "both, 120 deep": b'[{"a":' * 60 + b"1" + b"}]" * 60,
    "a huge integer": b"1" * 5000,
    "an integer of 300 digits": b"1" * 300,
    "a huge number": b"1e400",
    "not a number": b"NaN",
    "half a surrogate": b'"\\ud800"',
    "no UTF-8": b'"\xff"',
    "NUL": b'"\\u0000"',
    "nothing": b"",
    "half": b'{"a": [1, ',
}


# 503: what can be read goes on to Meta, which is nowhere here.
REFUSED = {*range(400, 500), 503}


def with_everywhere(body: Any, raw: bytes) -> Iterator[bytes]:
    """The body, the value of each of its fields, and of a field nobody knows, replaced."""
    yield raw
    for name in [*body, "unknown"]:
        marked = json.dumps({**body, name: "<here>"}).encode()
        yield marked.replace(b'"<here>"', raw)


BODIES: dict[str, Json] = {
    "/api/messages/interactive": {"body": "?", "flow": {"label": "x", "id": "1", "data": "<free>"}},
    "/api/messages/templates": {"name": "a", "language": "pt_BR", "category": "UTILITY", "components": ["<free>"]},
    "/api/messages/template": {"name": "a", "body": ["<free>"]},
}


@pytest.mark.parametrize("name", BROKEN_JSON)
async def test_whatever_json_comes_it_is_a_refusal_and_no_alarm(
    gateway: Gateway, channel: Json, description: Json, name: str
) -> None:
    raw = BROKEN_JSON[name]
    before = gateway.log.count('"alarm"')
    target = {"channel_id": channel["id"], "to": "+5541988887777"}
    for method, path, operation in operations(description):
        if "requestBody" not in operation:
            continue
        body = {**target, **BODIES.get(path, {"text": "<free>"})}
        marked = json.dumps(body).encode()
        for data in itertools.chain((raw, marked.replace(b'"<free>"', raw)), with_everywhere(body, raw)):
            reply = await gateway.call(method, path, data=data, headers={"Content-Type": "application/json"})
            assert reply.status in REFUSED, (method, path, data[:80], reply)
        if "multipart/form-data" in operation["requestBody"]["content"]:
            for data in (raw, marked.replace(b'"<free>"', raw)):
                form = b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\n' + data + b"\r\n--b--\r\n"
                reply = await gateway.call(
                    method, path, data=form, headers={"Content-Type": "multipart/form-data; boundary=b"}
                )
                assert reply.status in REFUSED, (method, path, data[:80], reply)
    assert gateway.log.count('"alarm"') == before


async def test_what_is_nested_as_deeply_as_allowed_is_taken(gateway: Gateway, channel: Json) -> None:
    target = {"channel_id": channel["id"], "to": "+5541988887777", "body": "?"}
    for depth, status in ((60, 202), (70, 400)):
        data: Any = 1
        for _ in range(depth):
            data = {"a": data}
        body = {**target, "flow": {"label": "x", "id": "1", "data": data, "screen": "S"}}
        reply = await gateway.call("POST", "/api/messages/interactive", body)
        assert reply.status == status, reply
