"""The texts for people, in every language that has a file here.

A new language is a new file, and nothing else. A text has a key, which is its path in the file: `notices.refused`.
Values stand in it as `{name}`, and a brace as two. Each file is read once in a process. A test holds that all have the
same keys with the same values in them, that the code asks for no key that is missing, and that it asks for each.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import resources
from typing import Any

import msgspec

SUFFIX = ".toml"


def _tags() -> list[str]:
    files = resources.files(__package__ or "").iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


class Locale(StrEnum):
    """A language of the texts for people, by its tag (https://www.rfc-editor.org/rfc/rfc5646): one a file."""

    _ignore_ = ["members", "tag"]  # noqa: RUF012  # names of the loop below, which are no members

    PT_BR = "pt-BR"
    EN = "en"

    members = vars()
    for tag in _tags():
        if tag not in {PT_BR, EN}:
            members[tag.upper().replace("-", "_")] = tag


def kept(tag: str) -> Locale:
    """The language of a stored tag: English where another release stored one that has no file here."""
    return Locale(tag) if tag in set(Locale) else Locale.EN


class Sentence(msgspec.Struct, frozen=True):
    """A text that is told in the language of whoever reads it. A value may be a sentence, too. Raises KeyError."""

    key: str
    values: dict[str, object] = {}

    def __post_init__(self) -> None:
        _TEXTS[Locale.EN][self.key]

    def filled(self, **values: object) -> Sentence:
        return Sentence(self.key, {**self.values, **values})

    def of(self, locale: Locale) -> str:
        values = {
            name: value.of(locale) if isinstance(value, Sentence) else value for name, value in self.values.items()
        }
        return text_of(self.key, locale).format_map(values)


def text_of(key: str, locale: Locale) -> str:
    """A text as it stands in the file, its values not filled in. Raises KeyError."""
    return _TEXTS[locale][key]


def all_keys(locale: Locale = Locale.EN) -> list[str]:
    """All that a language says, in the file's order."""
    return list(_TEXTS[locale])


def section(name: str) -> dict[str, dict[Locale, str]]:
    """The texts whose keys begin with `name` and a dot, by the rest of the key."""
    start = f"{name}."
    found = [key for key in all_keys() if key.startswith(start)]
    return {key.removeprefix(start): {locale: _TEXTS[locale][key] for locale in Locale} for key in found}


def _read(locale: Locale) -> dict[str, str]:
    raw = resources.files(__package__ or "").joinpath(f"{locale}{SUFFIX}").read_bytes()
    return dict(_flat(tomllib.loads(raw.decode()), ""))


def _flat(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield f"{path}{name}", value
        else:
            yield from _flat(value, f"{path}{name}.")


_TEXTS = {locale: _read(locale) for locale in Locale}
