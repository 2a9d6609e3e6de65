"""Voice notes: which files are recordings, and what makes one playable on WhatsApp."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from zaptrix.core import limits
from zaptrix.core.message.media import VOICE_TYPE
from zaptrix.media import voice_recoder
from zaptrix.media.blobs import Blobs

log = structlog.get_logger(__name__)

# What browsers and phones record into, and the decoder's name for it.
_CONTAINERS = {
    "audio/webm": "matroska",
    "audio/ogg": "ogg",
    "audio/mp4": "mov",
    "audio/wav": "wav",
    "audio/flac": "flac",
}
_MUSIC = b"M4A "  # the brand of a song, or of a recording that a player knows as a file
_OPUS_HEAD = b"OpusHead"  # then its version and the number of channels: https://www.rfc-editor.org/rfc/rfc7845


def is_voice(type_: str, head: bytes) -> bool:
    """Whether a file is in the form of a voice note already: Opus in one channel."""
    at = head.find(_OPUS_HEAD, 0, 512)
    return type_ == VOICE_TYPE and at >= 0 and head[at + 9 : at + 10] == b"\x01"


def can_become_voice(type_: str, head: bytes) -> bool:
    """Whether a file is a recording that WhatsApp would not play as it is, or not as a voice note."""
    return type_ in _CONTAINERS and not is_voice(type_, head) and head[8:12] != _MUSIC


async def voice_of(blobs: Blobs, key: str, type_: str) -> AsyncIterator[bytes]:
    """The recording as a voice note, in parts; nothing when it cannot be one. Raises NoSuchBlob, BlobsAway.

    The decoder needs to move about in the file, so both lie on our disk meanwhile.
    """
    source = await blobs.at_hand(key)
    with tempfile.TemporaryDirectory(prefix="zaptrix-voice-") as folder:
        target = Path(folder, "voice.ogg")
        if await _recode(source, _CONTAINERS[type_], target):
            async for part in _read(target):
                yield part


async def _read(source: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(source.open, "rb")
    try:
        while part := await asyncio.to_thread(file.read, limits.MEDIA_PART_BYTES):
            yield part
    finally:
        await asyncio.to_thread(file.close)


async def _recode(source: Path, container: str, target: Path) -> bool:
    bounds = map(str, (limits.VOICE_S_MAX, limits.VOICE_MEMORY_BYTES, limits.VOICE_WORK_S))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", voice_recoder.__name__, str(source), container, str(target), *bounds),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(limits.VOICE_WORK_S):
            code = await process.wait()
    except TimeoutError:
        code = -1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        log.info("recording left as it is", code=code)
    return code == 0
