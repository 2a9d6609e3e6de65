"""Validation of a template send: whether what it fills in is what Meta approved.

Every field at fault is named before Meta is asked. Places are JSON pointers into the filling
(https://www.rfc-editor.org/rfc/rfc6901). Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/template-messages
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from zaptrix.core import limits
from zaptrix.core.message.template import (
    APPROVED,
    AUTHENTICATION,
    BodyFill,
    Button,
    ButtonFill,
    Card,
    CardFill,
    Definition,
    FilledButton,
    FilledCard,
    FilledHeader,
    Filling,
    Header,
    HeaderFill,
    Media,
    Place,
    Template,
    VariableValue,
    shown_text,
    variables,
)
from zaptrix.core.message.validation import Misfits


def fill(definition: Definition, filling: Filling) -> Template:
    """The message that `filling` makes of `definition`. Raises DoesNotFit, with every field at fault."""
    judge = _Judge(definition)
    if definition.status != APPROVED:
        judge.note("/name", "not_approved", status=definition.status)
    if definition.category == AUTHENTICATION:
        filling = judge.with_code(filling)
    elif filling.code is not None:
        judge.note("/code", "unknown")
    message = Template(
        name=definition.name,
        language=definition.language,
        category=definition.category,
        shown="",
        header=judge.header("/header", definition.header, filling.header),
        body=judge.body("/body", definition.body, filling.body),
        buttons=judge.buttons("/buttons", definition.buttons, filling.buttons),
        cards=judge.cards(definition.cards, filling.cards),
        offer_expires_at_ms=judge.offer(filling.offer_expires_at_ms),
    )
    judge.judge()
    return replace(message, shown=shown_text(definition, message))


class _Judge(Misfits):
    """Goes through a filling, and notes what is wrong with it."""

    def __init__(self, definition: Definition) -> None:
        super().__init__()
        self._definition = definition

    def with_code(self, filling: Filling) -> Filling:
        """The code goes into the body and into the button that copies it."""
        if filling.body or filling.buttons or filling.header or filling.cards:
            self.note("", "code_alone")
        if filling.code is None:
            self.note("/code", "missing")
            code = "-"
        else:
            self._text("/code", filling.code, limits.TEMPLATE_CODE_MAX)
            code = filling.code
        names = variables(self._definition.body)
        body: BodyFill = dict.fromkeys(names, code) if self._definition.is_named else [code] * max(1, len(names))
        buttons = [
            ButtonFill(index=index, text=code)
            for index, button in enumerate(self._definition.buttons)
            if button.kind == "otp" or button.has_variable
        ]
        return Filling(body=body, buttons=buttons)

    # --- header ------------------------------------------------------------------------------------------------------

    def header(self, place: str, header: Header | None, given: HeaderFill | None) -> FilledHeader | None:
        fields = _given(given) if given else {}
        wanted = _wanted(header)
        for name in fields:
            if name != wanted:
                self.note(f"{place}/{name}", "unknown")
        if header is None or wanted is None:
            return None
        if given is None or wanted not in fields:
            self.note(f"{place}/{wanted}", "missing")
            return None
        if given.text is not None:
            self._text(f"{place}/text", given.text, limits.TEMPLATE_HEADER_MAX)
            (name,) = variables(header.text)[:1]
            return FilledHeader("text", VariableValue(given.text, name if self._definition.is_named else None))
        self._piece(f"{place}/{wanted}", fields[wanted])
        return FilledHeader(header.format, fill=given)

    def _piece(self, place: str, piece: object) -> None:
        match piece:
            case Media(id=id_, link=link):
                if (id_ is None) == (link is None):
                    self.note(place, "source")
                elif link is not None and not link.startswith("https://"):
                    self.note(f"{place}/link", "link")
                elif id_ is not None:
                    self._text(f"{place}/id", id_, limits.TEMPLATE_VALUE_MAX)
            case Place(latitude=latitude, longitude=longitude):
                if not -90 <= latitude <= 90:
                    self.note(f"{place}/latitude", "degrees")
                if not -180 <= longitude <= 180:
                    self.note(f"{place}/longitude", "degrees")

    # --- body --------------------------------------------------------------------------------------------------------

    def body(self, place: str, text: str, given: BodyFill) -> tuple[VariableValue, ...]:
        wanted = variables(text)
        if self._definition.category == AUTHENTICATION and not wanted:
            wanted = ("1",)  # Meta writes the text of these itself, and does not always show it
        if isinstance(given, dict):
            return self._named(place, wanted, given)
        if self._definition.is_named and (wanted or given):
            self.note(place, "named", names=", ".join(wanted))
            return ()
        if len(given) != len(wanted):
            self.note(place, "count", wanted=len(wanted), given=len(given))
        for number, value in enumerate(given):
            self._text(f"{place}/{number}", value, limits.TEMPLATE_VALUE_MAX)
        return tuple(VariableValue(value) for value in given)

    def _named(self, place: str, wanted: Sequence[str], given: Mapping[str, str]) -> tuple[VariableValue, ...]:
        if not self._definition.is_named and (wanted or given):
            self.note(place, "numbered")
            return ()
        for name in wanted:
            if name not in given:
                self.note(_join(place, name), "missing")
        for name, value in given.items():
            if name not in wanted:
                self.note(_join(place, name), "unknown")
            else:
                self._text(_join(place, name), value, limits.TEMPLATE_VALUE_MAX)
        return tuple(VariableValue(given[name], name) for name in wanted if name in given)

    # --- buttons and cards -------------------------------------------------------------------------------------------

    def buttons(self, place: str, buttons: Sequence[Button], given: Sequence[ButtonFill]) -> tuple[FilledButton, ...]:
        seen: set[int] = set()
        for number, each in enumerate(given):
            if each.index in seen:
                self.note(f"{place}/{number}/index", "twice")
            elif not 0 <= each.index < len(buttons):
                self.note(f"{place}/{number}/index", "unknown")
            else:
                self._button(f"{place}/{number}", buttons[each.index], each)
            seen.add(each.index)
        for index, button in enumerate(buttons):
            if index not in seen and (needed := _required(button)):
                # There is no such place yet: it is told of the list, by what the button is called.
                self.note(f"{place}/{index}/{needed}", "missing")
        filled = {each.index: each for each in given if each.index < len(buttons)}
        return tuple(
            FilledButton(button.kind, filled.get(index, ButtonFill(index=index)))
            for index, button in enumerate(buttons)
            if index in filled or button.kind in _ALWAYS_TOLD
        )

    def _button(self, place: str, button: Button, given: ButtonFill) -> None:
        fields = {name: value for name, value in _given(given).items() if name != "index"}
        for name, value in fields.items():
            if name not in _allowed(button):
                self.note(f"{place}/{name}", "kind")
            elif isinstance(value, str):
                self._text(f"{place}/{name}", value, _BUTTON_VALUE_MAX.get(name, limits.TEMPLATE_VALUE_MAX))
        needed = _required(button)
        if needed and needed not in fields:
            self.note(f"{place}/{needed}", "missing")

    def cards(self, cards: Sequence[Card], given: Sequence[CardFill]) -> tuple[FilledCard, ...]:
        if len(cards) != len(given):
            self.note("/cards", "count", wanted=len(cards), given=len(given))
        return tuple(
            FilledCard(
                header=self.header(f"/cards/{number}/header", card.header, each.header),
                body=self.body(f"/cards/{number}/body", card.body, each.body),
                buttons=self.buttons(f"/cards/{number}/buttons", card.buttons, each.buttons),
            )
            for number, (card, each) in enumerate(zip(cards, given, strict=False))
        )

    def offer(self, given: int | None) -> int | None:
        if self._definition.offer_expires and given is None:
            self.note("/offer_expires_at_ms", "missing")
        elif given is not None and not self._definition.offer_expires:
            self.note("/offer_expires_at_ms", "unknown")
        return given

    def _text(self, place: str, text: str, longest: int) -> None:
        for code, is_wrong in _TEXT_RULES:
            if is_wrong(text):
                self.note(place, code)
                return
        if len(text) > longest:
            self.note(place, "too_long", limit=longest)


# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes (132018)
_TEXT_RULES: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("empty", lambda text: not text.strip()),
    ("line_or_tab", lambda text: re.search(r"[\n\r\t\0]", text)),
    ("spaces", lambda text: " " * (limits.TEMPLATE_SPACES_MAX + 1) in text),
)
_BUTTON_VALUE_MAX = {"payload": limits.TEMPLATE_PAYLOAD_MAX, "coupon_code": limits.TEMPLATE_COUPON_MAX}

# What each kind of button takes, and which of it a send must bring.
_TAKES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "quick_reply": (("payload",), None),
    "copy_code": (("coupon_code",), "coupon_code"),
    "otp": (("text",), "text"),
    "flow": (("flow_token", "flow_data"), None),
    "catalog": (("thumbnail_product",), None),
    "mpm": (("thumbnail_product", "sections"), "sections"),
    "order_details": (("order_details",), "order_details"),
    "voice_call": (("payload",), None),
}
_ALWAYS_TOLD = ("flow", "catalog")  # Meta wants their component also when nothing goes into it

_HEADER_FIELDS = {
    "image": "image", "video": "video", "gif": "video", "document": "document", "location": "location",
    "product": "product",
}  # fmt: skip


def _wanted(header: Header | None) -> str | None:
    """The field of the filling that a header asks for, if it asks for any."""
    if header is None:
        return None
    if header.format == "text":
        return "text" if variables(header.text) else None
    return _HEADER_FIELDS.get(header.format)


def _takes(button: Button) -> tuple[tuple[str, ...], str | None]:
    if button.kind == "url":
        return (("text",), "text") if button.has_variable else ((), None)
    return _TAKES.get(button.kind, ((), None))


def _allowed(button: Button) -> tuple[str, ...]:
    return _takes(button)[0]


def _required(button: Button) -> str | None:
    return _takes(button)[1]


def _given(struct: msgspec.Struct) -> dict[str, object]:
    return {name: value for name in struct.__struct_fields__ if (value := getattr(struct, name)) is not None}


def _join(place: str, name: str) -> str:
    return f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
