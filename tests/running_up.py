"""A running `zaptrix up`, started as a person starts it."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import command_of, descendants, parent_of, wait_for
from zaptrix.settings import KINDS

START_WAIT_S = 90.0
STOP_WAIT_S = 60.0

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class House:
    """A running `zaptrix up`."""

    process: subprocess.Popen[bytes]
    output: Path
    port: int
    sim_port: int

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def everyone(self) -> set[int]:
        return {self.process.pid, *descendants(self.process.pid)}

    def pid_of(self, program: str) -> int | None:
        """The process directly below `up` that runs it."""
        for pid in descendants(self.process.pid):
            if parent_of(pid) == self.process.pid and program in command_of(pid):
                return pid
        return None

    def state(self) -> Json:
        return asked(self.sim_port, "GET", "/control/state")


@contextmanager
def started(folder: Path, ports: tuple[int, int], **given: str) -> Iterator[House]:
    """`zaptrix up` on that data folder, up or fallen; whatever happens, nothing of it stays behind."""
    folder.mkdir(exist_ok=True)
    output = folder / "output"
    environ = {key: value for key, value in os.environ.items() if key not in KINDS}
    environ |= {"DATA_DIR": str(folder), "PORT": str(ports[0]), "SIM_PORT": str(ports[1]), "COLUMNS": "200"} | given
    with output.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "zaptrix", "up"], env=environ, stdout=out, stderr=out)
    house = House(process=process, output=output, port=ports[0], sim_port=ports[1])
    try:
        wait_for(lambda: "is up" in house.said() or process.poll() is not None, START_WAIT_S, "zaptrix up")
        yield house
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(STOP_WAIT_S)


def asked(port: int, method: str, path: str, body: Json | None = None) -> Json:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    found: Json = json.loads(response.read())
    connection.close()
    assert response.status == 200, found
    return found


def in_chats(house: House) -> list[str]:
    return [message["text"] for chat in house.state()["chats"] for message in chat["messages"]]
