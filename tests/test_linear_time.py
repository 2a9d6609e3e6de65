"""Every function that reads what others wrote takes at most two and a half times as long for twice the input.

A function that reads foreign text belongs into `READERS`: one line. Time is the processor's time of this thread, the
best of several, so that a busy machine changes nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote_plus

import pytest

from zaptrix.bitrix24.disknames import linked_in
from zaptrix.bitrix24.inbound.attachments import attached_lines, attached_links
from zaptrix.bitrix24.inbound.form import BadForm, parse_form
from zaptrix.bitrix24.inbound.operators import message_added
from zaptrix.bitrix24.inbound.quotes import split_quote
from zaptrix.bitrix24.markup.markup import from_bbcode, split_signature, to_bbcode
from zaptrix.bitrix24.outbound.split_text import in_parts as to_portal
from zaptrix.bitrix24.wire import sent_files
from zaptrix.core.customer.display_name import clean_name
from zaptrix.core.message.kinds import Quote
from zaptrix.core.message.matching import Candidate, best_match, tidy
from zaptrix.core.message.media import fitting_name
from zaptrix.core.message.message import Words
from zaptrix.core.message.text import Mark, Span, Text, in_a_line, plain_text, rich_text
from zaptrix.core.wording.notices import is_notice
from zaptrix.store.ledger.contents import encoded
from zaptrix.telemetry.redact import redact_text, redactor
from zaptrix.whatsapp.markup.markup import from_whatsapp, to_whatsapp
from zaptrix.whatsapp.outbound.quoted import in_words
from zaptrix.whatsapp.outbound.split_text import in_parts, may_be_long

pytestmark = pytest.mark.slow

RATIO = 2.5
ENOUGH_S = 0.004
LEAST = 4_096  # characters
MOST = 65_536  # characters: twice as many are more than any of these is given
TRIES = 6
BOLD = (Mark.BOLD,)
FRAME = "-" * 54


def _form(text: str) -> None:
    with suppress(BadForm):
        parse_form(text.encode())


def _event(text: str) -> object:
    files = [{"name": text[:100], "downloadLink": text[:100], "link": "https://a.test/x"}]
    links = [{"LINK": {"LINK": f"https://a.test/{number}"}} for number in range(len(text) // 40)]
    message = {"text": f"[b]Bia:[/b] [br]{text}", "user_id": "27", "files": files, "attachments": links}
    return {"MESSAGES": [{"im": {"chat_id": 1, "message_id": 2}, "chat": {"id": "zx1"}, "message": message}]}


def _links(text: str) -> list[object]:
    return [{"LINK": {"LINK": f"https://a.test/{number}/{text[:8]}"}} for number in range(len(text) // 40)]


READERS: dict[str, Callable[[str], object]] = {
    "from_whatsapp": from_whatsapp,
    "to_whatsapp": lambda text: to_whatsapp(plain_text(text)),
    "to_whatsapp, bold": lambda text: to_whatsapp(Text((Span(text, BOLD),))),
    "to_whatsapp, as read": lambda text: to_whatsapp(from_whatsapp(text)),
    "to_whatsapp, code": lambda text: to_whatsapp(Text((Span(text, (Mark.CODE,)),))),
    # Several parts in any case: a text of one costs less.
    "in_parts": lambda text: in_parts(plain_text(text * 4), "Bia"),
    "in_parts, as read": lambda text: in_parts(from_whatsapp(text * 4), None),
    "may_be_long": lambda text: may_be_long(plain_text(text)),
    "in_words": lambda text: in_words(Words(plain_text(text)), Quote(whatsapp_id="1", kind="text", gist=text)),
    "from_bbcode": from_bbcode,
    "to_bbcode": lambda text: to_bbcode(plain_text(text)),
    "to_bbcode, as read": lambda text: to_bbcode(from_bbcode(text)),
    "to_bbcode, code": lambda text: to_bbcode(Text((Span(text, (Mark.CODE,)),))),
    "in_parts, to a portal": lambda text: list(to_portal(plain_text(text * 16))),
    "split_signature": lambda text: split_signature(f"[b]{text}", with_files=True),
    "split_quote": split_quote,
    "split_quote, framed": lambda text: split_quote(f"{FRAME}\n{text}\n"),
    "split_quote, tagged": lambda text: split_quote(f"[quote]{text}"),
    "attached_lines": lambda text: attached_lines([{"MESSAGE": text}, text], text),
    "attached_links": lambda text: attached_links(_links(text), but=text),
    "message_added": lambda text: message_added(_event(text)),
    "sent_files": lambda text: sent_files([{"name": text, "downloadLink": text, "link": text, "size": text}]),
    "linked_in": linked_in,
    "parse_form": lambda text: _form(f"data[a]={quote_plus(text)}&{text}"),
    "tidy": tidy,
    "best_match": lambda text: best_match(text, text, [Candidate((text, text[1:], "oi"), text)]),
    "in_a_line": lambda text: in_a_line(text, 60),
    "rich_text": lambda text: rich_text(Span(character) for character in text),
    "rich_text, of many looks": lambda text: rich_text(
        Span(character, BOLD if place % 2 else ()) for place, character in enumerate(text)
    ),
    "clean_name": clean_name,
    "fitting_name": lambda text: fitting_name(text, "image/jpeg"),
    "is_notice": is_notice,
    "redact_text": redact_text,
    "redactor": lambda text: redactor(["a-secret-word"])({"event": text, "detail": {"a": [text]}}),
    "encoded": lambda text: encoded(Words(plain_text(text + "\0"))),
}

# What made something slow once, or is made of what these functions look for.
ALPHABET = [
    "*", "_*~a~*_ ", "*a* ", " *a", "`", "`a ", "```a", "```a``` ", "a`b ", "> ", "_*~", "____ ", "https://", "www.a_",
    "PROMO_10* ", "\n", " \n", "a ", " ", "\u200b*", "\N{REGIONAL INDICATOR SYMBOL LETTER B}", "e\u0301", "((", "[b]",
    "www.a[b] ", "www.a[b]", "000201260", "00020126 6304a ",
    "[b]a[/b]", "[url=x]", "[url=a]b[/url]", "[/url]", "[table][tr][td]x", "[list][*]", "[quote]\n", ">>a\n",
    f"{FRAME}\n", "-", "[code]", "[img]", "[icon= title=a ", "&amp;", "#br#", "/me\n", "[email=a@b.c]", "[[", "a[]=1&",
    "a[1000]=1&a[]=1&", "%41", "bearer ", "token = ", "+5511", "://a", "?a", '{"BLOCKS":[',
    "Mensagem não entregue no WhatsApp: ela passa de ", "https://a.test/im.file.php?FILE_ID=",
]  # fmt: skip


def spent(reader: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    reader(text)
    return time.thread_time() - begun


def grows_too_fast(reader: Callable[[str], object], unit: str) -> float | None:
    """How much longer twice the input takes, when that is too much."""

    def text(length: int) -> str:
        return (unit * (length // len(unit) + 1))[:length]

    length = LEAST
    while length < MOST and spent(reader, text(length)) < ENOUGH_S:
        length *= 2
    once, twice = text(length), text(2 * length)
    short, long = [], []
    for _ in range(TRIES):
        short.append(spent(reader, once))
        long.append(spent(reader, twice))
        if min(long) <= RATIO * min(short) + 0.001:
            return None
    return min(long) / min(short)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.timeout(120)
def test_twice_the_input_takes_about_twice_the_time(name: str) -> None:
    gc.collect()
    gc.disable()
    try:
        suspects = [unit for unit in ALPHABET if grows_too_fast(READERS[name], unit)]
        # What is not linear is so every time; what only met another process on its core is not.
        slow = {unit: ratio for unit in suspects if (ratio := grows_too_fast(READERS[name], unit))}
    finally:
        gc.enable()
    assert slow == {}
