"""What a file is, told by its bytes."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.recordings import film, recording
from zaptrix.core.message.media import ENDINGS, Blob, fitting_name, type_of_name, way_of
from zaptrix.core.message.message import MediaKind
from zaptrix.media.file_type import type_of

MIB = 1024 * 1024
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 100)
    return file.getvalue()


FILES = [
    (bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb"), "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    (b"GIF89a\x01\0\x01\0", "image/gif"),
    (b"RIFF\x24\0\0\0WEBPVP8L", "image/webp"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
    (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
    (b"#!AMR\n<" + bytes(40), "audio/amr"),
    (packed("[Content_Types].xml", "_rels/.rels", "word/document.xml"), DOCX),
    (packed("a.txt"), "application/zip"),
    (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
    ("Olá, tudo bem?\r\n".encode(), "text/plain"),
    ("Olá, tudo bem?".encode("cp1252"), "text/plain"),
    (b"<!DOCTYPE html><script>", "text/plain"),
    (b"MZ\x90\0\x03\0\0\0\x04", "application/vnd.microsoft.portable-executable"),
    (b"\x00\x01\x02\x03", "application/octet-stream"),
    (b"", "application/octet-stream"),
]


@pytest.mark.parametrize(("head", "type_"), FILES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_type_is_told_by_the_bytes_whatever_was_said_of_them(head: bytes, type_: str) -> None:
    assert type_of(head) == type_
    assert type_of(head, told="image/jpeg; charset=binary", name="boleto.pdf") == type_


@pytest.mark.parametrize(
    ("container", "codec", "told", "type_"),
    [
        ("ogg", "libopus", "audio/ogg; codecs=opus", "audio/ogg"),
        ("webm", "libopus", "audio/webm;codecs=opus", "audio/webm"),
        ("mp4", "aac", "audio/mp4", "audio/mp4"),
        ("ipod", "aac", "application/octet-stream", "audio/mp4"),
        ("mp3", "libmp3lame", "", "audio/mpeg"),
        ("adts", "aac", "", "audio/aac"),
        ("wav", "pcm_s16le", "", "audio/wav"),
        ("flac", "flac", "", "audio/flac"),
    ],
)
def test_recordings_are_told_by_their_bytes(container: str, codec: str, told: str, type_: str) -> None:
    assert type_of(recording(container, codec, rate=44_100 if codec == "libmp3lame" else 48_000), told=told) == type_


def test_films_are_told_by_their_bytes() -> None:
    assert type_of(film(), told="video/mp4") == "video/mp4"
    assert type_of(film("3gp", "mpeg4")) == "video/3gpp"
    assert type_of(film("mov", "mpeg4")) == "video/quicktime"


def test_what_office_wrote_is_told_by_its_ending_where_the_bytes_do_not_say() -> None:
    old = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)
    assert type_of(old, name="planilha.xls") == "application/vnd.ms-excel"
    assert type_of(old, name="foto.jpg") == "application/octet-stream"
    assert type_of(packed("mimetype", "a"), name="contrato.docx") == DOCX


@given(st.binary(max_size=600), st.text(max_size=40), st.text(max_size=40))
def test_no_bytes_and_no_names_break_it(head: bytes, told: str, name: str) -> None:
    type_ = type_of(head, told=told, name=name)
    safe = fitting_name(name, type_)
    assert 0 < len(safe.encode()) <= 150
    assert not set(safe) & set('/\\:*?"<>|\0\r\n\u202e')
    assert not safe.startswith(".")
    if type_ in ENDINGS:
        assert type_of_name(safe) != "application/octet-stream" or type_ in {"application/zip", "text/plain"}


@pytest.mark.parametrize(
    ("name", "type_", "fitting"),
    [
        ("boleto.pdf", "application/pdf", "boleto.pdf"),
        ("FOTO.JPEG", "image/jpeg", "FOTO.jpeg"),
        ("foto.png", "image/jpeg", "foto.jpg"),
        ("boleto.pdf", "image/png", "boleto.png"),
        ("edital 10.2026", "application/pdf", "edital 10.2026.pdf"),
        ("contrato assinado", "application/pdf", "contrato assinado.pdf"),
        ("voz.webm", "audio/ogg", "voz.ogg"),
        ("planilha.csv", "text/plain", "planilha.csv"),
        ("pacote.apk", "application/zip", "pacote.apk"),
        ("dados.bin", "application/octet-stream", "dados.bin"),
        ("projeto.dwg", "application/octet-stream", "projeto.dwg"),
        ("foto.jpg", "application/octet-stream", "foto.bin"),
        ("../../etc/passwd", "text/plain", "etc_passwd.txt"),
        ("fdp\u202efdp.exe", "application/pdf", "fdp_fdp.exe.pdf"),
        ("a\r\nb.pdf", "application/pdf", "a_b.pdf"),
        (None, "image/png", "arquivo.png"),
        ("", "application/octet-stream", "arquivo.bin"),
        ("ação/ç.pdf", "application/pdf", "ação_ç.pdf"),
        ("x" * 400 + ".pdf", "application/pdf", "x" * 146 + ".pdf"),
    ],
)
def test_a_files_name_is_safe_and_its_ending_fits_its_bytes(name: str | None, type_: str, fitting: str) -> None:
    assert fitting_name(name, type_) == fitting


def blob(type_: str, size: int) -> Blob:
    return Blob(key="2026-11-24/0", size=size, sha256="", type=type_, name="x")


@pytest.mark.parametrize(
    ("type_", "size", "send_as"),
    [
        ("image/jpeg", 5 * MIB, MediaKind.IMAGE),
        ("image/jpeg", 5 * MIB + 1, MediaKind.DOCUMENT),
        ("image/webp", 100, MediaKind.DOCUMENT),
        ("image/gif", 100, MediaKind.DOCUMENT),
        ("video/mp4", 16 * MIB, MediaKind.VIDEO),
        ("video/mp4", 16 * MIB + 1, MediaKind.DOCUMENT),
        ("video/quicktime", 100, MediaKind.DOCUMENT),
        ("audio/ogg", 100, MediaKind.AUDIO),
        ("audio/wav", 100, MediaKind.DOCUMENT),
        ("application/pdf", 100 * MIB, MediaKind.DOCUMENT),
        ("application/pdf", 100 * MIB + 1, None),
        ("application/zip", 100, MediaKind.DOCUMENT),
    ],
)
def test_a_file_goes_as_what_whatsapp_takes_it_for(type_: str, size: int, send_as: MediaKind | None) -> None:
    way = way_of(blob(type_, size))
    assert (way.send_as if way else None) == send_as


def test_a_sticker_is_one_only_where_it_may_be() -> None:
    small, large = blob("image/webp", 500 * 1024), blob("image/webp", 500 * 1024 + 1)
    assert [way.send_as if way else None for way in (way_of(small, sticker=True), way_of(large, sticker=True))] == [
        MediaKind.STICKER,
        MediaKind.DOCUMENT,
    ]
