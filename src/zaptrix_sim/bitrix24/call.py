"""One call of a REST method: its portal, its token, its parameters and what it cost.

Every method takes one and returns what stands under `result`; a refusal is raised as RestError.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from zaptrix_sim.bitrix24.chats import Chats
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.world.bitrix24_errors import missing
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Portal, Token

Params = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Call:
    """`operating_s` is the run time that the method itself counts, beside the time that really passes."""

    engine: Engine
    events: BitrixEvents
    chats: Chats
    portal: Portal
    token: Token
    params: Params
    silent: bool = False
    item_error: bool = False
    operating_s: float = 0.0
    total: int | None = None
    upcoming: int | None = None

    def need(self, name: str) -> Any:
        """A parameter by its upper-case name; the names of the outermost ones are not case-sensitive."""
        value = self.get(name)
        if value is None or value in ("", [], {}):
            raise missing(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        value = self.params.get(name)
        if value is None:
            wanted = name.upper()
            for key, other in self.params.items():
                if key.upper() == wanted:
                    return other
        return default if value is None else value

    def number(self, name: str, default: int = 0) -> int:
        """A whole number, or `default` when it is none: PHP's own way with numbers."""
        try:
            return int(str(self.get(name, default)).removeprefix("chat"))
        except ValueError:
            return default


Method = Callable[[Call], Awaitable[Any]]


def is_yes(value: Any) -> bool:
    """Bitrix24's own booleans: true, Y, 1."""
    return value is True or str(value).strip().upper() in {"Y", "1", "TRUE"}
