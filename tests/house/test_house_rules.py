"""The house's own rules, held by a test: what a linter does not know about this code base."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ("src", "proof", "benchmarks", "observe")
SOURCES = sorted(path for house in HOUSES for path in (ROOT / house).rglob("*.py"))

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "service", "services", "base"})

# Where a catch-all stands, and why it may.
CATCH_ALL_ALLOWED = {
    "src/zaptrix/worker": "a runner judges whatever escaped a step again, and never hides it",
    "src/zaptrix/bridge/tenants/directory.py": "a comparison that ended for good would leave old keys good for ever",
    "src/zaptrix/exchange.py": "whatever breaks on a foreign answer is told by its kind, and ends as no clear answer",
    "src/zaptrix/media/reach.py": "whatever a resolver breaks on is a name that is none",
    "src/zaptrix/bridge/deliver/confirmer.py": "what breaks in one portal's call is left to rows, and others are told",
    "src/zaptrix/bridge/deliver/dispatcher.py": "what breaks in one portal's call must not end those of the others",
    "src/zaptrix/bridge/tenants/registration.py": "a registration ends and is recorded, whatever broke",
    "src/zaptrix/web/server/gateway.py": "whatever a request or the start breaks on is logged once and answered 500",
    "src/zaptrix/web/server/connections.py": "whatever a socket tells, the callers' clocks go on",
    "src/zaptrix/web/doors/webhooks.py": "an event that is never sent twice is kept, whatever broke",
    "src/zaptrix/web/server/registering.py": "one channel's trouble must not keep others off their lines",
    "src/zaptrix/web/server/spooled.py": "what is in the spool stands nowhere else, so its replay never ends",
}
READMES = ("README.md", "README.pt-BR.md")
USED_FROM_OUTSIDE = {
    "main_loop": "uvicorn calls it",
    "_unsupported_upgrade_warning": "uvicorn calls it",
    "send_400_response": "uvicorn calls it",
    "capture_signals": "uvicorn calls it",
    "discover_master": "redis-py calls it",
    "create_index": "migrations of later releases do",
    "message_send_ttl_seconds": "goes to Meta as it came",
}
PRINT_ALLOWED = ("src/zaptrix/cli/", "src/zaptrix_sim/__main__.py", "proof/", "benchmarks/", "observe/")


class Place(NamedTuple):
    """A place in a source file, as an editor jumps to it."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def nodes() -> Sequence[tuple[str, ast.AST]]:
    return [
        (relative(path), node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    ]


def told(places: list[Place]) -> str:
    return "\n".join(map(str, places))


def test_a_source_file_is_one_idea_of_at_most_400_lines() -> None:
    sizes = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not {path: lines for path, lines in sizes.items() if lines > FILE_LINES_MAX}


def test_a_function_is_one_thought_of_at_most_60_lines() -> None:
    long = [
        Place(path, node.lineno, f"{node.name} has {node.end_lineno - node.lineno + 1} lines")
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, told(long)


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether it takes whatever comes. One that cleans up and raises the same again hides nothing."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        name is None or (isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"}) for name in names
    )


def test_only_the_worker_may_catch_every_exception() -> None:
    broad = [
        Place(path, node.lineno, "catches every exception")
        for path, node in nodes()
        if isinstance(node, ast.ExceptHandler)
        and catches_all(node)
        and not any(path == allowed or path.startswith(f"{allowed}/") for allowed in CATCH_ALL_ALLOWED)
    ]
    assert not broad, told(broad)


def names_of(node: ast.AST) -> Iterator[tuple[int, str]]:
    """What a module or class defines for others: functions, classes, constants and fields; nothing that a decorator
    hands to a framework, and no members of enumerations."""
    if not isinstance(node, ast.Module | ast.ClassDef):
        return
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not each.decorator_list:
            yield each.lineno, each.name
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.lineno, each.target.id
        elif isinstance(each, ast.Assign) and isinstance(node, ast.Module):
            yield from ((each.lineno, target.id) for target in each.targets if isinstance(target, ast.Name))


def test_whatever_is_defined_is_used() -> None:
    """By its name: one that stands nowhere but where it is defined is dead."""
    words = Counter(
        word
        for path in SOURCES
        if path.is_relative_to(ROOT / "src/zaptrix")
        for word in re.findall(r"\w+", path.read_text())
    )
    dead = [
        Place(path, line, f"{name} is used nowhere")
        for path, node in nodes()
        if path.startswith("src/zaptrix/") and "/migrations/" not in path
        for line, name in names_of(node)
        if words[name] == 1 and not name.startswith("__") and name not in USED_FROM_OUTSIDE
    ]
    assert not dead, told(dead)


def test_a_module_is_named_by_a_noun_of_the_domain() -> None:
    vague = [
        relative(path)
        for path in SOURCES
        if VAGUE_NAMES & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]
    assert not vague


def test_only_the_command_line_prints() -> None:
    prints = [
        Place(path, node.lineno, "prints")
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and not path.startswith(PRINT_ALLOWED)
    ]
    assert not prints, told(prints)


@pytest.mark.parametrize("package", ["zaptrix", "zaptrix_sim"])
def test_no_import_cycle(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    waiting = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while free := [module for module, imported in waiting.items() if not imported & waiting.keys() - {module}]:
        for module in free:
            del waiting[module]
    assert not waiting, f"these import each other in a circle, or import one that does: {sorted(waiting)}"


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "tools.txt"])
def test_a_lock_names_no_host_and_pins_every_package_by_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    assert not re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host|^-i |^-f ", text, re.MULTILINE)
    entries = re.findall(r"^[a-z0-9][^\n]*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE))


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    assert pins("runtime.txt").items() <= pins("dev.txt").items()


def test_the_lock_of_the_checking_programs_changes_nothing_of_the_development_lock() -> None:
    """They are installed into one environment, one after the other."""
    assert not pins("tools.txt").keys() & pins("dev.txt").keys()


def test_what_is_explained_in_one_language_is_explained_in_the_other() -> None:
    there = {name for name in READMES if (ROOT / name).is_file()}
    assert there in (set(), set(READMES))


def test_migrations_stand_in_one_line() -> None:
    """Two branches that each take the next number would meet in a schema that nothing can upgrade to."""
    names = sorted(path.name for path in (ROOT / "src/zaptrix/store/migrations/versions").glob("[0-9]*.py"))
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
