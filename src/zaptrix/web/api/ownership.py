"""What a platform says against taking a number or a portal, as problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from zaptrix.core.codes import Both
from zaptrix.core.errors import PlatformError, Unauthorized
from zaptrix.core.ownership import TOLD, Denial, NotOwned
from zaptrix.store.api_keys import ApiKey
from zaptrix.web.problems import CONFLICT, NOT_OWNED, Problem, WrongField, unavailable

_FIELDS: Final = {
    Denial.NUMBER_TOKEN: "/access_token",
    Denial.NUMBER: "/phone_number_id",
    Denial.ACCOUNT: "/waba_id",
    Denial.PORTAL_TOKEN: "/access_token",
    Denial.ADDRESS: "/portal_url",
    Denial.MEMBER: "/member_id",
    Denial.APPLICATION: "/client_id",
}
_LOST: Final = Both(
    "O token guardado não pode ser usado: envie também access_token (e, no portal, refresh_token, client_id e "
    "client_secret).",
    "The stored token cannot be used: send access_token, too (and of a portal refresh_token, client_id and "
    "client_secret).",
)
_CANNOT: Final = Both("não pode ser usado", "cannot be used")


@contextmanager
def told_ownership(who: str) -> Iterator[None]:
    """`who` is asked: what it denies is 422, and when it cannot be asked that is 503."""
    try:
        yield
    except NotOwned as exc:
        words = TOLD[exc.denial]
        told = words if exc.code == exc.denial else Both(*(f"{each} ({exc.code})" for each in words))
        raise Problem(NOT_OWNED, told, errors=[WrongField(_FIELDS[exc.denial], words, exc.denial)]) from None
    except Unauthorized as exc:
        raise Problem(NOT_OWNED, _LOST, errors=[WrongField("/access_token", _LOST, exc.code)]) from None
    except PlatformError as exc:
        away = Both(
            f"{who} não respondeu com clareza ({exc.code}), e sem isso nada é gravado. Tente de novo.",
            f"{who} did not answer clearly ({exc.code}), and without that nothing is kept. Try again.",
        )
        raise unavailable(away) from None


def taken(caller: ApiKey, field: str, told: Both) -> Problem:
    """Another row has this value. A portal's key does not learn so: whose it is, and whether, is nothing to it."""
    admin = caller.portal_id is None
    return Problem(CONFLICT, errors=[WrongField(field, told, "taken") if admin else WrongField(field, _CANNOT)])
