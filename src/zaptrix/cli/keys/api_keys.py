"""What `zaptrix api-key` does: keys for the management API made, listed and revoked, each change audited."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from zaptrix.app import open_app
from zaptrix.core.access.scopes import EVERY_SCOPE, KeyScope
from zaptrix.core.ids import PortalId
from zaptrix.settings import Settings
from zaptrix.store.accounts import api_keys, audit
from zaptrix.store.accounts.api_keys import ApiKeyView


async def create_api_key(
    settings: Settings,
    *,
    name: str,
    portal_id: PortalId | None,
    scopes: Collection[KeyScope] = EVERY_SCOPE,
    days: int | None = None,
) -> str:
    """A new API key, to be shown once; `days`: how long it is good. Raises StoreRefused, StoreUnavailable."""
    async with open_app(settings) as app, app.database.transaction() as connection:
        expires_at = app.clock.now() + timedelta(days=days) if days else None
        key = await api_keys.create(connection, name, portal_id, scopes=scopes, expires_at=expires_at)
        whom = str(portal_id) if portal_id else None
        await audit.write(connection, "cli", "api_key.create", name, portal_id=whom, scopes=sorted(scopes), days=days)
        return key


async def list_api_keys(settings: Settings) -> list[ApiKeyView]:
    """Raises StoreUnavailable."""
    async with open_app(settings) as app, app.database.connection() as connection:
        return await api_keys.listed(connection)


async def revoke_api_key(settings: Settings, key_id: str) -> bool:
    """False when there is no such open key. Raises StoreUnavailable."""
    async with open_app(settings) as app, app.database.transaction() as connection:
        if not await api_keys.revoke(connection, key_id):
            return False
        await audit.write(connection, "cli", "api_key.revoke", key_id)
        return True
