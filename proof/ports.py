"""Ports of this machine."""

import random
import socket
from typing import Final

# Below those that the system gives to clients: one of these is not taken by somebody's outgoing connection between the
# asking and the listening. By chance, so that two processes that ask at once are hardly told the same one.
LISTENING: Final = range(20_000, 32_000)
_CHANCE: Final = random.SystemRandom()
_GIVEN: Final[set[int]] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago; not the same one twice."""
    while True:
        port = _CHANCE.choice(LISTENING)
        if port in _GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _GIVEN.add(port)
            return port
