"""The REST endpoint of a portal: it authenticates a call, counts it against the limits and runs its method.

A gateway meets here what it meets at Bitrix24: 503 over the request limit, 429 over a method's operating time,
batches of 50, and the envelope with its `time` block.
https://apidocs.bitrix24.com/limits.html, https://apidocs.bitrix24.com/settings/how-to-call-rest-api/index.html
"""

import asyncio
import re
from typing import Any, Final

import msgspec
from aiohttp import web

from zaptrix_sim.bitrix24 import app, connector, crm, disk, lines, offline_queue, php_form
from zaptrix_sim.bitrix24.call import Call, Method, Params, is_yes
from zaptrix_sim.bitrix24.chats import Chats
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.bitrix24.time_block import timing
from zaptrix_sim.judge.facts import LimitExceeded
from zaptrix_sim.world.answers import ApiResponse, under_faults
from zaptrix_sim.world.bitrix24_errors import RestError, refusal
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.limits import OperatingTime
from zaptrix_sim.world.world import Portal, Token

BATCH_MAX: Final = 50
METHODS: Final[dict[str, Method]] = {
    **app.METHODS,
    **offline_queue.METHODS,
    **connector.METHODS,
    **lines.METHODS,
    **crm.METHODS,
    **disk.METHODS,
}
# An inbound webhook: a user's id, a secret (here, a token) and the method.
# https://apidocs.bitrix24.com/local-integrations/local-webhooks.html
_WEBHOOK = re.compile(r"[0-9]+/(?P<code>[^/]+)/(?P<method>.+)")
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")
_REFERENCE_KEY = re.compile(r"\[([^\[\]]*)\]")


class RestApi:
    def __init__(self, engine: Engine, events: BitrixEvents, chats: Chats) -> None:
        self._engine = engine
        self._events = events
        self._chats = chats

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["method"]
        webhook = _WEBHOOK.fullmatch(path)
        method = (webhook["method"] if webhook else path).rstrip("/").removesuffix(".json").lower()
        facts = {"portal": request.match_info["portal"], "method": method}
        portal = self._engine.world.portals.get(facts["portal"])
        if portal is None:
            return web.Response(status=404, text="<html><body>404 Not Found</body></html>", content_type="text/html")
        params = await _params(request)

        async def act(fault: Fault | None) -> ApiResponse:
            started = self._engine.now()
            try:
                bearer = webhook["code"] if webhook else _bearer(request, params)
                return await self._call(portal, method, params, bearer, fault)
            except RestError as error:
                time = self._time(portal, method, started)
                return ApiResponse(error.as_dict() | {"time": time}, error.status)

        return await under_faults(self._engine, request, side="bitrix24", facts=facts, refuse=_refuse, act=act)

    async def _call(self, portal: Portal, name: str, params: Params, bearer: str, fault: Fault | None) -> ApiResponse:
        started = self._engine.now()
        if not portal.bucket.take(started):
            self._engine.record(LimitExceeded("bitrix24", "QUERY_LIMIT_EXCEEDED", portal.key))
            raise refusal("QUERY_LIMIT_EXCEEDED")
        token = self._token(portal, bearer)
        if self._engine.options.bitrix_latency_s:
            await asyncio.sleep(self._engine.options.bitrix_latency_s)
        call = Call(
            engine=self._engine,
            events=self._events,
            chats=self._chats,
            portal=portal,
            token=token,
            params=params,
            silent=fault is not None and fault.kind == "silence",
            item_error=fault is not None and fault.kind == "item_error",
        )
        result = await (self._batch(call) if name == "batch" else self._run(call, name))
        answer: dict[str, Any] = {"result": result}
        if call.upcoming is not None:
            answer["next"] = call.upcoming
        if call.total is not None:
            answer["total"] = call.total
        return ApiResponse(answer | {"time": self._time(portal, name, started)})

    async def _run(self, call: Call, name: str) -> Any:
        method = METHODS.get(name) or _OWN.get(name)
        if method is None:
            raise refusal("ERROR_METHOD_NOT_FOUND")
        now = self._engine.now()
        operating = call.portal.operating.setdefault(name, OperatingTime())
        if operating.used(now) >= self._engine.options.operating_limit_s:
            self._engine.record(LimitExceeded("bitrix24", "OPERATION_TIME_LIMIT", f"{call.portal.key}/{name}"))
            raise refusal("OPERATION_TIME_LIMIT")
        self._engine.world.changes += 1
        call.operating_s = 0.0
        try:
            return await method(call)
        finally:
            operating.add(now, call.operating_s)

    # --- batch ---------------------------------------------------------------------------------------------------

    async def _batch(self, call: Call) -> Any:
        """Commands one after another; one that fails is told beside the others, and the answer is 200 all the same."""
        commands = call.get("CMD") or {}
        if isinstance(commands, list):
            commands = {str(index): command for index, command in enumerate(commands)}
        if len(commands) > BATCH_MAX:
            raise refusal("ERROR_BATCH_LENGTH_EXCEEDED")
        results: dict[str, Any] = {}
        told: dict[str, dict[str, Any]] = {"result_error": {}, "result_total": {}, "result_next": {}, "result_time": {}}
        for name, command in commands.items():
            started = self._engine.now()
            method, inner = self._command(call, str(command), results)
            try:
                results[name] = await self._inner(inner, method)
            except RestError as error:
                told["result_error"][name] = error.as_dict()
                if is_yes(call.get("HALT")):
                    break
                continue
            told["result_time"][name] = self._time(call.portal, method, started)
            if inner.total is not None:
                told["result_total"][name] = inner.total
            if inner.upcoming is not None:
                told["result_next"][name] = inner.upcoming
        return {"result": results or [], **{name: value or [] for name, value in told.items()}}

    def _command(self, call: Call, command: str, results: dict[str, Any]) -> tuple[str, Call]:
        method, _, query = command.partition("?")
        inner = Call(
            engine=call.engine,
            events=call.events,
            chats=call.chats,
            portal=call.portal,
            token=call.token,
            params=_expanded(php_form.decode(query), results),
        )
        return method.removesuffix(".json").lower(), inner

    async def _inner(self, inner: Call, method: str) -> Any:
        if method == "batch":
            raise refusal("ERROR_BATCH_METHOD_NOT_ALLOWED")
        return await self._run(inner, method)

    # --- who may, and what it cost -------------------------------------------------------------------------------

    def _token(self, portal: Portal, bearer: str) -> Token:
        token = self._engine.world.access_tokens.get(bearer)
        if token is None or token.portal != portal.key:
            raise refusal("NO_AUTH_FOUND")
        if token.revoked:
            raise refusal("invalid_token")
        if token.expires <= self._engine.now():
            raise refusal("expired_token")
        return token

    def _time(self, portal: Portal, method: str, started: float) -> dict[str, Any]:
        return timing(started, self._engine.now(), portal.operating.get(method))


