"""The judge of refusals: which messages the platform refused for good, why, and whether the operator was told.

Pure.
"""

from collections import Counter
from dataclasses import dataclass, field

from zaptrix_sim.judge.facts import Noticed, Refused, Thread
from zaptrix_sim.judge.parts import Books, words


@dataclass(slots=True)
class Refusals:
    """`untold`: an operator's message was refused with these codes, and no notice has named them in the chat since."""

    codes: dict[tuple[Thread, str], int] = field(default_factory=dict)
    untold: dict[Thread, set[int]] = field(default_factory=dict)

    def refused(self, fact: Refused, *, by_operator: bool) -> None:
        """A message is refused once, however often it is sent."""
        name = (fact.thread, fact.mark or fact.text)
        if name in self.codes:
            return
        self.codes[name] = fact.code
        if by_operator:
            self.untold.setdefault(fact.thread, set()).add(fact.code)

    def noticed(self, fact: Noticed, books: Books) -> None:
        thread = books.thread_of_room.get(fact.room)
        if thread is None or thread not in self.untold:
            return
        said = words(fact.text)
        self.untold[thread] = {code for code in self.untold[thread] if str(code) not in said}

    def by_code(self) -> dict[str, int]:
        """How many messages were refused with each code."""
        return {str(code): total for code, total in Counter(self.codes.values()).items()}

    def untold_of(self) -> list[list[str]]:
        """The conversations whose operators still have to be told."""
        return [list(thread) for thread, codes in self.untold.items() if codes]
