"""The files of the page: uploaded, sent by either side, given back whole or in parts."""

import io
import math
import struct
import wave
from typing import Any

import aiohttp
import av
import pytest

from tests.simulator.stage import ANA, NUMBER, Stage


def beep(seconds: float = 0.5, rate: int = 8000) -> bytes:
    """A WAV file of a tone."""
    heard = io.BytesIO()
    with wave.open(heard, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        tone = (int(9000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(int(seconds * rate)))
        sound.writeframes(b"".join(struct.pack("<h", one) for one in tone))
    return heard.getvalue()


async def upload(stage: Stage, body: bytes, status: int = 200, **query: str) -> dict[str, Any]:
    url = f"{stage.url}/control/files"
    async with aiohttp.ClientSession() as session, session.post(url, params=query, data=body) as answer:
        assert answer.status == status, await answer.text()
        told: dict[str, Any] = await answer.json()
        return told


async def fetch(stage: Stage, file: str, part: str = "") -> tuple[int, bytes, dict[str, str]]:
    headers = {"Range": part} if part else {}
    url = f"{stage.url}/control/files/{file}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_a_file_is_uploaded_once_and_sent_by_the_customer_with_a_quote(stage: Stage) -> None:
    file = await upload(stage, b"%PDF-1.4", name="laudo.pdf", mime="application/pdf", type="document")
    await stage.demo()
    letter = {"phone_number_id": NUMBER, "from": ANA, "text": "segue", "media": {"id": file["id"]}, "quotes": "wamid.x"}
    await stage.control("POST", "customers/send", letter)
    (phone,) = (await stage.control("GET", "state"))["phones"]
    (message,) = phone["messages"]
    assert (message["type"], message["text"], message["file"]["name"]) == ("document", "segue", "laudo.pdf")
    assert (message["context"], message["document"]["caption"]) == ({"id": "wamid.x"}, "segue")
    assert (await fetch(stage, file["id"]))[:2] == (200, b"%PDF-1.4")
    again = await stage.control("POST", "customers/send", letter, status=400)
    assert "KeyError" in again["error"]


async def test_a_player_gets_the_part_that_it_asks_for(stage: Stage) -> None:
    file = await upload(stage, bytes(range(256)) * 1024, name="a.mp4", mime="video/mp4", type="video")
    status, body, headers = await fetch(stage, file["id"], "bytes=1000-1003")
    assert (status, body, headers["Content-Range"]) == (206, bytes([232, 233, 234, 235]), "bytes 1000-1003/262144")
    assert (await fetch(stage, file["id"], "bytes=-2"))[:2] == (206, b"\xfe\xff")
    assert (await fetch(stage, file["id"], "bytes=262140-"))[1] == b"\xfc\xfd\xfe\xff"
    assert (await fetch(stage, file["id"], "bytes=262144-"))[0] == 416
    assert (await fetch(stage, "1"))[0] == 404


async def test_what_a_stranger_sent_is_never_a_page_of_ours(stage: Stage) -> None:
    file = await upload(stage, b"<script>1</script>", name="á.html", mime="text/html")
    headers = (await fetch(stage, file["id"]))[2]
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A1.html"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_voice_note_is_opus_in_ogg_whatever_was_recorded(stage: Stage) -> None:
    file = await upload(stage, beep(), name="voz.wav", mime="audio/wav", voice="1")
    assert (file["mime"], file["type"]) == ("audio/ogg; codecs=opus", "audio")
    with av.open(io.BytesIO((await fetch(stage, file["id"]))[1]), "r") as heard:
        (stream,) = heard.streams.audio
        assert (heard.format.name, stream.codec_context.name, stream.codec_context.channels) == ("ogg", "opus", 1)
        assert sum(frame.samples for frame in heard.decode(audio=0)) / stream.rate == pytest.approx(0.5, abs=0.05)
    assert "sound" in (await upload(stage, b"no sound", status=400, voice="1"))["error"]


async def test_an_empty_file_is_refused(stage: Stage) -> None:
    assert (await upload(stage, b"", status=400, name="a"))["error"] == "the file is empty"


async def test_a_voice_note_is_played_and_told_once(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "audio/ogg"})
    form.add_field("file", b"OggS", filename="v.ogg", content_type="audio/ogg")
    key = {"Authorization": f"Bearer {number['access_token']}"}
    root = f"{stage.url}/meta/v26.0/{NUMBER}"
    async with aiohttp.ClientSession(headers=key) as session:
        async with session.post(f"{root}/media", data=form) as answer:
            media = (await answer.json())["id"]
        body = {
            "messaging_product": "whatsapp",
            "to": f"+{ANA}",
            "type": "audio",
            "audio": {"id": media, "voice": True},
        }
        async with session.post(f"{root}/messages", json=body) as answer:
            wamid = (await answer.json())["messages"][0]["id"]
    reader = {"phone_number_id": NUMBER, "from": ANA, "to": wamid}
    assert await stage.control("POST", "customers/play", reader) == {"played": True}
    await stage.control("POST", "customers/play", reader)
    await stage.until(lambda: "played" in [one["status"] for one in stage.listener.values("statuses")])
    told = [one["status"] for one in stage.listener.values("statuses")]
    assert told == ["sent", "delivered", "read", "played"]
