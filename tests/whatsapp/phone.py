"""How a phone shows WhatsApp's marks, sign by sign: nothing of it is shared with the code that is tested.

A mark begins where no letter stands before its sign and no space behind it, and ends at the next sign with no space
before it and no letter behind it, within the line. https://faq.whatsapp.com/539178204879377
"""

import re

_ATOMS = re.compile(
    r"```(?P<block>.+?)```|(?<![^\W_])`(?P<inline>[^\s\u200b`](?:[^`\n]*[^\s\u200b`])?)`(?![^\W_])", re.DOTALL
)


def marked(text: str) -> set[int]:
    """The places of the signs that a phone takes for marks."""
    taken: set[int] = set()
    hidden = list(text)
    for found in _ATOMS.finditer(text):
        for at in range(found.start(), found.end()):
            hidden[at] = "x"
        width = 3 if found["block"] is not None else 1
        taken |= {*range(found.start(), found.start() + width), *range(found.end() - width, found.end())}
    start = 0
    for line in "".join(hidden).split("\n"):
        taken |= {start + at for at in _signs(line)}
        start += len(line) + 1
    return taken


def shown(text: str) -> str:
    """The characters that are read."""
    taken = marked(text)
    return "".join(sign for at, sign in enumerate(text) if at not in taken)


def _signs(line: str) -> set[int]:
    taken: set[int] = set()
    for sign in "*_~":
        at = 0
        while (at := line.find(sign, at)) >= 0:
            end = _end(line, sign, at)
            taken |= {at, end} if end else set()
            at = (end or at) + 1
    return taken


def _end(line: str, sign: str, at: int) -> int | None:
    if (at and line[at - 1].isalnum()) or _gap(line[at + 1 : at + 2]):
        return None
    ends = (end for end in range(at + 2, len(line)) if line[end] == sign)
    return next((end for end in ends if not _gap(line[end - 1]) and not line[end + 1 : end + 2].isalnum()), None)


def _gap(character: str) -> bool:
    return not character or character.isspace() or character == "\N{ZERO WIDTH SPACE}"
