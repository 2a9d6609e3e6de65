"""The simulator of Bitrix24 as a process of its own: the room speaks to it over HTTP only."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.processes import wait_for


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    """The address of a simulator that the tests of this room share; each makes its own portal."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "SIM_PORT": str(port), "SIM_HOST": "127.0.0.1", "SIM_DATA_DIR": ""}
    process = subprocess.Popen([sys.executable, "-m", "zaptrix_sim"], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), 30, "the simulator")
        assert process.poll() is None, "the simulator stopped at its start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
