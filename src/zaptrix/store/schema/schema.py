"""What the migrations say of themselves, read from their files without loading what migrates.

A migration may declare:
- `works_from = "0031"`: the oldest code that works on what it leaves, by that code's newest revision. Whoever takes
  something away has to. Without it, code that worked before goes on working.
- `needed = False`: this release works without it, too, so that its processes may start before it is applied.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from zaptrix.core.installation.compatibility import SchemaSpan

FOLDER = Path(__file__).parents[1] / "migrations"

OFFLINE_UP_TO = "0026"
"""Migrations up to here were written for a gateway that is stopped. Later ones run beside a busy one, and
tests/store/schema/test_online_migrations.py judges each."""

_REVISION = re.compile(r"[0-9]{4,9}")
_TITLE = re.compile(r'\A"""(.+?)(?:\n|""")')
_WORKS_FROM = re.compile(r'^works_from = "([0-9]{4,9})"$', re.MULTILINE)
_NOT_NEEDED = re.compile(r"^needed = False$", re.MULTILINE)


class Migration(NamedTuple):
    """One file's own word."""

    revision: str
    title: str
    works_from: str | None
    needed: bool

    @property
    def online(self) -> bool:
        """Whether gateways and workers may go on while it is applied."""
        return int(self.revision) > int(OFFLINE_UP_TO)


@cache
def migrations(*folders: Path) -> tuple[Migration, ...]:
    """The oldest first; by default this release's."""
    files = [file for folder in folders or (FOLDER / "versions",) for file in folder.glob("*.py")]
    return tuple(sorted(_read(file) for file in files if _REVISION.match(file.name)))


def revisions() -> tuple[str, ...]:
    """Those that this release knows, the newest last."""
    return tuple(each.revision for each in migrations())


def _read(file: Path) -> Migration:
    text = file.read_text(encoding="utf-8")
    title, works_from = _TITLE.search(text), _WORKS_FROM.search(text)
    return Migration(
        revision=file.name.partition("_")[0],
        title=title[1] if title else file.stem,
        works_from=works_from[1] if works_from else None,
        needed=not _NOT_NEEDED.search(text),
    )


def span(known: tuple[Migration, ...]) -> SchemaSpan:
    """Of the code that brings these."""
    needed = next((each.revision for each in reversed(known) if each.needed), known[0].revision)
    return SchemaSpan(oldest=needed, newest=known[-1].revision)


def works_from(known: tuple[Migration, ...], revision: str) -> str:
    """The oldest code that works on the schema of this revision."""
    declared = [each.works_from for each in known if each.works_from and int(each.revision) <= int(revision)]
    return max([min(revision, OFFLINE_UP_TO, key=int), *declared], key=int)
