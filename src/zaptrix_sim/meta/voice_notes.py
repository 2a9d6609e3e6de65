"""What a phone records: one channel of Opus in Ogg, whatever a browser recorded or somebody chose.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/audio-messages
"""

import io
from typing import Final

import av
from av.audio.resampler import AudioResampler

RATE: Final = 48_000
BITRATE: Final = 32_000


class NoSound(Exception):
    """There is no sound in this file that can be read."""


def voice_note(heard: bytes) -> bytes:
    """Raises NoSound."""
    written = io.BytesIO()
    try:
        with av.open(io.BytesIO(heard), "r") as source, av.open(written, "w", format="ogg") as target:
            if not source.streams.audio:
                raise NoSound("this file has no sound")
            voice = target.add_stream("libopus", rate=RATE, layout="mono")
            voice.bit_rate = BITRATE
            resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in source.decode(audio=0):
                for part in resampler.resample(frame):
                    target.mux(voice.encode(part))
            for part in resampler.resample(None):
                target.mux(voice.encode(part))
            target.mux(voice.encode(None))
    except av.FFmpegError as exc:
        raise NoSound("this file cannot be read as sound") from exc
    return written.getvalue()
