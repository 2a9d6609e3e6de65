"""An owner of messages, as the dispatcher has it in memory: a portal or channel with something to do."""

from __future__ import annotations

from zaptrix.core.ids import ConversationId

_LATEST_MAX = 100


class Owner:
    """What is under way for a portal or channel in this process, and whether more waits for it."""

    __slots__ = ("begun", "has_gathered", "latest", "more", "proving")

    def __init__(self) -> None:
        self.begun = 0  # calls under way
        self.has_gathered = False  # that more was waited for, while the pace had no room
        self.more = False  # the ledger may hold something due that nobody has claimed
        self.latest: set[ConversationId] = set()  # into which that was committed since the last claim, some of them
        self.proving = False

    def told(self, conversation_id: ConversationId) -> None:
        """Something was just committed there. Of a long backlog not all are remembered: it is looked at anyway."""
        if len(self.latest) < _LATEST_MAX:
            self.latest.add(conversation_id)

    def begin(self) -> None:
        """It is claimed for now."""
        self.more = self.has_gathered = False

    def taken(self) -> set[ConversationId]:
        """The latest, to be looked for by a claim that begins now."""
        latest, self.latest = self.latest, set()
        return latest

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it has to be remembered."""
        return not (self.begun or self.more or self.proving)
