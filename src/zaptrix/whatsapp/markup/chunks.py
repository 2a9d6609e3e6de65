"""Chunks: what stands between two spaces, and which of them have to arrive as they were written.

A bank, a site or a login takes a payment code, an address or a password byte for byte or not at all. So a mark begins
and ends at a chunk's edges only, and where the signs of a chunk may be its own (`_maria_silva_`, `...503***6304`,
`PROMO_10`) they are neither read as marks nor kept from binding by a U+200B: whoever copies the chunk copies that too.
Pure.
https://www.bcb.gov.br/content/estabilidadefinanceira/pix/Regulamento_Pix/II_ManualdePadroesparaIniciacaodoPix.pdf
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
SIGNS = "*_~"
BACKTICK = "`"

_LINK = r"(?:https?://|www\.)"
LINKS = re.compile(rf"{_LINK}[^\s{ZERO_WIDTH}`]*[^\s{ZERO_WIDTH}*_~`.,;:!?()\[\]]", re.IGNORECASE)
_IS_LINK = re.compile(_LINK, re.IGNORECASE)
# A Pix code holds the payee's name and town as they are, with their spaces; it ends with its checksum, field 63.
_PIX = r"\S*?000201(?=01|26)[^\n]{20,600}?6304[0-9A-Fa-f]{4}(?![^\W_])"
_CHUNK = re.compile(rf"{_PIX}\S*|\S+")
# What may stand around a word. Behind a slash, an @ or an = a sign is part of an address, a handle or a code.
_AROUND = frozenset("*_~`()[]{}<>\"'.,;:!?-")
_PATH_BEGINS = frozenset("/\\=&|")
_PATH_ENDS = frozenset("/\\=&|@#+")
_MIXED = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")
_DOTTED = re.compile(r"\w\.\w")
_MIXED_MIN = 6  # characters: what is shorter is a quantity, as 15h30 or 2kg


class Chunk(NamedTuple):
    """A run of characters without a space, or a Pix code; `core`: without what may stand around a word."""

    start: int
    text: str
    core: str
    core_start: int  # in the text that the chunk is of

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def lead(self) -> str:
        return self.text[: self.core_start - self.start] if self.core else self.text

    @property
    def tail(self) -> str:
        return self.text[self.core_start - self.start + len(self.core) :] if self.core else self.text


def chunks(line: str) -> Iterator[Chunk]:
    """The chunks of a text."""
    for found in _CHUNK.finditer(line):
        text = found[0]
        # Where nothing but punctuation and pictures stands, they are what is marked.
        first, last = _core(text, may_stand_around) or _core(text, _is_sign) or (0, 0)
        yield Chunk(found.start(), text, text[first:last], found.start() + first)


def _core(text: str, around: Callable[[str], bool]) -> tuple[int, int] | None:
    first, last = 0, len(text)
    while first < last and around(text[first]):
        first += 1
    while first < last and around(text[last - 1]):
        last -= 1
    return (first, last) if first < last else None


def _is_sign(character: str) -> bool:
    return character in SIGNS or character in (BACKTICK, ZERO_WIDTH)


def may_stand_around(character: str) -> bool:
    """Whether a mark may begin behind it, or end before it: punctuation and pictures."""
    return character in _AROUND or (character > "\x7f" and not character.isalnum())


def is_gap(character: str) -> bool:
    """Whether a mark binds nothing beside it."""
    return character.isspace() or character == ZERO_WIDTH


def owns(chunk: Chunk, sign: str) -> bool:
    """Whether a `sign` of the chunk belongs to it: then it is no mark, whatever a phone makes of it."""
    if _IS_LINK.match(chunk.core):
        return _holds(chunk, sign)  # where it ends is known
    return any(each in chunk.text and _holds(chunk, each) for each in SIGNS)


def _holds(chunk: Chunk, sign: str) -> bool:
    first, last = chunk.lead.count(sign), chunk.tail.count(sign)
    if not chunk.core or sign in chunk.core or first > 1 or last > 1:
        return True
    begins, ends = _path_edges(chunk)
    if (begins and chunk.lead.endswith(sign)) or (ends and chunk.tail.startswith(sign)):
        return True
    return bool(first and last) and is_code(chunk, sign)


def own_signs(chunk: Chunk) -> set[str]:
    """The signs and backticks in the chunk that are left as they are. Three backticks are code, wherever they stand."""
    own = {sign for sign in SIGNS if sign in chunk.text and (owns(chunk, sign) or is_code(chunk, sign))}
    return own | ({BACKTICK} if BACKTICK in chunk.core and BACKTICK * 3 not in chunk.text else set())


def takes_mark(chunk: Chunk, sign: str) -> bool:
    """Whether a `sign` of ours may stand beside the chunk: whoever copies a code would copy that, too."""
    return not (owns(chunk, sign) or is_code(chunk, sign) or any(_path_edges(chunk)))


def is_code(chunk: Chunk, sign: str) -> bool:
    """Whether the chunk looks like one that people copy, so that a `sign` at its edge is more likely its own."""
    core = chunk.core
    if _IS_LINK.match(core):
        return False  # where it ends is known
    if any(each in core for each in (*SIGNS, BACKTICK)) or (len(core) >= _MIXED_MIN and _MIXED.search(core)):
        return True
    # Handles like to begin and end with a low line.
    return not core or (sign == "_" and _DOTTED.search(core) is not None)


def _path_edges(chunk: Chunk) -> tuple[bool, bool]:
    """Whether the core begins, and ends, with what joins a sign beside it to an address, a handle or a path."""
    if not chunk.core or _IS_LINK.match(chunk.core):
        return False, False
    return chunk.core[0] in _PATH_BEGINS, chunk.core[-1] in _PATH_ENDS
