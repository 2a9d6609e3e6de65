"""Faults that a test orders: which calls they touch, and how often, drawn by a seed.

A seeded draw, so that a run that found a mistake can be repeated.
"""

import random
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from zaptrix_sim.world import bitrix24_errors, meta_error_codes

SIDES: Final = frozenset({"meta", "bitrix24", "oauth"})
KINDS: Final = {
    "api": frozenset({"delay", "status", "refuse", "throttle", "accept_then_hang", "accept_then_reset", "reset",
                      "expired_token", "silence", "item_error"}),
    "webhook": frozenset({"drop", "double", "delay", "reorder", "status_first", "fail"}),
}  # fmt: skip
DOCUMENTED: Final[dict[str, frozenset[str]]] = {
    "meta": frozenset(meta_error_codes.DOCUMENTED),
    "bitrix24": frozenset(bitrix24_errors.KNOWN),
    "oauth": frozenset(bitrix24_errors.OAUTH),
}
MATCHED_BY: Final = frozenset({"portal", "phone_number_id", "method", "customer"})


@dataclass(slots=True, kw_only=True)
class Fault:
    """`times` counts down to nothing left; None never ends. `copies` is how often a doubled webhook goes out in all.
    `forever` makes a dropped Meta webhook really lost; otherwise Meta tries again, as it does. `refuse` answers `code`
    with the status and the words that the side documents for it."""

    side: str
    where: str
    kind: str
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    probability: float = 1.0
    delay_s: float = 1.0
    status: int = 503
    code: str = ""
    copies: int = 2
    forever: bool = False
    fired: int = 0


class Faults:
    """The faults in force. `pick` answers at once when there are none, for it is asked on every call."""

    def __init__(self) -> None:
        self.seed = 0
        self._dice = random.Random(0)
        self._faults: list[Fault] = []

    def replace(self, wanted: list[dict[str, Any]], seed: int) -> None:
        """Raises ValueError telling which fault is not understood; then nothing has changed."""
        faults = [_fault_from(item) for item in wanted]
        self.seed = seed
        self._dice = random.Random(seed)
        self._faults = faults

    def pick(self, side: str, where: str, facts: dict[str, str], kinds: frozenset[str]) -> Fault | None:
        """The first fault that touches this call and whose dice says so; it counts as fired."""
        if not self._faults:
            return None
        for fault in self._faults:
            if (fault.side, fault.where) != (side, where) or fault.kind not in kinds:
                continue
            if self._fires(fault, facts):
                fault.fired += 1
                return fault
        return None

    def __bool__(self) -> bool:
        return bool(self._faults)

    def as_list(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def _fires(self, fault: Fault, facts: dict[str, str]) -> bool:
        if fault.times is not None and fault.fired >= fault.times:
            return False
        if any(facts.get(name) != value for name, value in fault.match.items()):
            return False
        return fault.probability >= 1.0 or self._dice.random() < fault.probability


def _fault_from(item: dict[str, Any]) -> Fault:
    known = {key: value for key, value in item.items() if key != "fired"}
    try:
        fault = Fault(**known)
    except TypeError as exc:
        raise ValueError(f"a fault is not understood: {exc}") from exc
    if fault.side not in SIDES or fault.where not in KINDS:
        raise ValueError(f"a fault's side is one of {sorted(SIDES)} and its where one of {sorted(KINDS)}")
    if fault.kind not in KINDS[fault.where]:
        raise ValueError(f"no fault {fault.kind!r} at {fault.where!r}; there are {sorted(KINDS[fault.where])}")
    if fault.kind == "refuse" and fault.code not in DOCUMENTED[fault.side]:
        raise ValueError(f"{fault.side} documents no code {fault.code!r}")
    if unknown := set(fault.match) - MATCHED_BY:
        raise ValueError(f"a fault matches by {sorted(MATCHED_BY)}, not by {sorted(unknown)}")
    fault.match = {name: str(value) for name, value in fault.match.items()}
    return fault
