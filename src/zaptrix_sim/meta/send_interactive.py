"""An interactive message: what Meta refuses of buttons, a list, a link, a location request, a form.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages
"""

from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.meta.errors import bad_parameter, refusal

Json = dict[str, Any]
BODY_MAX: Final = 1024
LIST_BODY_MAX: Final = 4096
EDGE_MAX: Final = 60  # of a header, and of a footer
LABEL_MAX: Final = 20
BUTTONS_MAX: Final = 3
BUTTON_ID_MAX: Final = 256
SECTIONS_MAX: Final = 10
ROWS_MAX: Final = 10
ROW_ID_MAX: Final = 200
ROW_TITLE_MAX: Final = 24
ROW_DESCRIPTION_MAX: Final = 72
MEDIA: Final = ("image", "video", "document")


def interactive(sent: Json) -> str:
    """The words of its body. Raises the refusal."""
    kind = sent.get("type")
    if kind not in _ACTIONS:
        raise bad_parameter(f"Param interactive['type'] must be one of {{{', '.join(sorted(_ACTIONS)).upper()}}}")
    action = sent.get("action")
    if not isinstance(action, dict):
        raise refusal(131008, "Parameter of type interactive is missing: interactive['action'].")
    body = sent.get("body")
    if not isinstance(body, dict):
        raise refusal(131008, "Parameter of type interactive is missing: interactive['body'].")
    words = _words(body.get("text"), "body['text']", LIST_BODY_MAX if kind == "list" else BODY_MAX)
    _header(str(kind), sent.get("header"))
    if sent.get("footer") is not None:
        footer = sent["footer"]
        _words(footer.get("text") if isinstance(footer, dict) else None, "footer['text']", EDGE_MAX)
    _ACTIONS[str(kind)](action)
    return words


def header_media(sent: Json) -> tuple[str, Any] | None:
    """The kind of a header's file, and what names it; None where there is none."""
    header = sent.get("header")
    kind = header.get("type") if isinstance(header, dict) else None
    return (kind, header[kind]) if isinstance(header, dict) and kind in MEDIA and kind in header else None


def _header(kind: str, header: Any) -> None:
    if header is None:
        return
    told = header.get("type") if isinstance(header, dict) else None
    if kind == "location_request_message":
        raise bad_parameter('Unexpected key "header" on param "interactive".')
    if told not in {"text", *MEDIA}:
        raise bad_parameter("Param header['type'] must be one of {TEXT, IMAGE, VIDEO, DOCUMENT}")
    if kind == "list" and told != "text":
        raise refusal(131009, "A list takes a text header only.")
    if told == "text":
        _words(header.get("text"), "header['text']", EDGE_MAX)
    elif not isinstance(header.get(told), dict):
        raise refusal(131008, f"Parameter of type interactive is missing: header['{told}'].")


def _words(text: Any, where: str, most: int) -> str:
    if text is None:
        raise refusal(131008, f"Parameter of type interactive is missing: {where}.")
    if not isinstance(text, str):
        raise bad_parameter(f"Param {where} must be a string.")
    if not text.strip() or len(text) > most:
        raise refusal(131009, f"{where} length invalid. Min length: 1, Max length: {most}")
    return text


def _entries(holder: Json, name: str, most: int) -> list[Json]:
    entries = holder.get(name)
    if entries is None:
        raise refusal(131008, f"Parameter of type interactive is missing: {name}.")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise bad_parameter(f"Param {name} must be an array of objects.")
    if not 1 <= len(entries) <= most:
        raise refusal(131009, f"Invalid {name} count. Min allowed {name}: 1, Max allowed {name}: {most}")
    return entries


def _once(values: list[str], where: str) -> None:
    if len(set(values)) < len(values):
        raise refusal(131009, f"Duplicated {where}.")


def _buttons(action: Json) -> None:
    replies = []
    for button in _entries(action, "buttons", BUTTONS_MAX):
        if button.get("type") != "reply" or not isinstance(button.get("reply"), dict):
            raise bad_parameter("Param buttons must have the type reply, and a reply.")
        replies.append(button["reply"])
    _once([_words(one.get("title"), "reply['title']", LABEL_MAX) for one in replies], "button titles")
    _once([_words(one.get("id"), "reply['id']", BUTTON_ID_MAX) for one in replies], "button ids")


def _list(action: Json) -> None:
    _words(action.get("button"), "action['button']", LABEL_MAX)
    sections = _entries(action, "sections", SECTIONS_MAX)
    if len(sections) > 1:
        titles = [_words(one.get("title"), "section['title']", ROW_TITLE_MAX) for one in sections]
        _once(titles, "section titles")
    rows = [row for one in sections for row in _entries(one, "rows", ROWS_MAX)]
    if len(rows) > ROWS_MAX:
        raise refusal(131009, f"Total row count exceeds max allowed count: {ROWS_MAX}")
    for row in rows:
        _words(row.get("title"), "row['title']", ROW_TITLE_MAX)
        if row.get("description") is not None:
            _words(row["description"], "row['description']", ROW_DESCRIPTION_MAX)
    _once([_words(row.get("id"), "row['id']", ROW_ID_MAX) for row in rows], "row ids")


def _parameters(action: Json, name: str) -> Json:
    if action.get("name") != name:
        raise bad_parameter(f"Param action['name'] must be {name}.")
    parameters = action.get("parameters")
    if not isinstance(parameters, dict):
        raise refusal(131008, "Parameter of type interactive is missing: action['parameters'].")
    return parameters


def _link(action: Json) -> None:
    parameters = _parameters(action, "cta_url")
    _words(parameters.get("display_text"), "display_text", LABEL_MAX)
    url = parameters.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise refusal(131009, "The url is not an address.")


def _location_request(action: Json) -> None:
    if action.get("name") != "send_location":
        raise bad_parameter("Param action['name'] must be send_location.")


def _flow(action: Json) -> None:
    parameters = _parameters(action, "flow")
    _words(parameters.get("flow_cta"), "flow_cta", LABEL_MAX)
    if parameters.get("flow_message_version") != "3":
        raise refusal(131009, "flow_message_version has to be 3.")
    if not (parameters.get("flow_id") or parameters.get("flow_name")):
        raise refusal(131008, "Parameter of type interactive is missing: flow_id or flow_name.")
    how = parameters.get("flow_action", "navigate")
    if how not in {"navigate", "data_exchange"}:
        raise bad_parameter("Param flow_action must be one of {NAVIGATE, DATA_EXCHANGE}")
    payload = parameters.get("flow_action_payload")
    if how == "navigate" and payload is not None and not (isinstance(payload, dict) and payload.get("screen")):
        raise refusal(131008, "Parameter of type interactive is missing: flow_action_payload['screen'].")


_ACTIONS: Final[dict[str, Callable[[Json], None]]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _link,
    "location_request_message": _location_request,
    "flow": _flow,
}
