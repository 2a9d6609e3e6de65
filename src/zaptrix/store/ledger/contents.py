"""Contents of messages as the ledger keeps them: JSON, without what neither PostgreSQL nor UTF-8 can hold.

A NUL character, or half of a surrogate pair, may come out of any platform's text, name or address. A message with a
damage beats a message that is refused. https://www.postgresql.org/docs/current/datatype-json.html
"""

from __future__ import annotations

import re

import msgspec

from zaptrix.core.message.message import Content, Said

_encode = msgspec.json.Encoder().encode
_said = msgspec.json.Decoder(Said)
_content = msgspec.json.Decoder(Content)
# Of the escape, and not of a backslash that somebody wrote before it.
_NUL = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")


def encoded(content: Content) -> str:
    """The JSON of `content`."""
    try:
        told = _encode(content).decode()
    except UnicodeEncodeError:
        whole = msgspec.to_builtins(content)
        told = _encode(_mended(whole)).decode()
    return _NUL.sub(r"\1", told) if r"\u0000" in told else told


def as_kept(said: Said) -> Said:
    """`said` as it comes back from the ledger, so that the same words are known again."""
    kept: Said = _said.decode(encoded(said))
    return kept


def as_stored(content: Content) -> Content:
    """`content` as it comes back from the ledger."""
    stored: Content = _content.decode(encoded(content))
    return stored


def _mended(value: object) -> object:
    """Two halves that met become their sign; one alone becomes U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(name): _mended(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    return value
