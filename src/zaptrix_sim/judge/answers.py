"""What the judge keeps of an operator's message, and whether it may stand on a phone at a given moment.

Pure.
"""

from dataclasses import dataclass, field

from zaptrix_sim.judge.facts import Note, Room
from zaptrix_sim.judge.parts import Passage


@dataclass(slots=True)
class OperatorAnswer(Passage):
    """An operator's text on its way to a phone. `left` is what of it has not arrived yet."""

    note: Note = ("", 0)
    room: Room = ("", 0)
    text: str = ""
    name: str = ""
    left: str = ""
    whole: set[str] = field(default_factory=set)  # each of them is all of it
    files: tuple[str, ...] = ()
    taken: dict[int, int] = field(default_factory=dict)  # the place of each file that has come, and when
    lines: "dict[int, Placeholder]" = field(
        default_factory=dict
    )  # what holds the places of late ones, as far as is known
    begun: bool = False
    settled: bool = False
    in_flight: int = 0
    lost: bool = False
    unclear: bool = False  # one of its events was sent, and never answered

    @property
    def is_late(self) -> bool:
        """Nobody was told of it: it is found in the portal's history."""
        return self.lost and self.acknowledged is None

    @property
    def held(self) -> dict[int, int]:
        """The places that are not free any more, and since when."""
        return self.taken | {place: line.moment.clock for place, line in self.lines.items()}


@dataclass(slots=True)
class Moment:
    """What is on a phone at some time."""

    clock: int
    latest_post: OperatorAnswer | None
    latest_lost: dict[Room, Note]


@dataclass(slots=True)
class Placeholder:
    """A line in the place of a file that is late. Its words name no file: it counts for the first message that may
    stand there, until a file comes that must have stood there."""

    moment: Moment
    owner: OperatorAnswer | None
    place: int
    settles: bool  # it is all that is here of its owner


def complaint_of(answer: OperatorAnswer, place: int, moment: Moment) -> tuple[str, Note | None] | None:
    """Why this file of an answer, or its words, should not stand at that moment; which other answer came too early."""
    if any(other > place and since < moment.clock for other, since in answer.held.items()):
        return "the files of one message have changed places", None
    if answer.is_late:
        # It may come after what was written later, but not after another like it. One whose event was never answered
        # may be either: told of in time, or late.
        latest = moment.latest_lost.get(answer.room)
        if latest is not None and answer.note < latest and not answer.unclear:
            return "a late answer stands after a later one", latest
    elif moment.latest_post is not None and answer.must_precede(moment.latest_post):
        return "an answer stands after one that was written later", moment.latest_post.note
    return None
