"""Files both ways, over HTTP, with both platforms at the far ends."""

import base64
import hashlib
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.media.recordings import recording

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(5_000)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(2_000)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(3_000)


def attached(content: bytes, name: str, kind: str = "file", mime: str = "", size: int = 0) -> dict[str, Any]:
    told = {"type": kind, "mime": mime, "filename": name, "content_base64": base64.b64encode(content).decode()}
    return {**told, "size": size}


async def opened(world: World, **channel: Any) -> Tenant:
    """A tenant with a chat in it."""
    tenant = await world.tenant(**channel)
    await tenant.customer_writes("oi")
    await shown(tenant, 1)
    return tenant


async def in_chat(tenant: Tenant) -> list[dict[str, Any]]:
    chat = await tenant.chat_if_any()
    return [one for one in chat["messages"] if one["author"] != "system"] if chat else []


async def notices(tenant: Tenant) -> list[str]:
    chat = await tenant.chat_if_any()
    return [one["text"] for one in chat["messages"] if one["author"] == "system"] if chat else []


async def shown(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """What stands in the chat when so much does."""

    async def there() -> bool:
        return len(await in_chat(tenant)) >= count

    await eventually(there, 30, f"{count} messages in the chat")
    return await in_chat(tenant)


async def got(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """What the phone has got when it is so much."""

    async def there() -> bool:
        return len(await tenant.on_phone()) >= count

    await eventually(there, 30, f"{count} messages on the phone")
    return await tenant.on_phone()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_customers_picture_stands_in_the_chat_with_its_words(world: World) -> None:
    tenant = await world.tenant()
    await tenant.customer_sends(JPEG, "o *comprovante*")
    (message,) = await shown(tenant, 1)
    assert message["text"] == "o [b]comprovante[/b]"
    (file,) = message["files"]
    assert (file["sha256"], file["mime"], file["name"]) == (sha(JPEG), "image/jpeg", "foto.jpg")


@pytest.mark.parametrize(
    ("content", "media", "name"),
    [
        (
            PDF,
            {"type": "document", "mime": "application/pdf", "filename": "contrato assinado.pdf"},
            "contrato assinado.pdf",
        ),
        (PNG, {"type": "document", "mime": "application/pdf", "filename": "mente.pdf"}, "mente.png"),
        (recording("ogg", "libopus"), {"type": "audio", "mime": "audio/ogg; codecs=opus", "voice": True}, "audio.ogg"),
        (b"RIFF\x24\0\0\0WEBPVP8L" + bytes(100), {"type": "sticker", "mime": "image/webp"}, "figurinha.webp"),
    ],
    ids=["document", "a lying ending", "voice", "sticker"],
)
async def test_a_customers_file_has_its_name_and_the_ending_of_its_bytes(
    world: World, content: bytes, media: dict[str, Any], name: str
) -> None:
    tenant = await world.tenant()
    await tenant.customer_sends(content, **media)
    (message,) = await shown(tenant, 1)
    assert [(file["name"], file["sha256"]) for file in message["files"]] == [(name, sha(content))]


async def test_an_operators_files_reach_the_phone_in_order_with_the_words_on_the_first(world: World) -> None:
    tenant = await opened(world, operator_prefix=True)
    await tenant.operator_sends(
        attached(JPEG, "foto.jpg", "image", "image/jpeg"),
        attached(PDF, "Orçamento.pdf", "file", "application/pdf"),
        attached(b"PK\x03\x04" + bytes(500), "tudo.zip", "file", "application/zip"),
        text="segue [b]tudo[/b]",
    )
    await tenant.operator_writes("qualquer dúvida, chame")
    messages = await got(tenant, 4)
    assert [(one["file"] or {}).get("type") for one in messages] == ["image", "document", "document", None]
    assert messages[0]["text"].startswith("*Bia:*\nsegue *tudo*")
    assert [one["file"]["sha256"] for one in messages[:2]] == [sha(JPEG), sha(PDF)]
    assert [one["file"]["name"] for one in messages[1:3]] == ["Or_amento.pdf", "tudo.zip"]

    async def confirmed() -> bool:
        chat = await tenant.chat()
        return {one["status"] for one in chat["messages"] if one["author"] == "operator"} == {"delivered"}

    await eventually(confirmed, 10, "both messages shown as delivered")


@pytest.mark.parametrize(
    ("container", "codec", "mime"), [("webm", "libopus", "audio/webm"), ("mp4", "aac", "audio/mp4")]
)
async def test_an_operators_recording_arrives_as_a_voice_note(
    world: World, container: str, codec: str, mime: str
) -> None:
    tenant = await opened(world)
    await tenant.operator_sends(attached(recording(container, codec), f"gravacao.{container}", "audio", mime))
    (message,) = await got(tenant, 1)
    assert (message["file"]["type"], message["file"]["mime"], message["file"]["voice"]) == ("audio", "audio/ogg", True)
    assert message["file"]["name"] == "gravacao.ogg"


async def test_words_with_a_recording_are_not_lost(world: World) -> None:
    tenant = await opened(world)
    await tenant.operator_sends(
        attached(recording("ogg", "libopus"), "voz.ogg", "audio", "audio/ogg"), text="ouça isto"
    )
    first, second = await got(tenant, 2)
    assert (first["text"], first["file"], second["file"]["type"]) == ("ouça isto", None, "audio")


async def test_the_same_file_is_uploaded_once_for_a_number(world: World) -> None:
    tenant = await opened(world)
    before = (await world.ledger())["counts"].get("uploads", 0)
    for count, text in enumerate(("um", "dois", "três"), start=1):
        await tenant.operator_sends(attached(PDF + b"mesmo", "tabela.pdf", "file", "application/pdf"), text=text)
        await got(tenant, count)
    assert (await world.ledger())["counts"]["uploads"] == before + 1


async def test_a_type_that_whatsapp_does_not_take_goes_as_an_address(world: World) -> None:
    tenant = await opened(world)
    await world.control("PUT", "options", {"strict_types": True})
    try:
        await tenant.operator_sends(attached(b"PK\x03\x04" + bytes(700), "fontes.zip", "file", "application/zip"))
        (message,) = await got(tenant, 1)
    finally:
        await world.control("PUT", "options", {"strict_types": False})
    assert message["text"].startswith("fontes.zip: http")
    async with world.session.get(message["text"].split(": ", 1)[1]) as response:
        assert await response.read() == b"PK\x03\x04" + bytes(700)


async def test_a_file_from_elsewhere_is_refused_told_and_never_fetched(world: World) -> None:
    tenant = await opened(world)
    chat = await tenant.chat()
    await world.control(
        "POST",
        "operators/write",
        {
            "portal": tenant.key,
            "chat_id": chat["chat_id"],
            "operator": "Bia",
            "text": "veja",
            "files": [attached(PDF, "a.pdf") | {"link": "http://169.254.169.254/latest/meta-data/"}],
        },
    )

    async def told() -> bool:
        return any("endereço" in line for line in await notices(tenant))

    await eventually(told, 20, "a notice")
    (message,) = await got(tenant, 1)
    assert (message["text"], message["file"]) == ("veja", None)


async def test_a_file_that_is_too_large_is_told_to_the_operator_and_its_words_and_the_next_file_go(
    world: World,
) -> None:
    tenant = await opened(world)
    large = attached(PDF, "grande.pdf", size=100 * 1024 * 1024 + 1)
    await tenant.operator_sends(large, attached(PDF, "menor.pdf"), text="seguem [b]dois[/b]")
    messages = await got(tenant, 2)
    assert [one["text"] for one in messages] == ["seguem *dois*", ""]
    assert messages[1]["file"]["sha256"] == sha(PDF)

    async def told() -> bool:
        return any("100 MB" in line for line in await notices(tenant))

    await eventually(told, 30, "a notice")
