"""Recodes a recording to ogg/opus, one channel: what WhatsApp shows as a voice note.

A decoder reads bytes from outside, so this is the program of a process of its own, with little memory and little time.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/audio-messages
"""

from __future__ import annotations

import os
import resource
import sys

import av
from av.error import FFmpegError

RATE = 48_000
BIT_RATE = 32_000
SAMPLES = 960  # 20 ms: a frame of Opus

NOT_A_RECORDING = 3
TOO_LONG = 4


def recode(source: str, container: str, target: str, seconds_max: float) -> int:
    """The exit code: 0 when `target` is a voice note. Raises FFmpegError for what cannot be read."""
    # The container is fixed: of the library's own guesses some would open further files.
    with av.open(source, format=container, options={"protocol_whitelist": "file"}) as incoming:
        if not incoming.streams.audio or any(not _is_cover(stream) for stream in incoming.streams.video):
            return NOT_A_RECORDING
        with av.open(target, "w", format="ogg") as outgoing:
            stream = outgoing.add_stream("libopus", rate=RATE, layout="mono", options={"application": "voip"})
            stream.bit_rate = BIT_RATE
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=SAMPLES)
            samples = 0
            for frame in incoming.decode(audio=0):
                for fitting in resampler.resample(frame):
                    fitting.pts = samples
                    samples += fitting.samples
                    outgoing.mux(stream.encode(fitting))
                if samples > seconds_max * RATE:
                    return TOO_LONG
            for fitting in resampler.resample(None):
                fitting.pts = samples
                samples += fitting.samples
                outgoing.mux(stream.encode(fitting))
            outgoing.mux(stream.encode(None))
    return 0 if samples else NOT_A_RECORDING


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def main(source: str, container: str, target: str, *bounds: str) -> int:
    seconds_max, bytes_max, work_s = map(float, bounds)
    os.nice(19)  # everybody's messages come before one portal's recording
    resource.setrlimit(resource.RLIMIT_AS, (int(bytes_max),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(work_s), int(work_s) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return recode(source, container, target, seconds_max)
    except (FFmpegError, MemoryError, ValueError):
        return NOT_A_RECORDING


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
