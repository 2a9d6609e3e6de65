"""Which files of this repository import which, read from their syntax: nothing is imported to find out.

How: modules are files below the top folders; what a name is imported from is the innermost module that it names.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDERS = ("src", "tests", "proof", "benchmarks", "observe", "deploy")


def dotted(path: str) -> str:
    """How a file of the repository is imported."""
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def named(module: ast.AST) -> Iterator[str]:
    """The full name of everything that a module imports, also inside of functions and for types alone."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:  # relative ones are banned by ruff
            yield from (f"{node.module}.{each.name}" for each in node.names)


def innermost(name: str, known: Collection[str]) -> str:
    """The innermost of the known modules that a name is, or stands in; empty if there is none."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


@dataclass(frozen=True)
class Imports:
    """The imports of one checkout."""

    root: Path

    @cached_property
    def files(self) -> dict[str, Path]:
        """Each module with its file."""
        paths = (path for folder in FOLDERS for path in sorted((self.root / folder).rglob("*.py")))
        return {dotted(path.relative_to(self.root).as_posix()): path for path in paths}

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        """Each module with all that it imports, whosever it is."""
        return {
            module: frozenset(named(ast.parse(path.read_text(encoding="utf-8")))) for module, path in self.files.items()
        }

    @cached_property
    def importers(self) -> Mapping[str, frozenset[str]]:
        """Each of our modules with those that import it."""
        found: dict[str, set[str]] = defaultdict(set)
        for module, names in self.names.items():
            for name in names:
                found[innermost(name, self.files)].add(module)
        return {module: frozenset(by - {module}) for module, by in found.items() if module}
