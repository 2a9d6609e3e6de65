"""docs/ERRORS.md, written from the tables of error codes: `python -m tests.house.error_page` writes it anew."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from zaptrix.bitrix24.rest import code_table
from zaptrix.core.portal import Locale
from zaptrix.core.wording.error_codes import OWN, ErrorClass, Rule, notice_of
from zaptrix.core.wording.notices import NOTICES
from zaptrix.whatsapp.codes import codes as meta

PAGE = Path(__file__).parents[2] / "docs" / "ERRORS.md"

VERDICTS = {
    ErrorClass.TOO_FAST: "snooze",
    ErrorClass.UNAVAILABLE: "retry, until an outage has lasted too long",
    ErrorClass.UNCLEAR: "verify, then send again only when it surely did not arrive",
    ErrorClass.REFUSED: "bury",
    ErrorClass.CHANNEL: "pause the channel",
    ErrorClass.PORTAL: "pause the portal",
    ErrorClass.UNEXPECTED: "retry twice, then bury; alarm",
}

HEAD = """# Error codes

Each code that a platform documents, what the gateway does about it, which line the operator gets in the chat when the
message is given up, and what an admin does. The rows stand in `src/zaptrix/whatsapp/codes/*_codes.py` and
`src/zaptrix/bitrix24/rest/code_table.py`, the texts in `src/zaptrix/core/wording/`; this page is written from them by
`python -m tests.house.error_page`, and a test holds them together. The lines for the operator are at the end. The API
gives all of this with each failed message, in the language that `?lang=` or `Accept-Language` asks for:
`GET /api/messages/{id}` and `GET /api/dead-letters`, under `explanation`.

`100/33` is code 100 with subcode 33. A code that stands in no table is judged by its HTTP status: 429 is a limit, 401,
402 and 403 pause what stands behind the key, 5xx may have acted; any other is tried twice more, then buried with an
alarm. Where a page for people answers in place of the platform (404 of a host that is gone, 403 of a proxy) the message
is tried five times, then its portal or channel is paused: no message is to blame for it. A code without a row that
WhatsApp tells of after taking a message is buried at once. What WhatsApp tells of after taking a
message is always final: the operator gets the line, and may send again.

100, 131009 and 131053 may be about a file: where the message names one by the id of an upload of ours, that is made
anew and the message sent once more, before anything is buried.

| verdict | when |
| --- | --- |
"""


def written() -> str:
    """The whole page."""
    lines = [HEAD.rstrip("\n")]
    lines += [f"| {verdict} | {_WHEN[kind]} |" for kind, verdict in VERDICTS.items()]
    lines += _section("Meta", meta.RULES, meta.PAGE)
    lines += _section("Bitrix24", code_table.RULES, code_table.PAGE)
    lines += _section("Our own", OWN, "")
    lines += ["", "## Lines for the operator", "", "| line | pt-BR | en |", "| --- | --- | --- |"]
    lines += [f"| {code} | {texts[Locale.PT_BR]} | {texts[Locale.EN]} |" for code, texts in NOTICES.items()]
    return "\n".join(lines) + "\n"


_WHEN = {
    ErrorClass.TOO_FAST: "a limit was met: wait, it costs no attempt",
    ErrorClass.UNAVAILABLE: "the platform surely did not act",
    ErrorClass.UNCLEAR: "it may have acted",
    ErrorClass.REFUSED: "it will never be taken as it is",
    ErrorClass.CHANNEL: "the key to a number or a line is bad: everything behind it is held",
    ErrorClass.PORTAL: "the key to a portal is bad: everything behind it is held",
    ErrorClass.UNEXPECTED: "an error that names no cause",
}


def _section(title: str, rules: Iterable[Rule], page: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if page:
        yield from (f"Documented by the platform: <{page}>", "")
    yield from ("| code | verdict | operator's line | admin (pt-BR) | admin (en) |", "| --- | --- | --- | --- | --- |")
    for rule in rules:
        verdict = VERDICTS[rule.kind]
        if rule.elsewhere:
            verdict += f"; in calls that carry no message: {VERDICTS[rule.elsewhere]}"
        if rule.wait_s is not None:
            verdict += f" {rule.wait_s:g} s"
        cited = f" ([page]({rule.page}))" if rule.page else ""
        fixes = " | ".join(rule.fix.of(locale) for locale in (Locale.PT_BR, Locale.EN))
        yield f"| {_codes(rule)}{cited} | {verdict} | {notice_of(rule)} | {fixes} |"


def _codes(rule: Rule) -> str:
    return ", ".join(f"{code[0]}–{code[-1]}" if isinstance(code, range) else f"{code}" for code in rule.codes)


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
