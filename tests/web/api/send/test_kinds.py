"""`/api/messages/*`: what WhatsApp would not take is refused with an error per field, before anything is queued."""

import asyncio
import json
from typing import Any

import pytest

from tests.web.gateway import Gateway, Json, Reply, until

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(500)
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + bytes(500)
FIELD = b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
WHO = {"to": "+55 41 98888-7777"}
BUTTONS = {"body": "Confirma?", "buttons": [{"id": "yes", "title": "Sim"}]}


@pytest.fixture
async def channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


async def send(gateway: Gateway, channel: Json, kind: str, body: Json, **headers: str) -> Reply:
    whole = {"channel_id": channel["id"], **WHO, **body}
    return await gateway.call("POST", f"/api/messages/{kind}", whole, headers=headers)


async def upload(
    gateway: Gateway, channel: Json, kind: str, content: bytes, name: str = "foto.jpg", **fields: str
) -> Reply:
    given = {"channel_id": channel["id"], **WHO, **fields}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in given.items()]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    data = "".join(parts).encode() + head.encode() + content + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return await gateway.call("POST", f"/api/messages/{kind}", data=data, headers=headers)


def errors(reply: Reply) -> list[tuple[str, str | None]]:
    return [(error["field"], error.get("code")) for error in reply.problem["errors"]]


def buttons(*titles: str, **more: Any) -> Json:
    return {"body": "?", "buttons": [{"id": title, "title": title} for title in titles], **more}


def a_list(*sections: Json, **more: Any) -> Json:
    return {"body": "?", "list": {"label": "Ver", "sections": list(sections)}, **more}


def rows(*ids: str, title: str | None = "Manhã", **more: Any) -> Json:
    told = {"title": title} if title else {}
    return {**told, "rows": [{"id": each, "title": "09:00", **more} for each in ids]}


