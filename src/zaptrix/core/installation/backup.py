"""The format of a backup: what one consists of, and what keeps one from being restored.

Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from zaptrix.core.wording.catalog import section

FORMAT = 1
"""Of the archive. A release reads its own and older ones."""

ID_GAP = 1_000_000
IDS_PER_S = 2_000
"""More than any gateway writes."""


class ArchiveObject(msgspec.Struct, frozen=True):
    """An object of an archive. `bytes` and `sha256` (hex) are of what is stored."""

    path: str
    bytes: int
    sha256: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table's rows, as PostgreSQL's COPY writes them in text, compressed by gzip."""

    name: str
    columns: tuple[str, ...]
    rows: int
    part: ArchiveObject


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an archive. It is written last: an archive without one is not whole."""

    format: int
    release: str
    revision: str  # of the schema
    dumped_at: datetime  # the moment that the rows show, by PostgreSQL's clock
    finished_at: datetime
    tables: tuple[Table, ...]
    sequences: dict[str, int]  # the last id that each gave out
    days: tuple[str, ...]  # of the journal, YYYY-MM-DD: each is a partition
    keys: tuple[str, ...]  # fingerprints of those of ENCRYPTION_KEYS that stored secrets need; empty: not looked at
    files: ArchiveObject  # the list of `ArchiveObject`s that are files, one a line of JSON, compressed by gzip
    file_count: int
    media: bool  # whether files of messages are in it
    media_missing: int = 0  # named by a row and not there


def fingerprint(key: str) -> str:
    """What names an encryption key and does not give it away."""
    return hashlib.sha256(b"zaptrix key " + key.encode()).hexdigest()[:16]


class ArchiveUnreadable(Exception):
    """An archive cannot be restored; the text says why, and what to do."""


def check(manifest: Manifest, *, revisions: Sequence[str], keys: Iterable[str]) -> None:
    """Whether this release, with these ENCRYPTION_KEYS, can restore an archive. Raises ArchiveUnreadable."""
    if manifest.format > FORMAT or manifest.revision not in revisions:
        raise ArchiveUnreadable(
            f"it was made by Zaptrix {manifest.release} (schema {manifest.revision}), which is newer than this one; "
            f"restore it with that release or a later one"
        )
    if missing := sorted(set(manifest.keys) - {fingerprint(key) for key in keys}):
        raise ArchiveUnreadable(
            f"its secrets need {len(missing)} encryption key(s) that ENCRYPTION_KEYS lacks, with the fingerprint "
            f"{', '.join(missing)}; add them: `zaptrix keys unseal` prints those that `zaptrix backup --keys-to` kept"
        )


UNKNOWABLE = section("commands")["restore_unknowable"]
"""What no report of a restore can count."""


def first_id_after(last: int, age: timedelta) -> int:
    """From where ids are given out after a restore.

    Those of rows that were lost are given to nobody else: Meta may still tell of a message by its id, and a portal has
    lines under it.
    """
    return last + ID_GAP + max(0, int(age.total_seconds())) * IDS_PER_S


def surplus(names: Iterable[str], keep: int) -> list[str]:
    """Which archives are too many when the `keep` newest stay; their names begin with the time."""
    return sorted(names)[:-keep] if keep > 0 else []
