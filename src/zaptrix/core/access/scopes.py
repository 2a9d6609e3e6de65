"""Scopes: what an API key may do, beside whom it may do it for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class KeyScope(StrEnum):
    """A kind of call. None of them holds another."""

    READ = "read"  # see: lists, messages, templates, states
    SEND = "send"  # send messages
    MANAGE = "manage"  # everything else: portals, channels, templates, dead letters, events


EVERY_SCOPE: Final = frozenset(KeyScope)
