"""Bitrix24's door, over HTTP, against the real gateway."""

import pytest

from tests.web.gateway import Gateway, Json, a_request_id, an_event


@pytest.fixture(scope="module")
def token() -> str:
    return "the-application-token"


@pytest.fixture
async def portal(gateway: Gateway, token: str) -> Json:
    return await gateway.portal(application_token=token)


async def test_an_event_is_a_row_of_its_portal_before_it_is_answered(
    gateway: Gateway, portal: Json, token: str
) -> None:
    request_id = a_request_id()
    reply = await gateway.bitrix24(an_event(portal["member_id"], token), request_id=request_id)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["X-Request-Id"] == request_id
    (event,) = await gateway.events(request_id)
    assert (event["source"], event["name"]) == ("bitrix24", "ONIMCONNECTORMESSAGEADD")
    assert event["lane"].startswith(portal["id"])
    assert token not in event["body"].decode()


async def test_an_event_delivered_twice_is_one_event(gateway: Gateway, portal: Json, token: str) -> None:
    request_id = a_request_id()
    for _ in range(2):
        reply = await gateway.bitrix24(an_event(portal["member_id"], token), request_id=request_id)
        assert reply.status == 200
    assert len(await gateway.events(request_id)) == 1


@pytest.mark.parametrize("given", ["wrong", "", "the-application-token "])
async def test_a_wrong_token_is_refused_and_nothing_is_stored(gateway: Gateway, portal: Json, given: str) -> None:
    request_id = a_request_id()
    reply = await gateway.bitrix24(an_event(portal["member_id"], given), request_id=request_id)
    assert reply.status == 401
    assert reply.problem["detail"] == "Unknown portal or wrong application token"
    assert await gateway.events(request_id) == []


async def test_an_unknown_portal_gets_the_same_answer_as_a_wrong_token(gateway: Gateway, token: str) -> None:
    reply = await gateway.bitrix24(an_event("nobody", token))
    assert reply.status == 401
    assert reply.problem["detail"] == "Unknown portal or wrong application token"


async def test_one_portals_token_opens_no_other(gateway: Gateway, portal: Json, token: str) -> None:
    other = await gateway.portal(application_token="another-token")
    assert (await gateway.bitrix24(an_event(other["member_id"], token))).status == 401


@pytest.mark.parametrize(
    "form",
    [
        b"%ff%fe=1",
        b"=1",
        b"a" + b"[b]" * 20 + b"=1",
        b"&".join(b"k%d=1" % n for n in range(2001)),
    ],
    ids=["not utf-8", "no name", "deep", "many fields"],
)
async def test_a_broken_form_is_refused_with_its_reason(gateway: Gateway, form: bytes) -> None:
    reply = await gateway.bitrix24(form)
    assert reply.status == 400
    assert reply.problem["title"] == "Malformed request"


@pytest.mark.parametrize("form", [b"", b"a=1", b'{"auth": {}}', b"auth=1", b"\x00"])
async def test_a_form_of_nobody_is_refused(gateway: Gateway, form: bytes) -> None:
    assert (await gateway.bitrix24(form)).status in {400, 401}


async def test_an_unknown_event_is_kept_as_unroutable_and_answered_200(
    gateway: Gateway, portal: Json, token: str
) -> None:
    request_id = a_request_id()
    event = {**an_event(portal["member_id"], token), "event": "ONSOMETHINGNEW"}
    assert (await gateway.bitrix24(event, request_id=request_id)).status == 200
    (kept,) = await gateway.events(request_id)
    assert (kept["name"], kept["state"], kept["reason"]) == ("unknown", "unroutable", "unknown event")


async def test_an_event_of_a_strange_shape_is_kept_as_unroutable(gateway: Gateway, portal: Json, token: str) -> None:
    request_id = a_request_id()
    event = an_event(portal["member_id"], token)
    bare = {name: value for name, value in event.items() if not name.startswith("data")}
    assert (await gateway.bitrix24(bare, request_id=request_id)).status == 200
    (kept,) = await gateway.events(request_id)
    assert (kept["state"], kept["reason"]) == ("unroutable", "no data")


async def test_a_nul_in_a_text_does_not_lose_the_event(gateway: Gateway, portal: Json, token: str) -> None:
    request_id = a_request_id()
    event = an_event(portal["member_id"], token, message_id="nul", text="a\0b")
    assert (await gateway.bitrix24(event, request_id=request_id)).status == 200
    assert len(await gateway.events(request_id)) == 1


async def test_a_3_mb_body_is_refused_as_too_large(gateway: Gateway) -> None:
    assert (await gateway.bitrix24(b"a=" + b"x" * 3_000_000)).status == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/json", ""])
async def test_another_content_type_is_not_refused(gateway: Gateway, portal: Json, token: str, kind: str) -> None:
    event = an_event(portal["member_id"], token, message_id=f"kind {kind}")
    assert (await gateway.bitrix24(event, kind=kind)).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
async def test_other_methods_are_refused(gateway: Gateway, method: str) -> None:
    reply = await gateway.call(method, "/webhooks/bitrix24/outbound", key=None)
    assert reply.status == 405
    assert reply.headers["Allow"] == "POST"
