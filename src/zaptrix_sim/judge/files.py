"""The judge of files: each arrives once, in its own conversation, byte by byte as it was sent.

A file may come later than its message, so it is judged apart from it. One that a gateway has to make fit (a recording
becomes a voice note) is not known again: it stays open, and what arrives counts as foreign. Pure.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from zaptrix_sim.judge.facts import FileArrived, FileSent, Noticed, Refused, Thread
from zaptrix_sim.judge.parts import Books

Passage: TypeAlias = tuple[bool, Thread, str]
"""By a customer or not, the conversation, the hash of the bytes."""

_LINK = re.compile(r"https?://[^\s\]\[]+")


@dataclass(slots=True)
class Files:
    """`links`: what operators were given to open instead of a file that could not be put into the chat."""

    open: Counter[Passage] = field(default_factory=Counter)
    threads: dict[tuple[bool, str], set[Thread]] = field(default_factory=dict)
    links: dict[Thread, list[str]] = field(default_factory=dict)

    def sent(self, fact: FileSent, books: Books) -> None:
        thread = _thread(fact, books)
        self.open[fact.by_customer, thread, fact.sha256] += 1
        self.threads.setdefault((fact.by_customer, fact.sha256), set()).add(thread)
        books.counts[f"files_of_{_sender(fact)}"] += 1

    def arrived(self, fact: FileArrived, books: Books) -> None:
        thread = _thread(fact, books)
        known = self.threads.get((fact.by_customer, fact.sha256), set())
        passage = (fact.by_customer, thread, fact.sha256)
        if self.open[passage] > 0:
            self.open[passage] -= 1
            books.counts[f"files_of_{_sender(fact)}_arrived"] += 1
        elif thread in known:
            books.violations.add("doubled", "a file has arrived twice", fact.message, fact.sha256)
        elif known:
            books.violations.add("strange_conversation", "a file is in another conversation", fact.message)
        else:
            books.counts["foreign_files"] += 1

    def refused(self, fact: Refused) -> None:
        """The platform will not have a business's file: it has not to arrive any more."""
        passage = (False, fact.thread, fact.sha256)
        if self.open[passage] > 0:
            self.open[passage] -= 1

    def noticed(self, fact: Noticed, books: Books) -> None:
        thread = books.thread_of_room.get(fact.room)
        if thread is not None and (links := _LINK.findall(fact.text)):
            self.links.setdefault(thread, []).extend(links)

    def of_customers_left(self) -> list[dict[str, object]]:
        """Customers' files that are in no chat, each with the links that stand there: one may lead to it."""
        return [
            {"sha256": sha256, "links": self.links.get(thread, [])}
            for (by_customer, thread, sha256), times in self.open.items()
            if by_customer and times > 0
        ]

    def left(self) -> int:
        """How many have not arrived. Some never can: a sender takes one back, or it is too large."""
        return self.open.total()


def _sender(fact: FileSent | FileArrived) -> str:
    return "customers" if fact.by_customer else "operators"


def _thread(fact: FileSent | FileArrived, books: Books) -> Thread:
    """Where the file belongs; a chat that no customer has written in belongs to nobody yet."""
    return fact.thread or books.thread_of_room.get(fact.room, ("", ""))
