"""The supervisor: parts start in order, the fallen are restarted and told of, and all stop the other way round."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from tests.processes import descendants, is_alive, wait_for
from zaptrix.cli.errors import StartError
from zaptrix.cli.local.children import Child, Program, run
from zaptrix.cli.local.supervisor import Process, Signals, Supervisor

# Ends when asked, says so, and leaves nothing unsaid.
POLITE = """
import signal, sys
def leave(*_):
    print(sys.argv[1], "leaves", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print(sys.argv[1], "is here", flush=True)
signal.pause()
"""
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("is here", flush=True)
while True:
    signal.pause()
"""


def program(name: str, code: str, log: Path, **kwargs: float) -> Program:
    return Program(
        name=name, argv=[sys.executable, "-c", code, name], log=log, stop_wait_s=kwargs.get("stop_wait_s", 10)
    )


def said(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture
def told() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def supervisor(told: list[str]) -> Iterator[Supervisor]:
    with Signals().caught() as signals:
        supervisor = Supervisor(signals=signals, say=told.append)
        try:
            yield supervisor
        finally:
            supervisor.stop()


def test_stages_stop_in_the_opposite_order(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("servers", "workers", "gateway"):
        supervisor.start(Process(program(name, POLITE, log)))
        assert supervisor.until(lambda name=name: f"{name} is here" in said(log), 20)  # type: ignore[misc]
    supervisor.stop()
    assert said(log)[3:] == ["gateway leaves", "workers leaves", "servers leaves"]


def test_a_part_that_falls_is_told_of_and_restarted(supervisor: Supervisor, told: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    part = Process(program("worker", POLITE, log))
    supervisor.start(part)
    assert supervisor.until(lambda: said(log) == ["worker is here"], 20)
    first = part.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    stop_when_back(supervisor, log)
    supervisor.keep()
    assert part.pid != first
    assert told == ["worker ended by itself (killed by SIGKILL); starting it again in 0.5 s"]


def stop_when_back(supervisor: Supervisor, log: Path) -> None:
    """Ask this process to stop once the part is there again."""

    def look() -> None:
        if said(log).count("worker is here") == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            Timer(0.02, look).start()

    look()


def test_who_falls_again_and_again_waits_longer_each_time(
    supervisor: Supervisor, told: list[str], tmp_path: Path
) -> None:
    def note(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    supervisor.say = note
    supervisor.start(Process(program("worker", "raise SystemExit(3)", tmp_path / "log")))
    supervisor.keep()
    assert told == [
        "worker ended by itself (exit code 3); starting it again in 0.5 s",
        "worker ended by itself (exit code 3); starting it again in 1 s",
        "worker ended by itself (exit code 3); starting it again in 2 s",
    ]


def test_who_does_not_listen_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(program("stubborn", STUBBORN, log, stop_wait_s=0.2))
    wait_for(lambda: "is here" in said(log), 20, "the program to start")
    family = {child.pid, *descendants(child.pid)}
    assert len(family) == 2
    child.stop()
    wait_for(lambda: not any(map(is_alive, family)), 30, "the family to end")


def test_a_second_ctrl_c_does_not_wait(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor.start(Process(program("stubborn", STUBBORN, log, stop_wait_s=60)))
    assert supervisor.until(lambda: "is here" in said(log), 20)
    os.kill(os.getpid(), signal.SIGINT)
    Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - begun < 20


def test_a_program_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"(?s)migrate failed \(exit code 1\).*no such table"):
        run(program("migrate", "raise SystemExit('no such table')", tmp_path / "log"))


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="ghost could not be started"):
        Child(Program(name="ghost", argv=[tmp_path / "ghost"]))
