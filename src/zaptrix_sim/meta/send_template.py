"""A send of a template, compared with the template: what Meta refuses, and what the phone shows.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/template-messages
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from zaptrix_sim.meta.errors import GraphError, bad_parameter, refusal

Json = dict[str, Any]
COMPONENT_FIELDS: Final = frozenset({
    "HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER", "CALL_PERMISSION_REQUEST",
})  # fmt: skip
_SLOT = re.compile(r"{{\s*(\w+)\s*}}")
_MEDIA: Final = {"IMAGE": "image", "VIDEO": "video", "GIF": "video", "DOCUMENT": "document"}
_SUB_TYPES: Final = {
    "QUICK_REPLY": "quick_reply", "URL": "url", "OTP": "url", "COPY_CODE": "copy_code", "FLOW": "flow",
    "CATALOG": "catalog", "MPM": "mpm", "VOICE_CALL": "voice_call", "ORDER_DETAILS": "order_details",
}  # fmt: skip
_LABELS: Final = {"image": "[image]", "video": "[video]", "document": "[document]", "location": "[location]"}


def chosen(templates: Iterable[Json], sent: Any) -> Json:
    """The template that a send names. Raises its refusal."""
    if not isinstance(sent, dict) or not sent.get("name"):
        raise refusal(131008, "Parameter of type template is missing: template['name'].")
    language = sent.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    if not code:
        raise refusal(131008, "Parameter of type template is missing: template['language']['code'].")
    found = [one for one in templates if one["name"] == sent["name"] and one["language"] == code]
    if not found or found[0]["status"] in {"PENDING", "REJECTED", "DELETED", "ARCHIVED"}:
        raise refusal(132001, f"template name ({sent['name']}) does not exist in {code}", status=404)
    if found[0]["status"] == "PAUSED":
        raise refusal(132015)
    if found[0]["status"] == "DISABLED":
        raise refusal(132016)
    return found[0]


@dataclass(slots=True)
class RenderedTemplate:
    """What the phone shows of a template: each part by Meta's name, the buttons, and the media of its header."""

    parts: list[Json] = field(default_factory=list)
    buttons: list[Json] = field(default_factory=list)
    media: tuple[str, Json] | None = None

    @property
    def text(self) -> str:
        return "\n".join(part["text"] for part in self.parts if part["text"])


def shown(template: Json, sent: Json) -> RenderedTemplate:
    """Raises the refusal of what does not match."""
    given = sent.get("components") or []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise bad_parameter("Param template['components'] must be an array.")
    return _rendered(template, template["components"], given)


def _rendered(template: Json, parts: list[Json], given: list[Json]) -> RenderedTemplate:
    by_type = {str(one.get("type", "")).lower(): one for one in given if str(one.get("type")).lower() != "button"}
    presses = [one for one in given if str(one.get("type", "")).lower() == "button"]
    strange = set(by_type) - {"header", "body", "carousel", "limited_time_offer"}
    if strange:
        raise bad_parameter(f"Unknown template component {min(strange)}")
    rendered = RenderedTemplate()
    for part in parts:
        kind = str(part["type"]).upper()
        if kind == "HEADER":
            _header(template, part, by_type.get("header"), rendered)
        elif kind == "BODY":
            rendered.parts.append({"type": kind, "text": _body(template, part, by_type.get("body"))})
        elif kind == "FOOTER":
            rendered.parts.append({"type": kind, "text": str(part.get("text") or "")})
        elif kind == "BUTTONS":
            rendered.buttons = _buttons(part["buttons"], presses)
        elif kind == "CAROUSEL":
            rendered.parts += _cards(template, part["cards"], by_type.get("carousel"))
        elif kind == "LIMITED_TIME_OFFER":
            _offer(part, by_type.get("limited_time_offer"))
    if presses and not any(str(part["type"]).upper() == "BUTTONS" for part in parts):
        raise refusal(132018, "The template has no buttons.")
    return rendered


def _parameters(component: Json | None) -> list[Json]:
    found = (component or {}).get("parameters") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise bad_parameter("Param parameters must be an array of objects.")
    return found


def _filled(template: Json, text: str, given: list[Json], where: str) -> str:
    slots = list(dict.fromkeys(_SLOT.findall(text)))
    if len(given) != len(slots):
        told = f"{where}: number of localizable_params ({len(given)}) does not match the expected number of params"
        raise refusal(132000, f"{told} ({len(slots)})")
    for one in given:
        if one.get("type") not in {"text", "currency", "date_time"}:
            raise refusal(132012, f"{where}: Format mismatch, expected TEXT, received {one.get('type')}")
        _judge_words(one.get("text"))
    if template["parameter_format"] == "NAMED":
        words = {str(one.get("parameter_name")): str(one["text"]) for one in given}
        if set(words) != set(slots):
            raise refusal(132012, f"{where}: Parameter name is missing or empty")
    else:
        if any("parameter_name" in one for one in given):
            raise refusal(132012, f"{where}: a positional template takes no parameter_name")
        words = {str(place): str(one["text"]) for place, one in enumerate(given, 1)}
    return _SLOT.sub(lambda slot: words[slot[1]], text)


