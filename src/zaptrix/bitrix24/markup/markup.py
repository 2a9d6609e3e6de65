"""Translates BBCode to neutral text and back.

Pure, linear in the length of the text, and never raises.
https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from zaptrix.bitrix24.markup.addresses import is_short_for, names_mailbox, without_scheme
from zaptrix.bitrix24.markup.harmless import harmless, never_closed
from zaptrix.core.message.text import Mark, Span, Text, plain_text, rich_text

ZWSP = "\N{ZERO WIDTH SPACE}"  # what a tag of a customer's is broken with

# The operator's name before an added and before an updated message. A name may hold anything, ":" too. With files alone
# there is no line break, a space at the most: elsewhere bold words with a colon are what an operator wrote.
_SIGNATURE = re.compile(r"\[b\](.{1,120}?):\[/b\](?:\s*\[br\]\s?|(?P<alone>\s*\Z))", re.IGNORECASE | re.DOTALL)

_TOKEN = re.compile(
    r"\[img(?:[\s=][^\[\]]*)?\](?P<img>[^\[\]]*)\[/img\]"
    r"|\[(?P<close>/?)(?P<name>[a-z]+|\*)(?P<rest>(?:[=\s][^\[\]]*)?)\]"
    r"|(?P<line_end>#br#)",
    re.IGNORECASE,
)
_IN_TABLE = "table|tbody|thead|tr|td|th"
# The line ends beside a block are the block's own.
_EDGES = re.compile(
    r"(\[(?:quote|list(?:=[^\[\]\s]{0,20})?)\])[ \t]*\n"
    r"|\n[ \t]*(\[/(?:quote|list)\])"
    rf"|(\[/?(?:{_IN_TABLE})(?:[=\s][^\[\]]*)?\])\s+(?=\[/?(?:{_IN_TABLE})[\]=\s])",
    re.IGNORECASE,
)
_ICON_TITLE = re.compile(r"\btitle=(.+?)(?:\s\w{1,20}=|\Z)", re.IGNORECASE | re.DOTALL)
_ENTITY = re.compile("&(?:quot|amp|lt|gt|#0?39);")
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#39;": "'", "&#039;": "'"}

_MARKS = {"b": Mark.BOLD, "i": Mark.ITALIC, "s": Mark.STRIKE, "quote": Mark.QUOTE}
# These begin on a line of their own, and so does what follows.
_BLOCKS = {"quote", "list", "ul", "ol", "table", "tr", "p", "left", "right", "center", "justify"}
_CELLS = {"td", "th"}
# These show what is inside, and nothing of their own.
_INNER = {"u", "size", "color", "font", "sup", "sub", "user", "chat", "dialog", "context", "pch", "tbody", "thead"}
_INNER |= {"spoiler", "li", "video", "audio"}
# These have a value that shows when nothing is inside; an address shows behind what is inside, too.
_ADDRESSED = {"url", "email", "mail", "call"}
_VALUED = {*_ADDRESSED, "send", "put"}
_PAIRED = {*_MARKS, *_BLOCKS, *_CELLS, *_INNER, *_VALUED}

_QUOTE_FRAME = "-" * 54
_QUOTE_SIGN = ">>"
# Behind the author and the time of a quote a portal may name its own message, which is no word of anybody's.
_QUOTE_CONTEXT = re.compile(r"(\]) #(?:chat)?[\d:]{1,40}/\d{1,19}\s*\Z")
_MAY_ACT = re.compile(rf"[\[&#]|{_QUOTE_SIGN}|{_QUOTE_FRAME}")


def split_signature(text: str, *, with_files: bool = False) -> tuple[str | None, str]:
    """The operator's name and the message behind it; None where the message carries no name."""
    found = _SIGNATURE.match(text)
    if not found or (found["alone"] == "" and not with_files):
        return None, text
    name = " ".join(from_bbcode(found[1]).plain.split())
    return name or None, text[found.end() :]


