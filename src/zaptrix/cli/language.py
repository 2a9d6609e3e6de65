"""The language of whoever types a command: LANG and its kin, unless a flag says another."""

import os
from collections.abc import Mapping

from zaptrix.core.portal import Locale


def locale(environ: Mapping[str, str] | None = None) -> Locale:
    """By the first of these that is set, as https://www.gnu.org/software/gettext/manual/html_node/Locale-Environment-Variables.html"""
    given = os.environ if environ is None else environ
    said = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := given.get(name))), "")
    return Locale.PT_BR if said.lower().startswith("pt") else Locale.EN
