"""Sample files for the page: pictures, a sticker, a film, sounds and a document, all drawn here."""

import io
import math
import struct
import wave
from fractions import Fraction
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

SKY: Final = ((255, 214, 150), (120, 170, 220))
RATE: Final = 24_000
FILM_FPS: Final = 12


def landscape(width: int = 480, height: int = 320, shift: float = 0.0) -> bytes:
    """RGB rows of a sun over hills."""
    rows = bytearray()
    sun_x, sun_y, sun_r = width * (0.68 - shift * 0.3), height * 0.33, height * 0.13
    for y in range(height):
        glow = y / height
        sky = tuple(int(low + (high - low) * (1 - glow)) for low, high in zip(*SKY, strict=True))
        for x in range(width):
            far = height * (0.62 + 0.07 * math.sin(x / width * 7 + 1))
            near = height * (0.78 + 0.08 * math.sin(x / width * 5 + 3 + shift * 2))
            if y > near:
                rows += bytes((46, 110, 74))
            elif y > far:
                rows += bytes((92, 148, 106))
            elif (x - sun_x) ** 2 + (y - sun_y) ** 2 < sun_r**2:
                rows += bytes((255, 236, 140))
            else:
                rows += bytes(sky)
    return bytes(rows)


def smile(size: int = 256) -> bytes:
    """RGBA rows of a smiling face on a clear ground."""
    rows = bytearray()
    for y in range(size):
        for x in range(size):
            u, v = x / size * 2 - 1, y / size * 2 - 1
            eye = min((abs(u) - 0.3) ** 2 + (v + 0.25) ** 2, 1) < 0.013
            mouth = v > 0.05 and 0.28 < u * u + (v - 0.0) ** 2 < 0.38
            if u * u + v * v > 0.9:
                rows += bytes(4)
            elif eye or mouth:
                rows += bytes((70, 45, 10, 255))
            else:
                rows += bytes((255, 205, 60, 255))
    return bytes(rows)


def _frame(rows: bytes, width: int, height: int, kind: str) -> VideoFrame:
    frame = VideoFrame(width, height, kind)
    line, stride = len(rows) // height, frame.planes[0].line_size
    padded = b"".join(rows[at * line : (at + 1) * line].ljust(stride, b"\0") for at in range(height))
    frame.planes[0].update(padded)
    return frame


def _picture(rows: bytes, width: int, height: int, kind: str, *, codec: str, wanted: str) -> bytes:
    frame = _frame(rows, width, height, kind).reformat(format=wanted)
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, wanted, Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def jpeg(width: int = 480, height: int = 320) -> bytes:
    return _picture(landscape(width, height), width, height, "rgb24", codec="mjpeg", wanted="yuvj420p")


def webp() -> bytes:
    return _picture(smile(), 256, 256, "rgba", codec="libwebp", wanted="bgra")


def mp4(seconds: float = 2.0) -> bytes:
    """A sun that wanders, with a tone."""
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as film:
        video = film.add_stream("libx264", rate=FILM_FPS)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        sound = film.add_stream("aac", rate=RATE, layout="mono")
        count = int(seconds * FILM_FPS)
        for at in range(count):
            frame = _frame(landscape(320, 180, at / count), 320, 180, "rgb24").reformat(format="yuv420p")
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        for part in _tones(seconds):
            film.mux(sound.encode(part))
        film.mux(sound.encode(None))
    return written.getvalue()


def _tones(seconds: float) -> list[AudioFrame]:
    samples, frames = talk(seconds), []
    for start in range(0, len(samples) - 1023, 1024):
        frame = AudioFrame(format="s16", layout="mono", samples=1024)
        frame.planes[0].update(struct.pack("<1024h", *samples[start : start + 1024]))
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        frames.append(frame)
    return frames


def talk(seconds: float) -> list[int]:
    """Something that rises and falls as speech does."""
    return [
        int(
            12_000
            * math.sin(2 * math.pi * (180 + 40 * math.sin(at / RATE * 3)) * at / RATE)
            * abs(math.sin(at / RATE * 5.1))
            * abs(math.sin(at / RATE * 1.7 + 0.4))
        )
        for at in range(int(seconds * RATE))
    ]


def wav(seconds: float = 3.0) -> bytes:
    heard = io.BytesIO()
    with wave.open(heard, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{int(seconds * RATE)}h", *talk(seconds)))
    return heard.getvalue()


def mp3(seconds: float = 3.0) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp3") as target:
        sound = target.add_stream("libmp3lame", rate=RATE, layout="mono")
        for part in _tones(seconds):
            for ready in av.AudioResampler(format="s16p", layout="mono", rate=RATE).resample(part):
                target.mux(sound.encode(ready))
        target.mux(sound.encode(None))
    return written.getvalue()


def pdf(words: str = "Zaptrix") -> bytes:
    """One page that says so."""
    page = f"BT /F1 24 Tf 60 720 Td ({words}) Tj ET"
    parts = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        f"<< /Length {len(page)} >>\nstream\n{page}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Font << /F1 5 0 R >> >>",
    )
    body = "%PDF-1.4\n" + "".join(f"{at} 0 obj\n{part}\nendobj\n" for at, part in enumerate(parts, 1))
    return (body + "trailer << /Root 1 0 R >>\n%%EOF\n").encode()