def from_bbcode(source: str) -> Text:
    """Text as an operator wrote it. Tags that are not closed, or not known, stay as they were typed."""
    tidy = source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    # Most messages are plain words; reading them as BBCode took a twentieth of a worker's time.
    return _parsed(tidy) if _MAY_ACT.search(tidy) else plain_text(tidy)


def to_bbcode(text: Text) -> str:
    """`text` as BBCode, in which nothing that the customer wrote can act as a tag or a quote.

    BBCode has no escape, so what would act is broken by a zero-width space.
    """
    if not any(span.marks for span in text.spans):
        return _tagged_span(Span(text.plain), never_closed(text.plain, _PAIRED))
    blocks: list[str] = []
    ours = {_TAG_OF[mark] for span in text.spans for mark in span.marks if mark in _TAG_OF}
    free = never_closed(text.plain, _PAIRED - ours)
    for quoted, lines in groupby(_lines(text.spans), key=_is_quoted):
        if quoted:
            blocks += [_QUOTE_SIGN + _tagged(line, free) for line in lines]
        else:
            blocks.append(_tagged(_joined(lines), free))
    return "\n".join(blocks)


# --- from BBCode -----------------------------------------------------------------------------------------------------


def _parsed(tidy: str) -> Text:
    return _with_quotes(_Reader().read(_EDGES.sub(r"\1\2\3", tidy)))


class _Valued(NamedTuple):
    """A tag with a value that is not closed yet, and how much had been said before it."""

    value: str
    spans: int
    characters: int
    ink: int


