"""What every part of the simulator is handed: the world, the options, the faults, the time, the ledger."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zaptrix_sim.judge.facts import Fact
from zaptrix_sim.settings import Options, Settings
from zaptrix_sim.world.faults import Faults
from zaptrix_sim.world.stream import Stream
from zaptrix_sim.world.world import Chat, Phone, World

REFRESH_S = 0.3  # so long a pair of tokens may be on its way to where it is kept


@dataclass(kw_only=True)
class Engine:
    settings: Settings
    options: Options
    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)
    stream: Stream = field(default_factory=Stream)
    url: str = ""
    posts: Counter[str] = field(default_factory=Counter)  # webhooks, by platform and whether each was taken at once
    files_underway: int = 0
    refreshed_at: float = -math.inf  # monotonic: when a portal's tokens were last given anew

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """A file is being fetched or uploaded."""
        self.files_underway += 1
        try:
            yield
        finally:
            self.files_underway -= 1

    def underway(self) -> dict[str, object]:
        """What somebody who strikes may want to hit, or to miss."""
        refreshing = time.monotonic() - self.refreshed_at < REFRESH_S
        return {"files_underway": self.files_underway, "refreshing": refreshing}

    def now(self) -> float:
        return time.time() + self.options.clock_skew_s

    def record(self, fact: Fact) -> None:
        self.world.changes += 1
        self.world.ledger.record(fact)

    def forget(self) -> None:
        """An empty world; the faults go too, the options stay."""
        self.world = World(changes=self.world.changes + 1)
        self.faults.replace([], 0)
        self.stream.tell("fault")

    def phone_changed(self, phone: Phone) -> None:
        self.stream.tell("phone", phone_number_id=phone.number.id, customer=phone.customer.key)

    def chat_changed(self, chat: Chat) -> None:
        self.stream.tell("chat", portal=chat.portal, chat_id=str(chat.id))
