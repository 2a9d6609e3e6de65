"""What is wrong with one field of a send.

Places are JSON pointers into what came (https://www.rfc-editor.org/rfc/rfc6901). Pure.
"""

from __future__ import annotations

import msgspec

from zaptrix.core.wording.catalog import Locale, Sentence


class Misfit(msgspec.Struct, frozen=True):
    """One field that cannot be sent as it is."""

    place: str  # a JSON pointer
    code: str
    params: dict[str, str] = {}

    @property
    def sentence(self) -> Sentence:
        return Sentence(f"fields.{self.code}", dict(self.params))

    def told(self, locale: Locale) -> str:
        return self.sentence.of(locale)


class DoesNotFit(Exception):
    """What was to be sent is not what can be."""

    def __init__(self, misfits: tuple[Misfit, ...]) -> None:
        super().__init__("; ".join(f"{each.place} {each.told(Locale.EN)}" for each in misfits))
        self.misfits = misfits


class Misfits:
    """Notes what is wrong, field by field."""

    def __init__(self) -> None:
        self.noted: list[Misfit] = []

    def note(self, place: str, code: str, **params: object) -> None:
        self.noted.append(Misfit(place, code, {name: str(value) for name, value in params.items()}))

    def text(self, place: str, text: str, limit: int, *, lines: bool = False) -> None:
        """A text that people read; `lines`: it may have several."""
        if not text.strip():
            self.note(place, "empty")
        elif any(not (sign.isprintable() or (lines and sign in "\n\t") or _is_joiner(sign)) for sign in text):
            self.note(place, "control")
        elif len(text) > limit:
            self.note(place, "too_long", limit=limit)

    def each_once(self, place: str, values: list[str], name: str) -> None:
        """`place` with the number of each value, and the name of the field, is the place of what comes twice."""
        seen: set[str] = set()
        for number, value in enumerate(values):
            if value in seen:
                self.note(f"{place}/{number}/{name}", "twice")
            seen.add(value)

    def judge(self) -> None:
        """Raises DoesNotFit when anything was noted."""
        if self.noted:
            raise DoesNotFit(tuple(self.noted))


def _is_joiner(sign: str) -> bool:
    """Parts of emoji and of scripts that are not printable by themselves."""
    return sign in "\u200b\u200c\u200d\ufe0f" or "\U000e0020" <= sign <= "\U000e007f"
