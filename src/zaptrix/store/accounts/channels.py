"""Channels: which number is joined to which open line."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from zaptrix.core.delivery.errors import FailureScope
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel, CrmMode
from zaptrix.store.accounts.portals import ValueTaken
from zaptrix.store.connection.database import Connection, Record
from zaptrix.store.encryption import SecretBox

_NAMES = (
    "id", "portal_id", "name", "phone_number_id", "display_phone_number", "waba_id", "line_id", "rate_per_s",
    "crm_mode", "operator_prefix", "mark_read", "typing", "registered_at", "subscribed_at", "number_since",
    "whatsapp_paused_at", "whatsapp_paused_reason", "line_paused_at", "line_paused_reason",
)  # fmt: skip
_COLUMNS = ", ".join(_NAMES)
SEALED = ("access_token",)


class ChannelFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel is made or changed with; what is UNSET stays as it is. `id` is for one that is made."""

    id: ChannelId | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    phone_number_id: str | msgspec.UnsetType = msgspec.UNSET
    display_phone_number: str | msgspec.UnsetType = msgspec.UNSET
    waba_id: str | msgspec.UnsetType | None = msgspec.UNSET
    access_token: str | msgspec.UnsetType = msgspec.UNSET
    line_id: int | msgspec.UnsetType = msgspec.UNSET
    rate_per_s: int | msgspec.UnsetType = msgspec.UNSET
    crm_mode: CrmMode | msgspec.UnsetType = msgspec.UNSET
    operator_prefix: bool | msgspec.UnsetType = msgspec.UNSET
    mark_read: bool | msgspec.UnsetType = msgspec.UNSET
    typing: bool | msgspec.UnsetType = msgspec.UNSET


def channel_of(row: Record) -> Channel:
    """A channel from a row that holds at least its columns."""
    return Channel(**{name: row[name] for name in _NAMES if name != "crm_mode"}, crm_mode=CrmMode(row["crm_mode"]))


def _assignments(fields: ChannelFields, box: SecretBox) -> dict[str, object]:
    values: dict[str, object] = {
        name: v for name, v in msgspec.structs.asdict(fields).items() if v is not msgspec.UNSET
    }
    if isinstance(token := values.get("access_token"), str):
        values["access_token"] = box.seal(token)
    return values


async def add(connection: Connection, portal_id: PortalId, fields: ChannelFields, box: SecretBox) -> Channel | None:
    """A new channel, or None when there is no such portal. Raises ValueTaken."""
    values = {"portal_id": portal_id, **_assignments(fields, box)}
    names, marks = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
    sql = f"INSERT INTO channel ({names}) VALUES ({marks}) RETURNING id"  # noqa: S608  # our own names
    try:
        channel_id = await connection.fetchval(sql, *values.values())
    except asyncpg.UniqueViolationError as exc:
        raise ValueTaken("phone_number_id") from exc
    except asyncpg.ForeignKeyViolationError:
        return None
    row = await connection.fetchrow(_OWNED_SINCE, channel_id)
    assert row is not None
    return channel_of(row)


async def change(
    connection: Connection, channel_id: ChannelId, fields: ChannelFields, box: SecretBox
) -> Channel | None:
    """Overwrite what `fields` sets, and take the channel out of its pauses; None when there is none.

    Raises ValueTaken.
    """
    values = _assignments(fields, box)
    sets = "".join(f"{name} = ${n}, " for n, name in enumerate(values, 2))
    sql = f"""
    UPDATE channel SET {sets} whatsapp_paused_at = NULL, whatsapp_paused_reason = NULL, line_paused_at = NULL,
        line_paused_reason = NULL, registered_at = NULL, subscription_looked_at = NULL, updated_at = now()
    WHERE id = $1"""  # noqa: S608  # our own names
    try:
        await connection.execute(sql, channel_id, *values.values())
    except asyncpg.UniqueViolationError as exc:
        raise ValueTaken("phone_number_id") from exc
    row = await connection.fetchrow(_OWNED_SINCE, channel_id)
    return channel_of(row) if row else None


# A statement of its own: whoever waited for another portal to let the number go sees that release only now.
_OWNED_SINCE = f"""
UPDATE channel SET number_since = (
    SELECT max(r.released_at) FROM number_release r
    WHERE r.phone_number_id = channel.phone_number_id AND r.portal_id <> channel.portal_id)
WHERE id = $1 RETURNING {_COLUMNS}"""  # noqa: S608
_GET = f"SELECT {_COLUMNS} FROM channel WHERE id = $1"  # noqa: S608
_BY_NUMBER = f"SELECT {_COLUMNS} FROM channel WHERE phone_number_id = $1"  # noqa: S608
_OF_LINE = f"SELECT {_COLUMNS} FROM channel WHERE portal_id = $1 AND line_id = $2"  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM channel
WHERE ($1::uuid IS NULL OR id > $1) AND ($2::uuid IS NULL OR portal_id = $2) ORDER BY id LIMIT $3"""  # noqa: S608
_DELETE = "DELETE FROM channel WHERE id = $1"
_UNREGISTERED = f"""
SELECT {_COLUMNS} FROM channel
WHERE (registered_at IS NULL OR registered_url IS DISTINCT FROM $2) AND line_paused_at IS NULL
    AND updated_at < now() - interval '10 seconds'
ORDER BY updated_at LIMIT $1"""  # noqa: S608
_REGISTERED = """
UPDATE channel SET registered_at = CASE WHEN $2::text IS NULL THEN now() END, registration_error = $2,
    registered_url = $3, updated_at = now()
