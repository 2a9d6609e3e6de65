"""Tenants by the thousand: made with the product's own sealing, written by COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import asyncpg

from zaptrix.core.ids import PortalId, connector_id
from zaptrix.store.encryption import SecretBox

_SPACE = UUID("6f1d8c52-3f0c-4e3b-9d7a-1f6a2b7c9e10")
_SUBSCRIPTIONS_EVERY = timedelta(hours=1)
_TOKEN_LIFE = timedelta(hours=12)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A portal with one open line and one number."""

    place: int
    far_side: str  # where both platforms stand

    @property
    def key(self) -> str:
        return f"p{self.place}"

    @property
    def portal_id(self) -> UUID:
        return uuid5(_SPACE, f"portal {self.place}")

    @property
    def channel_id(self) -> UUID:
        return uuid5(_SPACE, f"channel {self.place}")

    @property
    def connector_id(self) -> str:
        return connector_id(PortalId(self.portal_id))

    @property
    def line_id(self) -> int:
        return 14

    @property
    def member_id(self) -> str:
        return f"{self.place:032x}"

    @property
    def application_token(self) -> str:
        return f"application-token-{self.place}"

    @property
    def access_token(self) -> str:
        return f"access-token-{self.place}"

    @property
    def number_token(self) -> str:
        return f"number-token-{self.place}"

    @property
    def number(self) -> str:
        return str(210_000_000_000_000 + self.place)

    @property
    def display(self) -> str:
        return f"551140{self.place:06d}"

    @property
    def waba_id(self) -> str:
        return str(102_290_000_000_000 + self.place)

    @property
    def client_endpoint(self) -> str:
        return f"{self.far_side}/bitrix24/{self.key}/rest/"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all tenants of a run agreed with their platforms. `portal_rate_per_s` None: a portal of the cloud."""

    portals: int
    portal_rate_per_s: int | None = None
    number_rate_per_s: int = 80
    read_marks: bool = True


def tenants(count: int, far_side: str) -> list[Tenant]:
    return [Tenant(place=place, far_side=far_side) for place in range(count)]


async def settle_in(
    connection: asyncpg.Connection[asyncpg.Record],
    them: Sequence[Tenant],
    terms: Terms,
    box: SecretBox,
    public_url: str,
) -> None:
    """Write portals and channels as if they had been registered a moment ago."""
    now = datetime.now(UTC)
    # One sealing serves all for what nobody compares: a thousand of each would be a second of nothing else.
    secret, refresh = box.seal("client-secret"), box.seal("refresh-token")
    await connection.copy_records_to_table(
        "portal_config",
        records=[_portal(tenant, terms, box, secret=secret, refresh=refresh, now=now) for tenant in them],
        columns=_PORTAL_COLUMNS,
    )
    await connection.copy_records_to_table(
        "channel",
        records=[_channel(tenant, terms, box, now, public_url, at / len(them)) for at, tenant in enumerate(them)],
        columns=_CHANNEL_COLUMNS,
    )


_PORTAL_COLUMNS = (
    "id", "portal_url", "member_id", "client_id", "client_secret", "client_endpoint", "access_token", "refresh_token",
    "token_expiration_time", "application_token", "rate_per_s",
)  # fmt: skip
_CHANNEL_COLUMNS = (
    "id", "portal_id", "name", "phone_number_id", "display_phone_number", "waba_id", "access_token", "line_id",
    "rate_per_s", "mark_read", "registered_at", "registered_url", "subscribed_at",
    "subscription_looked_at",
)  # fmt: skip


def _portal(
    tenant: Tenant, terms: Terms, box: SecretBox, *, secret: str, refresh: str, now: datetime
) -> tuple[object, ...]:
    return (
        tenant.portal_id,
        f"http://{tenant.key}.bitrix24.test",
        tenant.member_id,
        "local.bench",
        secret,
        tenant.client_endpoint,
        box.seal(tenant.access_token),
        refresh,
        now + _TOKEN_LIFE,
        box.seal(tenant.application_token),
        terms.portal_rate_per_s,
    )


def _channel(
    tenant: Tenant, terms: Terms, box: SecretBox, now: datetime, public_url: str, share: float
) -> tuple[object, ...]:
    """`share`: of the hour since its account was last looked at, as in an installation that has run for long."""
    return (
        tenant.channel_id,
        tenant.portal_id,
        "Vendas",
        tenant.number,
        tenant.display,
        tenant.waba_id,
        box.seal(tenant.number_token),
        tenant.line_id,
        terms.number_rate_per_s,
        terms.read_marks,
        now,
        public_url,
        now,
        now - share * _SUBSCRIPTIONS_EVERY,
    )
