"""The language of whoever types a command, by the rule of `core/language.py`."""

import os
from collections.abc import Mapping

from zaptrix.core.language import choose, of_environment
from zaptrix.core.portal import Locale


def locale(environ: Mapping[str, str] | None = None, *, asked: str = "") -> Locale:
    """`asked`: by a flag."""
    return choose(asked, of_environment(os.environ if environ is None else environ))
