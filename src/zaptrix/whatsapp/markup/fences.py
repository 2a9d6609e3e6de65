"""Parses code between backticks: three of them around lines, one of them around words.

Pure, and linear in the length of the text.
https://faq.whatsapp.com/539178204879377
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from zaptrix.whatsapp.markup.chunks import BACKTICK, chunks, is_gap, may_stand_around

_BACKTICKS = re.compile("`+")
_FENCE = 3


def without_backticks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """`text` without the backticks around code, and where in it code stands."""
    kept: list[str] = []
    codes: list[tuple[int, int]] = []
    at = length = 0
    for opening, closing in _fenced(text, list(_BACKTICKS.finditer(text))):
        before, code = text[at : opening.start()], text[opening.end() : closing.start()]
        kept += [before, code]
        codes.append((length + len(before), length + len(before) + len(code)))
        length = codes[-1][1]
        at = closing.end()
    return "".join([*kept, text[at:]]), codes


def _fenced(text: str, runs: Sequence[re.Match[str]]) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """The backticks before and behind each piece of code: three of them, or one within a line."""
    closing: list[int | None] = [None] * (len(runs) + 1)  # the next run of three at which code may end
    for at in range(len(runs) - 1, -1, -1):
        closing[at] = at if len(runs[at][0]) == _FENCE and _ends(text, runs[at].end()) else closing[at + 1]
    edges = _inline_edges(text) if runs else (set(), set())
    at = 0
    while at < len(runs):
        run = runs[at]
        end = None
        if len(run[0]) == _FENCE and _begins(text, run.start()):
            end = closing[at + 1]
        elif run.start() in edges[0] and at + 1 < len(runs) and runs[at + 1].start() in edges[1]:
            end = at + 1
        code = text[run.end() : runs[end].start()] if end is not None else ""
        if end is not None and code.strip() and (len(run[0]) == _FENCE or _binds_inline(code)):
            yield run, runs[end]
            at = end
        at += 1


def _inline_edges(text: str) -> tuple[set[int], set[int]]:
    """Where one backtick stands before a chunk, and where behind one."""
    before: set[int] = set()
    behind: set[int] = set()
    for chunk in chunks(text):
        if BACKTICK in chunk.text and chunk.core:
            before |= {chunk.start + at for at, sign in enumerate(chunk.lead) if sign == BACKTICK}
            behind |= {chunk.end - 1 - at for at, sign in enumerate(reversed(chunk.tail)) if sign == BACKTICK}
    return before, behind


def _binds_inline(code: str) -> bool:
    return "\n" not in code and not is_gap(code[0]) and not is_gap(code[-1])


def _begins(text: str, at: int) -> bool:
    return at == 0 or is_gap(text[at - 1]) or may_stand_around(text[at - 1])


def _ends(text: str, at: int) -> bool:
    return at == len(text) or is_gap(text[at]) or may_stand_around(text[at])


def masked(plain: str, codes: Iterable[tuple[int, int]]) -> str:
    """`plain` with letters in place of code: no sign and no line end stands in it."""
    parts: list[str] = []
    at = 0
    for start, end in codes:
        parts += [plain[at:start], "x" * (end - start)]
        at = end
    return "".join([*parts, plain[at:]])
