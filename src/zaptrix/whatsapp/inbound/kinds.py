"""Translates what a customer sent, by its kind: one small function each.

A kind that is not in the table, or that is not built as documented, becomes `Unknown`: visible to the operator, and
kept for an admin. Pure; never raises.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

from msgspec import Raw
from msgspec.structs import replace

from zaptrix.core.customer.referral import Referral
from zaptrix.core.limits import WAMID_CHARACTERS_MAX
from zaptrix.core.message.kinds import (
    NO_MARKS,
    Cards,
    Edited,
    FormAnswer,
    Forwarded,
    InGroup,
    Location,
    Marks,
    Order,
    OrderLine,
    PersonCard,
    ProductReference,
    Quote,
    Reaction,
    Reply,
    ReplyWay,
    Revoked,
    Ungrouped,
    Unknown,
    Unsupported,
)
from zaptrix.core.message.message import MediaContent, MediaKind, Said, Words, gist_of, kind_of
from zaptrix.whatsapp.inbound.cards import card_of
from zaptrix.whatsapp.inbound.fields import amount_of, degrees_of, fields_of, shown_value
from zaptrix.whatsapp.items import Context, File, InteractiveReply, Message, OrderedProduct, ReferralItem
from zaptrix.whatsapp.markup.markup import from_whatsapp

_KIND_MAX = 64
_QUANTITY_DIGITS = 12
_OF_PAYMENT = frozenset({"payment_method", "reference_id", "payment_timestamp"})  # told in words, or by the message


def content_of(item: Message, body: Raw | bytes = b"") -> Said:
    """What `item` says; `body` is the event that it came in, for what no reader knows.

    Something of a group is told as such: it was not said to the business alone.
    """
    reader = _READERS.get(item.type)
    content = (reader(item, _marks(item)) if reader else None) or _unknown(item.type, item)
    if isinstance(content, Unknown | Unsupported):
        content = replace(content, fields=fields_of(body))
    elif isinstance(content, Reply) and content.way is ReplyWay.PAYMENT:
        more = [field for field in fields_of(body) if field.name not in _OF_PAYMENT]
        content = replace(content, answers=tuple(more))
    elif _says_nothing(content, item) and (fields := fields_of(body)):
        form = isinstance(content, Reply)
        content = replace(content, answers=fields) if form else replace(_unknown(item.type, item), fields=fields)
    if not item.group_id:
        return content
    wordless = content if isinstance(content, get_args(Ungrouped)) else None
    return InGroup(kind=kind_of(content), text=gist_of(content), said=wordless)


def _says_nothing(content: Said, item: Message) -> bool:
    """Whether nothing was where its kind has it: what came all the same is told field by field."""
    match content:
        case Words():
            return not content.text.plain
        case Cards():
            return all(replace(card, vcard="") == PersonCard() for card in content.cards)
        case Reply(way=ReplyWay.FLOW):
            form = item.interactive.nfm_reply if item.interactive else None
            return form is not None and form.response_json is None
        case _:
            return False


# --- marks -----------------------------------------------------------------------------------------------------------


def _marks(item: Message) -> Marks:
    if item.context is None and item.referral is None:
        return NO_MARKS
    context = item.context or Context()
    marks = Marks(
        quote=_quote(context.id),
        forwarded=_forwarded(context),
        referral=_referral(item.referral) if item.referral else None,
        product=_product(context),
    )
    return NO_MARKS if marks == NO_MARKS else marks


def _quote(wamid: str | None) -> Quote | None:
    return Quote(whatsapp_id=wamid) if wamid and len(wamid) <= WAMID_CHARACTERS_MAX else None


def _about(wamid: str | None, marks: Marks) -> Marks:
    """The marks of what speaks of another message as its whole purpose."""
    return Marks(quote=_quote(wamid) or marks.quote, forwarded=marks.forwarded, referral=marks.referral)


def _forwarded(context: Context) -> Forwarded | None:
    if context.frequently_forwarded:
        return Forwarded.OFTEN
    return Forwarded.ONCE if context.forwarded else None


def _referral(item: ReferralItem) -> Referral:
    return Referral(
        source=_told(item.source_type),
        source_id=_told(item.source_id),
        url=_told(item.source_url),
        headline=_told(item.headline),
        body=_told(item.body),
        media=_told(item.media_type),
        click_id=_told(item.ctwa_clid),
    )


def _product(context: Context) -> ProductReference | None:
    found = context.referred_product
    if found is None:
        return None
    return ProductReference(catalog_id=_told(found.catalog_id), retailer_id=_told(found.product_retailer_id))


# --- kinds -----------------------------------------------------------------------------------------------------------


def _text(item: Message, marks: Marks) -> Said | None:
    return Words(from_whatsapp(item.text.body), marks=marks) if item.text else None


def _media(kind: MediaKind, get: Callable[[Message], File | None]) -> Callable[[Message, Marks], Said | None]:
    def media(item: Message, marks: Marks) -> Said | None:
        file = get(item)
        if file is None:
            return None
        return MediaContent(
            kind=kind,
            source=file.id or "",
            caption=from_whatsapp(file.caption or ""),
            name=_told(file.filename),
            mime=_told(file.mime_type),
            sha256=_told(file.sha256),
            voice=kind is MediaKind.AUDIO and bool(file.voice),
            marks=marks,
        )

    return media


def _location(item: Message, marks: Marks) -> Said | None:
    place = item.location
    if place is None:
        return None
    latitude, longitude = degrees_of(place.latitude, 90), degrees_of(place.longitude, 180)
    found = latitude is not None and longitude is not None
    came = [shown_value(one) for one in (place.latitude, place.longitude) if one is not None]
    return Location(
        latitude=latitude if found else None,
        longitude=longitude if found else None,
        coordinates=None if found else ", ".join(came) or None,
        name=_told(place.name),
        address=_told(place.address),
        url=_told(place.url),
        marks=marks,
    )


def _contacts(item: Message, marks: Marks) -> Said | None:
    if not item.contacts:
        return None
    own = any(card.origin == "contact_request" for card in item.contacts)
    return Cards(cards=tuple(map(card_of, item.contacts)), own=own, marks=marks)


def _button(item: Message, marks: Marks) -> Said | None:
    pressed = item.button
    if pressed is None:
        return None
    return Reply(way=ReplyWay.TEMPLATE, id=_told(pressed.payload), title=_told(pressed.text), marks=marks)


def _interactive(item: Message, marks: Marks) -> Said | None:
    reply = item.interactive
    if reply is None:
        return None
    reader = _REPLIES.get(reply.type or "")
    return (reader(reply, marks) if reader else None) or _unknown(f"interactive.{reply.type or ''}", item)


def _button_reply(reply: InteractiveReply, marks: Marks) -> Said | None:
    pressed = reply.button_reply
    if pressed is None:
        return None
    return Reply(way=ReplyWay.BUTTON, id=_told(pressed.id), title=_told(pressed.title), marks=marks)


def _list_reply(reply: InteractiveReply, marks: Marks) -> Said | None:
    row = reply.list_reply
    if row is None:
        return None
    return Reply(
        way=ReplyWay.LIST, id=_told(row.id), title=_told(row.title), description=_told(row.description), marks=marks
    )


def _form_reply(reply: InteractiveReply, marks: Marks) -> Said | None:
    form = reply.nfm_reply
    if form is None:
        return None
    return Reply(
        way=ReplyWay.FLOW,
        id=_told(form.name),
        title=_told(form.body),
        answers=_answers(form.response_json),
        marks=marks,
    )


def _answers(response_json: str | None) -> tuple[FormAnswer, ...]:
    """The fields of a form. Its token is between programs, and no answer."""
    try:
        # A number with a point is shown as it was written: as a float it would be rounded.
        found = json.loads(response_json or "{}", parse_float=str)
    except (ValueError, RecursionError):
        return (FormAnswer("", response_json),) if response_json else ()
    fields = found.items() if isinstance(found, dict) else [("", found)]
    return tuple(FormAnswer(shown_value(name), shown_value(value)) for name, value in fields if name != "flow_token")


def _call_permission(reply: InteractiveReply, marks: Marks) -> Said | None:
    given = reply.call_permission_reply
    return Reply(way=ReplyWay.CALL_PERMISSION, id=_told(given.response), marks=marks) if given else None


def _payment_method(reply: InteractiveReply, marks: Marks) -> Said | None:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/payments/payments-br/one-click-payments"""
    chosen = reply.payment_method
    if chosen is None:
        return None
    return Reply(way=ReplyWay.PAYMENT, id=_told(chosen.reference_id), title=_told(chosen.payment_method), marks=marks)


