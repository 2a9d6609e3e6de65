"""Voice both ways, each decoded at the far end: what an operator records in any container plays on WhatsApp as a voice
note, and what a customer says stands in the chat as a file that plays and is named after its bytes."""

import io
from typing import Any

import av
import pytest

from proof.world import Tenant, World
from tests.flows.test_files import attached, got, opened, sha, shown
from tests.media.recordings import recording

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 2.0


async def from_meta(tenant: Tenant, media_id: str) -> bytes:
    """What was uploaded, as Meta hands it out to the account that it belongs to."""
    bearer = {"Authorization": f"Bearer {tenant.phone['access_token']}"}
    session = tenant.world.session
    async with session.get(f"{tenant.world.sim}/meta/v23.0/{media_id}", headers=bearer) as answer:
        url = (await answer.json())["url"]
    async with session.get(url, headers=bearer) as answer:
        assert answer.status == 200
        return await answer.read()


async def from_portal(tenant: Tenant, file_id: str) -> bytes:
    """What the portal keeps of a chat's file, as it hands it to its application."""
    asked = {"id": file_id, "auth": tenant.portal["access_token"]}
    session = tenant.world.session
    async with session.post(f"{tenant.portal['client_endpoint']}disk.file.get", json=asked) as answer:
        url = (await answer.json())["result"]["DOWNLOAD_URL"]
    async with session.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


def heard(content: bytes) -> tuple[str, str, int, float]:
    """Container, codec, channels and seconds of sound, decoded to the last sample."""
    with av.open(io.BytesIO(content), "r") as file:
        (stream,) = file.streams
        assert isinstance(stream, av.AudioStream)
        samples, loud = 0, False
        for frame in file.decode(stream):
            samples += frame.samples
            loud = loud or any(bytes(frame.planes[0]))
        assert loud, "it plays, and nothing is heard"
        return file.format.name, stream.codec_context.name, stream.codec_context.channels, samples / stream.rate


@pytest.mark.parametrize(
    ("container", "codec", "layout", "mime", "name"),
    [
        ("webm", "libopus", "mono", "audio/webm;codecs=opus", "gravacao.webm"),
        ("mp4", "aac", "stereo", "audio/mp4", "gravacao.mp4"),
        ("ogg", "libopus", "stereo", "audio/ogg", "gravacao.ogg"),
        ("ogg", "libopus", "mono", "audio/ogg", "pronta.ogg"),
    ],
    ids=["webm of a browser", "mp4 of a phone", "stereo ogg", "mono ogg"],
)
async def test_an_operators_recording_plays_on_whatsapp_as_a_voice_note(
    world: World, container: str, codec: str, layout: str, mime: str, name: str
) -> None:
    tenant = await opened(world)
    recorded = recording(container, codec, layout=layout, seconds=SECONDS)
    await tenant.operator_sends(attached(recorded, name, "audio", mime))
    (message,) = await got(tenant, 1)
    file = message["file"]
    assert (file["type"], file["mime"], file["voice"]) == ("audio", "audio/ogg", True)
    assert file["name"] == f"{name.partition('.')[0]}.ogg"
    format_, decoder, channels, seconds = heard(await from_meta(tenant, file["id"]))
    assert (format_, decoder.removeprefix("lib"), channels) == ("ogg", "opus", 1)
    assert seconds == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec", "media", "name"),
    [
        ("ogg", "libopus", {"mime": "audio/ogg; codecs=opus", "voice": True}, "audio.ogg"),
        ("mp4", "aac", {"mime": "audio/mp4"}, "audio.m4a"),
        ("ogg", "libopus", {"mime": "audio/mpeg", "voice": True}, "audio.ogg"),
    ],
    ids=["voice note", "recording of an iPhone", "a type that lies"],
)
async def test_what_a_customer_says_plays_in_the_chat_and_its_ending_matches_its_bytes(
    world: World, container: str, codec: str, media: dict[str, Any], name: str
) -> None:
    tenant = await world.tenant()
    recorded = recording(container, codec, seconds=SECONDS)
    await tenant.customer_sends(recorded, type="audio", **media)
    (message,) = await shown(tenant, 1)
    (file,) = message["files"]
    assert (file["name"], file["sha256"]) == (name, sha(recorded))
    format_, _, _, seconds = heard(await from_portal(tenant, file["id"]))
    assert container in format_.split(",")
    assert seconds == pytest.approx(SECONDS, abs=0.1)
