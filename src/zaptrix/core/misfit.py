"""What is wrong with one field of a send, in both languages. Pure.

Places are JSON pointers into what came (https://www.rfc-editor.org/rfc/rfc6901).
"""

from __future__ import annotations

import msgspec

from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN

WORDS: dict[str, dict[Locale, str]] = {
    "not_approved": {_PT: "o modelo está {status}: só um aprovado pode ser enviado",
                     _EN: "the template is {status}: only an approved one can be sent"},
    "count": {_PT: "o modelo pede {wanted} valor(es), vieram {given}",
              _EN: "the template asks for {wanted} value(s), {given} came"},
    "named": {_PT: "os valores deste modelo têm nome: {names}", _EN: "this template's values have names: {names}"},
    "numbered": {_PT: "os valores deste modelo são numerados: envie uma lista",
                 _EN: "this template's values are numbered: send a list"},
    "missing": {_PT: "falta", _EN: "is missing"},
    "unknown": {_PT: "o modelo não tem isto", _EN: "the template has no such thing"},
    "empty": {_PT: "está vazio", _EN: "is empty"},
    "line_or_tab": {_PT: "tem quebra de linha ou tabulação", _EN: "holds a line end or a tab"},
    "spaces": {_PT: "tem mais de 4 espaços seguidos", _EN: "holds more than 4 spaces in a row"},
    "too_long": {_PT: "passa de {limit} caracteres", _EN: "is longer than {limit} characters"},
    "source": {_PT: "dê um id ou um link, e só um deles", _EN: "give an id or a link, and only one of them"},
    "link": {_PT: "não é um endereço https", _EN: "is not an https address"},
    "degrees": {_PT: "não é um lugar na Terra", _EN: "is no place on earth"},
    "twice": {_PT: "aparece duas vezes", _EN: "is given twice"},
    "kind": {_PT: "este botão não leva isto", _EN: "this button does not take it"},
    "code_alone": {_PT: "um modelo de autenticação leva só o código (code)",
                   _EN: "an authentication template takes its code alone"},
    "control": {_PT: "tem um caractere que não pode ser mostrado", _EN: "holds a character that cannot be shown"},
    "one_of": {_PT: "dê um destes, e só um: {names}", _EN: "give one of these, and only one: {names}"},
    "too_many": {_PT: "tem mais de {limit}", _EN: "has more than {limit}"},
    "text_header": {_PT: "uma lista só leva cabeçalho de texto", _EN: "a list takes a text header only"},
    "no_header": {_PT: "este tipo não leva cabeçalho", _EN: "this kind takes no header"},
    "address": {_PT: "não é um endereço http ou https", _EN: "is not an http or https address"},
    "emoji": {_PT: "não é um emoji, e só um", _EN: "is not one emoji, and no more"},
    "date": {_PT: "não é uma data AAAA-MM-DD", _EN: "is not a date, YYYY-MM-DD"},
    "file_type": {_PT: "é {type}; aqui só: {types}", _EN: "is {type}; only these go here: {types}"},
    "file_size": {_PT: "tem {size} bytes; o limite é {limit}", _EN: "has {size} bytes; the limit is {limit}"},
    "no_voice": {_PT: "só um áudio pode ser mensagem de voz", _EN: "only a sound can be a voice note"},
    "no_caption": {_PT: "este tipo não leva legenda", _EN: "this kind takes no caption"},
}  # fmt: skip


class Misfit(msgspec.Struct, frozen=True):
    """One field that cannot be sent as it is."""

    place: str  # a JSON pointer
    code: str
    params: dict[str, str] = {}

    def told(self, locale: Locale) -> str:
        return WORDS[self.code][locale].format_map(self.params)


class DoesNotFit(Exception):
    """What was to be sent is not what can be."""

    def __init__(self, misfits: tuple[Misfit, ...]) -> None:
        super().__init__("; ".join(f"{each.place} {each.told(_EN)}" for each in misfits))
        self.misfits = misfits


class Misfits:
    """Notes what is wrong, field by field."""

    def __init__(self) -> None:
        self.noted: list[Misfit] = []

    def note(self, place: str, code: str, **params: object) -> None:
        self.noted.append(Misfit(place, code, {name: str(value) for name, value in params.items()}))

    def text(self, place: str, text: str, limit: int, *, lines: bool = False) -> None:
        """A text that people read; `lines`: it may have several."""
        if not text.strip():
            self.note(place, "empty")
        elif any(not (sign.isprintable() or (lines and sign in "\n\t") or _is_joiner(sign)) for sign in text):
            self.note(place, "control")
        elif len(text) > limit:
            self.note(place, "too_long", limit=limit)

    def each_once(self, place: str, values: list[str], name: str) -> None:
        """`place` with the number of each value, and the name of the field, is the place of what comes twice."""
        seen: set[str] = set()
        for number, value in enumerate(values):
            if value in seen:
                self.note(f"{place}/{number}/{name}", "twice")
            seen.add(value)

    def judge(self) -> None:
        """Raises DoesNotFit when anything was noted."""
        if self.noted:
            raise DoesNotFit(tuple(self.noted))


def _is_joiner(sign: str) -> bool:
    """Parts of emoji and of scripts that are not printable by themselves."""
    return sign in "\u200b\u200c\u200d\ufe0f" or "\U000e0020" <= sign <= "\U000e007f"
