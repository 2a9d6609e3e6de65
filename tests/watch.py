"""Reruns the tests next to what changed, whenever a file is saved: `make watch`.

How: of the tests that import what changed those that bear its name, or else all of them; if there are none, those that
import who imports it, and so on. Of a file that is not Python (a script of Redis's, a page) those next to the sources
that name it; of a document the house rules.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from watchfiles import DefaultFilter, watch

from tests.imports import FOLDERS, Imports, dotted

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("docs", ".github")
_HOUSE = "tests/house"


def next_to(imports: Imports, changed: Iterable[str]) -> list[str]:
    """The tests to run for these files, by their paths in the repository."""
    found: set[str] = set()
    for path in changed:
        if path.startswith(tuple(f"{folder}/" for folder in DOCUMENTS)) or path.endswith(".md"):
            found.add(_HOUSE)
        elif path.endswith(".py"):
            nearest = _nearest(imports, {dotted(path)} & imports.files.keys())
            found |= {test for test in nearest if _is_named_after(test, path)} or nearest
        else:
            found |= _nearest(imports, _naming(imports, Path(path).name))
    return sorted(found)


def _nearest(imports: Imports, modules: set[str]) -> set[str]:
    seen: set[str] = set()
    while modules:
        tests = {imports.files[module] for module in modules if _is_test(module)}
        if tests:
            return {path.relative_to(imports.root).as_posix() for path in tests}
        seen |= modules
        modules = {by for module in modules for by in imports.importers.get(module, ())} - seen
    return set()


def _is_named_after(test: str, path: str) -> bool:
    return f"{Path(test).stem}_".startswith(f"test_{Path(path).stem}_")


def _is_test(module: str) -> bool:
    return module.rpartition(".")[2].startswith("test_")


def _naming(imports: Imports, name: str) -> set[str]:
    return {module for module, path in imports.files.items() if name in path.read_text(encoding="utf-8")}


def main() -> None:
    folders = [ROOT / folder for folder in (*FOLDERS, *DOCUMENTS) if (ROOT / folder).is_dir()]
    print("watch: save a file, and the tests next to it run; Ctrl-C ends it", flush=True)
    for changes in watch(*folders, watch_filter=DefaultFilter(), raise_interrupt=False):
        changed = sorted({Path(path).relative_to(ROOT).as_posix() for _, path in changes})
        tests = next_to(Imports(ROOT), changed)  # read anew: imports change, too
        print(f"watch: {', '.join(changed)}: {', '.join(tests) or 'no test is next to it'}", flush=True)
        if tests:
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=ROOT, check=False
            )


if __name__ == "__main__":
    main()