REFUSED: dict[str, tuple[str, Json, list[tuple[str, str]]]] = {
    "nothing to press": ("interactive", {"body": "?"}, [("/buttons", "one_of")]),
    "two things to press": ("interactive", {**BUTTONS, "location_request": True}, [("/location_request", "one_of")]),
    "no button": ("interactive", buttons(), [("/buttons", "empty")]),
    "four buttons": ("interactive", buttons("1", "2", "3", "4"), [("/buttons", "too_many")]),
    "a title of 21": ("interactive", buttons("Sim", "x" * 21), [("/buttons/1/title", "too_long")]),
    "a blank title": ("interactive", buttons(" "), [("/buttons/0/id", "empty"), ("/buttons/0/title", "empty")]),
    "a title of two lines": (
        "interactive",
        {"body": "?", "buttons": [{"id": "1", "title": "a\nb"}]},
        [("/buttons/0/title", "control")],
    ),
    "an id of 257": (
        "interactive",
        {"body": "?", "buttons": [{"id": "x" * 257, "title": "Sim"}]},
        [("/buttons/0/id", "too_long")],
    ),
    "the same twice": (
        "interactive",
        buttons("Sim", "Sim"),
        [("/buttons/1/id", "twice"), ("/buttons/1/title", "twice")],
    ),
    "a body of 1025": ("interactive", {**BUTTONS, "body": "x" * 1025}, [("/body", "too_long")]),
    "a body that signs make too long": ("interactive", {**BUTTONS, "body": "*x* " * 256}, [("/body", "too_long")]),
    "a body of blanks": ("interactive", {**BUTTONS, "body": "  "}, [("/body", "empty")]),
    "a header of 61": ("interactive", {**BUTTONS, "header": {"text": "x" * 61}}, [("/header/text", "too_long")]),
    "a footer of 61": ("interactive", {**BUTTONS, "footer": "x" * 61}, [("/footer", "too_long")]),
    "two headers": (
        "interactive",
        {**BUTTONS, "header": {"text": "x", "image": {"media_id": "1"}}},
        [("/header", "one_of")],
    ),
    "a header's file that is not told": (
        "interactive",
        {**BUTTONS, "header": {"image": {}}},
        [("/header/image", "one_of")],
    ),
    "a list with a picture": (
        "interactive",
        a_list(rows("1"), header={"image": {"media_id": "1"}}),
        [("/header/image", "text_header")],
    ),
    "a request for a place with a header": (
        "interactive",
        {"body": "?", "location_request": True, "header": {"text": "x"}},
        [("/header", "no_header")],
    ),
    "eleven rows": (
        "interactive",
        a_list(rows(*"abcdef"), rows(*"ghijk")),
        [("/list/sections", "too_many")],
    ),
    "a section without a title": (
        "interactive",
        a_list(rows("1"), rows("2", title=None)),
        [("/list/sections/1/title", "missing")],
    ),
    "a section's title of 25": (
        "interactive",
        a_list(rows("1", title="x" * 25)),
        [("/list/sections/0/title", "too_long")],
    ),
    "an empty section": ("interactive", a_list(rows()), [("/list/sections/0/rows", "empty")]),
    "rows of one id": (
        "interactive",
        a_list(rows("1"), rows("1")),
        [("/list/sections/1/rows/0/id", "twice")],
    ),
    "a row's description of 73": (
        "interactive",
        a_list(rows("1", description="x" * 73)),
        [("/list/sections/0/rows/0/description", "too_long")],
    ),
    "a label of 21": (
        "interactive",
        {"body": "?", "link": {"label": "x" * 21, "url": "https://ex.com"}},
        [("/link/label", "too_long")],
    ),
    "an address of nothing": (
        "interactive",
        {"body": "?", "link": {"label": "Ver", "url": "javascript:alert(1)"}},
        [("/link/url", "address")],
    ),
    "a form by two names": (
        "interactive",
        {"body": "?", "flow": {"label": "Abrir", "id": "1", "name": "x"}},
        [("/flow", "one_of")],
    ),
    "a form's data without its screen": (
        "interactive",
        {"body": "?", "flow": {"label": "Abrir", "id": "1", "data": {"k": 1}}},
        [("/flow/screen", "missing")],
    ),
    "a card without letters": ("contacts", {"contacts": [{"name": " "}]}, [("/contacts/0/name", "empty")]),
    "a birthday in words": (
        "contacts",
        {"contacts": [{"name": "Ana", "birthday": "maio"}]},
        [("/contacts/0/birthday", "date")],
    ),
    "a place's name of two lines": (
        "location",
        {"latitude": 1, "longitude": 1, "name": "a\nb"},
        [("/name", "control")],
    ),
    "no file": ("image", {}, [("/file", "one_of")]),
    "two places of a file": ("image", {"link": "https://ex.com/a.jpg", "media_id": "1"}, [("/file", "one_of")]),
    "a link into our own network": ("image", {"link": "https://127.0.0.1/a.jpg"}, [("/link", "fetch")]),
    "a link of a name too long": ("document", {"link": f"https://{'a' * 300}.com/"}, [("/link", "fetch")]),
    "a link of an empty name": ("document", {"link": "https://a..b.com/"}, [("/link", "fetch")]),
    "a link of half an address": ("document", {"link": "https://[::1/x"}, [("/link", "fetch")]),
    "a link with a NUL in its name": ("document", {"link": "https://a%00b.com/"}, [("/link", "fetch")]),
    "a link to a site's own network": ("document", {"link": "https://[fec0::1]/"}, [("/link", "fetch")]),
    "a link without encryption": ("image", {"link": "http://example.com/a.jpg"}, [("/link", "fetch")]),
    "a link to Meta's door from inside": ("image", {"link": "https://169.254.169.254/"}, [("/link", "fetch")]),
    "a caption that signs make too long": (
        "image",
        {"media_id": "1", "caption": "*x* " * 256},
        [("/caption", "too_long")],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_each_field_at_fault_is_named(gateway: Gateway, channel: Json, name: str) -> None:
    kind, body, wrong = REFUSED[name]
    reply = await send(gateway, channel, kind, body)
    assert (reply.status, errors(reply)) == (422, wrong)
    assert await gateway.rows("SELECT id FROM message WHERE channel_id = $1::text::uuid", channel["id"]) == []


MISSHAPEN: dict[str, tuple[str, Json, str]] = {
    "a place beyond the pole": ("location", {"latitude": 90.1, "longitude": 0}, "latitude"),
    "a place in words": ("location", {"latitude": "1", "longitude": 0}, "latitude"),
    "no cards": ("contacts", {"contacts": []}, "contacts"),
    "a field that is not there": ("sticker", {"media_id": "1", "caption": "oi"}, "caption"),
    "a caption of 1025": ("video", {"media_id": "1", "caption": "x" * 1025}, "caption"),
    "an id in words": ("audio", {"media_id": "abc"}, "media_id"),
    "both a customer and a conversation": ("image", {"media_id": "1", "conversation_id": "x"}, "conversation_id"),
}


@pytest.mark.parametrize("name", MISSHAPEN)
async def test_what_is_not_shaped_as_described_names_its_field(gateway: Gateway, channel: Json, name: str) -> None:
    kind, body, field = MISSHAPEN[name]
    reply = await send(gateway, channel, kind, body)
    assert reply.status == 422
    assert reply.problem["errors"][0]["field"] == f"/{field}"


async def test_faults_are_told_in_the_callers_language(gateway: Gateway, channel: Json) -> None:
    told = {}
    for language in ("en", "pt-BR"):
        reply = await send(gateway, channel, "interactive", buttons("x" * 21), **{"Accept-Language": language})
        told[language] = {error["message"] for error in reply.problem["errors"]}
    assert told == {"en": {"is longer than 20 characters"}, "pt-BR": {"passa de 20 caracteres"}}


# --- uploads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content", "fields", "wrong"),
    [
        ("video", JPEG, {}, "file_type"),
        ("sticker", JPEG, {}, "file_type"),
        ("image", b"", {}, "empty"),
        ("image", JPEG + bytes(5 * 1024 * 1024), {}, "file_size"),
        ("sticker", b"RIFF\x24\0\0\0WEBPVP8L" + bytes(101 * 1024), {}, "file_size"),
        ("audio", JPEG, {"voice": "true"}, "no_voice"),
        ("audio", WEBM, {}, "file_type"),
    ],
    ids=["a picture as a film", "as a sticker", "nothing", "5 MB", "a still sticker", "no voice", "WebM as a sound"],
)
async def test_a_file_that_is_not_of_its_kind_is_refused_and_not_kept(
    gateway: Gateway, channel: Json, kind: str, content: bytes, fields: dict[str, str], wrong: str
) -> None:
    before = kept(gateway)
    reply = await upload(gateway, channel, kind, content, **fields)
    assert (reply.status, errors(reply)) == (422, [("/file", wrong)])
    assert kept(gateway) == before


def kept(gateway: Gateway) -> set[str]:
    """The files in the blob store."""
    return {str(path) for path in (gateway.folder / "media").glob("*/*")}


async def test_an_upload_is_queued_with_what_its_bytes_tell(gateway: Gateway, channel: Json) -> None:
    reply = await upload(gateway, channel, "image", JPEG, "mente.pdf", caption="oi")
    assert reply.status == 202
    (row,) = await gateway.rows(
        "SELECT f.*, m.due_at > now() AS waits FROM file f JOIN message m ON m.id = f.message_id WHERE m.id = $1",
        reply.json["id"],
    )
    blob = json.loads(row["blob"])
    assert (row["state"], row["waits"]) == ("wanted", True)
    assert (blob["type"], blob["name"], blob["size"]) == ("image/jpeg", "mente.jpg", len(JPEG))


async def test_more_than_100_mb_is_413_and_not_kept(gateway: Gateway, channel: Json) -> None:
    before = kept(gateway)
    reply = await gateway.call(
        "POST",
        "/api/messages/document",
        data=b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.bin"\r\n\r\n'
        + bytes(100 * 1024 * 1024 + 1)
        + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (reply.status, reply.problem["type"]) == (413, "urn:zaptrix:problem:too-large")
    assert errors(reply) == [("/file", "file_size")]
    assert kept(gateway) == before


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({"Content-Type": "text/plain"}, b"oi", 415),
        ({"Content-Type": "multipart/form-data"}, b"oi", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"oi", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, FIELD + b"a", 400),
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b" " * (256 * 1024 + 1), 413),
        ({"Content-Type": "multipart/form-data; boundary=b"},
         FIELD + b"[]\r\n--b--\r\n", 400),
    ],
    ids=["another type", "no boundary", "no form", "half a form", "half JSON", "large JSON", "a message of a list"],
)  # fmt: skip
async def test_a_body_that_cannot_be_read_is_told(
    gateway: Gateway, headers: dict[str, str], data: bytes, status: int
) -> None:
    reply = await gateway.call("POST", "/api/messages/image", data=data, headers=headers)
    assert (reply.status, reply.problem["status"]) == (status, status)


