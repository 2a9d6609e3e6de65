"""Secrets that a stranger could find out."""

from __future__ import annotations

CHARACTERS_MIN = 16
DEMO_SECRETS = frozenset({"demo-app-secret", "demo-verify-token"})
"""The simulators' own: they stand in the repository."""

_REMEDY = "set a real one, or keep HOST and PUBLIC_URL on this machine (127.0.0.1)"


def guessable(name: str, secrets: tuple[str, ...]) -> str | None:
    """A sentence on the first of a variable's values that can be guessed. Whoever guesses one is Meta to us."""
    for secret in secrets:
        if secret in DEMO_SECRETS:
            return f"{name} is the simulators' own, which everybody knows; {_REMEDY}"
        if len(secret) < CHARACTERS_MIN:
            return f"{name} has fewer than {CHARACTERS_MIN} characters and can be guessed; {_REMEDY}"
    return None
