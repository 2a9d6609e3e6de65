"""Translates WhatsApp's marks to the neutral text and back.

`*bold*`, `_italic_`, `~struck~`, three backticks or one around code, `> quote`. A mark binds within one line, at the
edges of words, and with no space inside its edges; a block of code may go over several lines. There is no escape: where
a character that was written for itself would pair up, a U+200B keeps it from binding. What may be a code, an address or
a handle is left as it is (`chunks`): rather than touch it, a mark beside it is left out. Pure, and linear in the length
of the text.
https://faq.whatsapp.com/539178204879377
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from zaptrix.core.message.text import Mark, Span, Text, rich_text
from zaptrix.whatsapp.markup.chunks import (
    BACKTICK,
    SIGNS,
    ZERO_WIDTH,
    Chunk,
    chunks,
    is_code,
    is_gap,
    own_signs,
    owns,
    takes_mark,
)
from zaptrix.whatsapp.markup.fences import masked, without_backticks

_MARK_OF = {"*": Mark.BOLD, "_": Mark.ITALIC, "~": Mark.STRIKE}
_SIGN_OF = {mark: sign for sign, mark in _MARK_OF.items()} | {Mark.CODE: "```"}
_SIGN_CHARACTERS = SIGNS + BACKTICK
_QUOTE = "> "


def from_whatsapp(text: str) -> Text:
    """What a customer wrote. Marks that bind nothing stay characters."""
    if not any(sign in text for sign in "*_~`>"):
        return rich_text([Span(text)])
    plain, codes = without_backticks(text)
    # Code is looked at as a word: what stands in it is no sign and no line end.
    hidden = masked(plain, codes)
    cuts = [cut for start, end in codes for cut in (_Cut(start, 0, Mark.CODE, 1), _Cut(end, 0, Mark.CODE, -1))]
    start = 0
    for line in hidden.split("\n"):
        cuts += _cuts(line, start)
        start += len(line) + 1
    return rich_text(_spans(plain, sorted(cuts)))


def to_whatsapp(text: Text) -> str:
    """What WhatsApp is sent: the same characters, apart from marks and U+200B. What cannot bind is not marked."""
    plain = text.plain
    # Most messages are plain words; looking at each character of them took an eighth of a worker's time.
    if not any(span.marks for span in text.spans) and not any(sign in plain for sign in (*_SIGN_CHARACTERS, _QUOTE)):
        return plain
    return "\n".join(_written(line) for line in _lines(text))


# --- reading ---------------------------------------------------------------------------------------------------------


class _Cut(NamedTuple):
    """Where a mark begins (1) or ends (-1), and how many characters are its sign."""

    at: int
    signs: int
    mark: Mark
    turn: int


def _cuts(line: str, start: int) -> Iterator[_Cut]:
    """The marks of a line that begins at `start`."""
    quoted = line.startswith(_QUOTE)
    if quoted:
        yield _Cut(start, len(_QUOTE), Mark.QUOTE, 1)
    for opening, closing in _pairs(line[len(_QUOTE) :] if quoted else line):
        shift = start + (len(_QUOTE) if quoted else 0)
        yield _Cut(shift + opening.at, 1, _MARK_OF[opening.sign], 1)
        yield _Cut(shift + closing.at, 1, _MARK_OF[opening.sign], -1)
    if quoted:
        yield _Cut(start + len(line), 0, Mark.QUOTE, -1)


class _Edge(NamedTuple):
    """A sign at a chunk's edge."""

    at: int
    sign: str
    of_code: bool


def _pairs(line: str) -> Iterator[tuple[_Edge, _Edge]]:
    """Each sign that begins a mark, with the first one that ends it; marks stand inside each other and never cross."""
    opening, closing = _edges(line)
    nexts = dict.fromkeys(SIGNS, 0)
    around: list[_Edge] = []  # the ends of the marks that we are inside of
    for edge in opening:
        while around and around[-1].at < edge.at:
            around.pop()
        ends, at = closing[edge.sign], nexts[edge.sign]
        while at < len(ends) and ends[at].at <= edge.at + 1:
            at += 1
        nexts[edge.sign] = at
        if at == len(ends) or any(outer.sign == edge.sign for outer in around):
            continue
        end = ends[at]
        # Two codes have nothing to do with each other's signs.
        if (around and around[-1].at < end.at) or (edge.of_code and end.of_code):
            continue
        around.append(end)
        yield edge, end


