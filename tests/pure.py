"""Which tests need Python alone: no server, no program, no socket. `pytest --pure` runs these, `make test-fast` too.

Why: an answer within a minute, on a machine that has nothing, is asked for ten times an hour.

How: by what a file of tests imports, and by the fixtures that a test asks for. No list is kept, so a new file of tests
is in it or not by what it does. A test marked `slow` is left out.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

from tests.imports import named

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
# What starts programs, or speaks over sockets.
BEYOND_PYTHON = (
    "subprocess",
    "multiprocessing",
    "socket",
    "aiohttp",
    "playwright",
    "uvicorn",
    "zaptrix_sim",
    "tests.servers",
)
# Our own code is asked for what it does, not for what it imports.
_SOURCES = ("zaptrix.", "zaptrix_sim.")


def keeps_to_python(item: pytest.Item) -> bool:
    """Whether a test of a pure file is pure: by where the fixtures stand that it asks for, directly or by others."""
    asked = getattr(item, "_fixtureinfo", None)
    makers = [maker for makers in asked.name2fixturedefs.values() for maker in makers] if asked else []
    files = (inspect.getsourcefile(inspect.unwrap(maker.func)) for maker in makers)
    ours = (Path(file) for file in files if file and Path(file).is_relative_to(TESTS))
    return item.get_closest_marker("slow") is None and all(is_pure(file) for file in ours)


@cache
def is_pure(file: Path) -> bool:
    """Whether a file of tests or fixtures, and all that it imports beside the sources, stays in Python."""
    waiting, seen = [file], set[Path]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        names = _names(one)
        if any(name == beyond or name.startswith(f"{beyond}.") for name in names for beyond in BEYOND_PYTHON):
            return False
        waiting.extend(path for name in names if (path := _file(name)))
    return True


@cache
def _names(file: Path) -> frozenset[str]:
    return frozenset(named(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def _file(name: str) -> Path | None:
    """The file of ours, beside the sources, that a name is imported from."""
    while name and not name.startswith(_SOURCES):
        if (path := ROOT / f"{name.replace('.', '/')}.py").is_file():
            return path
        name = name.rpartition(".")[0]
    return None
