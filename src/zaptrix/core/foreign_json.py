"""Reading JSON that others wrote: what it may raise, and how deeply it may be nested.

Whoever reads it catches `BROKEN`, all of it: a reader that forgets one of them turns a caller's mistake, or malice,
into an error of ours. A value that could be read can still be too deep to be written again, as the interpreter's stack
bounds both; so `is_too_deep` sets one bound for all. Pure.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

BROKEN: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What reading bytes from outside may raise. (msgspec.ValidationError is a DecodeError.)"""

NESTING_MAX: Final = 64
"""Arrays and objects within one another. Nothing that a platform or a caller has to say goes half as deep."""

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def is_too_deep(raw: bytes) -> bool:
    """Whether `raw`, which is JSON, is nested more deeply than NESTING_MAX. Linear in its length."""
    if raw.count(b"[") + raw.count(b"{") <= NESTING_MAX:
        return False
    depth = 0
    for token in _TOKENS.finditer(raw):
        sign = raw[token.start()]
        if sign in b"[{":
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif sign in b"]}":
            depth -= 1
    return False