def _edges(line: str) -> tuple[list[_Edge], dict[str, list[_Edge]]]:
    opening: list[_Edge] = []
    closing: dict[str, list[_Edge]] = {sign: [] for sign in SIGNS}
    for chunk in chunks(line):
        for sign in SIGNS:
            if sign not in chunk.text or owns(chunk, sign):
                continue
            code = is_code(chunk, sign)
            first, last = chunk.text.find(sign), chunk.text.rfind(sign)
            if first < len(chunk.lead) and not is_gap(line[chunk.start + first + 1 : chunk.start + first + 2] or " "):
                opening.append(_Edge(chunk.start + first, sign, code))
            if last >= len(chunk.text) - len(chunk.tail) and not is_gap(chunk.text[last - 1 : last] or " "):
                closing[sign].append(_Edge(chunk.start + last, sign, code))
    return sorted(opening), closing


def _spans(plain: str, cuts: Iterable[_Cut]) -> Iterator[Span]:
    marks: set[Mark] = set()
    at = 0
    for cut in cuts:
        yield Span(plain[at : cut.at], tuple(sorted(marks)))
        at = max(at, cut.at + cut.signs)
        if cut.turn > 0:
            marks.add(cut.mark)
        else:
            marks.discard(cut.mark)
    yield Span(plain[at:], tuple(sorted(marks)))


# --- writing ---------------------------------------------------------------------------------------------------------

_Atom = str | Span
"""A character, a sign of ours, or code, which is never looked into."""


class _Sign(str):
    """Characters that we write as a mark, beside those that are written for themselves."""

    __slots__ = ()


class _Kept(str):
    """A sign that belongs to its chunk, which is left as it is."""

    __slots__ = ()


class _Line(NamedTuple):
    text: str
    marks: list[set[Mark]]  # of each character
    kept: dict[int, Chunk]  # whose own the signs are that stand there
    quoted: bool


def _lines(text: Text) -> Iterator[_Line]:
    characters: list[str] = []
    marks: list[set[Mark]] = []
    for span in (*text.spans, Span("\n")):
        for character in span.text:
            if character == "\n":
                yield _line("".join(characters), marks)
                characters, marks = [], []
            else:
                characters.append(character)
                marks.append(set(span.marks))


def _line(text: str, marks: list[set[Mark]]) -> _Line:
    quoted = any(Mark.QUOTE in here for here in marks)
    for here in marks:
        here.discard(Mark.QUOTE)
        if Mark.CODE in here:
            here &= {Mark.CODE}
    kept: dict[int, Chunk] = {}
    if any(marks) or any(sign in text for sign in _SIGN_CHARACTERS):
        owned = [(chunk, own_signs(chunk)) for chunk in chunks(text)]
        for chunk, own in owned:
            kept |= {chunk.start + at: chunk for at, found in enumerate(chunk.text) if found in own}
            _shared(marks, chunk, whole=bool(own))
        for sign, mark in _MARK_OF.items():
            _unmark(mark, sign, marks, owned)
    return _Line(text, marks, kept, quoted)


def _shared(marks: list[set[Mark]], chunk: Chunk, *, whole: bool) -> None:
    """No mark begins or ends within a chunk."""
    start = chunk.start if whole else chunk.core_start
    end = chunk.end if whole else chunk.core_start + len(chunk.core)
    seen = [marks[at] for at in range(start, end) if chunk.text[at - chunk.start] != ZERO_WIDTH]
    if not seen:
        return
    shared = set.intersection(*seen)
    marks[start:end] = [set(shared) for _ in range(start, end)]
    for outwards in (range(start - 1, chunk.start - 1, -1), range(end, chunk.end)):
        so_far = set(shared)
        for at in outwards:
            so_far &= marks[at]
            marks[at] = set(so_far)


def _unmark(mark: Mark, sign: str, marks: list[set[Mark]], owned: Sequence[tuple[Chunk, set[str]]]) -> None:
    """Without `mark` where its sign would stand beside another one, or beside a code, of which it would be copied with;
    and behind the first code with whose own signs a phone may begin a mark."""
    for order, edge in ((owned, attrgetter("lead")), (owned[::-1], attrgetter("tail"))):
        before = False
        for chunk, _ in order:
            if chunk.text == sign:
                continue  # it binds nothing
            here = mark in marks[chunk.core_start]
            if here and (not takes_mark(chunk, sign) or (sign in edge(chunk) and not before)):
                here = _cleared(mark, marks, chunk.start, chunk.end)
            before = here
    first = next((chunk for chunk, own in owned if sign in own and _may_begin(chunk, sign, marks)), None)
    if first is not None:
        _cleared(mark, marks, first.start, len(marks))


def _may_begin(chunk: Chunk, sign: str, marks: list[set[Mark]]) -> bool:
    if chunk.text == sign or Mark.CODE in marks[chunk.start]:
        return False
    return any(found == sign and not chunk.text[max(at - 1, 0) : at].isalnum() for at, found in enumerate(chunk.text))