class _Reader:
    """One walk over the tags of a text."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._marks: Counter[Mark] = Counter()
        self._valued: dict[str, list[_Valued]] = {name: [] for name in _VALUED}
        self._numbers: list[int | None] = []  # of the next entry of each list that is open; None: it has none
        self._characters = self._ink = 0  # what was said so far, and what of it can be seen
        self._line_due = False

    def read(self, source: str) -> list[Span]:
        tokens = list(_TOKEN.finditer(source))
        partners = _partners(tokens)
        at = 0
        for index, token in enumerate(tokens):
            if token.start() < at:  # inside of a code block
                continue
            self._say(source[at : token.start()])
            at = token.end()
            if index in partners and _name(token) == "code":
                end = tokens[partners[index]]
                self._say(source[at : end.start()], Mark.CODE)
                at = end.end()
            else:
                self._take(token, paired=index in partners)
        self._say(source[at:])
        return self._spans

    def _take(self, token: re.Match[str], *, paired: bool) -> None:
        name = _name(token)
        if token["img"] is not None:
            self._say(token["img"].strip())
        elif token["line_end"]:
            self._say("\n")
        elif paired and token["close"]:
            self._close(name)
        elif paired:
            self._open(name, token["rest"])
        elif name in {"*", "hr"}:
            self._entry(name, closed=bool(token["close"]))
        elif name in _SINGLES and not token["close"]:
            self._say(_SINGLES[name](token["rest"]))
        else:
            self._say(token[0])

    def _open(self, name: str, rest: str) -> None:
        value = rest.removeprefix("=").strip()
        if name in _BLOCKS:
            self._new_line()
        if name in _MARKS:
            self._marks[_MARKS[name]] += 1
        elif name in _VALUED:
            value = f"tel:{value}" if name == "call" and value else value
            self._valued[name].append(_Valued(value, len(self._spans), self._characters, self._ink))
        elif name in {"list", "ul", "ol"}:
            self._numbers.append(1 if name == "ol" or value[:1].isdigit() else None)
        elif name in _CELLS and not self._at_line_start:
            self._say(" | ")
        elif name == "li":
            self._entry("*", closed=False)
        elif name == "spoiler" and value:
            self._say(f"{value}: ")

    def _close(self, name: str) -> None:
        self._line_due = self._line_due or name in _BLOCKS
        if name in _MARKS:
            self._marks[_MARKS[name]] -= 1
        elif name in _VALUED:
            self._close_valued(name)
        elif name in {"list", "ul", "ol"} and self._numbers:
            self._numbers.pop()

    def _entry(self, name: str, *, closed: bool) -> None:
        """An entry of a list; what divides two parts of a text."""
        self._new_line()
        if name == "hr" or closed:
            return
        number = self._numbers[-1] if self._numbers else None
        self._say(f"{number}. " if number else "- ")
        if number:
            self._numbers[-1] = number + 1

    @property
    def _at_line_start(self) -> bool:
        return not self._spans or self._line_due or self._spans[-1].text.endswith("\n")

    def _new_line(self) -> None:
        if not self._at_line_start:
            self._say("\n")

    def _close_valued(self, name: str) -> None:
        opened = self._valued[name].pop()
        if self._ink == opened.ink:
            self._say(without_scheme(opened.value))
        elif name in _ADDRESSED and opened.value:
            self._close_address(opened)

    def _close_address(self, opened: _Valued) -> None:
        """An address once: as it is written, or whole in place of its beginning, or behind other words."""
        value, inside = _plain(opened.value), ""
        # What is much longer says something else.
        if self._characters - opened.characters <= 2 * len(value) + 40:
            inside = "".join(span.text for span in self._spans[opened.spans :]).strip()
        if inside == value or names_mailbox(value, inside):
            return
        if inside and is_short_for(value, inside):
            marks = self._spans[-1].marks
            del self._spans[opened.spans :]
            self._spans.append(Span(value, marks))
        else:
            self._say(f" ({without_scheme(opened.value)})")

    def _say(self, text: str, *marks: Mark) -> None:
        if not text:
            return
        self._characters += len(text)
        self._ink += not text.isspace()
        if self._line_due and not text.startswith("\n"):
            self._spans.append(Span("\n"))
        self._line_due = False
        active = {mark for mark, count in self._marks.items() if count > 0}
        self._spans.append(Span(_plain(text), tuple(sorted({*active, *marks}))))


def _partners(tokens: Sequence[re.Match[str]]) -> dict[int, int]:
    """Which opening tag belongs to which closing one, both ways. Tags may cross; inside of code there are none."""
    partners: dict[int, int] = {}
    waiting: dict[str, list[int]] = {}
    code_ends = [index for index, token in enumerate(tokens) if _name(token) == "code" and token["close"]]
    inside_code: int | None = None
    for index, token in enumerate(tokens):
        name = _name(token)
        if inside_code is not None:
            if name == "code" and token["close"]:
                partners |= {inside_code: index, index: inside_code}
                inside_code = None
        elif name == "code" and not token["close"]:
            inside_code = index if code_ends and code_ends[-1] > index else None
        elif name not in _PAIRED or (name in _MARKS and name != "quote" and token["rest"]):
            continue
        elif not token["close"]:
            waiting.setdefault(name, []).append(index)
        elif waiting.get(name):
            opened = waiting[name].pop()
            partners |= {opened: index, index: opened}
    return partners


def _name(token: re.Match[str]) -> str:
    return (token["name"] or "").lower()


def _plain(text: str) -> str:
    return _ENTITY.sub(lambda found: _ENTITIES[found[0]], text)


def _icon(rest: str) -> str:
    title = _ICON_TITLE.search(rest)
    return title[1].strip() if title else ""


def _date(rest: str) -> str:
    digits = rest.removeprefix("=").partition(" ")[0]
    try:
        return datetime.fromtimestamp(int(digits), UTC).strftime("%d/%m/%Y %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return digits


def _nothing(_rest: str) -> str:
    return ""


_SINGLES: dict[str, Callable[[str], str]] = {
    "br": lambda _rest: "\n",
    "like": lambda _rest: "\N{THUMBS UP SIGN}",
    "dislike": lambda _rest: "\N{THUMBS DOWN SIGN}",
    "icon": _icon,
    "timestamp": _date,
    "disk": _nothing,  # the file itself comes beside the text
    "rating": _nothing,
    "attach": _nothing,
}


def _with_quotes(spans: Sequence[Span]) -> Text:
    """Quoted lines, in both ways that Bitrix24 writes them, as lines with the quote mark."""
    lines = _lines(rich_text(spans).spans)
    frames = [index for index, line in enumerate(lines) if _shown(line).rstrip() == _QUOTE_FRAME]
    pairs = list(zip(frames[::2], frames[1::2], strict=False))
    dropped = {index for pair in pairs for index in pair}
    framed = {index for start, end in pairs for index in range(start + 1, end)}
    return rich_text(
        _joined(_quoted(line, whole=index in framed) for index, line in enumerate(lines) if index not in dropped)
    )


def _quoted(line: list[Span], *, whole: bool) -> list[Span]:
    line = [span for span in line if span.text] or line
    if line and line[0].text.startswith(_QUOTE_SIGN) and Mark.CODE not in line[0].marks:
        line = [Span(line[0].text.removeprefix(_QUOTE_SIGN).removeprefix(" "), line[0].marks), *line[1:]]
    elif whole and line:
        line = [*line[:-1], Span(_QUOTE_CONTEXT.sub(r"\1", line[-1].text), line[-1].marks)]
    elif not whole and not _is_quoted(line):
        return line
    return [Span(span.text, tuple(sorted({*span.marks, Mark.QUOTE}))) for span in line]


# --- to BBCode -------------------------------------------------------------------------------------------------------

_KNOWN_TAGS = sorted({*_PAIRED, *_SINGLES, "*", "hr", "code", "img"})
_ACTS = (
    rf"(?P<tag>\[)(?=/?(?:{'|'.join(map(re.escape, _KNOWN_TAGS))})(?![a-z0-9]))"
    rf"|(?P<quote>^)(?={_QUOTE_SIGN})"
    rf"|(?P<frame>-{{53}})(?=-)"
    r"|(?P<line_end>#)(?=br#)"
)
_WOULD_ACT_IN_CODE = re.compile(_ACTS, re.IGNORECASE | re.MULTILINE)
# `/me` and `/loud` at the head of a message are orders to the portal's chat, and others are to a bot in it.
_UNSEEN = (
    r"\t\v\f\r \x1c-\x1f\x85\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
)
_UNSEEN += r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
_ORDER = rf"(?P<order>^[{_UNSEEN}]*)(?=/)"
_WOULD_ACT = re.compile(rf"{_ACTS}|{_ORDER}", re.IGNORECASE | re.MULTILINE)
_TAG_OF = {Mark.BOLD: "b", Mark.ITALIC: "i", Mark.STRIKE: "s"}


def _tagged(spans: Iterable[Span], free: Collection[str]) -> str:
    unquoted = rich_text(Span(span.text, tuple(m for m in span.marks if m is not Mark.QUOTE)) for span in spans)
    return "".join(_tagged_span(span, free) for span in unquoted.spans)


def _tagged_span(span: Span, free: Collection[str]) -> str:
    # Inside of code, tags are shown as they are, and nothing is an order.
    code = Mark.CODE in span.marks
    text = harmless(span.text.replace("\0", ""), _WOULD_ACT_IN_CODE if code else _WOULD_ACT, free)
    tags = ["code"] if code else [_TAG_OF[mark] for mark in span.marks]
    for tag in reversed(tags):
        text = f"[{tag}]{text}[/{tag}]"
    return text


# --- lines -----------------------------------------------------------------------------------------------------------


def _lines(spans: Iterable[Span]) -> list[list[Span]]:
    """Lines of spans; an empty one tells what its line end looks like."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        first, *rest = span.text.split("\n")
        lines[-1].append(Span(first, span.marks))
        lines += [[Span(part, span.marks)] for part in rest]
    return lines


def _joined(lines: Iterable[list[Span]]) -> list[Span]:
    """`lines` as one run; a line end has the marks that both of its neighbours share."""
    spans: list[Span] = []
    last: list[Span] | None = None
    for line in lines:
        if last is not None:
            shared = set(last[-1].marks) & set(line[0].marks) if last and line else set()
            spans.append(Span("\n", tuple(sorted(shared))))
        spans += line
        last = line
    return spans


def _is_quoted(line: Sequence[Span]) -> bool:
    return any(Mark.QUOTE in span.marks for span in line if span.text)


def _shown(line: Sequence[Span]) -> str:
    return "".join(span.text for span in line)
