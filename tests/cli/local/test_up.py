"""`zaptrix up` as a person meets it: one command, everything there; Ctrl-C, everything gone, whatever ended it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proof.ports import free_port
from tests.processes import descendants, is_alive, wait_for
from tests.running_up import STOP_WAIT_S, House, asked, in_chats, started
from zaptrix.cli.local import data_folder, up
from zaptrix.cli.local.redis_server import server_program
from zaptrix.cli.local.up import with_local_servers
from zaptrix.core import limits
from zaptrix.settings import KINDS, Settings

SECOND_START_MAX_S = 30.0
SERVERS = ("postgres", server_program().name)
PROGRAMS = (*SERVERS, "zaptrix_sim", "zaptrix worker", "zaptrix serve")


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two that are free now."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture
def house(tmp_path: Path, ports: tuple[int, int]) -> Iterator[House]:
    with started(tmp_path / "data", ports) as house:
        assert house.process.poll() is None, house.said()
        yield house


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


def test_what_it_writes_is_nobody_elses_and_what_stood_open_is_closed(house: House) -> None:
    folder = house.output.parent
    made = ("keys", "log", "media", "metrics", "postgres", "redis", "sim", "spool")
    wait_for(lambda: all((folder / name).exists() for name in made), 30, "a folder of each part")
    found = [folder / name for name in data_folder.NAMES if (folder / name).exists()]
    below = [path for part in found for path in [part, *part.rglob("*")] if not path.is_socket()]
    assert not [path for path in below if path.exists() and path.stat().st_mode & 0o077]
    (folder / "media").chmod(0o755)
    (folder / "else").mkdir()
    (folder / "else").chmod(0o755)  # whatever this process's umask is
    assert data_folder.open_to_others(folder) == [folder / "media"]
    data_folder.close_to_others(folder)
    assert data_folder.open_to_others(folder) == []
    assert (folder / "else").stat().st_mode & 0o777 == 0o755


def test_the_command_that_it_prints_makes_a_key(house: House) -> None:
    """Also where its servers were given, as here to a second one."""
    beside = {name: value for name, value in os.environ.items() if name not in KINDS}
    printed = next(line for line in house.said().splitlines() if "api-key create" in line).strip()
    first = subprocess.run(["/bin/sh", "-c", printed], env=beside, capture_output=True, text=True, check=False)
    assert first.stdout.startswith("zx_"), first.stderr
    assert sent_examples(house, first.stdout.strip()) == {202}
    given = with_local_servers(Settings.from_env({"DATA_DIR": str(house.output.parent)}))
    folder = house.output.parent / "second"
    house.output.with_name("database").write_text(f"{given.database_url}\n", encoding="utf-8")
    house.output.with_name("meta").write_text("not-of-the-simulators\n", encoding="utf-8")
    servers = {
        "DATABASE_URL_FILE": str(house.output.with_name("database")),
        "META_VERIFY_TOKEN_FILE": str(house.output.with_name("meta")),  # the demo's own takes its place
        "REDIS_URL": given.redis_url,
        "ENCRYPTION_KEYS": given.encryption_keys[0],
        "MEDIA_URL": f"file://{house.output.parent}/media",  # one store for all that share a database
    }
    with started(folder, (free_port(), free_port()), **servers) as second:
        printed = next(line for line in second.said().splitlines() if "api-key create" in line).strip()
        made = subprocess.run(["/bin/sh", "-c", printed], env=beside, capture_output=True, text=True, check=False)
        assert made.stdout.startswith("zx_"), made.stderr


def sent_examples(house: House, key: str) -> set[int]:
    """What becomes of the API's examples to a customer, as they stand."""
    said = asked(house.port, "GET", "/openapi.json")
    statuses = set()
    for path, item in said["paths"].items():
        if not path.startswith("/api/messages/") or path.startswith("/api/messages/template"):
            continue
        content = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            if "to" in example["value"]:
                body = json.dumps(example["value"]).encode()
                headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
                request = urllib.request.Request(f"http://127.0.0.1:{house.port}{path}", body, headers)
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # our own, by http
                    statuses.add(answer.status)
    return statuses


@pytest.mark.parametrize("variable", [("HOST", "0.0.0.0"), ("PUBLIC_URL", "https://tunnel.example.com")])  # noqa: S104
def test_simulators_are_for_this_machine_alone(
    tmp_path: Path, ports: tuple[int, int], variable: tuple[str, str]
) -> None:
    with started(tmp_path / "data", ports, **dict([variable])) as house:
        assert house.process.wait(STOP_WAIT_S) == 2
        (line,) = house.said().splitlines()
        assert "simulators, whose secrets everybody knows, are for this machine alone; set META_APP_SECRET" in line


def test_the_simulators_tell_what_they_are() -> None:
    asked_for = [sys.executable, "-m", "zaptrix_sim", "--help"]
    told = subprocess.run(asked_for, capture_output=True, text=True, check=True, timeout=30).stdout
    assert "SIM_PORT" in told
    assert "SIM_APP_SECRET" in told


def test_beside_it_the_doctor_finds_nothing_wrong(house: House) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in KINDS}
    environ |= {"DATA_DIR": str(house.output.parent), "COLUMNS": "200"}
    doctor = [sys.executable, "-m", "zaptrix", "doctor"]
    told = subprocess.run(doctor, env=environ, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "channel 551140041234" in told.stdout
    assert "cache looked up" not in told.stdout + told.stderr


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
    for program in SERVERS:
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


def test_a_second_start_on_other_ports_carries_texts_both_ways(tmp_path: Path, ports: tuple[int, int]) -> None:
    with started(tmp_path / "data", ports) as house:
        write(house, "bom dia")
        wait_for(lambda: "bom dia" in in_chats(house), 30, "the text in the open line")
    with started(tmp_path / "data", (free_port(), free_port())) as house:
        write(house, "mudei de porta")
        wait_for(lambda: "mudei de porta" in in_chats(house), 30, "the text in the open line")
        chat = house.state()["chats"][0]
        answer = {"portal": chat["portal"], "chat_id": chat["chat_id"], "text": "aqui também", "operator": "Bia"}
        asked(house.sim_port, "POST", "/control/operators/write", answer)
        wait_for(lambda: "aqui também" in on_phones(house), 30, "the answer on the phone")


def on_phones(house: House) -> list[str]:
    return [message["text"] for phone in house.state()["phones"] for message in phone["messages"]]


@pytest.mark.parametrize(("name", "place"), [("PORT", 0), ("SIM_PORT", 1)])
def test_a_taken_port_is_told_by_its_setting(tmp_path: Path, ports: tuple[int, int], name: str, place: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[place]))
        taken.listen()
        with started(tmp_path / "data", ports) as house:
            assert house.process.wait(STOP_WAIT_S) == 2
            assert f"zaptrix: {name}: 127.0.0.1:{ports[place]} cannot be used (Address already in use)" in house.said()


def test_workers_end_by_themselves_before_they_are_killed() -> None:
    assert up.WORKER_STOP_WAIT_S > limits.STOP_S_MAX > limits.STOP_S > limits.STOP_CALL_S
