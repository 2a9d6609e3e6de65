"""The application's own methods: who am I, what may I do, and which events are bound.

https://apidocs.bitrix24.com/api-reference/common/index.html, https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from typing import Any, Final
from urllib.parse import urlsplit

from zaptrix_sim.bitrix24.call import Call, Method
from zaptrix_sim.bitrix24.offline_queue import need_admin
from zaptrix_sim.bitrix24.time_block import iso
from zaptrix_sim.world.bitrix24_errors import RestError, missing, refusal
from zaptrix_sim.world.world import Binding

SCOPE: Final = ("crm", "im", "imopenlines", "imconnector", "user", "placement")
EVENTS: Final = frozenset({
    "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONAPPPAYMENT", "ONAPPTEST", "ONOFFLINEEVENT",
    "ONIMCONNECTORMESSAGEADD", "ONIMCONNECTORMESSAGEUPDATE", "ONIMCONNECTORMESSAGEDELETE",
    "ONIMCONNECTORDIALOGSTART", "ONIMCONNECTORDIALOGFINISH", "ONIMCONNECTORSTATUSDELETE", "ONIMCONNECTORLINEDELETE",
    "ONOPENLINEMESSAGEADD", "ONOPENLINEMESSAGEUPDATE", "ONOPENLINEMESSAGEDELETE", "ONSESSIONSTART", "ONSESSIONFINISH",
})  # fmt: skip


async def profile(call: Call) -> Any:
    return {"ID": str(call.token.user_id), "ADMIN": True, "NAME": "Marta", "LAST_NAME": "Admin", "TIME_ZONE": ""}


async def current_user(call: Call) -> Any:
    return {
        "ID": str(call.token.user_id),
        "ACTIVE": True,
        "NAME": "Marta",
        "LAST_NAME": "Admin",
        "EMAIL": "m@example.com",
    }


async def app_info(call: Call) -> Any:
    family = "ent" if call.portal.plan == "enterprise" else "standard"
    return {
        "ID": 1,
        "CODE": call.portal.client_id,
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": True,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": "br",
        "LICENSE": f"br_{family}",
        "LICENSE_TYPE": family,
        "LICENSE_FAMILY": family,
    }


async def server_time(call: Call) -> Any:
    return iso(call.engine.now())


async def scope(_call: Call) -> Any:
    return list(SCOPE)


async def event_names(_call: Call) -> Any:
    return sorted(EVENTS)


async def feature(call: Call) -> Any:
    """https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html"""
    return {"value": "Y" if str(call.need("CODE")) in call.portal.features else "N"}


async def event_bind(call: Call) -> Any:
    event, offline = _event(call), _is_offline(call)
    if offline:
        need_admin(call)
    handler = "" if offline else str(call.need("HANDLER"))
    if not offline:
        _judge_handler(handler)
    user_id = call.number("AUTH_TYPE")
    bound = call.portal.bindings.setdefault(event, [])
    if any((one.handler, one.user_id, one.offline) == (handler, user_id, offline) for one in bound):
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded")
    bound.append(
        Binding(
            id=call.portal.other_ids.take(),
            event=event,
            handler=handler,
            user_id=user_id,
            offline=offline,
            connector=str(call.get("AUTH_CONNECTOR") or ""),
        )
    )
    return True


async def event_get(call: Call) -> Any:
    return [
        {"event": one.event, "connector_id": one.connector, "offline": 1}
        if one.offline
        else {"event": one.event, "handler": one.handler, "auth_type": str(one.user_id), "offline": 0}
        for bound in call.portal.bindings.values()
        for one in bound
    ]


async def event_unbind(call: Call) -> Any:
    event, offline = _event(call), _is_offline(call)
    handler = "" if offline else str(call.need("HANDLER"))
    bound = call.portal.bindings.get(event, [])
    kept = [one for one in bound if (one.handler, one.offline) != (handler, offline)]
    call.portal.bindings[event] = kept
    return {"count": len(bound) - len(kept)}


METHODS: Final[dict[str, Method]] = {
    "profile": profile,
    "user.current": current_user,
    "app.info": app_info,
    "server.time": server_time,
    "scope": scope,
    "events": event_names,
    "event.bind": event_bind,
    "event.get": event_get,
    "event.unbind": event_unbind,
    "feature.get": feature,
}


def _event(call: Call) -> str:
    event = str(call.get("EVENT") or "").upper()
    if not event:
        raise missing("EVENT")
    if event not in EVENTS:
        raise refusal("ERROR_EVENT_NOT_FOUND")
    return event


def _is_offline(call: Call) -> bool:
    return str(call.get("EVENT_TYPE") or "online").lower() == "offline"


def _judge_handler(handler: str) -> None:
    parts = urlsplit(handler)
    if parts.scheme not in {"http", "https"}:
        raise refusal("ERROR_UNSUPPORTED_PROTOCOL")
    if "." not in (parts.hostname or ""):
        raise refusal("ERROR_WRONG_HANDLER_URL")
