"""What a platform says against taking a number or a portal, as problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from zaptrix.core.access.ownership import TOLD, Denial, NotOwned
from zaptrix.core.delivery.errors import PlatformError, Unauthorized
from zaptrix.core.wording.catalog import Sentence
from zaptrix.store.accounts.api_keys import ApiKey
from zaptrix.web.http.problems import CONFLICT, NOT_OWNED, Problem, WrongField, unavailable

_FIELDS: Final = {
    Denial.NUMBER_TOKEN: "/access_token",
    Denial.NUMBER: "/phone_number_id",
    Denial.ACCOUNT: "/waba_id",
    Denial.PORTAL_TOKEN: "/access_token",
    Denial.ADDRESS: "/portal_url",
    Denial.MEMBER: "/member_id",
    Denial.APPLICATION: "/client_id",
}
_LOST: Final = Sentence("api.ownership.lost")
_CANNOT: Final = Sentence("api.ownership.cannot")


@contextmanager
def told_ownership(who: str) -> Iterator[None]:
    """`who` is asked: what it denies is 422, and when it cannot be asked that is 503."""
    try:
        yield
    except NotOwned as exc:
        words = TOLD[exc.denial]
        told = words if exc.code == exc.denial else Sentence("api.ownership.by_code", {"told": words, "code": exc.code})
        raise Problem(NOT_OWNED, told, errors=[WrongField(_FIELDS[exc.denial], words, exc.denial)]) from None
    except Unauthorized as exc:
        raise Problem(NOT_OWNED, _LOST, errors=[WrongField("/access_token", _LOST, exc.code)]) from None
    except PlatformError as exc:
        away = Sentence("api.ownership.unclear", {"who": who, "code": exc.code})
        raise unavailable(away) from None


def taken(caller: ApiKey, field: str, told: Sentence) -> Problem:
    """Another row has this value. A portal's key does not learn so: whose it is, and whether, is nothing to it."""
    admin = caller.portal_id is None
    return Problem(CONFLICT, errors=[WrongField(field, told, "taken") if admin else WrongField(field, _CANNOT)])
