"""The Graph API: it authenticates a request, finds the edge that is meant and serves the small ones itself.

https://developers.facebook.com/documentation/business-messaging/whatsapp
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import aiohttp
import msgspec
from aiohttp import web

from zaptrix_sim.meta.errors import (
    GraphError,
    bad_parameter,
    bad_token,
    documented,
    expired_token,
    no_token,
    refusal,
    unknown_object,
)
from zaptrix_sim.meta.media import MetaMedia
from zaptrix_sim.meta.send import MetaSend
from zaptrix_sim.meta.templates import MetaTemplates
from zaptrix_sim.world.answers import ApiResponse, under_faults
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.world import Number, Waba

APP_ID: Final = "990011223344556"
CHALLENGE_S: Final = 10.0
DEFAULT_FIELDS: Final = ("verified_name", "display_phone_number", "quality_rating", "id")
_VERSION = re.compile(r"v[0-9]+\.[0-9]+")

Edge = Callable[["GraphApi", web.Request, str, str], Awaitable[ApiResponse]]


class GraphApi:
    def __init__(self, engine: Engine, send: MetaSend, media: MetaMedia, templates: MetaTemplates) -> None:
        self._engine = engine
        self._media = media
        self._send = send
        self._templates = templates

    async def serve(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.match_info["tail"].split("/") if part]
        if parts and _VERSION.fullmatch(parts[0]):
            parts = parts[1:]
        try:
            if request.method == "POST" and len(parts) == 2 and parts[1] == "messages":
                return await self._messages(request, parts[0])
            if parts == ["attachments"]:
                return await self._media.give(request, self._token(request))
            return await self._edge(request, parts)
        except GraphError as error:
            return ApiResponse(error.as_dict(), error.status).response()

    # --- sending and marking as read -----------------------------------------------------------------------------

    async def _messages(self, request: web.Request, number_id: str) -> web.StreamResponse:
        raw = await request.read()
        number = self._number(request, number_id)
        body = _parsed(raw)
        marks = body.get("status") == "read"
        facts = {"phone_number_id": number_id, "method": "read" if marks else "messages"}
        if self._engine.faults and not marks:
            facts["customer"] = self._send.addressed(number, body)

        async def act(fault: Fault | None) -> ApiResponse:
            try:
                if marks:
                    return await self._send.mark_read(number, body)
                return await self._send.message(number, body, fault)
            except GraphError as error:
                return ApiResponse(error.as_dict(), error.status)

        return await under_faults(self._engine, request, side="meta", facts=facts, refuse=_refuse, act=act)

    # --- small edges ---------------------------------------------------------------------------------------------

    async def _edge(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        name = "/".join(["*", *parts[1:]]) if len(parts) != 1 or parts[0] != "debug_token" else "debug_token"
        edge = _EDGES.get((request.method, name))
        if edge is None or not parts:
            path = "/".join(parts)
            raise GraphError(2500, f"Unknown path components: /{path}")
        object_id = parts[0]
        facts = {"phone_number_id": object_id, "method": parts[-1] if len(parts) > 1 else "get"}

        async def act(_fault: Fault | None) -> ApiResponse:
            try:
                return await edge(self, request, object_id, self._token(request))
            except GraphError as error:
                return ApiResponse(error.as_dict(), error.status)

        return await under_faults(self._engine, request, side="meta", facts=facts, refuse=_refuse, act=act)

    async def upload(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        return await self._media.upload(request, self._owned(object_id, token))

    async def delete_media(self, _request: web.Request, object_id: str, token: str) -> ApiResponse:
        return self._media.delete(object_id, token)

    async def number_fields(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        if waba := self._waba_of_template(object_id, token):
            return ApiResponse(self._templates.one(waba, object_id, request.query))
        if object_id in self._engine.world.wabas:
            return ApiResponse(_account_card(self._waba(object_id, token), request.query))
        if object_id not in self._engine.world.numbers:
            return self._media.info(object_id, request.query.get("phone_number_id", ""), token)
        number = self._owned(object_id, token)
        wanted = request.query.get("fields", "")
        names = [name.strip() for name in wanted.split(",") if name.strip()] or list(DEFAULT_FIELDS)
        known = _number_card(number)
        card = {name: known[name] for name in names if name in known}
        return ApiResponse(card | {"id": number.id})

    async def phone_numbers(self, _request: web.Request, object_id: str, token: str) -> ApiResponse:
        waba = self._waba(object_id, token)
        cards = [_number_card(self._engine.world.numbers[one]) for one in waba.numbers]
        return ApiResponse({"data": [{name: card[name] for name in DEFAULT_FIELDS} for card in cards]})

    async def subscriptions(self, _request: web.Request, object_id: str, token: str) -> ApiResponse:
        waba = self._waba(object_id, token)
        if not waba.subscribed:
            return ApiResponse({"data": []})
        app = {"id": APP_ID, "link": "https://apps.example.com/", "name": "Simulated app"}
        override = {"override_callback_uri": waba.override_url} if waba.override_url else {}
        return ApiResponse({"data": [{"whatsapp_business_api_data": app, **override}]})

    async def subscribe(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        waba = self._waba(object_id, token)
        body = _parsed(await request.read() or b"{}")
        url = str(body.get("override_callback_uri") or "")
        if url and not await self._answers_challenge(url, str(body.get("verify_token") or "")):
            raise bad_parameter("Callback verification failed: the challenge was not answered.")
        waba.subscribed, waba.override_url = True, url
        self._engine.world.changes += 1
        return ApiResponse({"success": True})

    async def unsubscribe(self, _request: web.Request, object_id: str, token: str) -> ApiResponse:
        self._waba(object_id, token).subscribed = False
        self._engine.world.changes += 1
        return ApiResponse({"success": True})

    async def debug_token(self, request: web.Request, _object_id: str, _token: str) -> ApiResponse:
        number_id = self._engine.world.number_of_token.get(request.query.get("input_token", ""))
        if number_id is None:
            error = {"code": 190, "message": "Invalid OAuth access token.", "subcode": 467}
            return ApiResponse({"data": {"is_valid": False, "scopes": [], "error": error}})
        waba = self._engine.world.numbers[number_id].waba_id
        scopes = ["whatsapp_business_management", "whatsapp_business_messaging"]
        data = {
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "is_valid": True,
            "expires_at": 0,
            "scopes": scopes,
            "granular_scopes": [{"scope": scope, "target_ids": [waba]} for scope in scopes],
        }
        return ApiResponse({"data": data})

    async def message_history(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        number = self._owned(object_id, token)
        return ApiResponse({"data": self._send.history(number, request.query.get("message_id", ""))})

    async def templates(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        waba = self._waba(object_id, token)
        return ApiResponse(self._templates.page(waba, _asked(request, token), f"{request.url.origin()}{request.path}"))

    async def create_template(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        return ApiResponse(self._templates.create(self._waba(object_id, token), _parsed(await request.read())))

    async def delete_template(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        return ApiResponse(self._templates.delete(self._waba(object_id, token), request.query))

    async def edit_template(self, request: web.Request, object_id: str, token: str) -> ApiResponse:
        waba = self._waba_of_template(object_id, token)
        if waba is None:
            raise unknown_object(object_id)
        return ApiResponse(self._templates.edit(waba, object_id, _parsed(await request.read())))

    # --- who may -------------------------------------------------------------------------------------------------

    def _token(self, request: web.Request) -> str:
        header = request.headers.get("Authorization", "")
        token = header[7:].strip() if header[:7].lower() == "bearer " else request.query.get("access_token", "")
        if not token:
            raise no_token()
        if token not in self._engine.world.number_of_token:
            raise bad_token()
        return token

    def _number(self, request: web.Request, number_id: str) -> Number:
        return self._owned(number_id, self._token(request))

    def _owned(self, number_id: str, token: str) -> Number:
        """A token opens the account of its number, and every number of that account."""
        world = self._engine.world
        number = world.numbers.get(number_id)
        if number is None or world.numbers[world.number_of_token[token]].waba_id != number.waba_id:
            raise unknown_object(number_id)
        return number

    def _waba(self, waba_id: str, token: str) -> Waba:
        world = self._engine.world
        waba = world.wabas.get(waba_id)
        if waba is None or world.numbers[world.number_of_token[token]].waba_id != waba_id:
            raise unknown_object(waba_id)
        return waba

    def _waba_of_template(self, template_id: str, token: str) -> Waba | None:
        """The account of a template, when the token opens it."""
        world = self._engine.world
        waba = world.wabas[world.numbers[world.number_of_token[token]].waba_id]
        return waba if template_id in waba.templates else None

    async def _answers_challenge(self, url: str, verify_token: str) -> bool:
        challenge = "1158201444"
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        try:
            timeout = aiohttp.ClientTimeout(total=CHALLENGE_S)
            async with aiohttp.request("GET", url, params=query, timeout=timeout) as response:
                return response.status == 200 and await response.text() == challenge
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


_EDGES: Final[dict[tuple[str, str], Edge]] = {
    ("GET", "*"): GraphApi.number_fields,
    ("POST", "*"): GraphApi.edit_template,
    ("DELETE", "*"): GraphApi.delete_media,
    ("POST", "*/media"): GraphApi.upload,
    ("GET", "*/phone_numbers"): GraphApi.phone_numbers,
    ("GET", "*/subscribed_apps"): GraphApi.subscriptions,
    ("POST", "*/subscribed_apps"): GraphApi.subscribe,
    ("DELETE", "*/subscribed_apps"): GraphApi.unsubscribe,
    ("GET", "*/message_history"): GraphApi.message_history,
    ("GET", "*/message_templates"): GraphApi.templates,
    ("POST", "*/message_templates"): GraphApi.create_template,
    ("DELETE", "*/message_templates"): GraphApi.delete_template,
    ("GET", "debug_token"): GraphApi.debug_token,
}


def _refuse(fault: Fault) -> ApiResponse:
    if fault.kind == "expired_token":
        error = expired_token()
    elif fault.kind == "refuse":
        error = documented(fault.code)
    elif fault.kind == "throttle":
        error = refusal(int(fault.code or 130429))
    elif not fault.code:
        return ApiResponse(f"<html><body>{fault.status}</body></html>", fault.status)
    else:
        error = refusal(int(fault.code), status=fault.status)
    return ApiResponse(error.as_dict(), error.status)


def _asked(request: web.Request, token: str) -> dict[str, str]:
    """The query as the next page repeats it: with the token, wherever it came."""
    return dict(request.query) | {"access_token": token}


def _account_card(waba: Waba, query: Mapping[str, str]) -> dict[str, Any]:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/whatsapp-business-accounts"""
    known = {
        "id": waba.id,
        "name": "Loja Azul",
        "currency": "BRL",
        "timezone_id": "25",
        "message_template_namespace": "0f6c8b3e_3a5d_4c3f_9c1e_5a2f9d7b1c10",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
        "country": "BR",
        "ownership_type": "SELF",
    }
    names = [name.strip() for name in query.get("fields", "").split(",") if name.strip()]
    default = ("id", "name", "currency", "timezone_id", "message_template_namespace")
    return {name: known[name] for name in dict.fromkeys(["id", *(names or default)]) if name in known}