def _judge_words(words: Any) -> None:
    if not isinstance(words, str) or not words.strip():
        raise refusal(131008, "Parameter of type text is missing text value.")
    if "\n" in words or "\t" in words or " " * 5 in words:
        raise refusal(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")


def _header(template: Json, part: Json, given: Json | None, rendered: RenderedTemplate) -> None:
    kind = str(part.get("format") or "TEXT").upper()
    parameters = _parameters(given)
    if kind == "TEXT":
        text = _filled(template, str(part.get("text") or ""), parameters, "header")
        rendered.parts.append({"type": "HEADER", "format": kind, "text": text})
        return
    wanted = _MEDIA.get(kind, kind.lower())
    if len(parameters) != 1:
        raise refusal(132012, f"header: Format mismatch, expected {kind}, received UNKNOWN")
    if parameters[0].get("type") != wanted:
        received = str(parameters[0].get("type")).upper()
        raise refusal(132012, f"header: Format mismatch, expected {kind}, received {received}")
    thing = parameters[0].get(wanted)
    if not isinstance(thing, dict):
        raise refusal(131008, f"header: {wanted} is missing.")
    if wanted in {"image", "video", "document"} and ("id" in thing) == ("link" in thing):
        raise refusal(131008, f"header: {wanted} takes an id or a link.")
    if wanted == "location" and not {"latitude", "longitude"} <= set(thing):
        raise refusal(131008, "header: location takes latitude and longitude.")
    rendered.parts.append({"type": "HEADER", "format": kind, "text": _LABELS.get(wanted, f"[{wanted}]"), wanted: thing})
    if wanted != "location" and "id" in thing:
        rendered.media = (wanted, thing)


def _body(template: Json, part: Json, given: Json | None) -> str:
    text = str(part.get("text") or "")
    if template["category"] == "AUTHENTICATION" and not text:
        text = "*{{1}}* is your verification code."
    return _filled(template, text, _parameters(given), "body")


def _buttons(buttons: list[Json], presses: list[Json]) -> list[Json]:
    given: dict[int, Json] = {}
    for one in presses:
        index = str(one.get("index", ""))
        if not index.isdigit() or int(index) >= len(buttons):
            raise refusal(132018, f"The template has no button at index {index}")
        given[int(index)] = one
    return [_button(index, button, given.get(index)) for index, button in enumerate(buttons)]


def _button(index: int, button: Json, press: Json | None) -> Json:
    kind = str(button["type"]).upper()
    rendered: Json = {"type": kind.lower(), "text": button.get("text", "")}
    if press is not None and press.get("sub_type") != _SUB_TYPES.get(kind):
        raise refusal(132018, f"Button at index {index} is of type {kind}")
    parameters = _parameters(press)
    needs = (kind == "URL" and "{{" in str(button.get("url"))) or kind in {"OTP", "COPY_CODE", "MPM", "ORDER_DETAILS"}
    if needs and len(parameters) != 1:
        raise refusal(131008, f"buttons: Button at index {index} of type {kind} requires a parameter")
    if kind in {"URL", "OTP"}:
        if parameters and not needs:
            raise refusal(132018, f"buttons: Button at index {index} has a fixed address")
        words = str(parameters[0].get("text") or "") if parameters else ""
        if needs and not words:
            raise refusal(131008, f"buttons: Button at index {index} of type {kind} requires a parameter")
        rendered["url"] = _SLOT.sub(lambda _: words, str(button.get("url") or ""))
    elif kind == "COPY_CODE":
        rendered["code"] = parameters[0].get("coupon_code")
        if not rendered["code"]:
            raise refusal(131008, f"buttons: Button at index {index} requires a coupon_code")
    elif kind == "FLOW" and press is None:
        raise refusal(131009, "Components sub_type invalid at index: 0 and type: FLOW")
    elif kind == "QUICK_REPLY":
        rendered["payload"] = parameters[0].get("payload") if parameters else button.get("text", "")
    elif kind == "PHONE_NUMBER":
        rendered["phone_number"] = button.get("phone_number", "")
    return rendered


def _cards(template: Json, cards: list[Json], given: Json | None) -> list[Json]:
    sent = (given or {}).get("cards") or []
    if len(sent) != len(cards):
        raise refusal(132012, f"carousel: expected {len(cards)} cards, received {len(sent)}")
    if [one.get("card_index") for one in sent] != list(range(len(cards))):
        raise refusal(132012, "carousel: card_index has to count from 0")
    lines: list[Json] = []
    for card, one in zip(cards, sent, strict=True):
        rendered = _rendered(template, card["components"], one.get("components") or [])
        words = " ".join(
            ["-", rendered.text.replace("\n", " "), *(f"[{button['text']}]" for button in rendered.buttons)]
        )
        lines.append({"type": "CARD", "text": words, "parts": rendered.parts, "buttons": rendered.buttons})
    return lines


def _offer(part: Json, given: Json | None) -> None:
    if not (part.get("limited_time_offer") or {}).get("has_expiration"):
        return
    parameters = _parameters(given)
    told = parameters[0].get("limited_time_offer") if parameters else None
    if not isinstance(told, dict) or not told.get("expiration_time_ms"):
        raise GraphError(132012, "Parameter format does not match format in the created template")
