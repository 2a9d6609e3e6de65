"""The judge of the gateway's own API: what it promised a caller arrives once, in the order of promises.

A caller's text is known by a word of its own, its key; so a template is known, whatever stands around the word. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from zaptrix_sim.judge.facts import CallerAnswered, CallerAsked, ReachedPhone, Refused, Thread
from zaptrix_sim.judge.parts import Books, Passage, words


@dataclass(slots=True)
class Ask(Passage):
    """What a caller asked for, on its way to a phone."""

    key: str = ""
    thread: Thread = ("", "")
    settled: bool = False
    landed: bool = False


@dataclass(slots=True)
class Callers:
    asks: dict[str, Ask] = field(default_factory=dict)
    latest: dict[Thread, Ask] = field(default_factory=dict)

    def asked(self, fact: CallerAsked, books: Books) -> None:
        """The same key again is the same message: a caller tries until the API answers."""
        now = books.clock
        self.asks.setdefault(fact.key, Ask(key=fact.key, thread=fact.thread, written=now, posted=now))
        books.counts["callers_asked"] = len(self.asks)

    def answered(self, fact: CallerAnswered, books: Books) -> None:
        ask = self.asks[fact.key]
        ask.acknowledged = ask.acknowledged or books.clock

    def reached(self, fact: ReachedPhone, books: Books) -> bool:
        """Whether this is a caller's; then it is judged."""
        ask = self._of(fact.text)
        if ask is None:
            return False
        if ask.thread != fact.thread:
            books.violations.add("strange_conversation", "a caller's message is on another phone", ask.key, fact.wamid)
        if ask.landed:
            books.violations.add("doubled", "a caller's message is on the phone twice", ask.key, fact.wamid)
            return True
        ask.landed = ask.settled = True
        books.counts["of_callers_on_phones"] += 1
        self._judge_order(ask, books)
        return True

    def refused(self, fact: Refused) -> bool:
        """Whether it was a caller's; the platform will never take it."""
        ask = self._of(fact.text)
        if ask is None:
            return False
        ask.settled = True
        return True

    def promised(self) -> list[str]:
        return [ask.key for ask in self._open() if ask.acknowledged is not None]

    def unanswered(self) -> list[str]:
        return [ask.key for ask in self._open() if ask.acknowledged is None]

    def _open(self) -> Iterator[Ask]:
        return (ask for ask in self.asks.values() if not ask.settled)

    def _of(self, text: str) -> Ask | None:
        if not self.asks:
            return None
        return next((self.asks[word] for word in words(text) if word in self.asks), None)

    def _judge_order(self, ask: Ask, books: Books) -> None:
        latest = self.latest.get(ask.thread)
        if latest is not None and ask.must_precede(latest):
            said = "a caller's message stands after one that was asked for later"
            books.violations.add("disordered", said, ask.key, latest.key)
        if latest is None or ask.written > latest.written:
            self.latest[ask.thread] = ask
