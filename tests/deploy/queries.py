"""Every PromQL expression that is shipped, of dashboard, recorded series and alarms, and what each of them names."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from observe.dashboard import FILE
from tests.programs import missing

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))

# What Grafana puts in before it asks.
_VARIABLES = {"$__rate_interval": "5m", "$route": ".*"}


class Expression(NamedTuple):
    """One expression, and where it stands."""

    place: str
    text: str


class Use(NamedTuple):
    """A metric that an expression asks for, with the labels and the values that it expects of it."""

    place: str
    metric: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def alarms() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def expressions() -> list[Expression]:
    board = json.loads(FILE.read_text(encoding="utf-8"))
    found = [
        Expression(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())
    ]
    found += [Expression(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    return [Expression(place, _filled_in(text)) for place, text in found]


def uses() -> list[Use]:
    return [use for expression in expressions() for use in _uses(expression.place, parsed(expression.text))]


def parsed(text: str) -> Any:
    """The expression as a tree; raises ValueError for one that Prometheus would not take."""
    try:
        parser = importlib.import_module("promql_parser")
    except ModuleNotFoundError:
        missing("promql-parser is not installed: `make tools`")
    return parser.parse(text)


def _filled_in(text: str) -> str:
    for name, value in _VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def _uses(place: str, tree: Any, grouped: frozenset[str] = frozenset()) -> Iterator[Use]:
    kind = type(tree).__name__
    if kind == "AggregateExpr" and tree.modifier is not None:
        grouped = frozenset(tree.modifier.labels)
    if kind == "VectorSelector":
        matchers = list(tree.matchers.matchers)
        labels = grouped | {matcher.name for matcher in matchers}
        values = {
            (matcher.name, value)
            for matcher in matchers
            if str(matcher.op) in {"MatchOp.Equal", "MatchOp.Re"}
            for value in matcher.value.split("|")
            if re.fullmatch(r"[\w-]+|\d+\.\d+", value)
        }
        yield Use(place, tree.name, frozenset(labels), frozenset(values))
        return
    for child in _children(tree):
        yield from _uses(place, child, grouped)


def _children(tree: Any) -> Iterator[Any]:
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(tree, name, None)
        if child is not None and not isinstance(child, str):
            yield child
    yield from getattr(tree, "args", ()) or ()