def _form(raw: bytes) -> dict[str, Any]:
    """A form, as `curl -d` sends it: https://developers.facebook.com/docs/graph-api/overview#publish-update-and-delete"""
    return {name: _value(text) for name, text in parse_qsl(raw.decode(), keep_blank_values=True)}


def _value(text: str) -> Any:
    """Objects, lists and flags are JSON in a form's field; everything else is text."""
    if text[:1] not in {"{", "["} and text not in {"true", "false"}:
        return text
    return msgspec.json.decode(text)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = _form(raw) if raw.lstrip()[:1].isalpha() and b"=" in raw else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise bad_parameter("The request body is not valid JSON.") from exc
    if not isinstance(body, dict):
        raise bad_parameter("The request body must be an object.")
    return body


def _number_card(number: Number) -> dict[str, Any]:
    return {
        "id": number.id,
        "display_phone_number": "+" + number.display,
        "verified_name": "Loja Azul",
        "quality_rating": "GREEN",
        "status": "CONNECTED",
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "account_mode": "LIVE",
        "is_on_biz_app": False,
        "throughput": {"level": "HIGH" if number.mps > 80 else "STANDARD"},
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [
                {"entity_type": "PHONE_NUMBER", "id": number.id, "can_send_message": "AVAILABLE"},
                {"entity_type": "WABA", "id": number.waba_id, "can_send_message": "AVAILABLE"},
            ],
        },
    }
