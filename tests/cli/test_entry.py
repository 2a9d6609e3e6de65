"""The end of a command: its exit code is its own."""

import os
import subprocess
import sys

import pytest


def ended(*arguments: str) -> tuple[int, str]:
    """The exit code and the output of a command in a Python that aborts when it is finalized."""
    code = "import atexit, os, sys\natexit.register(os.abort)\nfrom zaptrix.cli.entry import run\nrun()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"), [(["--help"], 0, "backup"), (["no-such-command"], 2, "no-such")]
)
def test_what_threads_do_while_python_ends_does_not_change_the_exit_code(
    arguments: list[str], code: int, told: str
) -> None:
    ended_with, said = ended(*arguments)
    assert (ended_with, told in said) == (code, True)


@pytest.mark.parametrize(("stream", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 120)])
def test_where_the_words_go_to_may_be_closed_or_full(stream: str, code: int) -> None:
    said = "from zaptrix.cli import entry\nentry.app = lambda: print('x')\nentry.run()"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = ["sh", "-c", f'"$0" -c "$1" {stream}', sys.executable, said]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=buffered)
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
