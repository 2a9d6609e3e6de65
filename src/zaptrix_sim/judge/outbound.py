"""The judge of operators' messages: which text on a phone is which message.

A gateway may change a text's markup, put the operator's name in front and cut a long one, so a message is known again
by its text without markup, among those that are expected on that phone; tests therefore use texts that differ. Pure.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from zaptrix_sim.judge.answers import Moment, OperatorAnswer, Placeholder, complaint_of
from zaptrix_sim.judge.facts import (
    EventDue,
    EventEnded,
    EventPosted,
    Note,
    OperatorChanged,
    OperatorWrote,
    ReachedPhone,
    Refused,
    Room,
    Thread,
)
from zaptrix_sim.judge.parts import Books, normalized, words

SEARCHED_MAX: Final = 50
# A shorter text fits into one message of either platform, so nobody cuts it.
CUT_FROM: Final = 1000


@dataclass(slots=True)
class Outbound:
    open: dict[Note, OperatorAnswer] = field(default_factory=dict)
    expected: dict[str, deque[OperatorAnswer]] = field(default_factory=dict)
    waiting_in: dict[Room, dict[Note, OperatorAnswer]] = field(default_factory=dict)
    with_files: dict[Room, dict[Note, OperatorAnswer]] = field(default_factory=dict)
    landed: set[tuple[Thread, str]] = field(default_factory=set)
    refused: set[tuple[Thread, str]] = field(default_factory=set)
    foreign: set[tuple[Thread, str, str]] = field(default_factory=set)
    lines: dict[Thread, list[Placeholder]] = field(default_factory=dict)
    latest_post: dict[Thread, OperatorAnswer] = field(default_factory=dict)
    latest_lost: dict[Room, Note] = field(default_factory=dict)

    def record(self, fact: Any, books: Books) -> None:
        match fact:
            case OperatorWrote():
                self._wrote(fact, books)
            case OperatorChanged():
                self._changed(fact)
            case EventDue():
                self._due(fact)
            case EventPosted():
                self._posted(fact, books)
            case EventEnded():
                self._ended(fact, books)
            case ReachedPhone():
                self._reached(fact, books)
            case Refused():
                self._refused(fact, books)
            case _:
                raise TypeError(f"the ledger knows no fact {type(fact).__name__}")

    def is_open(self, note: Note) -> bool:
        return note in self.open

    def acknowledged_open(self) -> list[Note]:
        return [note for note, answer in self.open.items() if answer.acknowledged is not None]

    def underway(self) -> list[Note]:
        return [note for note, answer in self.open.items() if answer.acknowledged is None and answer.in_flight]

    def owed(self) -> list[Note]:
        """Whose events reached nobody: they stand in the portal's history, and the phone still has to get them."""
        return [note for note, answer in self.open.items() if answer.is_late and not answer.in_flight]

    # --- an operator writes --------------------------------------------------------------------------------------

    def _wrote(self, fact: OperatorWrote, books: Books) -> None:
        key, name = normalized(fact.text), normalized(fact.operator)
        answer = OperatorAnswer(
            note=fact.note, room=fact.room, text=fact.text, name=name, left=key, written=books.clock
        )
        answer.files = fact.files
        if fact.files:
            self.with_files.setdefault(fact.room, {})[fact.note] = answer
        self.open[fact.note] = answer
        self._expect(answer, key)
        if fact.quote:
            self._expect(answer, normalized(fact.quote + fact.text))
        self.waiting_in.setdefault(fact.room, {})[fact.note] = answer
        books.counts["operators_wrote"] += 1

    def _expect(self, answer: OperatorAnswer, key: str) -> None:
        answer.whole.add(key)
        for known_as in (key, answer.name + key) if answer.name else (key,):
            self.expected.setdefault(known_as, deque()).append(answer)

    def _changed(self, fact: OperatorChanged) -> None:
        """Whether the old words were on their way already is for the gateway to know; one version is to arrive."""
        answer = self.open.get(fact.note)
        if answer is None:
            return
        if fact.text is None:
            self._settle(answer)
            return
        self._expect(answer, normalized(fact.text))
        if not answer.begun:
            answer.text, answer.left = fact.text, normalized(fact.text)

    def _due(self, fact: EventDue) -> None:
        if answer := self.open.get(fact.note):
            answer.in_flight += 1

    def _posted(self, fact: EventPosted, books: Books) -> None:
        if answer := self.open.get(fact.note):
            answer.posted = answer.posted or books.clock

    def _ended(self, fact: EventEnded, books: Books) -> None:
        books.counts["events_delivered" if fact.delivered else "events_lost"] += 1
        answer = self.open.get(fact.note)
        if answer is not None:
            answer.in_flight -= 1
            answer.lost = answer.lost or not fact.delivered
            answer.unclear = answer.unclear or fact.unclear
            if fact.delivered:
                answer.acknowledged = answer.acknowledged or books.clock

    # --- a text arrives ------------------------------------------------------------------------------------------

    def _reached(self, fact: ReachedPhone, books: Books) -> None:
        key = normalized(fact.text)
        answer = self._known(fact.text, fact.thread, books)
        if answer is None:
            if not self._takes_place(fact, key, books):
                self._unexpected(fact, key, books)
            return
        if books.owner(answer.room, fact.thread) != fact.thread:
            books.violations.add("strange_conversation", "an answer is on another phone", answer.note, fact.wamid)
        if not answer.begun:
            self._judge_order(answer, 0, fact, books)
        self._take(answer, 0, books)
        self._shorten(answer, key)
        self.landed.add((fact.thread, key))
        if answer.settled:
            self._settle(answer)
            books.counts["on_phones"] += 1

    # --- its files -----------------------------------------------------------------------------------------------

    def _takes_place(self, fact: ReachedPhone, key: str, books: Books) -> bool:
        """Whether this is a further file of a message, or a line in the place of one that is late."""
        mark = (fact.thread, fact.mark, key)
        if (fact.thread, key) in self.landed or mark in self.foreign:
            return False
        moment = self._now(fact.thread, books)
        found = self._by_bytes(fact, books) if fact.sha256 else self._awaited(fact.thread, moment, books)
        if found is None:
            return False
        answer, place = found
        self.foreign.add(mark)
        in_order = self._judge_order(answer, place, fact, books)
        if own := answer.lines.pop(place, None):
            own.owner = None  # This one did without it, so it may have been another's.
        if fact.sha256 or not in_order:
            self._take(answer, place, books)
        else:
            self._hold(answer, Placeholder(moment, answer, place, settles=not answer.settled), fact.thread)
        answer.begun = True
        if not answer.settled:
            self._settle(answer)
            books.counts["on_phones"] += 1
        return True

    def _by_bytes(self, fact: ReachedPhone, books: Books) -> tuple[OperatorAnswer, int] | None:
        for answer in self._answers_with_files(fact.thread, books):
            for place, sha256 in enumerate(answer.files):
                if sha256 == fact.sha256 and place not in answer.taken:
                    return answer, place
        return None

    def _awaited(self, thread: Thread, moment: Moment, books: Books) -> tuple[OperatorAnswer, int] | None:
        """Whose line a text is that nobody wrote: the oldest one's that may stand here, or else the oldest one's."""
        awaiting = [
            (answer, min(free))
            for answer in self._answers_with_files(thread, books)
            if (free := set(range(len(answer.files))) - set(answer.held)) and (answer.lost or answer.posted is not None)
        ]
        fitting = [one for one in awaiting if complaint_of(*one, moment) is None]
        return next(iter(fitting or awaiting), None)

    def _answers_with_files(self, thread: Thread, books: Books) -> Iterator[OperatorAnswer]:
        for room in books.rooms_of_thread.get(thread, ()):
            yield from list(self.with_files.get(room, {}).values())

    def _take(self, answer: OperatorAnswer, place: int, books: Books) -> None:
        answer.taken[place] = books.clock
        if len(answer.taken) >= len(answer.files):
            self.with_files.get(answer.room, {}).pop(answer.note, None)

    def _hold(self, answer: OperatorAnswer, line: Placeholder, thread: Thread) -> None:
        answer.lines[line.place] = line
        self.lines.setdefault(thread, []).append(line)

    def _had_a_line(self, answer: OperatorAnswer, place: int, thread: Thread, books: Books) -> bool:
        """Whether a line that is here already may be this late file's; then it is, and no other's.

        Its own first, then one that nobody has, then the latest: an older file may need an earlier one.
        """
        lines, own = self.lines.get(thread, []), answer.lines.get(place)
        for line in sorted(lines, key=lambda one: (one is not own, one.owner is not None, -one.moment.clock)):
            if complaint_of(answer, place, line.moment) is None:
                lines.remove(line)
                self._disown(line, books)
                return True
        return False

    def _disown(self, line: Placeholder, books: Books) -> None:
        """Its owner is waited for again."""
        owner, line.owner = line.owner, None
        if owner is None:
            return
        del owner.lines[line.place]
        if line.settles and not owner.held:
            owner.begun = owner.settled = False
            books.counts["on_phones"] -= 1
            self.open[owner.note] = self.waiting_in.setdefault(owner.room, {})[owner.note] = owner

    # --- what is told of no message ------------------------------------------------------------------------------

    def _unexpected(self, fact: ReachedPhone, key: str, books: Books) -> None:
        """A text that no operator wrote was sent through the gateway's own API, or it is here a second time."""
        mark = (fact.thread, fact.mark, key)
        if (fact.thread, key) in self.landed:
            books.violations.add("doubled", "an operator's text is on the phone twice", fact.wamid)
        elif fact.mark and mark in self.foreign:
            books.violations.add("doubled", "a text with the same callback data is on the phone twice", fact.wamid)
        else:
            self.foreign.add(mark)
            books.counts["foreign_on_phones"] += 1

    def _known(self, text: str, thread: Thread, books: Books) -> OperatorAnswer | None:
        key = normalized(text)
        candidates = list(self._candidates(key))
        for answer in candidates:
            if books.thread_of_room.get(answer.room, thread) == thread:
                return answer
        return candidates[0] if candidates else self._resembling(text, thread, books)

    def _candidates(self, key: str) -> Iterator[OperatorAnswer]:
        queue = self.expected.get(key)
        if queue is None:
            return
        while queue and queue[0].settled:
            queue.popleft()
        if not queue:
            del self.expected[key]
            return
        yield from (answer for answer in list(queue)[:SEARCHED_MAX] if not answer.settled)

    def _resembling(self, text: str, thread: Thread, books: Books) -> OperatorAnswer | None:
        """A part of a long text, or a text whose links were written anew. Only this phone's chats are searched."""
        key = normalized(text)
        if (thread, key) in self.landed or (thread, key) in self.refused:
            return None
        key_words = words(text)
        for room in books.rooms_of_thread.get(thread, ()):
            for answer in list(self.waiting_in.get(room, {}).values())[:SEARCHED_MAX]:
                if _is_part(key, answer) or _is_rewritten(key_words, answer):
                    return answer
        return None

    def _shorten(self, answer: OperatorAnswer, key: str) -> None:
        begun, answer.begun = answer.begun, True
        bare = key.removeprefix(answer.name) if answer.name else key
        if not begun and answer.whole & {key, bare}:
            answer.settled = True
            return
        for part in (key, bare):
            if part and answer.left.startswith(part):
                answer.left = answer.left[len(part) :]
                answer.settled = not answer.left
                return
        answer.settled = True

    def _settle(self, answer: OperatorAnswer) -> None:
        answer.settled = True
        self.open.pop(answer.note, None)
        self.waiting_in.get(answer.room, {}).pop(answer.note, None)

    def _judge_order(self, answer: OperatorAnswer, place: int, fact: ReachedPhone, books: Books) -> bool:
        complaint = complaint_of(answer, place, self._now(fact.thread, books))
        if complaint and fact.sha256 and self._had_a_line(answer, place, fact.thread, books):
            complaint = None
        if complaint:
            said, latest = complaint
            books.violations.add("disordered", said, answer.note, latest or fact.wamid)
        self._stands(answer, fact.thread)
        return complaint is None

    def _stands(self, answer: OperatorAnswer, thread: Thread) -> None:
        if answer.is_late:
            if not answer.unclear:
                self.latest_lost[answer.room] = max(answer.note, self.latest_lost.get(answer.room, ("", 0)))
            return
        latest = self.latest_post.get(thread)
        if answer.posted is not None and (latest is None or answer.posted > (latest.posted or 0)):
            self.latest_post[thread] = answer

    def _now(self, thread: Thread, books: Books) -> Moment:
        return Moment(books.clock, self.latest_post.get(thread), dict(self.latest_lost))

    def _refused(self, fact: Refused, books: Books) -> None:
        books.counts["refused"] += 1
        answer = self._known(fact.text, fact.thread, books)
        self.refused.add((fact.thread, normalized(fact.text)))
        if answer is not None and books.thread_of_room.get(answer.room, fact.thread) == fact.thread:
            self._settle(answer)


def _is_part(key: str, answer: OperatorAnswer) -> bool:
    if len(answer.text) < CUT_FROM:
        return False
    bare = key.removeprefix(answer.name) if answer.name and not answer.begun else key
    return bool(bare) and answer.left.startswith(bare)


def _is_rewritten(key_words: frozenset[str], answer: OperatorAnswer) -> bool:
    mine = words(answer.text)
    return bool(mine) and mine <= key_words
