"""The numbers of the house: how many rooms, arrows, waivers and long files there are, measured from the tree.

Why: a plan says what is to be reached, and only a count says whether it was. `make house` prints the table; it never
fails. What may never get worse again is held by `test_measures.py`.

How: everything is found in the tree (folders, imports, syntax, `pyproject.toml`, documents), no file is named here, so
files may move. `python -m tests.house.measures --list circles` shows what a row has counted, and `--tree` measures
another checkout.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.imports import dotted, innermost, named

ROOT = Path(__file__).resolve().parents[2]
GATEWAY, SIMULATORS = "zaptrix", "zaptrix_sim"
PACKAGES = (GATEWAY, SIMULATORS)
# Where files are limited in length: as `test_house_rules.py` has it.
HOUSES = ("src", "proof", "benchmarks", "observe")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
ARROWS_OF = "bridge"
ROOMS_OF = ("core", "store", "whatsapp", "bitrix24")
# Who must not know a platform: what they need of one is asked for as a protocol of the core's.
OUTSIDE_PLATFORMS = ("bridge", "web")
PLATFORMS = ("whatsapp", "bitrix24")
# A module of one of these names, or none at all, is the package itself and no room.
NO_ROOMS = frozenset({"__init__", "__main__"})
TOO_MANY_ARGUMENTS = re.compile(r"#\s*noqa:[^#]*\bPLR091[37]\b")
DECISIONS_HEADING = "## Who decides about a message"


class Measure(NamedTuple):
    """One row of the table."""

    what: str
    """Whose number it is; also how it is asked for by `--list`."""

    found: tuple[str, ...]
    """What was counted, one by one."""

    target: str
    how: str
    """What counts, in one sentence."""

    number: int | None = None
    """The number, where it is not the length of `found`."""

    measurable: bool = True
    """Whether this tree has what is counted."""

    @property
    def today(self) -> str:
        if not self.measurable:
            return "–"
        return f"{len(self.found) if self.number is None else self.number:,}"


class Class(NamedTuple):
    """A public class at the top of a module."""

    name: str
    module: str
    node: ast.ClassDef


@dataclass(frozen=True)
class Tree:
    """One checkout, read without importing anything of it."""

    root: Path

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def package(self, name: str) -> Path:
        return self.root / "src" / Path(*name.split("."))

    def text(self, name: str) -> str:
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def sources(self) -> dict[str, str]:
        """The text of each file whose length is limited."""
        paths = sorted(path for house in HOUSES for path in (self.root / house).rglob("*.py"))
        return {self.relative(path): path.read_text(encoding="utf-8") for path in paths}

    @cached_property
    def parsed(self) -> dict[str, ast.Module]:
        return {path: ast.parse(text, filename=path) for path, text in self.sources.items()}

    def of(self, package: str) -> dict[str, ast.Module]:
        """The modules of one package under `src`."""
        folder = self.relative(self.package(package))
        return {path: module for path, module in self.parsed.items() if path.startswith(f"{folder}/")}

    @cached_property
    def contracts(self) -> list[dict[str, object]]:
        """What import-linter holds."""
        tools = tomllib.loads(self.text("pyproject.toml")).get("tool", {})
        return list(tools.get("importlinter", {}).get("contracts", ()))

    @cached_property
    def modules(self) -> dict[str, ast.Module]:
        """Each module of both packages by its dotted name; a package by its own."""
        return {dotted(path): module for package in PACKAGES for path, module in self.of(package).items()}

    @cached_property
    def imports(self) -> set[tuple[str, str]]:
        """Each module of ours with each that it imports, also inside of functions and for types alone."""
        return {
            (one, known)
            for one, module in self.modules.items()
            for name in named(module)
            if (known := innermost(name, self.modules)) and known != one
        }

    @cached_property
    def classes(self) -> list[Class]:
        return [
            Class(node.name, path, node)
            for package in PACKAGES
            for path, module in self.of(package).items()
            for node in module.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        ]

    # --- rooms --------------------------------------------------------------------------------------------------------

    def rooms(self, package: str) -> set[str]:
        """What stands directly in a package: its folders that hold Python, and its modules."""
        folder = self.package(package)
        if not folder.is_dir():
            return set()
        modules = {path.stem for path in folder.glob("*.py")} - NO_ROOMS
        return modules | {path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))}

    def packages(self) -> Iterator[str]:
        """Each package of ours, of any depth."""
        for package in PACKAGES:
            folder = self.package(package)
            inner = {above for path in folder.rglob("*.py") for above in path.parents if above.is_relative_to(folder)}
            yield from sorted(".".join(each.relative_to(self.root / "src").parts) for each in inner)

    def arrows(self, package: str) -> set[tuple[str, str]]:
        """Which room of a package imports which other one."""
        pairs = {(room_in(package, one), room_in(package, other)) for one, other in self.imports}
        return {(one, other) for one, other in pairs if one and other and one != other}

    def arrows_upwards(self, contract: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """What a contract of layers forbids, import by import."""
        layers = [str(layer) for layer in contract.get("layers", ())]  # type: ignore[attr-defined]
        for container in contract.get("containers", None) or ("",):  # type: ignore[attr-defined]
            floors = {
                f"{container}.{name}".strip("."): (number, "|" in layer)
                for number, layer in enumerate(layers)
                for name in (each.strip(" ()") for each in re.split(r"[|:]", layer))
            }
            for one, other in self.imports:
                mine, yours = innermost(one, floors), innermost(other, floors)
                if mine and yours and mine != yours:
                    (below, alone), (above, _) = floors[mine], floors[yours]
                    if above < below or (above == below and alone):
                        yield one, other


def room_in(package: str, module: str) -> str:
    """The room of a package that a module stands in; empty if it is elsewhere, or the package itself."""
    return module.removeprefix(f"{package}.").split(".")[0] if module.startswith(f"{package}.") else ""


def circles(arrows: set[tuple[str, str]]) -> list[list[str]]:
    """The groups whose members reach each other (strongly connected components of more than one)."""
    ahead: dict[str, set[str]] = defaultdict(set)
    for one, other in arrows:
        ahead[one].add(other)
    reached = {one: _reached(one, ahead) for one in list(ahead)}
    groups = {
        frozenset({one, *(other for other in others if one in reached.get(other, ()))})
        for one, others in reached.items()
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reached(start: str, ahead: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = ahead.get(waiting.pop(), set()) - seen
        seen |= new
        waiting.extend(new)
    return seen


# --- the measures -----------------------------------------------------------------------------------------------------


def rooms_of(tree: Tree) -> Iterator[Measure]:
    how = "a room is what stands directly in a package: a folder with Python in it, or a module that is not __init__"
    bridge = f"{GATEWAY}.{ARROWS_OF}"
    yield Measure(f"{ARROWS_OF}: rooms", tuple(sorted(tree.rooms(bridge))), "10", how)
    arrows = tuple(sorted(f"{one} -> {other}" for one, other in tree.arrows(bridge)))
    yield Measure(f"{ARROWS_OF}: arrows", arrows, "14", "which of its rooms imports which other one, once each")
    for name, target in zip(ROOMS_OF, ("10", "9", "10", "8"), strict=True):
        yield Measure(f"{name}: rooms", tuple(sorted(tree.rooms(f"{GATEWAY}.{name}"))), target, how)
    yield Measure("sim: rooms", tuple(sorted(tree.rooms(SIMULATORS))), "9", how)


def upwards(tree: Tree) -> Measure:
    layered = [contract for contract in tree.contracts if contract["type"] == "layers"]
    found = {f"{one} -> {other}" for contract in layered for one, other in tree.arrows_upwards(contract)}
    how = (
        "an import of a floor above, or of a neighbour on the same floor, by each contract of layers in pyproject.toml"
    )
    return Measure("arrows upwards", tuple(sorted(found)), "0", how)


def circles_of(tree: Tree) -> Measure:
    groups = {" <-> ".join(group) for group in circles(tree.imports)}
    for package in tree.packages():
        rooms = {tuple(f"{package}.{room}" for room in group) for group in circles(tree.arrows(package))}
        groups |= {" <-> ".join(group) for group in rooms}
    return Measure("circles", tuple(sorted(groups)), "0", "modules, or rooms of one package, that import each other")


def excused(tree: Tree) -> Measure:
    entries = {" ".join(str(entry).split()) for each in tree.contracts for entry in _ignored(each)}
    ends = tuple(f"{GATEWAY}.{name}" for name in PLATFORMS)
    outside = tuple(f"{GATEWAY}.{name}" for name in OUTSIDE_PLATFORMS)
    direct = {
        f"{one} -> {other}"
        for one, other in tree.imports
        if _in(outside, one) and _in(ends, other) and not other.endswith(".webhook")
    }
    how = "an entry of `ignore_imports`, or an import of a platform from bridge or web other than of its webhook"
    return Measure("excused imports", tuple(sorted(entries | direct)), "0", how)


def _ignored(contract: Mapping[str, object]) -> list[object]:
    return list(contract.get("ignore_imports", ()))  # type: ignore[call-overload, no-any-return]


def _in(packages: tuple[str, ...], module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def decisions(tree: Tree) -> list[tuple[str, list[str]]]:
    """The rows of the architecture's table of who decides about a message: the word, and the classes that it names."""
    _, _, after = tree.text("docs/ARCHITECTURE.md").partition(f"\n{DECISIONS_HEADING}\n")
    section = after.split("\n## ")[0]
    rows = re.findall(r"^\| \d+ \| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE)
    return [(word.strip(), re.findall(r"`(\w+)`", named)) for word, named in rows]


def decided(tree: Tree) -> Measure:
    rows = tuple(f"{word}: {', '.join(names)}" for word, names in decisions(tree))
    how = "rows of the table in ARCHITECTURE: classes that are handed each message, from the socket to the platform"
    return Measure("decisions a message meets", rows, "7", how, measurable=bool(rows))


def entries(tree: Tree, dispatcher: str) -> Iterator[Measure]:
    """The public ways into the dispatcher's file, and those of them that are handed a message."""
    file = next((each.module for each in tree.classes if each.name == dispatcher), None)
    public = list(_public(tree.parsed[file])) if file else []
    handed = tuple(name for name, signature in public if re.search(r"\bClaims?\b|\bClaims?\b", signature))
    named = tuple(name for name, _ in public)
    how = f"public functions of the file that defines `{dispatcher}`, and public methods of its public classes"
    yield Measure("ways into the delivery file", named, "–", how, measurable=bool(public))
    how = "those of them that take claimed messages (what a message enters by; the others ask or tell)"
    yield Measure("entries that are handed the message", handed, "1", how, measurable=bool(public))


def _public(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        inner = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        for each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_"):
                yield each.name, ast.unparse(each.args)


def lines(tree: Tree) -> Measure:
    sizes = {path: len(tree.sources[path].splitlines()) for path in tree.of(GATEWAY)}
    found = tuple(f"{path}: {size}" for path, size in sizes.items())
    return Measure("lines of Python in src/zaptrix", found, "28,000", "all lines, blank ones too", sum(sizes.values()))


def waivers(tree: Tree) -> Measure:
    found = [
        f"{path}:{token.start[0]}"
        for path, text in tree.sources.items()
        if "PLR091" in text
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and TOO_MANY_ARGUMENTS.search(token.string)
    ]
    how = "comments that excuse a signature from PLR0917 or PLR0913"
    return Measure("waivers for too many arguments", tuple(found), "0", how)


def long_ones(tree: Tree) -> Iterator[Measure]:
    sizes = {path: len(text.splitlines()) for path, text in tree.sources.items()}
    files = tuple(f"{path}: {size}" for path, size in sizes.items() if size > FILE_LINES_MAX)
    yield Measure(f"files over {FILE_LINES_MAX} lines", files, "0", f"under {', '.join(HOUSES)}")
    functions = tuple(
        f"{path}:{node.lineno}: {node.name}"
        for path, module in tree.parsed.items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES_MAX
    )
    yield Measure(f"functions over {FUNCTION_LINES_MAX} lines", functions, "0", "from `def` to the last line")


def glossary(tree: Tree) -> Measure:
    rows = re.findall(r"^\| ([^|]+) \|", tree.text("docs/GLOSSARY.md"), re.MULTILINE)
    words = tuple(row.strip() for row in rows if not re.fullmatch(r"[-: ]+|\s*(?:word|words|status)\s*", row))
    return Measure("glossary: words", words, "40", "rows of its tables")


def shared_names(tree: Tree, package: str) -> dict[str, tuple[str, ...]]:
    """The names that more than one public class of a package has, and where."""
    where: dict[str, list[str]] = defaultdict(list)
    for each in tree.classes:
        if each.module.startswith(f"{tree.relative(tree.package(package))}/"):
            where[each.name].append(each.module)
    return {name: tuple(modules) for name, modules in sorted(where.items()) if len(modules) > 1}


def names(tree: Tree) -> Iterator[Measure]:
    how = "names of public classes at the top of a module that another such class of the same package has, too"
    for what, package in (("public classes of one name", GATEWAY), ("public classes of one name, sim", SIMULATORS)):
        found = tuple(f"{name}: {', '.join(modules)}" for name, modules in shared_names(tree, package).items())
        yield Measure(what, found, "0", how)
    here, across = ({each.name for each in tree.classes if f"/{package}/" in each.module} for package in PACKAGES)
    how = "names that a public class of the gateway and one of the simulators have: neither imports the other"
    yield Measure("names on both sides of the street", tuple(sorted(here & across)), "–", how)


def docstrings(tree: Tree) -> Measure:
    """Modules whose docstring does not begin with what it does. What may be checked of the order is this beginning."""
    found = [
        path
        for path, module in tree.of(GATEWAY).items()
        if module.body and not _says_what(ast.get_docstring(module) or "")
    ]
    how = "modules without a docstring, or whose first paragraph is not one sentence that ends with a period"
    return Measure("module docstrings to mend", tuple(found), "0", how)


def _says_what(docstring: str) -> bool:
    first = " ".join(docstring.split("\n\n", maxsplit=1)[0].split())
    return first.endswith(".") and not re.search(r"[.!?] +[A-Z`]", re.sub(r"\b(?:e\.g|i\.e|etc|v)\. ", "", first))


def measured(tree: Tree, dispatcher: str = "Dispatcher") -> list[Measure]:
    return [
        *rooms_of(tree),
        upwards(tree),
        circles_of(tree),
        excused(tree),
        decided(tree),
        *entries(tree, dispatcher),
        lines(tree),
        waivers(tree),
        *long_ones(tree),
        glossary(tree),
        *names(tree),
        docstrings(tree),
    ]


# --- the table --------------------------------------------------------------------------------------------------------


def table(rows: list[Measure]) -> str:
    cells = [("what", "today", "target"), *((row.what, row.today, row.target) for row in rows)]
    wide = [max(len(row[column]) for row in cells) for column in range(3)]
    written = [f"| {what:<{wide[0]}} | {today:>{wide[1]}} | {target:>{wide[2]}} |" for what, today, target in cells]
    ruler = f"| {'-' * wide[0]} | {'-' * (wide[1] - 1)}: | {'-' * (wide[2] - 1)}: |"
    return "\n".join([written[0], ruler, *written[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make house", description="What the house is like today, and is to become.")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout to measure")
    parser.add_argument("--dispatcher", default="Dispatcher", help="the class that delivers, in that checkout")
    parser.add_argument("--list", default="", metavar="WHAT", help="also what rows have counted whose name holds this")
    asked = parser.parse_args()
    rows = measured(Tree(asked.tree.resolve()), asked.dispatcher)
    print(table(rows))
    for row in rows:
        if asked.list and asked.list in row.what:
            print(f"\n{row.what}: {row.how}")
            print("\n".join(f"  {each}" for each in row.found))


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # who has seen enough: make house | head
        main()
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
