"""Templates: what Meta told of them, kept so that a send can be checked and a notice can name some."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from zaptrix.core.event import TemplateChange
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.template import APPROVED, AUTHENTICATION, STATUS_AFTER, Definition
from zaptrix.store.connection.database import Connection, Record

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Definition).decode


class TemplateList(msgspec.Struct, frozen=True):
    """When a channel's own token fetched the templates of an account. `stale`: Meta has told of changes since."""

    waba_id: str
    fetched_at: datetime
    stale: bool


_LIST = "SELECT waba_id, fetched_at, stale FROM template_list WHERE channel_id = $1"
_LISTED = """
INSERT INTO template_list (channel_id, waba_id, fetched_at) VALUES ($1, $2, $3)
ON CONFLICT (channel_id) DO UPDATE SET waba_id = excluded.waba_id, fetched_at = excluded.fetched_at, stale = false
"""
_SHARED = "UPDATE template_list SET fetched_at = $2, stale = false WHERE waba_id = $1"
_STALE = "UPDATE template_list SET stale = true WHERE waba_id = ANY($1)"
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('templates/' || $1, 0))"
_DROP = "DELETE FROM template WHERE waba_id = $1 AND id <> ALL($2::text[])"
_PUT = """
INSERT INTO template (waba_id, id, name, language, status, category, quality, definition)
SELECT $1, t.* FROM (SELECT id, name, language, status, category, quality, definition::jsonb FROM unnest($2::text[],
    $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS u(id, name, language, status, category, quality, definition) ORDER BY id) t
ON CONFLICT (waba_id, id) DO UPDATE SET name = excluded.name, language = excluded.language, status = excluded.status,
    category = excluded.category, quality = excluded.quality, definition = excluded.definition, updated_at = now()
"""


async def listed_at(connection: Connection, channel_id: ChannelId) -> TemplateList | None:
    """When this channel fetched its templates; None: never."""
    row = await connection.fetchrow(_LIST, channel_id)
    return TemplateList(**row) if row else None


async def replace(
    connection: Connection, channel_id: ChannelId, waba_id: str, found: Sequence[Definition], at: datetime
) -> None:
    """What the account has, asked at `at` with this channel's token. What it has no more is forgotten."""
    await connection.execute(_ALONE, waba_id)  # several channels of an account may ask at once
    unique = {each.id: each for each in found}.values()
    await connection.execute(_DROP, waba_id, [each.id for each in unique])
    await connection.execute(
        _PUT,
        waba_id,
        [each.id for each in unique],
        [each.name for each in unique],
        [each.language for each in unique],
        [each.status for each in unique],
        [each.category for each in unique],
        [each.quality for each in unique],
        [_encode(each).decode() for each in unique],
    )
    await connection.execute(_LISTED, channel_id, waba_id, at)
    await connection.execute(_SHARED, waba_id, at)


async def outdate(connection: Connection, waba_ids: Sequence[str]) -> None:
    """Whoever asks next for templates of these accounts has them fetched anew."""
    await connection.execute(_STALE, waba_ids)


# The columns are what webhooks keep up to date; the definition is as it was fetched.
_COLUMNS = "t.definition, t.status, t.category, t.quality"
_OF_CHANNEL = "FROM template_list l JOIN template t ON t.waba_id = l.waba_id WHERE l.channel_id = $1"
_ALL = f"""
SELECT {_COLUMNS} {_OF_CHANNEL}
    AND ($2::text IS NULL OR t.status = $2) AND ($3::text IS NULL OR t.category = $3)
    AND ($4::text IS NULL OR t.language = $4) AND ($5::text IS NULL OR t.name = $5)
    AND ($6::text IS NULL OR (t.name, t.language, t.id) > ($6, $7, $8))
ORDER BY t.name, t.language, t.id LIMIT $9
"""
_NAMED = f"SELECT {_COLUMNS} {_OF_CHANNEL} AND t.name = $2 ORDER BY t.language"
# Those first that need the least: about the customer's own business, and with nothing to fill in.
_USABLE = f"""
SELECT {_COLUMNS} {_OF_CHANNEL} AND t.status = $2 AND t.category <> $3 AND NOT t.definition ? 'cards'
ORDER BY t.category <> 'UTILITY', t.definition->>'body' LIKE '%{{{{%', t.quality = 'RED', t.name, t.language LIMIT $4
"""


class TemplateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which templates are wanted; None: any."""

    status: str | None = None
    category: str | None = None
    language: str | None = None
    name: str | None = None


class PageStart(NamedTuple):
    """Where a page begins."""

    name: str
    language: str
    id: str


async def listed(
    connection: Connection, channel_id: ChannelId, wanted: TemplateFilter, after: PageStart | None, limit: int
) -> list[Definition]:
    """Templates in the order of their names, after `after`."""
    rows = await connection.fetch(
        _ALL,
        channel_id,
        wanted.status,
        wanted.category,
        wanted.language,
        wanted.name,
        *(after or (None, None, None)),
        limit,
    )
    return [_definition(row) for row in rows]


async def named(connection: Connection, channel_id: ChannelId, name: str) -> list[Definition]:
    """A template in all its languages."""
    return [_definition(row) for row in await connection.fetch(_NAMED, channel_id, name)]


async def usable(connection: Connection, channel_id: ChannelId, limit: int) -> list[Definition]:
    """A few that could be sent to a customer who has been silent for long."""
    rows = await connection.fetch(_USABLE, channel_id, APPROVED, AUTHENTICATION, limit)
    return [_definition(row) for row in rows]


def _definition(row: Record) -> Definition:
    now = {name: row[name] for name in ("status", "category", "quality")}
    return msgspec.structs.replace(_decode(row["definition"]), **now)


# --- what Meta changed -----------------------------------------------------------------------------------------------

# `old` is Meta's word where it says one: the row may have been fetched anew since. Else it is what the row was.
_TELL = """
INSERT INTO template_change (waba_id, template_id, name, language, what, old, new, reason, at)
SELECT a.*, coalesce($9::text, (SELECT CASE a.what WHEN 'status' THEN t.status WHEN 'quality' THEN t.quality
    WHEN 'category' THEN t.category WHEN 'category_soon' THEN t.category END
    FROM template t WHERE t.waba_id = a.waba_id AND t.id = a.template_id)), $6::text, $7::text, $8::timestamptz
FROM (VALUES ($1::text, $2::text, $3::text, $4::text, $5::text)) AS a(waba_id, template_id, name, language, what)
RETURNING old
"""
_CHANGE = {
    what: f"UPDATE template SET {what} = $3, updated_at = now() WHERE waba_id = $1 AND id = $2"  # noqa: S608
    for what in ("status", "quality", "category")
}
_KNOWN = "SELECT DISTINCT waba_id FROM channel WHERE waba_id = ANY($1)"


async def known_accounts(connection: Connection, waba_ids: Sequence[str]) -> set[str]:
    """Those of `waba_ids` that a channel belongs to."""
    return {row["waba_id"] for row in await connection.fetch(_KNOWN, waba_ids)}


async def change(connection: Connection, told: TemplateChange) -> str | None:
    """Record what Meta told, and let the template be that from now on; what it was before, if it was known."""
    old: str | None = await connection.fetchval(
        _TELL,
        told.waba_id,
        told.template_id,
        told.name,
        told.language,
        told.what,
        told.new,
        told.reason,
        told.at,
        told.old,
    )
    if told.what in _CHANGE:
        new = STATUS_AFTER.get(told.new, told.new) if told.what == "status" else told.new
        await connection.execute(_CHANGE[told.what], told.waba_id, told.template_id, new)
    return old


class TemplateChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """What Meta changed about a template."""

    id: int
    template_id: str
    name: str
    language: str
    what: Annotated[str, Meta(description="status, quality, category, category_soon (in a day) or components.")]
    old: Annotated[str | None, Meta(description="What it was, as far as it was known.")]
    new: str
    reason: str | None
    at: datetime


_VIEW = ", ".join(f"c.{name}" for name in TemplateChangeView.__struct_fields__)
_CHANGES = f"""
SELECT {_VIEW} FROM template_list l JOIN template_change c ON c.waba_id = l.waba_id
WHERE l.channel_id = $1 AND ($2::bigint IS NULL OR c.id < $2) ORDER BY c.id DESC LIMIT $3
"""  # noqa: S608
_FORGET = """
DELETE FROM template t WHERE NOT EXISTS (SELECT 1 FROM template_list l WHERE l.waba_id = t.waba_id)
"""
_FORGET_CHANGES = "DELETE FROM template_change WHERE at < now() - make_interval(days => $1)"


async def changes(
    connection: Connection, channel_id: ChannelId, before: int | None, limit: int
) -> list[TemplateChangeView]:
    """What Meta changed about a channel's templates, the latest first."""
    return [TemplateChangeView(**row) for row in await connection.fetch(_CHANGES, channel_id, before, limit)]


async def forget(connection: Connection, days: int) -> None:
    """Drop templates of accounts that no channel is of any more, and old changes."""
    await connection.execute(_FORGET)
    await connection.execute(_FORGET_CHANGES, days)
