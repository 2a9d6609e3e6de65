"""A ledger to arrange and to look into, on the test's own database. Every number and name is invented."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from cryptography.fernet import Fernet

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.ids import AttemptId, ChannelId, MessageId, PortalId
from zaptrix.core.message.message import Direction, Origin, Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.accounts import channels, portals
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import PortalFields
from zaptrix.store.connection.database import Database
from zaptrix.store.encryption import SecretBox
from zaptrix.store.ledger import awaited, claims, messages, settlements
from zaptrix.store.ledger.claims import ClaimedRow, Way
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.ledger.receipts import STANDS
from zaptrix.store.ledger.settlements import Settlement
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Placed

START = UUID(int=0)
WRITTEN_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

_numbers = itertools.count(1)


class Ledger:
    """Portals, channels, conversations and messages by the store's own functions."""

    def __init__(self, database: Database, box: SecretBox | None = None) -> None:
        self.database = database
        self.box = box or SecretBox([Fernet.generate_key().decode()])

    async def portal(self, **changes: Any) -> Portal:
        n = next(_numbers)
        fields: dict[str, Any] = {
            "portal_url": f"https://portal{n}.example",
            "member_id": f"member{n}",
            "client_id": "app.1",
            "client_secret": "a-client-secret",
            "client_endpoint": f"https://portal{n}.example/rest/",
            "access_token": "an-access-token",
            "refresh_token": "a-refresh-token",
            "token_expiration_time": datetime.now(UTC) + timedelta(hours=1),
            "application_token": "an-application-token",
        }
        async with self.database.transaction() as connection:
            return await portals.add(connection, PortalFields(**fields | changes), self.box)

    async def channel(self, portal: Portal | None = None, **changes: Any) -> Channel:
        portal = portal or await self.portal()
        fields: dict[str, Any] = {
            "name": "Loja",
            "phone_number_id": f"2109876543{next(_numbers):05d}",
            "display_phone_number": "+55 41 3333-0000",
            "access_token": "a-number-token",
            "line_id": 7,
        }
        async with self.database.transaction() as connection:
            channel = await channels.add(connection, portal.id, ChannelFields(**fields | changes), self.box)
        assert channel is not None
        return channel

    async def talk(self, channel: Channel, *, chat_id: int | None = None, **customer: Any) -> Conversation:
        """A conversation; with `chat_id` one that Bitrix24 knows already."""
        who = Customer(**(customer or {"wa_id": f"5541{next(_numbers):08d}"}))
        async with self.database.transaction() as connection:
            talk = await conversations.add(connection, channel, who)
            if chat_id is not None:
                await conversations.place(connection, [Placed(id=talk.id, bitrix_chat_id=chat_id)])
        return msgspec.structs.replace(talk, bitrix_chat_id=chat_id)

    async def write(self, *rows: NewMessage) -> list[MessageId]:
        async with self.database.transaction() as connection:
            return await messages.insert(connection, rows)

    async def outbound(self, talk: Conversation, count: int = 1, **changes: Any) -> list[MessageId]:
        return await self.write(*(outbound(talk, f"resposta {n}", **changes) for n in range(count)))

    async def inbound(self, talk: Conversation, count: int = 1, **changes: Any) -> list[MessageId]:
        return await self.write(*(inbound(talk, f"pergunta {n}", **changes) for n in range(count)))

    async def claim(self, way: Way, limit: int = 10, after: UUID = START) -> list[ClaimedRow]:
        async with self.database.transaction() as connection:
            ask = claims.Ask(way.lane_id, AttemptId(uuid4()), limit)
            (rows,) = await claims.claim_to_send(connection, way.direction, [ask], after=after)
            return rows

    async def settle(self, *told: Settlement, direction: Direction = Direction.OUTBOUND) -> set[MessageId]:
        async with self.database.transaction() as connection:
            return (await settlements.settle(connection, direction, told)).ids

    async def end(self, row: ClaimedRow, state: str, **changes: Any) -> bool:
        """Settle one claimed message; whether it was still ours to settle."""
        return bool(await self.settle(settlement(row, state, **changes)))

    async def row(self, message_id: int) -> dict[str, Any]:
        (row,) = await self.rows(f"SELECT *, {STANDS} AS stands FROM message WHERE id = $1", message_id)  # noqa: S608
        return row | {"state": row["stands"]}

    async def state(self, message_id: int) -> str:
        return str((await self.row(message_id))["state"])

    async def states(self) -> list[str]:
        """The states of all messages, in the order of their ids."""
        return [row["state"] for row in await self.rows(f"SELECT {STANDS} AS state FROM message ORDER BY id")]  # noqa: S608

    async def awaited(self) -> set[int]:
        """The messages whose arrival is to be told."""
        return {row["message_id"] for row in await self.rows("SELECT message_id FROM confirmation")}

    async def confirm_in(self, message_ids: Sequence[int], seconds: float) -> None:
        """Have the arrival of these told in so many seconds."""
        async with self.database.transaction() as connection:
            await awaited.await_now(connection, [MessageId(each) for each in message_ids])
            await connection.execute(
                "UPDATE confirmation SET due_at = now() + make_interval(secs => $2) WHERE message_id = ANY($1)",
                message_ids,
                seconds,
            )

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    async def value(self, sql: str, *values: object) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(sql, *values)

    async def run(self, sql: str, *values: object) -> None:
        async with self.database.connection() as connection:
            await connection.execute(sql, *values)


def to_whatsapp(channel: Channel) -> Way:
    return Way(Direction.OUTBOUND, channel.id)


def to_bitrix24(portal_id: PortalId) -> Way:
    return Way(Direction.INBOUND, portal_id)


def outbound(talk: Conversation, text: str = "resposta", **changes: Any) -> NewMessage:
    fields: dict[str, Any] = {
        "conversation": talk,
        "direction": Direction.OUTBOUND,
        "origin": Origin.OPERATOR,
        "content": Words(plain_text(text)),
        "request_id": "r-1",
        "written_at": WRITTEN_AT,
    }
    return NewMessage(**fields | changes)


def inbound(talk: Conversation, text: str = "pergunta", **changes: Any) -> NewMessage:
    fields: dict[str, Any] = {
        "conversation": talk,
        "direction": Direction.INBOUND,
        "origin": Origin.CUSTOMER,
        "content": Words(plain_text(text)),
        "request_id": "r-1",
        "written_at": WRITTEN_AT,
        "whatsapp_id": f"wamid.{uuid4().hex}",
    }
    return NewMessage(**fields | changes)


def settlement(row: ClaimedRow, state: str, **changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "message_id": row.fields["id"],
        "attempt_id": row.fields["attempt_id"],
        "state": state,
        "costs_an_attempt": False,
    }
    return Settlement(**fields | changes)


def ids(rows: Sequence[ClaimedRow]) -> list[int]:
    return [row.fields["id"] for row in rows]


def a_channel_id() -> ChannelId:
    return ChannelId(uuid4())
