"""Secrets that could be guessed, or are published."""

from __future__ import annotations

from itertools import pairwise

CHARACTERS_MIN = 16
_DISTINCT_MIN = 5
DEMO_SECRETS = frozenset({"demo-app-secret", "demo-verify-token"})
"""The simulators' own: they stand in the repository."""

_REMEDY = "set a real one, or keep HOST and PUBLIC_URL on this machine (127.0.0.1)"


def guessable(name: str, secrets: tuple[str, ...]) -> str | None:
    """A sentence on the first of a variable's values that can be guessed. Whoever guesses one is Meta to us."""
    for secret in secrets:
        if any(demo in secret.lower() for demo in DEMO_SECRETS):
            return f"{name} is the simulators' own, which everybody knows; {_REMEDY}"
        if len(secret) < CHARACTERS_MIN:
            return f"{name} has fewer than {CHARACTERS_MIN} characters and can be guessed; {_REMEDY}"
        if _is_regular(secret):
            return f"{name} is a few characters again and again, or in their order, and can be guessed; {_REMEDY}"
    return None


def _is_regular(secret: str) -> bool:
    """Whether it says little for its length: of 16 hexadecimal digits drawn by chance, one in a million does."""
    # What repeats itself fits itself some places on: "changemechangeme".
    repeats = any(secret.startswith(secret[places:]) for places in range(1, len(secret) // 2 + 1))
    # "abcdefghijklmnop", "1234567890123456", "aaaabbbbccccdddd"
    in_order = sum(abs(ord(later) - ord(one)) <= 1 for one, later in pairwise(secret))
    return repeats or in_order * 4 > len(secret) * 3 or len(set(secret)) < _DISTINCT_MIN
