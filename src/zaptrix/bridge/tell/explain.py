"""Explain: a message's error code, for people: what the operator was told, and what an admin can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from zaptrix.core.message.message import Direction, Notice, Side, State
from zaptrix.core.portal import Locale
from zaptrix.core.wording.error_codes import UNKNOWN_FIX, CodeTable, ErrorClass, own_rule
from zaptrix.core.wording.notices import notice_text
from zaptrix.store.ledger.views import MessageView


class Explanation(Struct, frozen=True, kw_only=True):
    """What an error code means, in the language that was asked for."""

    code: str
    detail: str | None
    kind: Annotated[
        str,
        Meta(
            description="too_fast, unavailable, unclear, refused, channel (its key is bad), portal (its key is bad), "
            "unexpected."
        ),
    ]
    operator: Annotated[str | None, Meta(description="The line that the operator got; null when none was said.")]
    notice: Annotated[str | None, Meta(description="The code of that line.")]
    admin: Annotated[str, Meta(description="What an admin can do about it.")]
    page: Annotated[str | None, Meta(description="Where the platform documents the code.")]
    language: Locale


def explain(
    message: MessageView, told: Notice | None, locale: Locale, codes: Mapping[Side, CodeTable]
) -> Explanation | None:
    """The error that a message stands in, and what the operator was told of it; None when it stands in none."""
    code = message.error_code
    if code is None or message.state not in _IN_TROUBLE:
        return None
    table = codes[Side.WHATSAPP if message.direction == Direction.OUTBOUND else Side.BITRIX24]
    of_platform = table.rule_of(code)
    rule = of_platform or own_rule(code)
    return Explanation(
        code=code,
        detail=message.error_detail or None,
        kind=rule.kind if rule else ErrorClass.UNEXPECTED,
        operator=notice_text(told.code, told.params, locale) if told else None,
        notice=told.code if told else None,
        admin=(rule.fix if rule else UNKNOWN_FIX).of(locale),
        page=(of_platform.page or table.page) if of_platform else None,
        language=locale,
    )


_IN_TROUBLE = frozenset({State.PENDING, State.VERIFYING, State.SENDING, State.DEAD})
