"""Captured events of Bitrix24: forms as PHP builds them, a field a line, the brackets of names left to be read.

https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from zaptrix.bitrix24.inbound.form import parse_form

_FILES = sorted((Path(__file__).parent / "fixtures").glob("*.form"))

# The chat of the files.
CHAT = "zx1-00000000000000000000000000000002-00000000000000000000000000000003"


def _body(path: Path) -> bytes:
    fields = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return "&".join(f"{quote_plus(name)}={value}" for name, _, value in fields).encode()


BODIES = {path.stem: _body(path) for path in _FILES}
TREES: dict[str, Any] = {name: parse_form(body) for name, body in BODIES.items()}


def form_of(tree: Any) -> bytes:
    """PHP's `http_build_query`: scalars are texts, nulls and empty lists vanish."""
    return "&".join(field for name, value in tree.items() for field in _fields(name, value)).encode()


def _fields(name: str, value: Any) -> list[str]:
    if isinstance(value, dict | list):
        below = value.items() if isinstance(value, dict) else enumerate(value)
        return [field for key, each in below for field in _fields(f"{name}[{key}]", each)]
    if value is None:
        return []
    text = str(int(value)) if isinstance(value, bool) else str(value)
    # Half an emoji leaves PHP as the bytes that it is, which are no UTF-8.
    return [f"{quote_plus(name)}={quote_plus(text, errors='surrogatepass')}"]
