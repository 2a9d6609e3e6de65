"""What arrived at the platforms, in the order of its arrival: the far side writes it, the delivery check reads it."""

from __future__ import annotations

import mmap
import struct
import time
from array import array
from collections import Counter
from pathlib import Path

import msgspec

COUNTER_BYTES = 4096


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The record as it goes over HTTP. One message is one place in the three arrays."""

    numbers: bytes  # array("q"): which message
    times: bytes  # array("d"): time.monotonic
    threads: bytes  # array("q"): places in `names`
    names: list[str]  # conversations as the far side knows them
    calls: dict[str, int]
    faults: dict[str, int]
    confirmed: bytes  # array("q"): operators' messages whose delivery the portal was told of
    late: bytes  # array("d"): by how many seconds an answer left later than it should have
    open_most: int  # calls that waited for their answers at the same time


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The record, to be read."""

    numbers: list[int]
    times: list[float]
    threads: list[int]
    names: list[str]
    calls: dict[str, int]
    faults: dict[str, int]
    confirmed: list[int]
    late: list[float] = []
    open_most: int = 0


class FarRecord:
    """Kept by the far side's one process."""

    def __init__(self, counter: Path) -> None:
        with counter.open("r+b") as file:
            self._counter = mmap.mmap(file.fileno(), COUNTER_BYTES)
        self._names: dict[str, int] = {}
        self._open = 0
        self.clear()

    def clear(self) -> None:
        """Begin a new record. Conversations keep their places: a chat's id does not change."""
        self._numbers, self._times, self._threads = array("q"), array("d"), array("q")
        self._confirmed, self._late = array("q"), array("d")
        self._open_most = self._open
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._tell()

    def arrived(self, number: int, thread: str) -> int:
        """A message is there; the place of its conversation."""
        place = self._names.setdefault(thread, len(self._names))
        self._numbers.append(number)
        self._times.append(time.monotonic())
        self._threads.append(place)
        self._tell()
        return place

    def confirmed(self, message_id: int) -> None:
        self._confirmed.append(message_id)

    def waits(self) -> None:
        """A call waits for its answer."""
        self._open += 1
        self._open_most = max(self._open_most, self._open)

    def answered(self, late_s: float) -> None:
        self._open -= 1
        self._late.append(late_s)

    def told(self) -> bytes:
        return msgspec.msgpack.encode(
            Told(
                numbers=self._numbers.tobytes(),
                times=self._times.tobytes(),
                threads=self._threads.tobytes(),
                names=list(self._names),
                calls=dict(self.calls),
                faults=dict(self.faults),
                confirmed=self._confirmed.tobytes(),
                late=self._late.tobytes(),
                open_most=self._open_most,
            )
        )

    def _tell(self) -> None:
        struct.pack_into("q", self._counter, 0, len(self._numbers))


def chat_id(place: int) -> int:
    """The id of a conversation's chat on its portal."""
    return place + 1


def place_of_chat(chat: int) -> int:
    return chat - 1


def session_id(place: int) -> int:
    """The id of a conversation's open session."""
    return place + 7


def place_of_session(session: int) -> int:
    return session - 7


def make_counter(file: Path) -> mmap.mmap:
    """The file in which the far side counts, mapped."""
    file.write_bytes(bytes(COUNTER_BYTES))
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), COUNTER_BYTES)


def read_told(body: bytes) -> Arrivals:
    told = msgspec.msgpack.decode(body, type=Told)
    return Arrivals(
        numbers=array("q", told.numbers).tolist(),
        times=array("d", told.times).tolist(),
        threads=array("q", told.threads).tolist(),
        names=told.names,
        calls=told.calls,
        faults=told.faults,
        confirmed=array("q", told.confirmed).tolist(),
        late=array("d", told.late).tolist(),
        open_most=told.open_most,
    )
