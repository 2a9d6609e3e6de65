"""Regular expressions of the API's description, which mean the same to Python and to JavaScript."""

from __future__ import annotations


def whole(form: str) -> str:
    r"""The expression for a text that is of this form from its first to its last character.

    To Python `$` also means "before a line break at the end"; to ECMA-262, in which OpenAPI writes its patterns, it
    does not: `^[0-9]+$` alone lets `"123\n"` pass here, and what stands further down has to refuse it.
    """
    return rf"^{form}(?!\n)$"
