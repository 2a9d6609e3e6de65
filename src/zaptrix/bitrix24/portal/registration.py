"""Registers the connector on a portal: registered, active on its line, its events bound.

Every step can be repeated.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/index.html
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.core.delivery.errors import PlatformError, Unexpected
from zaptrix.core.portal import Channel, Portal

CONNECTOR_NAME = "WhatsApp (Zaptrix)"
SETTINGS_PATH = "/bitrix24/connector"
EVENTS_PATH = "/webhooks/bitrix24/outbound"

_COLOR = "#25d366"
# Our own drawing: two bubbles that answer each other.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 70 71">'
    '<path fill="#fff" d="M14 15h32a6 6 0 0 1 6 6v14a6 6 0 0 1-6 6H26l-10 8v-8h-2a6 6 0 0 1-6-6V21a6 6 0 0 1 6-6z"/>'
    '<path fill="#fff" fill-opacity=".7" '
    'd="M57 27a5 5 0 0 1 5 5v14a6 6 0 0 1-6 6h-1v8l-10-8H31l7-6h11a8 8 0 0 0 8-8z"/>'
    "</svg>"
)
_ALREADY_BOUND = "already bind"  # "binded", in the portal's words


async def register(client: PortalClient, portal: Portal, channel: Channel, public_url: str) -> None:
    """Make `channel` receive and send on its open line. Raises PlatformError; what was done until then stays."""
    await client.call(portal, "imconnector.register", _connector(portal, public_url))
    line: dict[str, object] = {"CONNECTOR": portal.connector_id, "LINE": channel.line_id}
    # Any text that is not empty switches on, "N" too: 1 and 0 are the only safe words.
    await client.call(portal, "imconnector.activate", {**line, "ACTIVE": "1"})
    await client.call(portal, "imconnector.connector.data.set", {**line, "DATA": _shown(channel)})
    if not await client.ask(portal, "imconnector.status", line, lambda told: wire.truth(wire.dig(told, "STATUS"))):
        raise Unexpected("connector_not_active", f"the connector is not active on line {channel.line_id}")
    await _bind_events(client, portal, public_url)


async def unregister(client: PortalClient, portal: Portal, channel: Channel) -> None:
    """Take the connector off the channel's line; other lines and the events stay. Raises PlatformError."""
    await client.call(
        portal,
        "imconnector.activate",
        {"CONNECTOR": portal.connector_id, "LINE": channel.line_id, "ACTIVE": "0"},
    )


def _connector(portal: Portal, public_url: str) -> dict[str, object]:
    icon: dict[str, object] = {
        "DATA_IMAGE": f"data:image/svg+xml,{quote(_ICON)}",
        "COLOR": _COLOR,
        "SIZE": "80%",
        "POSITION": "center",
    }
    return {
        "ID": portal.connector_id,
        "NAME": CONNECTOR_NAME,
        "ICON": icon,
        "PLACEMENT_HANDLER": public_url.rstrip("/") + SETTINGS_PATH,
        # WhatsApp can neither edit nor delete what was sent.
        "DEL_EXTERNAL_MESSAGES": False,
        "EDIT_INTERNAL_MESSAGES": False,
        "DEL_INTERNAL_MESSAGES": False,
        "NEWSLETTER": False,
        "NEED_SYSTEM_MESSAGES": True,
        # An event has no field for the operator's name: only the signature tells it, and it is taken off again.
        "NEED_SIGNATURE": True,
        "CHAT_GROUP": False,
    }


def _shown(channel: Channel) -> dict[str, str]:
    digits = "".join(character for character in channel.display_phone_number if character.isdigit())
    address = f"https://wa.me/{digits}"
    return {"ID": channel.phone_number_id, "NAME": f"+{digits}", "URL": address, "URL_IM": address}


async def _bind_events(client: PortalClient, portal: Portal, public_url: str) -> None:
    """https://apidocs.bitrix24.com/api-reference/events/event-bind.html"""
    handler = public_url.rstrip("/") + EVENTS_PATH
    bound = await client.ask(portal, "event.get", {}, wire.bindings)
    have = {binding.event for binding in bound if binding.handler == handler}
    for name in Name:
        if name not in have:
            await _bind(client, portal, name, handler)
    for binding in bound:
        if binding.handler != handler and binding.event in set(Name) and _is_ours(binding.handler):
            await client.call(portal, "event.unbind", {"event": binding.event, "handler": binding.handler})


async def _bind(client: PortalClient, portal: Portal, name: Name, handler: str) -> None:
    try:
        await client.call(portal, "event.bind", {"event": name, "handler": handler})
    except PlatformError as error:
        # Bound by somebody else at the same moment, or by another user of the portal: what we wanted.
        if _ALREADY_BOUND not in error.detail.casefold():
            raise


def _is_ours(handler: str) -> bool:
    """A handler that this app bound while the gateway stood at another address."""
    return urlsplit(handler).path == EVENTS_PATH
