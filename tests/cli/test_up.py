"""`zaptrix up` as a person meets it: one command, everything there; Ctrl-C, everything gone, whatever ended it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import descendants, is_alive, wait_for
from zaptrix.settings import KINDS

START_WAIT_S = 90.0
STOP_WAIT_S = 60.0
SECOND_START_MAX_S = 10.0
PROGRAMS = ("postgres", "redis-server", "zaptrix_sim", "zaptrix worker", "zaptrix serve")

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
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
            except FileNotFoundError:
                continue
            if parent == self.process.pid and program in command:
                return pid
        return None

    def state(self) -> Json:
        return asked(self.sim_port, "GET", "/control/state")


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two that are free now."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def started(folder: Path, ports: tuple[int, int]) -> Iterator[House]:
    """`zaptrix up` on that data folder, up or fallen; whatever happens, nothing of it stays behind."""
    folder.mkdir(exist_ok=True)
    output = folder / "output"
    environ = {key: value for key, value in os.environ.items() if key not in KINDS}
    environ |= {"DATA_DIR": str(folder), "PORT": str(ports[0]), "SIM_PORT": str(ports[1]), "COLUMNS": "200"}
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


@pytest.fixture
def house(tmp_path: Path, ports: tuple[int, int]) -> Iterator[House]:
    with started(tmp_path / "data", ports) as house:
        assert house.process.poll() is None, house.said()
        yield house


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


def gone(pids: set[int]) -> Callable[[], bool]:
    return lambda: not any(map(is_alive, pids))


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_brings_everything_up_and_a_request_to_stop_takes_everything_down(
    house: House, request_to_stop: signal.Signals
) -> None:
    assert all(house.pid_of(program) for program in PROGRAMS), house.said()
    assert asked(house.port, "GET", "/health")
    assert f"http://127.0.0.1:{house.port}/docs" in house.said()
    everyone = house.everyone()
    house.process.send_signal(request_to_stop)
    assert house.process.wait(STOP_WAIT_S) == 0, house.said()
    assert gone(everyone)()
    assert house.said().endswith("zaptrix: stopped\n")


def test_killed_outright_it_leaves_no_process_behind(house: House) -> None:
    everyone = house.everyone()
    house.process.kill()
    wait_for(gone(everyone), STOP_WAIT_S, "everything to end with its parent")


def test_a_fallen_worker_and_a_fallen_gateway_are_replaced(house: House) -> None:
    for program in ("zaptrix worker", "zaptrix serve"):
        first = house.pid_of(program)
        assert first is not None
        family = descendants(first)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda p=program, f=first: house.pid_of(p) not in {None, f}, 30, f"a new {program}")  # type: ignore[misc]
        wait_for(gone(family), 30, f"what the fallen {program} had started to end")
    assert house.said().count("ended by itself (killed by SIGKILL); starting it again in 0.5 s") == 2


def test_fallen_servers_are_replaced_and_serve_the_same_data(house: House) -> None:
    for program in ("postgres", "redis-server"):
        first = house.pid_of(program)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda p=program, f=first: house.pid_of(p) not in {None, f}, 30, f"a new {program}")  # type: ignore[misc]
    write(house, "depois da queda")
    wait_for(lambda: "depois da queda" in in_chats(house), 60, "the text in the open line")


def write(house: House, text: str) -> None:
    number = asked(house.sim_port, "GET", "/control/demo")["number"]["phone_number_id"]
    customer = {"phone_number_id": number, "from": "554188887777", "name": "Ana", "text": text}
    asked(house.sim_port, "POST", "/control/customers/write", customer)


def test_a_second_start_is_quick_and_still_has_the_conversation(tmp_path: Path, ports: tuple[int, int]) -> None:
    with started(tmp_path / "data", ports) as house:
        write(house, "bom dia")
        wait_for(lambda: "bom dia" in in_chats(house), 30, "the text in the open line")
    begun = time.monotonic()
    with started(tmp_path / "data", ports) as house:
        assert time.monotonic() - begun < SECOND_START_MAX_S, house.said()
        assert "bom dia" in in_chats(house)
        write(house, "ainda estou aqui")
        wait_for(lambda: "ainda estou aqui" in in_chats(house), 30, "the text in the open line")
        assert len(house.state()["chats"]) == 1


@pytest.mark.parametrize(("name", "place"), [("PORT", 0), ("SIM_PORT", 1)])
def test_a_taken_port_is_told_by_its_setting(tmp_path: Path, ports: tuple[int, int], name: str, place: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[place]))
        taken.listen()
        with started(tmp_path / "data", ports) as house:
            assert house.process.wait(STOP_WAIT_S) == 2
            assert f"zaptrix: {name}: 127.0.0.1:{ports[place]} cannot be used (Address already in use)" in house.said()
