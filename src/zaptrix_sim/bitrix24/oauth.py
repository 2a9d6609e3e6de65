"""The OAuth server: pairs of tokens that rotate, and the portal that a token belongs to.

A refresh token is good once: whoever uses it again gets `invalid_grant`, as at Bitrix24.
https://apidocs.bitrix24.com/settings/oauth/index.html
"""

import time
from typing import Any, Final

from aiohttp import web

from zaptrix_sim.bitrix24 import php_form
from zaptrix_sim.bitrix24.time_block import iso, timing
from zaptrix_sim.world.answers import ApiResponse, under_faults
from zaptrix_sim.world.bitrix24_errors import OAUTH
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.world import Portal, Token, opaque

REFRESH_LIFE_S: Final = 180 * 86_400
CODE_LIFE_S: Final = 30
ADMIN_ID: Final = 7
SCOPE: Final = "crm,im,imopenlines,imconnector,user,placement"
OAUTH_HOST: Final = "oauth.bitrix24.test"


class OAuth:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- pairs ---------------------------------------------------------------------------------------------------

    def new_pair(self, portal: Portal) -> None:
        """A fresh pair of an administrator; the pair that the portal had before stays as it is."""
        world, now = self._engine.world, self._engine.now()
        access = Token(value=opaque(72), portal=portal.key, user_id=ADMIN_ID, expires=now + portal.token_life_s)
        refresh = Token(value=opaque(72), portal=portal.key, user_id=ADMIN_ID, expires=now + REFRESH_LIFE_S)
        world.access_tokens[access.value] = access
        world.refresh_tokens[refresh.value] = refresh
        portal.access_token, portal.refresh_token, portal.expires = access.value, refresh.value, int(access.expires)
        world.changes += 1

    def expire_access(self, portal: Portal) -> None:
        self._engine.world.access_tokens[portal.access_token].expires = self._engine.now() - 1
        portal.expires = int(self._engine.now()) - 1

    def revoke(self, portal: Portal, what: str) -> None:
        world = self._engine.world
        tokens = {"access_token": (world.access_tokens, portal.access_token),
                  "refresh_token": (world.refresh_tokens, portal.refresh_token)}  # fmt: skip
        if what not in tokens:
            raise ValueError("what is refresh_token or access_token")
        known, value = tokens[what]
        known[value].revoked = True
        world.changes += 1

    def new_code(self, portal: Portal) -> str:
        code = Token(value=opaque(32), portal=portal.key, user_id=ADMIN_ID, expires=self._engine.now() + CODE_LIFE_S)
        self._engine.world.codes[code.value] = code
        return code.value

    # --- the endpoint --------------------------------------------------------------------------------------------

    async def token(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        if request.method == "POST":
            asked |= {key: str(value) for key, value in php_form.decode((await request.read()).decode()).items()}
        portal = self._portal_of(asked)
        facts = {"portal": portal.key if portal else "", "method": "token"}

        async def act(_fault: Fault | None) -> ApiResponse:
            return self._grant(asked)

        return await under_faults(self._engine, request, side="oauth", facts=facts, refuse=_refuse, act=act)

    def _portal_of(self, asked: dict[str, str]) -> Portal | None:
        world = self._engine.world
        token = world.refresh_tokens.get(asked.get("refresh_token", "")) or world.codes.get(asked.get("code", ""))
        return world.portals.get(token.portal) if token else None

    def _grant(self, asked: dict[str, str]) -> ApiResponse:
        """wrong_client comes with HTTP 200; a refresh token that was used once is dead."""
        names = {"refresh_token": "refresh_token", "authorization_code": "code"}
        name = names.get(asked.get("grant_type", ""))
        if name is None or not asked.get(name) or not asked.get("client_id"):
            return _error("invalid_request", 400)
        world = self._engine.world
        token = (world.refresh_tokens if name == "refresh_token" else world.codes).get(asked[name])
        portal = self._portal_of(asked)
        if token is None or portal is None:
            return _error("invalid_grant", 400)
        if asked["client_id"] != portal.client_id:
            return _error("wrong_client", 200)
        if asked.get("client_secret") != portal.client_secret:
            return _error("invalid_client", 400)
        if token.revoked or token.expires <= self._engine.now():
            return _error("invalid_grant", 400)
        self._retire(token, portal)
        self.new_pair(portal)
        self._engine.refreshed_at = time.monotonic()
        return ApiResponse(self._pair(portal))

    def _retire(self, used: Token, portal: Portal) -> None:
        """The used token dies at once, and so does the access token that it came with."""
        used.revoked = True
        if used.value == portal.refresh_token:
            self.expire_access(portal)

    def _pair(self, portal: Portal) -> dict[str, Any]:
        url = self._engine.url
        return {
            "access_token": portal.access_token,
            "refresh_token": portal.refresh_token,
            "expires": portal.expires,
            "expires_in": portal.token_life_s,
            "scope": SCOPE,
            "domain": OAUTH_HOST,
            "server_endpoint": f"{url}/bitrix24/oauth/rest/",
            "client_endpoint": f"{url}/bitrix24/{portal.key}/rest/",
            "status": "L",
            "member_id": portal.member_id,
            "user_id": ADMIN_ID,
        }

    async def app_info(self, request: web.Request) -> web.StreamResponse:
        """Whose token this is: the proof to ask for when an unknown portal turns up."""
        asked = dict(request.query) | php_form.decode((await request.read()).decode())
        header = request.headers.get("Authorization", "")
        value = str(asked.get("auth") or asked.get("access_token") or header.removeprefix("Bearer ").strip())
        token = self._engine.world.access_tokens.get(value)
        portal = self._engine.world.portals.get(token.portal) if token else None
        facts = {"portal": portal.key if portal else "", "method": "app.info"}

        async def act(_fault: Fault | None) -> ApiResponse:
            if token is None or portal is None or token.revoked:
                return _error("invalid_token", 401)
            if token.expires <= self._engine.now():
                return _error("expired_token", 401)
            now = self._engine.now()
            return ApiResponse({"result": self._owner(portal, token), "time": timing(now, now)})

        return await under_faults(self._engine, request, side="oauth", facts=facts, refuse=_refuse, act=act)

    def _owner(self, portal: Portal, token: Token) -> dict[str, Any]:
        install = {
            "installed": True,
            "version": 1,
            "status": "L",
            "scope": SCOPE,
            "domain": f"{portal.key}.bitrix24.test",
            "uri": "https://gw.example.net/",
            "client_endpoint": f"{self._engine.url}/bitrix24/{portal.key}/rest/",
            "member_id": portal.member_id,
            "member_type": "Bitrix24",
        }
        return {
            "client_id": portal.client_id,
            "scope": SCOPE,
            "expires": iso(token.expires),
            "user_id": token.user_id,
            "install": install,
        }


def _error(code: str, status: int) -> ApiResponse:
    return ApiResponse({"error": code, "error_description": code.replace("_", " ")}, status)


def _refuse(fault: Fault) -> ApiResponse:
    if fault.kind == "refuse":
        return _error(fault.code, OAUTH[fault.code])
    codes = {"expired_token": ("invalid_grant", 400), "throttle": ("QUERY_LIMIT_EXCEEDED", 503)}
    code, status = codes.get(fault.kind, (fault.code or "INTERNAL_SERVER_ERROR", fault.status))
    return _error(code, status)
