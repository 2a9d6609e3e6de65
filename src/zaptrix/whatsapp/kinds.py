"""What a customer sent, by its kind: one small function each. Pure; never raises.

A kind that is not in the table, or that is not built as documented, becomes `Unknown`: visible to the operator, and
kept for an admin. https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal

from zaptrix.core.kinds import (
    NO_MARKS,
    Answer,
    Cards,
    Edited,
    Forwarded,
    InGroup,
    Location,
    Marks,
    Order,
    OrderLine,
    Product,
    Quote,
    Reaction,
    Reply,
    ReplyWay,
    Revoked,
    Unknown,
    Unsupported,
)
from zaptrix.core.limits import (
    ANSWERS_MAX,
    CARDS_MAX,
    FIELD_CHARACTERS_MAX,
    ORDER_LINES_MAX,
    WAMID_CHARACTERS_MAX,
)
from zaptrix.core.message import Media, MediaKind, Said, Words, gist_of, kind_of
from zaptrix.core.referral import Referral
from zaptrix.whatsapp.cards import card_of
from zaptrix.whatsapp.items import Context, File, Interactive, Message, OrderedProduct, ReferralItem
from zaptrix.whatsapp.markup import from_whatsapp

_KIND_MAX = 64


def content_of(item: Message) -> Said:
    """What `item` says. Something of a group is told as such: it was not said to the business alone."""
    reader = _READERS.get(item.type)
    content = (reader(item, _marks(item)) if reader else None) or _unknown(item.type, item)
    if not item.group_id:
        return content
    return InGroup(kind=kind_of(content), text=gist_of(content))


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
        source=_cut(item.source_type),
        source_id=_cut(item.source_id),
        url=_cut(item.source_url),
        headline=_cut(item.headline),
        body=_cut(item.body),
        media=_cut(item.media_type),
        click_id=_cut(item.ctwa_clid),
    )


def _product(context: Context) -> Product | None:
    found = context.referred_product
    if found is None:
        return None
    return Product(catalog_id=_cut(found.catalog_id), retailer_id=_cut(found.product_retailer_id))


# --- kinds -----------------------------------------------------------------------------------------------------------


def _text(item: Message, marks: Marks) -> Said | None:
    return Words(from_whatsapp(item.text.body), marks=marks) if item.text else None


def _media(kind: MediaKind, get: Callable[[Message], File | None]) -> Callable[[Message, Marks], Said | None]:
    def media(item: Message, marks: Marks) -> Said | None:
        file = get(item)
        if file is None:
            return None
        return Media(
            kind=kind,
            source=file.id or "",
            caption=from_whatsapp(file.caption or ""),
            name=_cut(file.filename),
            mime=_cut(file.mime_type),
            sha256=_cut(file.sha256),
            voice=kind is MediaKind.AUDIO and bool(file.voice),
            marks=marks,
        )

    return media


def _location(item: Message, marks: Marks) -> Said | None:
    place = item.location
    if place is None:
        return None
    found = _on_earth(place.latitude, 90) and _on_earth(place.longitude, 180)
    return Location(
        latitude=place.latitude if found else None,
        longitude=place.longitude if found else None,
        name=_cut(place.name),
        address=_cut(place.address),
        url=_cut(place.url),
        marks=marks,
    )


def _on_earth(degrees: float | None, most: int) -> bool:
    return degrees is not None and math.isfinite(degrees) and abs(degrees) <= most


def _contacts(item: Message, marks: Marks) -> Said | None:
    if not item.contacts:
        return None
    own = any(card.origin == "contact_request" for card in item.contacts)
    return Cards(cards=tuple(map(card_of, item.contacts[:CARDS_MAX])), own=own, marks=marks)


def _button(item: Message, marks: Marks) -> Said | None:
    pressed = item.button
    if pressed is None:
        return None
    return Reply(way=ReplyWay.TEMPLATE, id=_cut(pressed.payload), title=_cut(pressed.text), marks=marks)


def _interactive(item: Message, marks: Marks) -> Said | None:
    reply = item.interactive
    if reply is None:
        return None
    reader = _REPLIES.get(reply.type or "")
    return (reader(reply, marks) if reader else None) or _unknown(f"interactive.{reply.type or ''}", item)


def _button_reply(reply: Interactive, marks: Marks) -> Said | None:
    pressed = reply.button_reply
    if pressed is None:
        return None
    return Reply(way=ReplyWay.BUTTON, id=_cut(pressed.id), title=_cut(pressed.title), marks=marks)


def _list_reply(reply: Interactive, marks: Marks) -> Said | None:
    row = reply.list_reply
    if row is None:
        return None
    return Reply(
        way=ReplyWay.LIST, id=_cut(row.id), title=_cut(row.title), description=_cut(row.description), marks=marks
    )


def _form_reply(reply: Interactive, marks: Marks) -> Said | None:
    form = reply.nfm_reply
    if form is None:
        return None
    return Reply(
        way=ReplyWay.FLOW, id=_cut(form.name), title=_cut(form.body), answers=_answers(form.response_json), marks=marks
    )


def _answers(response_json: str | None) -> tuple[Answer, ...]:
    """The fields of a form. Its token is between programs, and no answer."""
    try:
        found = json.loads(response_json or "{}")
    except (ValueError, RecursionError):
        return (Answer("", response_json[:FIELD_CHARACTERS_MAX]),) if response_json else ()
    fields = found.items() if isinstance(found, dict) else [("", found)]
    answers = [Answer(_shown(name), _shown(value)) for name, value in fields if name != "flow_token"]
    return tuple(answers[:ANSWERS_MAX])


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Half a surrogate pair is no Unicode, and NUL cannot be stored.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:FIELD_CHARACTERS_MAX]


def _call_permission(reply: Interactive, marks: Marks) -> Said | None:
    given = reply.call_permission_reply
    return Reply(way=ReplyWay.CALL_PERMISSION, id=_cut(given.response), marks=marks) if given else None


_REPLIES: dict[str, Callable[[Interactive, Marks], Said | None]] = {
    "button_reply": _button_reply,
    "list_reply": _list_reply,
    "nfm_reply": _form_reply,
    "call_permission_reply": _call_permission,
}


def _reaction(item: Message, marks: Marks) -> Said | None:
    reaction = item.reaction
    if reaction is None:
        return None
    return Reaction(emoji=_cut(reaction.emoji), marks=_about(reaction.message_id, marks))


def _order(item: Message, marks: Marks) -> Said | None:
    order = item.order
    if order is None:
        return None
    return Order(
        lines=tuple(map(_order_line, order.product_items[:ORDER_LINES_MAX])),
        catalog_id=_cut(order.catalog_id),
        note=order.text or None,
        marks=marks,
    )


def _order_line(item: OrderedProduct) -> OrderLine:
    return OrderLine(
        product=_cut(item.product_retailer_id),
        quantity=1 if item.quantity is None else item.quantity,
        price=_price(item.item_price),
        currency=_cut(item.currency),
    )


def _price(price: float | None) -> str | None:
    """Meta writes 79.9 or 80: the shortest decimal that it can mean."""
    if price is None or not math.isfinite(price) or abs(price) > 1e12:
        return None
    return format(Decimal(repr(price)).quantize(Decimal("0.01")), "f")


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
    return Unsupported(kind=_cut(kind), code=code or None, marks=marks)


def _unknown(kind: str, item: Message) -> Said:
    return Unknown(kind=kind[:_KIND_MAX] or "none", marks=_marks(item))


def _cut(text: str | None) -> str | None:
    return (text or "")[:FIELD_CHARACTERS_MAX] or None


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
