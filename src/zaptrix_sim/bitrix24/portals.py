"""Portals as /control creates them, and the record of one with every secret that a gateway has to be told."""

import hashlib
from typing import Any, Final

from zaptrix_sim.bitrix24.oauth import OAuth
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.limits import Bucket
from zaptrix_sim.world.world import Line, Portal, opaque

# https://apidocs.bitrix24.com/limits.html : requests a second that run out, and how many the bucket holds.
PLANS: Final = {"standard": (2.0, 50.0), "enterprise": (5.0, 250.0)}
TOKEN_LIFE_S: Final = 3600


def add_portal(engine: Engine, oauth: OAuth, wanted: dict[str, Any]) -> Portal:
    """Create a portal with a first pair of tokens; one that is there keeps its secrets and gets the lines named.
    Raises ValueError when the plan is unknown."""
    key = str(wanted["portal"]).lower()
    portal = engine.world.portals.get(key)
    if portal is None:
        portal = _new(key, wanted)
        engine.world.portals[key] = portal
        oauth.new_pair(portal)
    portal.features |= {str(feature) for feature in wanted.get("features") or ()}
    lines = wanted.get("lines") or ([] if portal.lines else [{"id": 1, "name": "WhatsApp"}])
    for line in lines:
        _put_line(portal, line)
    engine.world.changes += 1
    return portal


def record(engine: Engine, portal: Portal) -> dict[str, Any]:
    return {
        "portal": portal.key,
        "portal_url": f"{engine.url}/bitrix24/{portal.key}",
        "domain": f"{portal.key}.bitrix24.test",
        "member_id": portal.member_id,
        "client_id": portal.client_id,
        "client_secret": portal.client_secret,
        "access_token": portal.access_token,
        "refresh_token": portal.refresh_token,
        "expires": portal.expires,
        "application_token": portal.application_token,
        "client_endpoint": f"{engine.url}/bitrix24/{portal.key}/rest/",
        "oauth_url": f"{engine.url}/bitrix24/oauth/token/",
        "lines": [_line(line) for line in portal.lines.values()],
    }


def _new(key: str, wanted: dict[str, Any]) -> Portal:
    plan = str(wanted.get("plan") or "standard")
    if plan not in PLANS:
        raise ValueError(f"plan is one of {sorted(PLANS)}")
    rate, size = PLANS[plan]
    return Portal(
        key=key,
        plan=plan,
        member_id=hashlib.md5(f"portal {key}".encode(), usedforsecurity=False).hexdigest(),
        client_id=f"local.{opaque(14)}.{int(opaque(8), 16) % 10**8:08d}",
        client_secret=opaque(48),
        application_token=opaque(32),
        token_life_s=int(wanted.get("token_life_s") or TOKEN_LIFE_S),
        bucket=Bucket(rate, size),
    )


def _put_line(portal: Portal, wanted: dict[str, Any]) -> None:
    number = int(wanted["id"])
    line = portal.lines.setdefault(number, Line(id=number, name=f"Line {number}"))
    line.name = str(wanted.get("name") or line.name)
    line.crm = str(wanted.get("crm") or line.crm)
    line.crm_create = str(wanted.get("crm_create") or line.crm_create)


def _line(line: Line) -> dict[str, Any]:
    return {"id": line.id, "name": line.name, "crm": line.crm, "crm_create": line.crm_create}
