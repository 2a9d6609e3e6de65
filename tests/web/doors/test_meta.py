"""Meta's door, over HTTP, against the real gateway."""

import asyncio
import json

import pytest

from tests.web.gateway import (
    APP_SECRET,
    OLD_APP_SECRET,
    VERIFY_TOKEN,
    Gateway,
    a_message,
    a_request_id,
    a_webhook,
)


async def test_a_signed_webhook_is_a_row_before_it_is_answered(gateway: Gateway) -> None:
    request_id = a_request_id()
    reply = await gateway.meta(a_webhook(a_message("wamid.1")), request_id=request_id)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["X-Request-Id"] == request_id
    (event,) = await gateway.events(request_id)
    assert (event["source"], event["name"], event["state"]) == ("whatsapp", "messages.text", "new")


@pytest.mark.parametrize("secret", [APP_SECRET, OLD_APP_SECRET])
async def test_both_secrets_open_while_one_replaces_the_other(gateway: Gateway, secret: str) -> None:
    assert (await gateway.meta(a_webhook(a_message(f"wamid.{secret}")), secret=secret)).status == 200


async def test_a_webhook_delivered_five_times_at_once_is_one_event(gateway: Gateway) -> None:
    request_id = a_request_id()
    webhook = a_webhook(a_message("wamid.five-times"))
    replies = await asyncio.gather(*(gateway.meta(webhook, request_id=request_id) for _ in range(5)))
    assert [reply.status for reply in replies] == [200] * 5
    assert len(await gateway.events(request_id)) == 1


@pytest.mark.parametrize("signature", [None, "", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "sha256=zz"])
async def test_a_wrong_signature_is_refused_and_nothing_is_stored(gateway: Gateway, signature: str | None) -> None:
    request_id = a_request_id()
    headers = {"X-Request-Id": request_id, "Content-Type": "application/json"}
    if signature is not None:
        headers["X-Hub-Signature-256"] = signature
    data = json.dumps(a_webhook(a_message("wamid.strangers"))).encode()
    reply = await gateway.call("POST", "/webhooks/meta", key=None, data=data, headers=headers)
    assert reply.status == 401
    assert reply.problem["title"] == "Authentication required"
    assert await gateway.events(request_id) == []


async def test_a_4_mb_body_is_refused_as_too_large(gateway: Gateway) -> None:
    reply = await gateway.meta(a_webhook(a_message("wamid.large", "x" * 4 * 1024 * 1024)))
    assert reply.status == 413
    assert reply.problem["detail"] == "The body is larger than 3145728 bytes"


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["whole", "never whole"])
async def test_a_4_mb_body_without_a_length_is_refused_as_too_large(gateway: Gateway, end: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    writer.write(b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(64):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()
    writer.write(end)
    assert b" 413 " in await reader.readline()
    writer.close()


async def test_a_body_without_an_end_is_not_read_for_ever(gateway: Gateway) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    writer.write(b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(ConnectionError):
        await pour(writer, 1000)
    writer.close()


async def pour(writer: asyncio.StreamWriter, megabytes: int) -> None:
    for _ in range(megabytes):
        writer.write(b"100000\r\n" + b"x" * 1_048_576 + b"\r\n")
        await writer.drain()


async def test_a_3_mb_body_is_taken(gateway: Gateway) -> None:
    assert (await gateway.meta(a_webhook(a_message("wamid.fits", "x" * 3_000_000)))).status == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"object":1,"entry":{}}', b"\x00"])
async def test_signed_nonsense_is_kept_as_unroutable_and_answered_200(gateway: Gateway, raw: bytes) -> None:
    request_id = a_request_id()
    reply = await gateway.meta(None, raw=raw + b" " * int(request_id[-4:], 16), request_id=request_id)
    assert (reply.status, reply.body) == (200, b"")
    (event,) = await gateway.events(request_id)
    assert event["state"] == "unroutable"


async def test_of_1000_items_a_poisonous_one_harms_no_other(gateway: Gateway) -> None:
    request_id = a_request_id()
    messages: list[object] = [a_message(f"wamid.{request_id}.{n}") for n in range(999)]
    messages.insert(500, "poison")
    reply = await gateway.meta(a_webhook(*messages), request_id=request_id)
    assert reply.status == 200
    events = await gateway.events(request_id)
    assert [event["state"] for event in events].count("new") == 999
    assert [event["state"] for event in events].count("unroutable") == 1


async def test_more_than_1000_items_keep_the_first_and_the_rest_as_one(gateway: Gateway) -> None:
    request_id = a_request_id()
    messages = [a_message(f"wamid.{request_id}.{n}") for n in range(1001)]
    assert (await gateway.meta(a_webhook(*messages), request_id=request_id)).status == 200
    events = await gateway.events(request_id)
    assert len(events) == 1001
    assert events[-1]["reason"] == "more than 1000 items in one post"


async def test_an_unknown_field_is_kept_and_answered_200(gateway: Gateway) -> None:
    request_id = a_request_id()
    change = {"field": "something_new", "value": {"a": 1}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    assert (await gateway.meta(body, request_id=request_id)).status == 200
    assert [event["name"] for event in await gateway.events(request_id)] == ["account.unknown"]


async def test_the_callback_is_verified_by_its_token(gateway: Gateway) -> None:
    path = f"/webhooks/meta?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444"
    reply = await gateway.call("GET", path, key=None)
    assert (reply.status, reply.body) == (200, b"1158201444")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("query", ["", "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1", "%ff=%ff"])
async def test_the_callback_is_not_verified_by_anything_else(gateway: Gateway, query: str) -> None:
    reply = await gateway.call("GET", f"/webhooks/meta?{query}", key=None)
    assert reply.status == 403
    assert "hub" not in reply.problem["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_told_which_ones_there_are(gateway: Gateway, method: str) -> None:
    reply = await gateway.call(method, "/webhooks/meta", key=None)
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, POST"


async def test_a_request_id_that_is_not_one_is_replaced(gateway: Gateway) -> None:
    for strange in ("short", "has spaces in it", "x" * 65, "new\tline-in-it"):
        reply = await gateway.meta(a_webhook(), request_id=strange)
        assert len(reply.headers["X-Request-Id"]) == 32
