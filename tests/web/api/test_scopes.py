"""What a key may do: its scopes, its end, and what is an admin's alone."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import pytest

from tests.web.gateway import Gateway, Json, a_channel, a_conversation
from zaptrix.cli.keys.api_keys import create_api_key, list_api_keys
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.ids import PortalId

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def key_of(gateway: Gateway, portal: Json | None, *scopes: KeyScope, days: int | None = None) -> str:
    portal_id = PortalId(UUID(portal["id"])) if portal else None
    return await create_api_key(gateway.settings, name="scoped", portal_id=portal_id, scopes=scopes, days=days)


def filled(path: str) -> str:
    """An address of what is not there."""
    for name, value in {"{message_id}": "1", "{event_id}": "1", "{name}": "x"}.items():
        path = path.replace(name, value)
    return path.replace("{portal_id}", NOWHERE).replace("{channel_id}", NOWHERE).replace("{conversation_id}", NOWHERE)


async def operations(gateway: Gateway) -> list[tuple[str, str, Json]]:
    paths: dict[str, dict[str, Any]] = (await gateway.call("GET", "/openapi.json", key=None)).json["paths"]
    return [
        (method.upper(), path, operation)
        for path, each in paths.items()
        for method, operation in each.items()
        if path.startswith("/api/")
    ]


@pytest.mark.parametrize("scope", list(KeyScope))
async def test_each_call_takes_the_scope_that_it_is_described_with(gateway: Gateway, scope: KeyScope) -> None:
    """All calls of the description: with the other two scopes they are refused, with this one they are not."""
    without = await key_of(gateway, None, *(each for each in KeyScope if each is not scope))
    alone = await key_of(gateway, None, scope)
    mine = [(method, path) for method, path, told in await operations(gateway) if told["x-required-scope"] == scope]
    assert mine
    for method, path in mine:
        refused = await gateway.call(method, filled(path), key=without, headers={"Accept-Language": "en"})
        assert refused.status == 403, (method, path)
        assert refused.problem["type"] == "urn:zaptrix:problem:insufficient-scope"
        assert refused.problem["detail"] == f"This key lacks the scope {scope}"
        assert f'error="insufficient_scope", scope="{scope}"' in refused.headers["WWW-Authenticate"]
        assert (await gateway.call(method, filled(path), key=alone)).status != 403, (method, path)


async def test_every_call_is_described_with_its_scope(gateway: Gateway) -> None:
    for method, path, told in await operations(gateway):
        scope = told["x-required-scope"]
        assert (scope == "read") == (method == "GET"), (method, path)
        assert f"the scope `{scope}`" in told["description"]
        assert f"lacks the scope `{scope}`" in told["responses"]["403"]["description"]
    send = {path for method, path, told in await operations(gateway) if told["x-required-scope"] == "send"}
    assert {"/api/messages/text", "/api/messages/image", "/api/messages/template", "/api/messages/reaction"} <= send
    assert not any("templates" in path or "dead-letters" in path for path in send)


async def test_a_key_that_may_only_send_sends(gateway: Gateway) -> None:
    portal = await gateway.portal()
    channel = await gateway.channel(portal["id"])
    conversation = await a_conversation(gateway, channel, wa_id="554188887777")
    key = await key_of(gateway, portal, KeyScope.SEND)
    body = {"conversation_id": conversation, "text": "oi"}
    assert (await gateway.call("POST", "/api/messages/text", body, key=key)).status == 202
    assert (await gateway.call("GET", "/api/conversations", key=key)).status == 403
    assert (await gateway.call("PUT", f"/api/channels/{channel['id']}", {"name": "x"}, key=key)).status == 403
    assert (await gateway.call("POST", "/api/channels", a_channel(portal["id"]), key=key)).status == 403


async def test_a_key_ends_when_it_was_told_to(gateway: Gateway) -> None:
    key = await key_of(gateway, None, KeyScope.READ, days=3)
    assert (await gateway.call("GET", "/api/portals", key=key)).status == 200
    key_id = key.split("_")[1]
    (listed,) = [each for each in await list_api_keys(gateway.settings) if each.id == key_id]
    assert listed.scopes == {KeyScope.READ}
    assert listed.expires_at is not None
    assert 2 <= (listed.expires_at - datetime.now(UTC)).days <= 3
    await gateway.rows("UPDATE api_key SET expires_at = now() WHERE id = $1", key_id)
    assert (await gateway.call("GET", "/api/portals", key=key)).status == 401


async def test_a_key_that_was_there_before_may_do_everything(gateway: Gateway) -> None:
    """As the migration leaves it: nothing was said of scopes."""
    key = await gateway.key_for((await gateway.portal())["id"])
    await gateway.rows("UPDATE api_key SET scopes = DEFAULT, expires_at = DEFAULT WHERE id = $1", key.split("_")[1])
    (listed,) = [each for each in await list_api_keys(gateway.settings) if each.id == key.split("_")[1]]
    assert listed.scopes == set(KeyScope)
    assert listed.expires_at is None


async def test_a_tenant_is_deleted_by_an_admin_who_names_it(gateway: Gateway) -> None:
    portal, other = await gateway.portal(), await gateway.portal()
    path, key = f"/api/portals/{portal['id']}", await gateway.key_for(portal["id"])
    refused = await gateway.call("DELETE", f"{path}?confirm={portal['member_id']}", key=key)
    assert (refused.status, refused.problem["type"]) == (403, "urn:zaptrix:problem:forbidden")
    for confirm in ("", "?confirm=", "?confirm=yes", f"?confirm={other['member_id']}", f"?confirm={portal['id']}"):
        reply = await gateway.call("DELETE", path + confirm)
        assert reply.status == 422, confirm
        assert [error["field"] for error in reply.problem["errors"]] == ["/confirm"]
    assert (await gateway.call("GET", path)).json == portal
    assert (await gateway.call("DELETE", f"{path}?confirm={portal['member_id']}")).status == 204


@pytest.mark.parametrize("how", ["url", "host"])
async def test_a_portals_address_names_it_too(gateway: Gateway, how: str) -> None:
    portal = await gateway.portal()
    url = portal["portal_url"]
    confirm = quote(str(url if how == "url" else urlsplit(url).hostname), safe="")
    assert (await gateway.call("DELETE", f"/api/portals/{portal['id']}?confirm={confirm}")).status == 204
