"""Recordings as browsers, phones and editors make them: really encoded."""

from __future__ import annotations

import io
import math
from array import array

import av

RATE = 48_000


def recording(container: str, codec: str, *, seconds: float = 1.0, rate: int = RATE, layout: str = "mono") -> bytes:
    """A tone of 440 Hz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        size, channels = stream.codec_context.frame_size or 960, 2 if layout == "stereo" else 1
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for start in range(0, int(seconds * rate), size):
            tone = (int(12_000 * math.sin(2 * math.pi * 440 * (start + i) / rate)) for i in range(size))
            frame = av.AudioFrame(format="s16", layout=layout, samples=size)
            frame.planes[0].update(array("h", [sample for sample in tone for _ in range(channels)]).tobytes())
            frame.sample_rate, frame.pts = rate, start
            for fitting in resampler.resample(frame):
                out.mux(stream.encode(fitting))
        out.mux(stream.encode(None))
    return file.getvalue()


def film(container: str = "mp4", codec: str = "libx264", *, frames: int = 10) -> bytes:
    """Pictures without a sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame(64, 64, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([number]) * plane.buffer_size)
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return file.getvalue()
