"""What a customer can send beside text: its webhook item, and the words by which a phone shows it.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from collections.abc import Callable
from typing import Any, Final

Json = dict[str, Any]


def item_of(wanted: Json) -> tuple[Json, str]:
    """The fields of `messages[]` that tell the kind, and the line on the phone. ValueError for a kind there is not."""
    kind = str(wanted.get("kind") or "text")
    make = _KINDS.get(kind)
    if make is None:
        raise ValueError(f"there is no kind {kind!r}; there are {', '.join(sorted(_KINDS))}")
    item, line = make(wanted)
    return item | marks_of(wanted), line


def marks_of(wanted: Json) -> Json:
    """What can stand beside any kind: `quotes` is a wamid; `forwarded` is true or "often"; `referral` is taken as it
    is."""
    context: Json = {}
    if wanted.get("quotes"):
        context["id"] = str(wanted["quotes"])
    if wanted.get("forwarded"):
        context["frequently_forwarded" if wanted["forwarded"] == "often" else "forwarded"] = True
    if wanted.get("product"):
        context["referred_product"] = {"catalog_id": "194836987003835", "product_retailer_id": str(wanted["product"])}
    extra: Json = {"context": context} if context else {}
    if wanted.get("referral"):
        extra["referral"] = wanted["referral"]
    return extra


def _text(wanted: Json) -> tuple[Json, str]:
    text = str(wanted.get("text") or "")
    return {"type": "text", "text": {"body": text}}, text


def _location(wanted: Json) -> tuple[Json, str]:
    place: Json = {"latitude": float(wanted["latitude"]), "longitude": float(wanted["longitude"])}
    place |= {name: str(wanted[name]) for name in ("name", "address", "url") if wanted.get(name)}
    return {"type": "location", "location": place}, f"📍 {place.get('name') or 'location'}"


def _contacts(wanted: Json) -> tuple[Json, str]:
    name, phone = str(wanted.get("name") or ""), str(wanted.get("phone") or "")
    digits = "".join(character for character in phone if character.isdigit())
    card: Json = {"phones": [{"phone": phone, "wa_id": digits, "type": "CELL"}]}
    if wanted.get("own"):
        return {"type": "contacts", "contacts": [card | {"origin": "contact_request"}]}, f"👤 {phone}"
    card |= {"name": {"formatted_name": name, "first_name": name.partition(" ")[0]}, "origin": "other"}
    return {"type": "contacts", "contacts": [card]}, f"👤 {name}"


def _button(wanted: Json) -> tuple[Json, str]:
    title = str(wanted["title"])
    reply = {"id": str(wanted.get("id") or "1"), "title": title}
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}, f"🔘 {title}"


def _list(wanted: Json) -> tuple[Json, str]:
    title = str(wanted["title"])
    row = {"id": str(wanted.get("id") or "1"), "title": title}
    if wanted.get("description"):
        row["description"] = str(wanted["description"])
    return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": row}}, f"🔘 {title}"


def _flow(wanted: Json) -> tuple[Json, str]:
    form = {"name": "flow", "body": "Sent", "response_json": str(wanted["response_json"])}
    return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": form}}, "📝"


def _template_button(wanted: Json) -> tuple[Json, str]:
    title = str(wanted["title"])
    return {"type": "button", "button": {"payload": str(wanted.get("id") or title), "text": title}}, f"🔘 {title}"


def _reaction(wanted: Json) -> tuple[Json, str]:
    reaction: Json = {"message_id": str(wanted["to"])}
    if wanted.get("emoji"):
        reaction["emoji"] = str(wanted["emoji"])
    return {"type": "reaction", "reaction": reaction}, str(wanted.get("emoji") or "✕")


def _order(wanted: Json) -> tuple[Json, str]:
    order = {
        "catalog_id": "194836987003835",
        "text": str(wanted.get("text") or ""),
        "product_items": list(wanted["items"]),
    }
    return {"type": "order", "order": order}, f"🛒 {len(order['product_items'])}"


def _edit(wanted: Json) -> tuple[Json, str]:
    text = str(wanted["text"])
    new = {"context": {"id": "M0"}, "type": "text", "text": {"body": text}}
    return {"type": "edit", "edit": {"original_message_id": str(wanted["to"]), "message": new}}, f"✏ {text}"


def _revoke(wanted: Json) -> tuple[Json, str]:
    return {"type": "revoke", "revoke": {"original_message_id": str(wanted["to"])}}, "🗑"


def _unsupported(wanted: Json) -> tuple[Json, str]:
    code = int(wanted.get("code") or 131051)
    error = {
        "code": code,
        "title": "Message type unknown",
        "message": "Message type unknown",
        "error_data": {"details": "Message type is currently not supported."},
    }
    what = str(wanted.get("what") or "poll_creation")
    return {"type": "unsupported", "unsupported": {"type": what}, "errors": [error]}, f"? {what}"


def _group(wanted: Json) -> tuple[Json, str]:
    item, line = _text(wanted)
    return item | {"group_id": "Y2FwaV9ncm91cDoxNzA1"}, f"👥 {line}"


def _of_tomorrow(wanted: Json) -> tuple[Json, str]:
    return {"type": "hologram", "hologram": {"id": str(wanted.get("id") or "1")}}, "? hologram"


_KINDS: Final[dict[str, Callable[[Json], tuple[Json, str]]]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "list": _list,
    "flow": _flow,
    "template_button": _template_button,
    "reaction": _reaction,
    "order": _order,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
    "group": _group,
    "of_tomorrow": _of_tomorrow,
}