async def _method_names(_call: Call) -> Any:
    return sorted(METHODS)


_OWN: Final[dict[str, Method]] = {"methods": _method_names}


async def _params(request: web.Request) -> Params:
    """Query and body together; the body wins. JSON or PHP's form nesting."""
    params: Params = php_form.decode(request.query_string) if request.query_string else {}
    raw = await request.read()
    if not raw:
        return params
    if "json" in request.content_type or raw[:1] == b"{":
        try:
            body = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return params
        return params | body if isinstance(body, dict) else params
    return params | php_form.decode(raw.decode("utf-8", "replace"))


def _bearer(request: web.Request, params: Params) -> str:
    header = request.headers.get("Authorization", "")
    if header[:7].lower() == "bearer ":
        return header[7:].strip()
    return str(params.get("auth") or params.get("access_token") or "")


def _refuse(fault: Fault) -> ApiResponse:
    codes = {"throttle": fault.code or "QUERY_LIMIT_EXCEEDED", "expired_token": "expired_token"}
    code = codes.get(fault.kind, fault.code)
    if not code:
        return ApiResponse(f"<html><body>{fault.status}</body></html>", fault.status)
    error = refusal(code, fault.status if fault.kind == "status" else None)
    return ApiResponse(error.as_dict(), error.status)


def _expanded(value: Any, results: dict[str, Any]) -> Any:
    """`$result[a][0][ID]` in any value is replaced by what an earlier command gave: also in a customer's text."""
    if isinstance(value, dict):
        return {key: _expanded(inner, results) for key, inner in value.items()}
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _looked_up(found[1], results), value)
    return value


def _looked_up(path: str, results: Any) -> str:
    place = results
    for key in _REFERENCE_KEY.findall(path):
        try:
            place = place[int(key)] if isinstance(place, list) else place[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
    return str(place)
