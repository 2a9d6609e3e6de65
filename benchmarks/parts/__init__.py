"""The parts of the benchmark: what each plays, act by act. An act has a stage of its own."""

from benchmarks.parts import accept, growth, idle, inbound, outbound, recovery
from benchmarks.parts.act import Act

PARTS: dict[str, tuple[Act, ...]] = {
    "accept": accept.ACTS,
    "inbound": inbound.ACTS,
    "outbound": outbound.ACTS,
    "growth": growth.ACTS,
    "recovery": recovery.ACTS,
    "idle": idle.ACTS,
}
