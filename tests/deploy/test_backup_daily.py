"""The backup service's own loop: when it makes a backup, what a failure does, and that it ends when it is told to."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import command_of, descendants, wait_for
from tests.programs import ROOT

SCRIPT = ROOT / "deploy" / "image" / "backup-daily.sh"
WAIT_S = 30.0


@contextmanager
def running(folder: Path, *, ends_with: int = 0, does: str = "", **environ: str) -> Iterator[subprocess.Popen[str]]:
    """It, with a `zaptrix` that notes what it was asked for. The pauses are real, so it never comes to a second one."""
    stand_in = folder / "zaptrix"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >>"$DATA_DIR/asked"\n{does}\nexit {ends_with}\n', encoding="ascii")
    stand_in.chmod(0o755)
    given = {"PATH": f"{folder}:{os.environ['PATH']}", "DATA_DIR": str(folder), **environ}
    process = subprocess.Popen(
        [SCRIPT], env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its pauses are processes, too
        process.communicate()


def asked(folder: Path) -> list[str]:
    file = folder / "asked"
    return file.read_text(encoding="ascii").splitlines() if file.exists() else []


def test_the_first_backup_is_made_at_once_and_noted_and_a_stop_ends_the_pause(tmp_path: Path) -> None:
    with running(tmp_path, BACKUP_TO="s3://bucket/prefix", BACKUP_KEEP="3") as process:
        wait_for((tmp_path / "last-backup").exists, WAIT_S, "a backup that is noted as good")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert asked(tmp_path) == ["backup --to s3://bucket/prefix --keep 3"]


TIDIES = """
trap 'sleep 0.2; rm "$DATA_DIR/begun"; exit 2' TERM
touch "$DATA_DIR/begun"
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_a_backup_that_runs_and_waits_until_it_has_tidied_up(tmp_path: Path, number: int) -> None:
    with running(tmp_path, does=TIDIES) as process:
        wait_for((tmp_path / "begun").exists, WAIT_S, "a backup that runs")
        process.send_signal(number)
        process.send_signal(number)  # who is impatient
        assert process.wait(WAIT_S) == 0
        assert not (tmp_path / "begun").exists()
    assert len(asked(tmp_path)) == 1
    assert not (tmp_path / "last-backup").exists()


def test_one_that_fails_is_told_and_not_taken_for_good(tmp_path: Path) -> None:
    with running(tmp_path, ends_with=1) as process:
        assert process.stdout
        assert process.stdout.readline() == "the backup failed; it is tried again in ten minutes\n"
    assert asked(tmp_path) == [f"backup --to {tmp_path}/backups --keep 14"]
    assert not (tmp_path / "last-backup").exists()


def test_after_a_restart_a_backup_of_today_is_enough(tmp_path: Path) -> None:
    (tmp_path / "last-backup").touch()
    with running(tmp_path) as process:
        wait_for(
            lambda: any(command_of(pid).startswith("sleep") for pid in descendants(process.pid)), WAIT_S, "its pause"
        )
        assert asked(tmp_path) == []


@pytest.mark.parametrize("hour", ["24", "-1", "03", "noon", "1.5"])
def test_an_hour_that_is_none_is_refused_in_a_sentence(tmp_path: Path, hour: str) -> None:
    with running(tmp_path, BACKUP_HOUR=hour) as process:
        told, _ = process.communicate(timeout=WAIT_S)
        assert (process.returncode, told) == (2, f"BACKUP_HOUR: '{hour}' is not an hour from 0 to 23\n")
