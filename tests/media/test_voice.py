"""Voice notes: real recordings, really encoded and decoded again."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import av
import pytest

from tests.media.recordings import film, recording
from zaptrix.core import limits
from zaptrix.media.blobs import Blobs
from zaptrix.media.file_type import type_of
from zaptrix.media.voice import can_become_voice, is_voice, voice_of
from zaptrix.media.voice_recoder import NOT_A_RECORDING, TOO_LONG, recode

TODAY = date(2026, 11, 24)


async def turned(folder: Path, recorded: bytes, type_: str) -> bytes:
    async def parts() -> AsyncIterator[bytes]:
        yield recorded

    blobs = Blobs("", folder)
    written = await blobs.write(parts(), day=TODAY, bytes_max=2**30)
    return b"".join([part async for part in voice_of(blobs, written.key, type_)])


@pytest.mark.parametrize(
    ("container", "codec", "layout", "told"),
    [
        ("webm", "libopus", "mono", "audio/webm;codecs=opus"),
        ("webm", "libopus", "stereo", "audio/webm"),
        ("mp4", "aac", "stereo", "audio/mp4"),
        ("ogg", "libopus", "stereo", "audio/ogg"),
        ("ogg", "flac", "mono", "audio/ogg"),
        ("wav", "pcm_s16le", "stereo", "audio/wav"),
        ("flac", "flac", "mono", "audio/flac"),
    ],
)
async def test_a_recording_becomes_a_playable_voice_note(
    tmp_path: Path, container: str, codec: str, layout: str, told: str
) -> None:
    recorded = recording(container, codec, seconds=2.0, layout=layout)
    type_ = type_of(recorded[: limits.MEDIA_HEAD_BYTES], told=told)
    assert can_become_voice(type_, recorded)
    voice = await turned(tmp_path, recorded, type_)
    assert type_of(voice) == "audio/ogg"
    assert is_voice("audio/ogg", voice)
    with av.open(io.BytesIO(voice), "r") as played:
        (stream,) = played.streams.audio
        assert (stream.codec_context.name.removeprefix("lib"), stream.channels, stream.rate) == ("opus", 1, 48_000)
        frames = list(played.decode(audio=0))
    assert 1.8 < sum(frame.samples for frame in frames) / 48_000 < 2.3
    assert any(bytes(plane).strip(b"\0") for frame in frames for plane in frame.planes)


async def test_a_voice_note_is_left_as_it_is() -> None:
    voice = recording("ogg", "libopus")
    assert is_voice("audio/ogg", voice)
    assert not can_become_voice("audio/ogg", voice)


def test_a_song_stays_a_song() -> None:
    assert not can_become_voice("audio/mp4", recording("ipod", "aac"))
    assert not can_become_voice("audio/mpeg", recording("mp3", "libmp3lame", rate=44_100))


async def test_a_film_is_no_voice_note(tmp_path: Path) -> None:
    assert await turned(tmp_path, film(), "audio/mp4") == b""


@pytest.mark.parametrize("recorded", [b"", b"\x1a\x45\xdf\xa3" + b"\xff" * 5_000, b"#EXTM3U\nfile:///etc/passwd"])
async def test_bytes_that_are_no_recording_make_none(tmp_path: Path, recorded: bytes) -> None:
    assert await turned(tmp_path, recorded, "audio/webm") == b""


async def test_half_a_recording_does_no_harm(tmp_path: Path) -> None:
    recorded = recording("webm", "libopus", seconds=3.0)
    voice = await turned(tmp_path, recorded[: len(recorded) // 2], "audio/webm")
    assert voice == b"" or is_voice("audio/ogg", voice)


def test_a_recording_that_is_too_long_is_given_up(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(recording("webm", "libopus", seconds=3.0))
    assert recode(str(source), "matroska", str(target), 1.0) == TOO_LONG
    assert NOT_A_RECORDING != TOO_LONG


async def test_a_decoder_that_wants_too_much_memory_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VOICE_MEMORY_BYTES", 32 * 1024 * 1024)
    assert await turned(tmp_path, recording("webm", "libopus"), "audio/webm") == b""


async def test_a_decoder_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VOICE_WORK_S", 0.01)
    assert await turned(tmp_path, recording("webm", "libopus"), "audio/webm") == b""
