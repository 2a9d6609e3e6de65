"""Files at the Graph API, which the simulator plays with its refusals."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.media.hosts import LOOPBACK
from tests.simulator.stage import ANA, NUMBER, Stage
from tests.whatsapp.builders import FreePace, OneToken, a_channel, a_conversation
from zaptrix.core.delivery.errors import PlatformError, Refused, Unauthorized, Unavailable
from zaptrix.core.message.message import MediaKind
from zaptrix.media.fetch import Allowed, Fetcher, ServerOrigin
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.outbound.translate import media_message
from zaptrix.whatsapp.outbound.upload import MediaToSend
from zaptrix_sim.settings import Options

PICTURE = b"\xff\xd8\xff\xe0" + bytes(1000)


class Bench:
    """The simulator, a client of it and what both are asked to do."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession, token: str) -> None:
        self.stage = stage
        self.graph = GraphClient(
            session, graph_url=f"{stage.url}/meta", version="v26.0", tokens=OneToken(token), pace=FreePace()
        )
        self.fetcher = Fetcher(private=LOOPBACK, timeout_s=5.0)
        self.allowed = Allowed(origins=(ServerOrigin.of(stage.url),))

    async def customer_sends(self, content: bytes, **media: object) -> dict[str, Any]:
        told = {"type": "image", "mime": "image/jpeg", "content_base64": base64.b64encode(content).decode(), **media}
        sent: dict[str, Any] = await self.stage.control(
            "POST", "customers/write", {"phone_number_id": NUMBER, "from": ANA, "media": told}
        )
        return dict(sent["file"])

    async def download(self, media_id: str) -> bytes:
        source = await self.graph.media_source(a_channel(), media_id)
        async with self.fetcher.open(source.url, self.allowed, bytes_max=2**30, headers=source.headers) as arriving:
            return b"".join([part async for part in arriving.parts])

    async def upload(self, content: bytes, type_: str, name: str) -> str:
        async def parts() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 65_536):
                yield content[start : start + 65_536]

        return await self.graph.upload(a_channel(), parts(), size=len(content), type_=type_, name=name, timeout_s=20.0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    options = Options(meta_latency_s=0.0, status_sent_s=0.005, status_delivered_s=0.01)
    async with Stage(options) as stage, aiohttp.ClientSession() as session:
        _, number = await stage.demo()
        bench = Bench(stage, session, number["access_token"])
        yield bench
        await bench.fetcher.close()


async def test_a_customers_file_is_fetched_by_its_id(bench: Bench) -> None:
    file = await bench.customer_sends(PICTURE)
    assert await bench.download(file["id"]) == PICTURE


async def test_an_address_that_has_expired_is_asked_for_anew(bench: Bench) -> None:
    file = await bench.customer_sends(PICTURE)
    await bench.stage.control("PUT", "options", {"media_url_s": 0.0})
    with pytest.raises(Unavailable) as gone:
        await bench.download(file["id"])
    assert gone.value.code == "gone"
    await bench.stage.control("PUT", "options", {"media_url_s": 300.0})
    assert await bench.download(file["id"]) == PICTURE


@pytest.mark.parametrize("media_id", ["1003383421387256", "", "..", "../me"])
async def test_a_file_that_meta_does_not_keep_any_more_pauses_no_channel(bench: Bench, media_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await bench.graph.media_source(a_channel(), media_id)
    assert (refused.value.code, refused.value.notice) == ("media_gone", "file_gone")


async def test_a_dead_token_is_told_as_such(bench: Bench) -> None:
    file = await bench.customer_sends(PICTURE)
    await bench.stage.control("POST", f"numbers/{NUMBER}/revoke", {})
    with pytest.raises(Unauthorized):
        await bench.graph.media_source(a_channel(), file["id"])


@pytest.mark.parametrize(
    ("kind", "type_", "name", "caption"),
    [
        (MediaKind.IMAGE, "image/jpeg", "foto.jpg", "olha só"),
        (MediaKind.VIDEO, "video/mp4", "filme.mp4", ""),
        (MediaKind.AUDIO, "audio/ogg", "voz.ogg", ""),
        (MediaKind.DOCUMENT, "application/pdf", 'Orçamento "1".pdf', "segue"),
        (MediaKind.DOCUMENT, "application/zip", "tudo.zip", ""),
        (MediaKind.STICKER, "image/webp", "oi.webp", ""),
    ],
)
async def test_an_uploaded_file_reaches_the_phone(
    bench: Bench, kind: MediaKind, type_: str, name: str, caption: str
) -> None:
    await bench.stage.ana_writes("oi")
    content = PICTURE * 300
    media_id = await bench.upload(content, type_, name)
    media = MediaToSend(kind, media_id, caption, name, voice=True)
    sent = await bench.graph.send(a_channel(), a_conversation(), media_message(media), "m1", "r")
    state = await bench.stage.control("GET", "state")
    (got,) = [one for phone in state["phones"] for one in phone["messages"] if one["id"] == sent.whatsapp_id]
    assert got["text"] == caption
    assert (got["file"]["type"], got["file"]["mime"], got["file"]["size"]) == (kind.value, type_, len(content))
    assert got["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert got["file"]["voice"] == (kind is MediaKind.AUDIO)


async def test_a_file_of_a_type_that_meta_does_not_take_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        await bench.upload(b"x", "application/x-strange", "a.strange")
    assert refused.value.code == "100"


async def test_an_upload_that_breaks_off_may_be_tried_again(bench: Bench) -> None:
    fault = {"side": "meta", "where": "api", "kind": "accept_then_reset", "match": {"method": "media"}, "times": 1}
    await bench.stage.control("PUT", "faults", {"faults": [fault]})
    with pytest.raises(Unavailable):
        await bench.upload(PICTURE, "image/jpeg", "foto.jpg")
    assert await bench.upload(PICTURE, "image/jpeg", "foto.jpg")


async def test_a_source_that_breaks_off_breaks_the_upload(bench: Bench) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError("gone")

    with pytest.raises((PlatformError, ConnectionResetError)):
        await bench.graph.upload(a_channel(), broken(), size=100, type_="image/jpeg", name="a.jpg", timeout_s=5.0)
