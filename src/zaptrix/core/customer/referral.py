"""Where a customer came from: the ad or post that was clicked before the first words."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import msgspec

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")


class Referral(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A click on an ad or a post that opened the chat. `click_id` is Meta's own name of the click, for conversions.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text
    """

    source: str | None = None  # "ad" or "post"
    source_id: str | None = None
    url: str | None = None
    headline: str | None = None
    body: str | None = None
    media: str | None = None  # "image" or "video"
    click_id: str | None = None


def utm_of(referral: Referral) -> dict[str, str]:
    """The five UTM marks, those that are known: the address's own first, then what the click itself tells."""
    told = {
        "utm_source": "meta",
        "utm_medium": referral.source,
        "utm_campaign": referral.source_id,
        "utm_content": referral.headline,
    }
    marks = {name: value for name, value in told.items() if value}
    return marks | {name: value for name, value in _query(referral.url) if name in _UTM and value}


def _query(url: str | None) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url or "").query)
    except ValueError:
        return []