async def test_a_file_that_breaks_off_is_not_kept(gateway: Gateway) -> None:
    before = kept(gateway)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
    reply = await gateway.call(
        "POST",
        "/api/messages/image",
        data=head + JPEG,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (reply.status, reply.problem["type"]) == (400, "urn:zaptrix:problem:malformed")
    assert kept(gateway) == before


FILE_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n' + JPEG + b"\r\n"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (FIELD + b"half a fie", 400),
        (FIELD + b"\xff\r\n--b--\r\n", 400),
        (FIELD + b" " * (256 * 1024 + 1) + b"\r\n--b--\r\n", 413),
        (FIELD + b"{\r\n--b--\r\n", 400),
        (FIELD + b'{"to": 1}\r\n--b--\r\n', 422),
        (FILE_PART + b"--b--\r\n", 422),
        (FIELD * 20 + b"--b--\r\n", 400),
    ],
    ids=["breaks off", "no UTF-8", "a large field", "no JSON", "a wrong field", "two files", "too many fields"],
)
@pytest.mark.parametrize("kind", ["image", "interactive"])
async def test_a_file_is_gone_at_once_when_the_rest_of_its_form_is_not_accepted(
    gateway: Gateway, rest: bytes, status: int, kind: str
) -> None:
    before = kept(gateway)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = await gateway.call("POST", f"/api/messages/{kind}", data=FILE_PART + rest, headers=headers)
    assert (reply.status, kept(gateway) - before) == (status, set())


async def test_a_caller_who_hangs_up_leaves_nothing_behind(gateway: Gateway) -> None:
    before = kept(gateway)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    head = f"""POST /api/messages/image HTTP/1.1\r
Host: x\r
Authorization: Bearer {gateway.admin_key}\r
Content-Type: multipart/form-data; boundary=b\r
Content-Length: 10000000\r
\r
--b\r
Content-Disposition: form-data; name="file"; filename="x.jpg"\r
\r
"""
    writer.write(head.encode() + JPEG + bytes(1_000_000))
    await writer.drain()

    async def begun() -> bool:
        return kept(gateway) != before

    await until(begun, "the file to begin")
    writer.close()

    async def gone() -> bool:
        return kept(gateway) == before

    await until(gone, "the half file to go")


async def test_without_a_key_no_byte_is_kept(gateway: Gateway) -> None:
    before = kept(gateway)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    reply = await gateway.call(
        "POST",
        "/api/messages/image",
        key=None,
        data=head + JPEG + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert reply.status == 401
    assert kept(gateway) == before
