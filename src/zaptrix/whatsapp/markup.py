"""WhatsApp's marks to the neutral text and back. Pure.

`*bold*`, `_italic_`, `~struck~`, three backticks or one around code, `> quote`. A mark binds within one line, at the
edges of words, and with no space inside its edges. There is no escape: where a character that was written for itself
would pair up, a U+200B keeps it from binding. Links are left as they are, or they would lead elsewhere.
https://faq.whatsapp.com/539178204879377
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from zaptrix.core.text import Mark, Span, Text, rich_text

_SIGNS = {"*": Mark.BOLD, "_": Mark.ITALIC, "~": Mark.STRIKE}
_SIGN_OF = {mark: sign for sign, mark in _SIGNS.items()} | {Mark.CODE: "```"}
_SIGN_CHARACTERS = "*_~`"
_QUOTE = "> "
_ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"

_LINK = rf"https?://[^\s{_ZERO_WIDTH}`]*[^\s{_ZERO_WIDTH}*_~`.,;:!?()\[\]]"
LINKS = re.compile(_LINK)
_ATOMS = re.compile(
    r"```(?P<block>.+?)```"
    rf"|(?<![^\W_])`(?P<inline>[^\s{_ZERO_WIDTH}`](?:[^`]*[^\s{_ZERO_WIDTH}`])?)`(?![^\W_])"
    rf"|(?P<link>{_LINK})"
    r"|[^*_~`]+?(?=[*_~`]|https?://|$)"
    r"|."
)


def from_whatsapp(text: str) -> Text:
    """What a customer wrote. Marks that bind nothing stay characters."""
    if not any(sign in text for sign in "*_~`>"):
        return Text((Span(text),)) if text else Text()
    spans: list[Span] = []
    for number, line in enumerate(text.split("\n")):
        if number:
            spans.append(Span("\n"))
        if line.startswith(_QUOTE):
            spans.extend(_parsed(_atoms(line[len(_QUOTE) :]), (Mark.QUOTE,)))
        else:
            spans.extend(_parsed(_atoms(line), ()))
    return rich_text(spans)


def to_whatsapp(text: Text) -> str:
    """What WhatsApp is sent: the same characters, apart from marks and U+200B. What cannot bind is not marked."""
    plain = text.plain
    # Most messages are plain words; looking at each character of them took an eighth of a worker's time.
    if not any(span.marks for span in text.spans) and not any(sign in plain for sign in (*_SIGN_CHARACTERS, _QUOTE)):
        return plain
    return "\n".join(_written(line) for line in _lines(text))


# --- reading ---------------------------------------------------------------------------------------------------------

Atom = str | Span
"""Plain characters or one sign; or what is never looked into: code and links."""


def _atoms(line: str) -> list[Atom]:
    return [_atom(found) for found in _ATOMS.finditer(line)]


def _atom(found: re.Match[str]) -> Atom:
    code = found["block"] or found["inline"]
    if code is not None:
        return Span(code, (Mark.CODE,))
    return Span(found[0]) if found["link"] else found[0]


def _parsed(atoms: Sequence[Atom], marks: tuple[Mark, ...]) -> Iterator[Span]:
    """Spans of `atoms`, which stand inside `marks`."""
    hopeless = {sign for sign, mark in _SIGNS.items() if mark in marks}
    at = 0
    while at < len(atoms):
        atom = atoms[at]
        if isinstance(atom, Span):
            yield Span(atom.text, _sorted({*marks, *atom.marks}))
        elif atom in _SIGNS and atom not in hopeless and _opens(atoms, at):
            end = _closing(atoms, at)
            if end is not None:
                yield from _parsed(atoms[at + 1 : end], (*marks, _SIGNS[atom]))
                at = end + 1
                continue
            # What finds no end from here finds none further on: this keeps a line of stars linear.
            hopeless.add(atom)
            yield Span(atom, _sorted(marks))
        else:
            yield Span(atom, _sorted(marks))
        at += 1


def _closing(atoms: Sequence[Atom], start: int) -> int | None:
    for at in range(start + 2, len(atoms)):
        if atoms[at] == atoms[start] and _closes(atoms, at):
            return at
    return None


def _opens(atoms: Sequence[Atom], at: int) -> bool:
    return not _before(atoms, at).isalnum() and at + 1 < len(atoms) and not _gap(_after(atoms, at))


def _closes(atoms: Sequence[Atom], at: int) -> bool:
    return at > 0 and not _gap(_before(atoms, at)) and not _after(atoms, at).isalnum()


def _before(atoms: Sequence[Atom], at: int) -> str:
    """The character before an atom; nothing at the edge of the line and beside code and links."""
    left = atoms[at - 1] if at else ""
    return left[-1:] if isinstance(left, str) else ""


def _after(atoms: Sequence[Atom], at: int) -> str:
    right = atoms[at + 1] if at + 1 < len(atoms) else ""
    return right[:1] if isinstance(right, str) else ""


def _gap(character: str) -> bool:
    return character.isspace() or character == _ZERO_WIDTH


def _sorted(marks: set[Mark] | tuple[Mark, ...]) -> tuple[Mark, ...]:
    return tuple(sorted(marks))


# --- writing ---------------------------------------------------------------------------------------------------------


class _Sign(str):
    """Characters that we write as a mark, beside those that are written for themselves."""

    __slots__ = ()


class _Line(NamedTuple):
    text: str
    marks: list[set[Mark]]  # of each character
    quoted: bool


def _lines(text: Text) -> Iterator[_Line]:
    characters: list[str] = []
    marks: list[set[Mark]] = []
    for span in (*text.spans, Span("\n")):
        for character in span.text:
            if character == "\n":
                yield _line(characters, marks)
                characters, marks = [], []
            else:
                characters.append(character)
                marks.append(set(span.marks))


def _line(characters: list[str], marks: list[set[Mark]]) -> _Line:
    text = "".join(characters)
    quoted = any(Mark.QUOTE in here for here in marks)
    for here in marks:
        here.discard(Mark.QUOTE)
        if Mark.CODE in here:
            here &= {Mark.CODE}
    for link in LINKS.finditer(text):
        shared = set.intersection(*marks[link.start() : link.end()])
        marks[link.start() : link.end()] = [shared] * (link.end() - link.start())
    return _Line(text, marks, quoted)


def _written(line: _Line) -> str:
    looks = {mark for here in line.marks for mark in here}
    signs = any(sign in line.text for sign in _SIGN_CHARACTERS)
    if looks or signs:
        # The widest mark stands outside: `_a *b* c_` and not `_a_ *_b_* _c_`.
        order = sorted(looks, key=lambda mark: (mark is Mark.CODE, -sum(mark in here for here in line.marks), mark))
        body = _guarded(list(_marked(line, 0, len(line.text), order)))
    else:
        body = line.text
    if line.quoted:
        return _QUOTE + body
    return _ZERO_WIDTH + body if body.startswith(_QUOTE) else body


def _marked(line: _Line, start: int, end: int, order: Sequence[Mark]) -> Iterator[Atom]:
    """A part of a line, with the signs of its marks."""
    if not order:
        yield from _unmarked(line.text[start:end])
        return
    mark, inner = order[0], order[1:]
    at = start
    while at < end:
        marked = mark in line.marks[at]
        stop = next((here for here in range(at, end) if (mark in line.marks[here]) != marked), end)
        first, last = _bindable(line.text, at, stop, mark) if marked else (stop, stop)
        yield from _marked(line, at, first, inner)
        if first < last:
            yield _Sign(_SIGN_OF[mark])
            if mark is Mark.CODE:
                yield Span(line.text[first:last])
            else:
                yield from _marked(line, first, last, inner)
            yield _Sign(_SIGN_OF[mark])
        yield from _marked(line, last, stop, inner)
        at = stop


def _bindable(text: str, start: int, end: int, mark: Mark) -> tuple[int, int]:
    """The part of a run that a mark can bind: without spaces and signs at its edges; nothing inside a word."""
    first, last = start, end
    loose = "`" if mark is Mark.CODE else _SIGN_CHARACTERS
    while first < last and (_gap(text[first]) or text[first] in loose):
        first += 1
    while first < last and (_gap(text[last - 1]) or text[last - 1] in loose):
        last -= 1
    in_word = (first > 0 and text[first - 1].isalnum()) or (last < len(text) and text[last].isalnum())
    if in_word or (mark is Mark.CODE and "```" in text[first:last]):
        return end, end
    return first, last


def _unmarked(text: str) -> Iterator[Atom]:
    at = 0
    for link in LINKS.finditer(text):
        yield from text[at : link.start()]
        yield Span(link[0])
        at = link.end()
    yield from text[at:]


def _guarded(atoms: Sequence[Atom]) -> str:
    """`atoms` as one text, with U+200B where a character that is written for itself would pair up."""
    opens = {at for at, atom in enumerate(atoms) if _signs(atom) and _opens(atoms, at)}
    closes = {at for at, atom in enumerate(atoms) if _signs(atom) and _closes(atoms, at)}
    # By the first character: a backtick of the text pairs with those of our own mark of code.
    first_open = {_first(atoms[at]): at for at in sorted(opens, reverse=True)}
    last_close = {_first(atoms[at]): at for at in sorted(closes)}
    written: list[str] = []
    for at, atom in enumerate(atoms):
        free = _signs(atom) and not isinstance(atom, _Sign)
        ends = at in closes and first_open.get(_first(atom), at) < at - 1
        begins = at in opens and last_close.get(_first(atom), at) > at + 1
        # On both sides: a gap on one side alone would only turn what opens into what closes, or back.
        apart = free and (ends or begins)
        if at and (_backticks(atoms[at - 1], atom) or (apart and not _gap(_before(atoms, at)))):
            written.append(_ZERO_WIDTH)
        written.append(atom.text if isinstance(atom, Span) else atom)
        if apart and at + 1 < len(atoms) and not _gap(_after(atoms, at)):
            written.append(_ZERO_WIDTH)
    return "".join(written)


def _signs(atom: Atom) -> bool:
    return isinstance(atom, str) and atom[0] in _SIGN_CHARACTERS


def _first(atom: Atom) -> str:
    return atom.text[0] if isinstance(atom, Span) else atom[0]


def _backticks(left: Atom, right: Atom) -> bool:
    """Two neighbours that would run together into a mark of code."""
    if isinstance(left, Span) or isinstance(right, Span) or (isinstance(left, _Sign) and isinstance(right, _Sign)):
        return False
    return left[-1] == "`" == right[0]
