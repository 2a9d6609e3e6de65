"""What the doctor looks at, what it finds, and what to do about it: its texts, by check."""

from typing import NamedTuple

from zaptrix.core.wording.catalog import Locale, section

HEADINGS, LEVELS = section("doctor.headings"), section("doctor.levels")


class CheckWords(NamedTuple):
    """What is looked at, what is found when it is good and when it is not, and the remedy. Empty: never said."""

    what: str = ""
    good: str = ""
    bad: str = ""
    remedy: str = ""


def _words() -> dict[str, dict[Locale, CheckWords]]:
    found: dict[str, dict[Locale, dict[str, str]]] = {}
    for key, texts in section("doctor.checks").items():
        check, _, part = key.rpartition(".")
        for locale, text in texts.items():
            found.setdefault(check, {}).setdefault(locale, {})[part] = text
    return {check: {locale: CheckWords(**parts) for locale, parts in each.items()} for check, each in found.items()}


WORDS = _words()
