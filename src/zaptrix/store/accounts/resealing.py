"""Secrets at rest, all of them: counted by the key that they are under, and sealed anew under the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import msgspec

from zaptrix.store.accounts import channels, portals
from zaptrix.store.connection.database import Database
from zaptrix.store.encryption import SecretBox

SEALED: Final = {"portal_config": portals.SEALED, "channel": channels.SEALED}
_NAMES: Final = {"portal_config": "portal", "channel": "channel"}
_BATCH: Final = 200  # rows

_COUNT = "SELECT (SELECT count(*) FROM portal_config) + (SELECT count(*) FROM channel)"


class Secret(msgspec.Struct, frozen=True):
    """One sealed value, and where it stands."""

    table: str
    row: UUID
    column: str
    sealed: str

    @property
    def name(self) -> str:
        """For people; it says nothing of the value."""
        return f"{_NAMES[self.table]} {self.row}: {self.column}"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Under which keys secrets are. `by_key`: how many, by the key's place in ENCRYPTION_KEYS, from 0."""

    by_key: Counter[int]
    unreadable: list[str]  # what no key of ours opens, by name


class Resealed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one batch. What another process has written meanwhile is left to it."""

    rows: int
    resealed: int
    unreadable: list[str]


async def rows(database: Database) -> int:
    """How many rows hold secrets."""
    async with database.connection() as connection:
        number: int = await connection.fetchval(_COUNT)
    return number


async def sealed(database: Database, box: SecretBox) -> Sealed:
    """Look at every secret; nothing is changed. Raises StoreUnavailable."""
    found = Sealed(by_key=Counter(), unreadable=[])
    async for _, batch in _secrets(database):
        for secret in batch:
            place = box.key_of(secret.sealed)
            if place is None:
                found.unreadable.append(secret.name)
            else:
                found.by_key[place] += 1
    return found


async def reseal(database: Database, box: SecretBox) -> AsyncIterator[Resealed]:
    """Put every secret under the first key, batch by batch; doing it again changes nothing. Raises StoreUnavailable."""
    async for number, batch in _secrets(database):
        changed, unreadable = 0, []
        for secret in batch:
            place = box.key_of(secret.sealed)
            if place is None:
                unreadable.append(secret.name)
            elif place > 0:
                changed += await _replace(database, secret, box.rotated(secret.sealed))
        yield Resealed(rows=number, resealed=changed, unreadable=unreadable)


async def _replace(database: Database, secret: Secret, resealed: str) -> bool:
    """Only what is still there as it was read: a token that was renewed meanwhile is not brought back."""
    sql = f"UPDATE {secret.table} SET {secret.column} = $2 WHERE id = $1 AND {secret.column} = $3"  # noqa: S608  # ours
    async with database.connection() as connection:
        return await connection.execute(sql, secret.row, resealed, secret.sealed) == "UPDATE 1"


async def _secrets(database: Database) -> AsyncIterator[tuple[int, list[Secret]]]:
    """All of them, in the order of their rows: how many rows, and what they hold."""
    for table, columns in SEALED.items():
        sql = f"""
        SELECT id, {", ".join(columns)} FROM {table} WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT {_BATCH}"""  # noqa: S608
        after: UUID | None = None
        while True:
            async with database.connection() as connection:
                found = await connection.fetch(sql, after)
            if not found:
                break
            yield (
                len(found),
                [Secret(table, row["id"], column, row[column]) for row in found for column in columns if row[column]],
            )
            after = found[-1]["id"]
