"""What is said in a file's place: that it is on its way, or why it will not come. Pure."""

from __future__ import annotations

from zaptrix.core.message import Media, MediaKind
from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN

_PROMISES: dict[MediaKind, dict[Locale, str]] = {
    MediaKind.IMAGE: {_PT: "📷 Foto a caminho…", _EN: "📷 Photo on its way…"},
    MediaKind.VIDEO: {_PT: "🎬 Vídeo a caminho…", _EN: "🎬 Video on its way…"},
    MediaKind.AUDIO: {_PT: "🎤 Áudio a caminho…", _EN: "🎤 Audio on its way…"},
    MediaKind.DOCUMENT: {_PT: "📄 Arquivo a caminho…", _EN: "📄 File on its way…"},
    MediaKind.STICKER: {_PT: "Figurinha a caminho…", _EN: "Sticker on its way…"},
}
_LOST: dict[MediaKind, dict[Locale, str]] = {
    MediaKind.IMAGE: {_PT: "[foto não recebida: {why}]", _EN: "[photo not received: {why}]"},
    MediaKind.VIDEO: {_PT: "[vídeo não recebido: {why}]", _EN: "[video not received: {why}]"},
    MediaKind.AUDIO: {_PT: "[áudio não recebido: {why}]", _EN: "[audio not received: {why}]"},
    MediaKind.DOCUMENT: {_PT: "[arquivo não recebido: {why}]", _EN: "[file not received: {why}]"},
    MediaKind.STICKER: {_PT: "[figurinha não recebida: {why}]", _EN: "[sticker not received: {why}]"},
}
_WHY: dict[str, dict[Locale, str]] = {
    "file_too_large": {_PT: "passa de 100 MB", _EN: "it is over 100 MB"},
    "file_not_kept": {_PT: "o Zaptrix não o acha mais", _EN: "Zaptrix does not find it any more"},
    "file_gone": {_PT: "o WhatsApp não o guarda mais", _EN: "WhatsApp does not keep it any more"},
    "file_address": {_PT: "o endereço não pode ser usado", _EN: "its address cannot be used"},
}
_UNAVAILABLE = {_PT: "o serviço não respondeu", _EN: "the service did not answer"}


def promise(kind: MediaKind, locale: Locale) -> str:
    """The line that holds a file's place."""
    return _PROMISES[kind][locale]


def lost(file: Media, notice: str | None, locale: Locale) -> str:
    """The line in the place of a customer's file that did not come: why, and what is known of it."""
    line = _LOST[file.kind][locale].format(why=_WHY.get(notice or "", _UNAVAILABLE)[locale])
    type_ = file.mime if file.kind is MediaKind.DOCUMENT else None
    return " ".join(part for part in (line, file.name, f"({type_})" if type_ else None) if part)


def joined(*lines: str) -> str:
    """Those that say something, one below the other."""
    return "\n".join(line for line in lines if line.strip())
