"""Which code works on which schema: processes of two versions run side by side while everything is restarted.

A migration first adds (expand), and a later release takes away what nobody uses any more (contract). So code goes on
while its schema becomes newer, as long as the schema says so: beside its revision stands from which code on it can be
worked with. docs/adr/0027-expand-then-contract.md
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class SchemaSpan(NamedTuple):
    """The schemas that code knows, by their revisions: the oldest one it works on, and its own."""

    oldest: str
    newest: str


class Fit(Enum):
    """Of code and a schema."""

    USABLE = "usable"
    BEHIND = "behind"
    """The schema lacks what the code needs."""
    AHEAD = "ahead"
    """The schema has lost what the code needs, or does not say that it has not."""


def fit(code: SchemaSpan, revision: str | None, works_from: str | None) -> Fit:
    """`revision` of the schema (None: there is none), and the oldest code that works on it by the schema's own word."""
    if revision is None or int(revision) < int(code.oldest):
        return Fit.BEHIND
    if int(revision) <= int(code.newest):
        return Fit.USABLE
    return Fit.USABLE if works_from is not None and int(works_from) <= int(code.newest) else Fit.AHEAD


_TOLD = "Zaptrix: code from {} on works on this schema"
_READ = re.compile(_TOLD.format(r"([0-9]{4,9})"))


def told(works_from: str) -> str:
    """What stands beside a schema's revision: the comment on `alembic_version`."""
    return _TOLD.format(works_from)


def read(comment: str | None) -> str | None:
    """The oldest code that the comment names; None when it is none of ours."""
    found = _READ.fullmatch(comment or "")
    return found[1] if found else None
