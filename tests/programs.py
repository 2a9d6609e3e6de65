"""Programs that check what others run: linters of deploy/ and .github/, from requirements/tools.txt or the system.

On a machine that cannot have one, what it checks is skipped and says so; in CI, where the variable CI is set, it fails.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Never

import pytest

ROOT = Path(__file__).resolve().parents[1]
_BIN = Path(sys.executable).parent
_SYSTEM = "/usr/sbin:/usr/local/sbin"  # daemons of Debian's are there, and not on every account's PATH


def program(name: str) -> Path:
    """Where it is: in the environment, else on the PATH. Without it the test is skipped, and fails in CI."""
    found = shutil.which(name, path=f"{_BIN}:{os.environ.get('PATH', os.defpath)}:{_SYSTEM}")
    return Path(found) if found else missing(f"{name} is not installed: `make tools`, or the system's package")


def missing(why: str) -> Never:
    """End the test: skipped where a person works, failed in CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def ran(name: str, *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """What the program said, both streams together; the test fails with it unless the program was content."""
    code, told = answered(name, *arguments, cwd=cwd, env=env)
    assert code == 0, f"{name} ended with {code}:\n{told}"
    return told


def answered(
    name: str, *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The program's exit code and what it said, both streams together."""
    # Programs of the environment find each other: actionlint asks shellcheck.
    path = f"{_BIN}:{os.environ.get('PATH', os.defpath)}"
    ended = subprocess.run(
        [program(name), *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return ended.returncode, ended.stdout
