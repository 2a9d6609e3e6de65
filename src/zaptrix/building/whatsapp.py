"""Builds the clients of Meta's Graph API from the settings."""

from __future__ import annotations

from typing import NamedTuple

import aiohttp

from zaptrix.core.delivery.retry import Patience
from zaptrix.core.ports import NumberTokens, Pace, Statuses
from zaptrix.settings import Settings
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.credentials import GraphCredentials
from zaptrix.whatsapp.platform import WhatsApp


class GraphAccess(NamedTuple):
    """How WhatsApp is spoken to: by the Graph API, with credentials that are not kept yet, and by delivery."""

    client: GraphClient
    credentials: GraphCredentials
    platform: WhatsApp


def graph_access(
    settings: Settings, session: aiohttp.ClientSession, tokens: NumberTokens, pace: Pace, statuses: Statuses
) -> GraphAccess:
    client = GraphClient(
        session,
        graph_url=settings.meta_graph_url,
        version=settings.meta_api_version,
        tokens=tokens,
        pace=pace,
        timeout_s=settings.meta_timeout_s,
    )
    platform = WhatsApp(
        client,
        statuses,
        patience=Patience(
            base_s=settings.retry_base_s,
            verify_wait_s=settings.meta_verify_wait_s,
            file_wait_s=settings.media_ready_s,
        ),
    )
    return GraphAccess(client, GraphCredentials(client), platform)
