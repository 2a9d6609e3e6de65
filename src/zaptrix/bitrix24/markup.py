"""BBCode <-> neutral text. Pure, linear in the length of the text, and never raises.

https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

from zaptrix.core.text import Mark, Span, Text, plain_text, rich_text

ZWSP = "\N{ZERO WIDTH SPACE}"

# The operator's name before an added and before an updated message. A name may hold anything, ":" too. With files alone
# there is no line break, only a space: bold words with a colon that an operator wrote himself are no name.
_SIGNATURE = re.compile(r"\[b\](.{1,120}?):\[/b\](?:\s*\[br\]\s?|\s+\Z)", re.IGNORECASE | re.DOTALL)

_TOKEN = re.compile(
    r"\[img(?:[\s=][^\[\]]*)?\](?P<img>[^\[\]]*)\[/img\]"
    r"|\[(?P<close>/?)(?P<name>[a-z]+|\*)(?P<rest>(?:[=\s][^\[\]]*)?)\]"
    r"|(?P<line_end>#br#)",
    re.IGNORECASE,
)
_QUOTE_EDGES = re.compile(r"(\[quote\])[ \t]*\n|\n[ \t]*(\[/quote\])", re.IGNORECASE)
_ICON_TITLE = re.compile(r"\btitle=(.+?)(?:\s\w{1,20}=|\Z)", re.IGNORECASE | re.DOTALL)
_ENTITY = re.compile("&(?:quot|amp|lt|gt|#0?39);")
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#39;": "'", "&#039;": "'"}

_MARKS = {"b": Mark.BOLD, "i": Mark.ITALIC, "s": Mark.STRIKE, "quote": Mark.QUOTE}
# These show what is inside, and nothing of their own.
_INNER = {"u", "size", "color", "font", "user", "chat", "dialog", "context", "pch", "list"}
# These have a value that shows when nothing is inside; a link's shows behind what is inside, too.
_VALUED = {"url", "call", "send", "put"}
_PAIRED = {*_MARKS, *_INNER, *_VALUED}

_QUOTE_FRAME = "-" * 54
_QUOTE_SIGN = ">>"
# Behind the author and the time of a quote a portal may name its own message, which is no word of anybody's.
_QUOTE_CONTEXT = re.compile(r"(\]) #(?:chat)?[\d:]{1,40}/\d{1,19}\s*\Z")
_MAY_ACT = re.compile(rf"[\[&#]|{_QUOTE_SIGN}|{_QUOTE_FRAME}")


def split_signature(text: str) -> tuple[str | None, str]:
    """The operator's name and the message behind it; None where the message carries no name."""
    found = _SIGNATURE.match(text)
    if not found:
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
    blocks: list[str] = []
    for quoted, lines in groupby(_lines(text.spans), key=_is_quoted):
        if quoted:
            blocks += [_QUOTE_SIGN + _tagged(line) for line in lines]
        else:
            blocks.append(_tagged(_joined(lines)))
    return "\n".join(blocks)


# --- from BBCode -----------------------------------------------------------------------------------------------------


def _parsed(tidy: str) -> Text:
    return _with_quotes(_Reader().read(_QUOTE_EDGES.sub(r"\1\2", tidy)))


class _Reader:
    """One walk over the tags of a text."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._marks: Counter[Mark] = Counter()
        self._valued: list[tuple[str, str, int]] = []  # name, value, where its inside begins
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
        elif name in _SINGLES and not token["close"]:
            self._say(_SINGLES[name](token["rest"]))
        else:
            self._say(token[0])

    def _open(self, name: str, rest: str) -> None:
        if name == "quote" and self._spans and not self._spans[-1].text.endswith("\n"):
            self._say("\n")
        if name in _MARKS:
            self._marks[_MARKS[name]] += 1
        elif name in _VALUED:
            self._valued.append((name, rest.removeprefix("=").strip(), len(self._spans)))

    def _close(self, name: str) -> None:
        if name in _MARKS:
            self._marks[_MARKS[name]] -= 1
            self._line_due = self._line_due or name == "quote"
        elif name in _VALUED:
            self._close_valued(name)

    def _close_valued(self, name: str) -> None:
        at = max(index for index, (opened, _, _) in enumerate(self._valued) if opened == name)
        _, value, start = self._valued.pop(at)
        inside = "".join(span.text for span in self._spans[start:]).strip()
        if not inside:
            self._say(value)
        elif name == "url" and value and _plain(value) != inside:
            self._say(f" ({value})")

    def _say(self, text: str, *marks: Mark) -> None:
        if not text:
            return
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
    "*": lambda _rest: "- ",
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

_KNOWN_TAGS = sorted(
    {*_PAIRED, *_SINGLES, "code", "img", "video", "audio", "spoiler", "table", "tr", "td", "th", "p", "left", "right"}
    | {"center", "justify", "email", "mail"}
)
_WOULD_ACT = re.compile(
    rf"(?P<tag>\[)(?=/?(?:{'|'.join(map(re.escape, _KNOWN_TAGS))})(?![a-z0-9]))"
    rf"|(?P<quote>^)(?={_QUOTE_SIGN})"
    rf"|(?P<frame>-{{53}})(?=-)"
    r"|(?P<line_end>#)(?=br#)",
    re.IGNORECASE | re.MULTILINE,
)
_TAG_OF = {Mark.BOLD: "b", Mark.ITALIC: "i", Mark.STRIKE: "s"}


def _tagged(spans: Iterable[Span]) -> str:
    unquoted = rich_text(Span(span.text, tuple(m for m in span.marks if m is not Mark.QUOTE)) for span in spans)
    return "".join(map(_tagged_span, unquoted.spans))


def _tagged_span(span: Span) -> str:
    text = _WOULD_ACT.sub(rf"\g<0>{ZWSP}", span.text.replace("\0", ""))
    # Inside of code, tags are shown as they are.
    tags = ["code"] if Mark.CODE in span.marks else [_TAG_OF[mark] for mark in span.marks]
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
