"""A customer's answer to an interactive message that she has: a button, a row, a location, a form.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/interactive
"""

import json
from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.meta.customer_kinds import item_of

Json = dict[str, Any]


def answer_to(interactive: Json, wamid: str, wanted: Json) -> tuple[Json, str]:
    """Her message and the line on the phone. `choice` is the id or the title of what she presses; a place is
    `latitude`, `longitude` and what else it has; `response` is what she filled into a form. ValueError for what this
    message does not offer."""
    kind = str(interactive.get("type"))
    make = _ANSWERS.get(kind)
    if make is None:
        raise ValueError(f"nobody can answer an interactive message of the type {kind}")
    return item_of(make(interactive["action"], wanted) | {"quotes": wamid})


def _press(action: Json, wanted: Json) -> Json:
    return {"kind": "button"} | _chosen([button["reply"] for button in action["buttons"]], wanted)


def _choose(action: Json, wanted: Json) -> Json:
    return {"kind": "list"} | _chosen([row for section in action["sections"] for row in section["rows"]], wanted)


def _chosen(offered: list[Json], wanted: Json) -> Json:
    choice = str(wanted.get("choice") or "")
    for one in offered:
        if choice in (one["id"], one["title"]):
            return one
    raise ValueError(f"there is no {choice!r}; there are {', '.join(str(one['title']) for one in offered)}")


def _place(_action: Json, wanted: Json) -> Json:
    return {"kind": "location"} | {
        name: wanted[name] for name in ("latitude", "longitude", "name", "address") if wanted.get(name) is not None
    }


def _form(action: Json, wanted: Json) -> Json:
    token = {"flow_token": action["parameters"].get("flow_token", "unused")}
    return {"kind": "flow", "response_json": json.dumps(dict(wanted["response"]) | token)}


_ANSWERS: Final[dict[str, Callable[[Json, Json], Json]]] = {
    "button": _press,
    "list": _choose,
    "location_request_message": _place,
    "flow": _form,
}
