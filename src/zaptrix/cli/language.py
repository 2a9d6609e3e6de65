"""The language of whoever types a command, by the rule of `core/wording/language.py`."""

import os
from collections.abc import Mapping

from zaptrix.core.portal import Locale
from zaptrix.core.wording.language import choose, of_environment


def locale(environ: Mapping[str, str] | None = None, *, asked: str = "") -> Locale:
    """`asked`: by a flag."""
    return choose(asked, of_environment(os.environ if environ is None else environ))
