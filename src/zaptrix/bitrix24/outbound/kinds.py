"""Renders what customers and programs said as the operator reads it: quotes, marks and every kind without text.

An open line takes text alone, so a place is a link to a map, a reaction a line that names what it is about. Pure.
https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from zaptrix.core.customer.referral import Referral
from zaptrix.core.limits import QUOTE_CHARACTERS_MAX
from zaptrix.core.message.interactive import Ask, Choices, Form, Link, Menu, PlaceWanted
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
    Quote,
    Reaction,
    Reply,
    ReplyWay,
    Revoked,
    Unknown,
    Unsupported,
)
from zaptrix.core.message.message import Interactive, MediaContent, Said, Words, kind_of
from zaptrix.core.message.text import Mark, Span, Text, rich_text
from zaptrix.core.portal import Locale
from zaptrix.core.wording.phrases import PHRASES, phrase

_QUOTE_LINES_MAX = 5
_CENT = Decimal("0.01")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)

Lines = list[list[Span]]


def shown(content: Said, locale: Locale) -> Text:
    """`content` as the operator reads it; never empty."""
    if isinstance(content, Words) and content.text and content.marks == NO_MARKS:
        return content.text
    lines = [*_marks(content.marks, locale), *_SHOWN[type(content)](content, locale)]
    spans: list[Span] = []
    for number, line in enumerate(lines):
        spans += [Span("\n"), *line] if number else line
    return rich_text(spans)


def _line(*texts: str | None) -> list[Span]:
    return [Span("".join(text for text in texts if text))]


def _label(label: str, value: str | None = None) -> list[Span]:
    return _line(label, f": {value}" if value else None)


# --- marks -----------------------------------------------------------------------------------------------------------


def _marks(marks: Marks, locale: Locale) -> Lines:
    lines: Lines = []
    if marks.standby:
        lines.append([Span(phrase("standby", locale), (Mark.ITALIC,))])
    if marks.referral:
        lines += _referral(marks.referral, locale)
    if marks.forwarded:
        code = "forwarded_often" if marks.forwarded is Forwarded.OFTEN else "forwarded"
        lines.append([Span(phrase(code, locale), (Mark.ITALIC,))])
    if marks.product:
        lines.append(_label(phrase("about_product", locale), marks.product.retailer_id))
    if marks.quote:
        lines += _quote(marks.quote, locale)
    return lines


def _referral(referral: Referral, locale: Locale) -> Lines:
    label = phrase("from_post" if referral.source == "post" else "from_ad", locale)
    told = " — ".join(text for text in (referral.headline, referral.url) if text)
    return [_label(label, told)]


def _quote(quote: Quote, locale: Locale) -> Lines:
    if quote.kind is None:
        return [[Span(phrase("quote_lost", locale), (Mark.QUOTE,))]]
    who = phrase("quote_ours" if quote.ours else "quote_theirs", locale)
    what = "" if quote.kind == "text" and quote.gist else f"[{phrase(quote.kind, locale)}] "
    gist = quote.gist[:QUOTE_CHARACTERS_MAX]
    words = f"{who}: {what}{gist}{'…' if len(gist) < len(quote.gist) else ''}".strip()
    lines = [line for line in words.split("\n") if line.strip()]
    more = ["…"] if len(lines) > _QUOTE_LINES_MAX else []
    return [[Span(line, (Mark.QUOTE,))] for line in [*lines[:_QUOTE_LINES_MAX], *more]]


# --- kinds -----------------------------------------------------------------------------------------------------------


def _words(content: Words, locale: Locale) -> Lines:
    return [list(content.text.spans)] if content.text else [_line("[", phrase("empty", locale), "]")]


def _media(content: MediaContent, locale: Locale) -> Lines:
    """Until the file itself is carried: a line that names it, with its caption."""
    label = f"[{phrase(kind_of(content), locale)}]"
    spans = [Span(f"{label} {content.name}" if content.name else label)]
    if content.caption:
        spans += [Span(" · " if content.name else " "), *content.caption.spans]
    return [spans]


def _interactive(content: Interactive, locale: Locale) -> Lines:
    """What the customer sees, from the top to what can be pressed."""
    lines: Lines = [[Span(content.header, (Mark.BOLD,))]] if content.header else []
    lines += _media(content.file, locale) if content.file else []
    lines.append(list(content.body.spans))
    lines += [[Span(content.footer, (Mark.ITALIC,))]] if content.footer else []
    return [*lines, *_ASKED[type(content.ask)](content.ask, locale)]


def _choices(ask: Choices, _locale: Locale) -> Lines:
    return [_line("🔘 ", choice.title) for choice in ask.choices]


def _menu(ask: Menu, _locale: Locale) -> Lines:
    lines = [_line("📋 ", ask.label)]
    for section in ask.sections:
        lines += [[Span(section.title, (Mark.BOLD,))]] if section.title else []
        lines += [_line("• ", row.title, f" — {row.description}" if row.description else None) for row in section.rows]
    return lines


def _link(ask: Link, _locale: Locale) -> Lines:
    return [_line("🔗 ", ask.label, ": ", ask.url)]


def _place_wanted(_ask: PlaceWanted, locale: Locale) -> Lines:
    return [_line("📍 ", phrase("place_wanted", locale))]


def _form(ask: Form, locale: Locale) -> Lines:
    return [_line("📝 ", phrase("form", locale), ": ", ask.label)]


_ASKED: dict[type[Ask], Callable[[Any, Locale], Lines]] = {
    Choices: _choices,
    Menu: _menu,
    Link: _link,
    PlaceWanted: _place_wanted,
    Form: _form,
}


def _location(content: Location, locale: Locale) -> Lines:
    lines = [_label(phrase("location_is", locale), content.name)]
    if content.address:
        lines.append(_line(content.address))
    if content.latitude is None or content.longitude is None:
        came = content.coordinates
        code = "location_unreadable" if came else "location_unknown"
        lines.append(_line(phrase(code, locale).format(what=came)))
    else:
        lines.append(_line(f"https://maps.google.com/?q={_degrees(content.latitude)},{_degrees(content.longitude)}"))
    if content.url:
        lines.append(_line(content.url))
    return lines


def _degrees(degrees: float) -> str:
    """Seven digits are a centimetre; never in powers of ten, which no map reads."""
    return f"{degrees:.7f}".rstrip("0").rstrip(".")


def _cards(content: Cards, locale: Locale) -> Lines:
    label = phrase("contact_own" if content.own else "contact_is", locale)
    return [line for card in content.cards for line in _card(card, label, locale)]


def _card(card: PersonCard, label: str, locale: Locale) -> Lines:
    lines = [_label(label, card.name)]
    lines += [_line(card.organisation)] if card.organisation else []
    lines += [_line("☎ ", phone) for phone in card.phones]
    lines += [_line("✉ ", email) for email in card.emails]
    lines += [_line("🏠 ", address) for address in card.addresses]
    lines += [_line("🔗 ", url) for url in card.urls]
    lines += [_label(phrase("birthday", locale), card.birthday)] if card.birthday else []
    return lines


def _reply(content: Reply, locale: Locale) -> Lines:
    if content.way is ReplyWay.CALL_PERMISSION:
        return [_line(phrase("calls_allowed" if content.id == "accept" else "calls_refused", locale))]
    if content.way is ReplyWay.FLOW:
        return [_line(phrase("form_filled", locale)), *map(_answer, content.answers)]
    if content.way is ReplyWay.PAYMENT:
        return _payment(content, locale)
    lines = [_label(phrase("pressed", locale), content.title or content.id)]
    return [*lines, _line(content.description)] if content.description else lines


def _payment(content: Reply, locale: Locale) -> Lines:
    """The way of payment that was chosen, and for which order: the business charges it."""
    way = content.title or ""
    known = PHRASES.get(f"pay_{way}")
    lines = [_label(phrase("payment_is", locale), f"{known[locale]} ({way})" if known else way)]
    lines += [_label(phrase("payment_order", locale), content.id)] if content.id else []
    return [*lines, *(_label(phrase(answer.name, locale), answer.value) for answer in content.answers)]


def _answer(answer: FormAnswer) -> list[Span]:
    return _line(answer.name, ": " if answer.name else "", answer.value)


def _reaction(content: Reaction, locale: Locale) -> Lines:
    if content.emoji is None:
        return [_line(phrase("reaction_removed", locale))]
    return [_line(phrase("reacted", locale), " ", content.emoji)]


def _order(content: Order, locale: Locale) -> Lines:
    catalog = f" ({phrase('catalog', locale)} {content.catalog_id})" if content.catalog_id else None
    lines = [_line(phrase("order_is", locale), catalog), *map(_order_line, content.lines)]
    totals, left_out = _totals(content.lines)
    label = phrase("total", locale) if not left_out else phrase("total_without", locale).format(count=left_out)
    lines += [_label(label, f"{currency} {_money(total)}".strip()) for currency, total in totals.items()]
    lines += [_label(label)] if left_out and not totals else []
    return [*lines, _line(content.note)] if content.note else lines


def _order_line(line: OrderLine) -> list[Span]:
    price = f" — {line.currency or ''} {line.price}".replace("—  ", "— ") if line.price else None
    quantity = "" if line.quantity is None else f"{line.quantity} × "
    return _line(f"{quantity}{line.product or '?'}", price)


def _totals(lines: Iterable[OrderLine]) -> tuple[dict[str, Decimal], int]:
    """The totals by currency, and how many lines are in none of them, because something in them is no number."""
    totals: dict[str, Decimal] = {}
    left_out = 0
    for line in lines:
        price, quantity = _number(line.price), _number(line.quantity)
        if price is None or quantity is None:
            left_out += 1
            continue
        currency = line.currency or ""
        totals[currency] = totals.get(currency, Decimal()) + price * quantity
    return totals, left_out


def _money(total: Decimal) -> str:
    """Two decimals, or more where there are more: 20.000 would be read as twenty thousand."""
    cents = total.quantize(_CENT)
    return format(cents if cents == total else total.normalize(), "f")


def _number(text: str | int | None) -> Decimal | None:
    # Decimal alone would take an underscore, an infinity and the digits of other scripts.
    return Decimal(text) if text is not None and _NUMBER.fullmatch(str(text)) else None


def _edited(content: Edited, locale: Locale) -> Lines:
    label = phrase("edited_to", locale)
    return [[Span(f"{label}: "), *content.text.spans]] if content.text else [_line(label)]


def _revoked(_content: Revoked, locale: Locale) -> Lines:
    return [_line(phrase("was_revoked", locale))]


def _in_group(content: InGroup, locale: Locale) -> Lines:
    if content.said is not None:
        return [_label(phrase("in_group", locale)), *_SHOWN[type(content.said)](content.said, locale)]
    what = "" if content.kind == "text" else f"[{phrase(content.kind, locale)}] "
    return [_label(phrase("in_group", locale)), _line(f"{what}{content.text}".strip() or "—")]


# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
_BY_CODE = {131060: "look_at_the_phone", 131052: "too_large"}


def _unsupported(content: Unsupported, locale: Locale) -> Lines:
    code = _BY_CODE.get(content.code or 0, "cannot_show")
    known = content.kind if content.kind in PHRASES else None
    what = f" ({phrase(known, locale)})" if known else ""
    return [_line(phrase(code, locale).format(what=what)), *map(_answer, content.fields)]


def _unknown(content: Unknown, locale: Locale) -> Lines:
    return [_line(phrase("cannot_show", locale).format(what="")), *map(_answer, content.fields)]


# Each function takes its own kind: the table is what joins them.
_SHOWN: dict[type[Any], Callable[[Any, Locale], Lines]] = {
    Words: _words,
    MediaContent: _media,
    Interactive: _interactive,
    Location: _location,
    Cards: _cards,
    Reply: _reply,
    Reaction: _reaction,
    Order: _order,
    Edited: _edited,
    Revoked: _revoked,
    InGroup: _in_group,
    Unsupported: _unsupported,
    Unknown: _unknown,
}
