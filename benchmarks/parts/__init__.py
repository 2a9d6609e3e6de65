"""The parts of the benchmark: what each plays, act by act. An act has a stage of its own, a show brings it."""

from benchmarks.parts import accept, embedded, growth, hot, idle, inbound, lone, outbound, pace, recovery
from benchmarks.parts.act import Act, Show

PARTS: dict[str, tuple[Act | Show, ...]] = {
    "accept": accept.ACTS,
    "inbound": inbound.ACTS,
    "outbound": outbound.ACTS,
    "lone": lone.ACTS,
    "growth": growth.ACTS,
    "recovery": recovery.ACTS,
    "pace": pace.SHOWS,
    "idle": idle.ACTS,
    "embedded": embedded.SHOWS,
    hot.NAME: hot.ACTS,
}
