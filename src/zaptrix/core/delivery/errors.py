"""What a platform call can end in, other than success.

Raised by the platforms' clients, judged by `core.delivery.retry`.

    PlatformError
      TooFast       a limit was met: wait, it costs no attempt
      OutOfTime     it was held for so long that another may hold it now: nothing was asked
      Unavailable   the platform surely did not act
      Unclear       the request left and no clear answer came back: it may have acted
      Refused       it will never be taken as it is
        StaleUpload   the same, because of a file that was uploaded before
      Unauthorized  our key is bad: hold everything behind it
      Unexpected    an answer that no table knows

`code` is the platform's own code as text; `detail` is for people and never holds secrets, phones or message texts. Both
are short and printable, whatever a platform said: PostgreSQL takes no NUL and no half of a surrogate pair.
"""

from __future__ import annotations

import re
from enum import StrEnum

CODE_MAX = 64
DETAIL_MAX = 500

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]+")


class FailureScope(StrEnum):
    """How much stands behind a bad key."""

    CHANNEL = "channel"
    PORTAL = "portal"


class PlatformError(Exception):
    """A platform call that did not succeed."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = _printable(code, CODE_MAX)
        self.detail = _printable(detail, DETAIL_MAX)
        super().__init__(f"{self.code}: {self.detail}" if self.detail else self.code)


class TooFast(PlatformError):
    """A limit was met. `wait_s` is how long the platform asks for, when it says.

    `one_conversation`: the limit is the conversation's own, and others of the lane may go on.
    """

    def __init__(
        self, code: str, detail: str = "", *, wait_s: float | None = None, one_conversation: bool = False
    ) -> None:
        super().__init__(code, detail)
        self.wait_s = wait_s
        self.one_conversation = one_conversation


class OutOfTime(PlatformError):
    """Too little was left of the time that this was claimed for: no request was begun, for another may begin it."""


class Unavailable(PlatformError):
    """The platform surely did not act: no connection, 503, or a token that had expired.

    `hold`: what is to be held should it go on, because it is the address or the key that leads nowhere.
    """

    def __init__(self, code: str, detail: str = "", *, hold: FailureScope | None = None) -> None:
        super().__init__(code, detail)
        self.hold = hold


class Unclear(PlatformError):
    """The request left and no clear answer came: timeout, 500/502/504, connection lost, runner died."""


class Refused(PlatformError):
    """The platform will never take this message. `notice` is the code of the line that the operator gets.

    `of_file`: it may be the message's file that it will not have.
    """

    def __init__(self, code: str, detail: str = "", *, notice: str = "refused", of_file: bool = False) -> None:
        super().__init__(code, detail)
        self.notice = notice
        self.of_file = of_file


class StaleUpload(Refused):
    """The platform will not have a file by the id that it gave our upload: its own copy may be gone, or no good."""


class Unauthorized(PlatformError):
    """Our key is bad: the channel or the portal is paused until an admin repairs it."""

    def __init__(self, code: str, detail: str = "", *, scope: FailureScope) -> None:
        super().__init__(code, detail)
        self.scope = scope


class Unexpected(PlatformError):
    """An answer that no table knows."""


def _printable(text: str, characters_max: int) -> str:
    return _UNPRINTABLE.sub(" ", text[:characters_max])
