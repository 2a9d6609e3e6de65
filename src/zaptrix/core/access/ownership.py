"""Ownership: what is unique across tenants is taken only by whom the platform itself says that it is theirs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.wording.catalog import Locale, Sentence


class Denial(StrEnum):
    """What a platform says against it."""

    NUMBER_TOKEN = "number_token_refused"  # noqa: S105
    NUMBER = "number_not_opened"
    ACCOUNT = "another_account"
    PORTAL_TOKEN = "portal_token_refused"  # noqa: S105
    ADDRESS = "not_a_portal"
    MEMBER = "another_portal"
    APPLICATION = "another_application"


TOLD: Final = {denial: Sentence(f"ownership.{denial}") for denial in Denial}


class NotOwned(PlatformError):
    """The platform says that it is not the caller's. `code` is the platform's own where it gave one."""

    def __init__(self, denial: Denial, code: str = "") -> None:
        super().__init__(code or denial, TOLD[denial].of(Locale.EN))
        self.denial = denial