def _cleared(mark: Mark, marks: list[set[Mark]], start: int, end: int) -> bool:
    for here in marks[start:end]:
        here.discard(mark)
    return False


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
    return ZERO_WIDTH + body if body.startswith(_QUOTE) else body


def _marked(line: _Line, start: int, end: int, order: Sequence[Mark]) -> Iterator[_Atom]:
    """A part of a line, with the signs of its marks."""
    if not order:
        yield from (_Kept(line.text[at]) if at in line.kept else line.text[at] for at in range(start, end))
        return
    mark, inner = order[0], order[1:]
    at = start
    while at < end:
        marked = mark in line.marks[at]
        stop = next((here for here in range(at, end) if (mark in line.marks[here]) != marked), end)
        first, last = _bindable(line, at, stop, mark) if marked else (stop, stop)
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


def _bindable(line: _Line, start: int, end: int, mark: Mark) -> tuple[int, int]:
    """The part of a run that a mark can bind: without spaces and signs at its edges; nothing inside a word."""
    text, first, last = line.text, start, end
    while first < last and _is_loose(line, first, mark):
        first += 1
    while first < last and _is_loose(line, last - 1, mark):
        last -= 1
    in_word = (first > 0 and text[first - 1].isalnum()) or (last < len(text) and text[last].isalnum())
    if in_word or (mark is Mark.CODE and not _is_code(text[first:last])):
        return end, end
    return first, last


def _is_code(text: str) -> bool:
    return "```" not in text and not text.startswith(BACKTICK) and not text.endswith(BACKTICK)


def _is_loose(line: _Line, at: int, mark: Mark) -> bool:
    """Whether a mark cannot begin or end there. Signs that belong to a chunk are marked with it."""
    if mark is Mark.CODE or line.text[at] not in _SIGN_CHARACTERS:
        return is_gap(line.text[at])
    return at not in line.kept or not line.kept[at].core


def _guarded(atoms: Sequence[_Atom]) -> str:
    """`atoms` as one text, with U+200B where a character that is written for itself would pair up."""
    opens = {at for at, atom in enumerate(atoms) if _signs(atom) and _opens(atoms, at)}
    closes = {at for at, atom in enumerate(atoms) if _signs(atom) and _closes(atoms, at)}
    # By the first character: a backtick of the text pairs with those of our own mark of code.
    first_open = {_first(atoms[at]): at for at in sorted(opens, reverse=True)}
    last_close = {_first(atoms[at]): at for at in sorted(closes)}
    written: list[str] = []
    for at, atom in enumerate(atoms):
        free = _signs(atom) and not isinstance(atom, _Sign | _Kept)
        ends = at in closes and first_open.get(_first(atom), at) < at - 1
        begins = at in opens and last_close.get(_first(atom), at) > at + 1
        # On both sides: a gap on one side alone would only turn what opens into what closes, or back.
        apart = free and (ends or begins)
        if at and (_run_together(atoms[at - 1], atom) or (apart and not is_gap(_before(atoms, at)))):
            written.append(ZERO_WIDTH)
        written.append(atom.text if isinstance(atom, Span) else atom)
        if apart and at + 1 < len(atoms) and not is_gap(_after(atoms, at)):
            written.append(ZERO_WIDTH)
    return "".join(written)


def _opens(atoms: Sequence[_Atom], at: int) -> bool:
    return not _before(atoms, at).isalnum() and at + 1 < len(atoms) and not is_gap(_after(atoms, at))


def _closes(atoms: Sequence[_Atom], at: int) -> bool:
    return at > 0 and not is_gap(_before(atoms, at)) and not _after(atoms, at).isalnum()


def _before(atoms: Sequence[_Atom], at: int) -> str:
    """The character before an atom; nothing at the edge of the line and beside code."""
    left = atoms[at - 1] if at else ""
    return left[-1:] if isinstance(left, str) else ""


def _after(atoms: Sequence[_Atom], at: int) -> str:
    right = atoms[at + 1] if at + 1 < len(atoms) else ""
    return right[:1] if isinstance(right, str) else ""


def _signs(atom: _Atom) -> bool:
    return isinstance(atom, str) and atom[0] in _SIGN_CHARACTERS


def _first(atom: _Atom) -> str:
    return atom.text[0] if isinstance(atom, Span) else atom[0]


def _run_together(left: _Atom, right: _Atom) -> bool:
    """Two neighbours that would become a mark of code."""
    if isinstance(left, Span) or isinstance(right, Span) or left[-1] != BACKTICK or right[0] != BACKTICK:
        return False
    return not (isinstance(left, _Sign | _Kept) and type(left) is type(right))