WHERE id = $1
"""
_ERROR = "SELECT registration_error FROM channel WHERE id = $1"
_SUBSCRIPTION_ERROR = "SELECT subscription_error FROM channel WHERE id = $1"
_SUBSCRIBED = """
UPDATE channel SET subscribed_at = CASE WHEN $2::text IS NULL THEN now() END, subscription_error = $2,
    subscription_looked_at = now()
WHERE id = $1
"""
_SUBSCRIPTION_DUE = f"""
SELECT {_COLUMNS} FROM channel
WHERE whatsapp_paused_at IS NULL AND (subscription_looked_at IS NULL OR subscription_looked_at < now() -
    CASE WHEN subscribed_at IS NULL THEN interval '1 minute' ELSE interval '1 hour' END)
ORDER BY subscription_looked_at NULLS FIRST LIMIT $1"""  # noqa: S608
_COUNT = "SELECT count(*) FROM channel WHERE portal_id = $1"
_PAUSE = {
    Side.WHATSAPP: """
UPDATE channel SET whatsapp_paused_at = now(), whatsapp_paused_reason = $2, updated_at = now()
WHERE id = $1 AND whatsapp_paused_at IS NULL
    AND updated_at < coalesce($3::timestamptz, now()) - interval '3 seconds'""",
    Side.BITRIX24: """
UPDATE channel SET line_paused_at = now(), line_paused_reason = $2, updated_at = now()
WHERE id = $1 AND line_paused_at IS NULL
    AND updated_at < coalesce($3::timestamptz, now()) - interval '3 seconds'""",
}
_LEARN_WABA = "UPDATE channel SET waba_id = $2 WHERE id = $1 AND waba_id IS NULL"
_TOKEN = "SELECT access_token FROM channel WHERE id = $1"  # noqa: S105


async def get(connection: Connection, channel_id: ChannelId) -> Channel | None:
    row = await connection.fetchrow(_GET, channel_id)
    return channel_of(row) if row else None


async def by_number(connection: Connection, phone_number_id: str) -> Channel | None:
    row = await connection.fetchrow(_BY_NUMBER, phone_number_id)
    return channel_of(row) if row else None


# Whether one of `numbers` is not that of the channel beside it any more.
GONE_OVER = """EXISTS (SELECT 1 FROM unnest({numbers}::text[], {ids}::uuid[]) AS known(number, id)
    WHERE NOT EXISTS (SELECT 1 FROM channel WHERE channel.id = known.id AND phone_number_id = known.number))"""


async def of_line(connection: Connection, portal_id: PortalId, line_id: int) -> list[Channel]:
    """All channels that answer on one line."""
    return [channel_of(row) for row in await connection.fetch(_OF_LINE, portal_id, line_id)]


async def listed(connection: Connection, after: UUID | None, portal_id: PortalId | None, limit: int) -> list[Channel]:
    """Channels in the order of their ids, after `after`; `portal_id` narrows to one portal."""
    return [channel_of(row) for row in await connection.fetch(_LIST, after, portal_id, limit)]


async def delete(connection: Connection, channel_id: ChannelId) -> bool:
    return await connection.execute(_DELETE, channel_id) == "DELETE 1"


async def unregistered(connection: Connection, limit: int, url: str) -> list[Channel]:
    """Channels whose connector does not stand on their line yet, or not for `url`, the longest untried first."""
    return [channel_of(row) for row in await connection.fetch(_UNREGISTERED, limit, url)]


async def registered(connection: Connection, channel_id: ChannelId, error: str | None, url: str) -> None:
    """Record the end of a registration for a gateway at `url`: done, or why not."""
    await connection.execute(_REGISTERED, channel_id, error, url)


async def subscribed(connection: Connection, channel_id: ChannelId, error: str | None) -> None:
    """Record the end of a look at the subscription of the channel's account: it stands, or why not."""
    await connection.execute(_SUBSCRIBED, channel_id, error)


async def subscription_due(connection: Connection, limit: int) -> list[Channel]:
    """Channels whose account has to be looked at: hourly, or each minute while it is not subscribed."""
    return [channel_of(row) for row in await connection.fetch(_SUBSCRIPTION_DUE, limit)]


async def registration_error(connection: Connection, channel_id: ChannelId) -> str | None:
    error: str | None = await connection.fetchval(_ERROR, channel_id)
    return error


async def subscription_error(connection: Connection, channel_id: ChannelId) -> str | None:
    error: str | None = await connection.fetchval(_SUBSCRIPTION_ERROR, channel_id)
    return error


async def count(connection: Connection, portal_id: PortalId) -> int:
    """How many channels a portal has."""
    number: int = await connection.fetchval(_COUNT, portal_id)
    return number


async def pause(
    connection: Connection, channel_id: ChannelId, side: Side, reason: str, at: datetime | None = None
) -> bool:
    """Hold what this channel sends to one side; False when it was held already.

    Also False when it was changed a moment before the refusal, which was `at` (now when None), or since then: it may be
    about the key that was replaced.
    """
    return await connection.execute(_PAUSE[side], channel_id, reason, at) == "UPDATE 1"


async def learn_waba(connection: Connection, channel_id: ChannelId, waba_id: str) -> None:
    """Record the WhatsApp Business account that Meta told of; what an admin has set stays."""
    await connection.execute(_LEARN_WABA, channel_id, waba_id)


async def access_token(connection: Connection, channel_id: ChannelId, box: SecretBox) -> str | None:
    """The number's token, or None when the channel is gone. Raises UnreadableSecret."""
    sealed = await connection.fetchval(_TOKEN, channel_id)
    return box.open(sealed, FailureScope.CHANNEL) if sealed else None