_REPLIES: dict[str, Callable[[InteractiveReply, Marks], Said | None]] = {
    "button_reply": _button_reply,
    "list_reply": _list_reply,
    "nfm_reply": _form_reply,
    "call_permission_reply": _call_permission,
    "payment_method": _payment_method,
}


def _reaction(item: Message, marks: Marks) -> Said | None:
    reaction = item.reaction
    if reaction is None:
        return None
    return Reaction(emoji=_told(reaction.emoji), marks=_about(reaction.message_id, marks))


def _order(item: Message, marks: Marks) -> Said | None:
    order = item.order
    if order is None:
        return None
    return Order(
        lines=tuple(map(_order_line, order.product_items)),
        catalog_id=_told(order.catalog_id),
        note=order.text or None,
        marks=marks,
    )


def _order_line(item: OrderedProduct) -> OrderLine:
    return OrderLine(
        product=_told(item.product_retailer_id),
        quantity=_quantity(item.quantity),
        price=amount_of(item.item_price, cents=True),
        currency=_told(item.currency),
    )


def _quantity(came: object) -> int | str | None:
    """Pieces; what is no whole number is the text that came."""
    text = amount_of(came)
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _QUANTITY_DIGITS else text


def _edited(item: Message, marks: Marks) -> Said | None:
    edit = item.edit
    if edit is None:
        return None
    new = edit.message
    text = new.text.body if new and new.text else ""
    files = (new.image, new.video, new.document) if new else ()
    caption = next((file.caption for file in files if file and file.caption), "")
    return Edited(text=from_whatsapp(text or caption), marks=_about(edit.original_message_id, marks))


def _revoked(item: Message, marks: Marks) -> Said | None:
    return Revoked(marks=_about(item.revoke.original_message_id if item.revoke else None, marks))


def _unsupported(item: Message, marks: Marks) -> Said | None:
    kind = item.unsupported.type if item.unsupported else None
    code = item.errors[0].code if item.errors else None
    return Unsupported(kind=_told(kind), code=code or None, marks=marks)


def _unknown(kind: str, item: Message) -> Said:
    return Unknown(kind=kind[:_KIND_MAX] or "none", marks=_marks(item))


def _told(text: str | None) -> str | None:
    return text or None


_READERS: dict[str, Callable[[Message, Marks], Said | None]] = {
    "text": _text,
    "image": _media(MediaKind.IMAGE, lambda item: item.image),
    "video": _media(MediaKind.VIDEO, lambda item: item.video),
    "audio": _media(MediaKind.AUDIO, lambda item: item.audio),
    "document": _media(MediaKind.DOCUMENT, lambda item: item.document),
    "sticker": _media(MediaKind.STICKER, lambda item: item.sticker),
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "order": _order,
    "edit": _edited,
    "revoke": _revoked,
    "unsupported": _unsupported,
}
