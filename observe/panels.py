"""The building blocks of a Grafana dashboard in the classic JSON form, which file provisioning takes in every version.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${DS}"}
"""The data source is chosen on the dashboard: its id differs from one Grafana to the next."""

WIDTH = 24
HEIGHT = 8


class Query(msgspec.Struct, frozen=True):
    """A PromQL expression, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


class Step(msgspec.Struct, frozen=True):
    """From this value on, this colour; None: from the beginning."""

    value: float | None
    color: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel. Its description says in Portuguese and in English what it shows, and what is good."""

    title: str
    pt: str
    en: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    steps: tuple[Step, ...] = ()
    top: float | None = None  # the largest value that there can be
    stacked: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


def laid_out(rows: Iterable[Row]) -> list[Json]:
    """The rows as Grafana keeps them: every panel with an id and a place in the grid."""
    found: list[Json] = []
    y = 0
    for row in rows:
        found.append(_heading(row.title, len(found) + 1, y))
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT
            found.append(_panel(panel, len(found) + 1, {"h": HEIGHT, "w": panel.width, "x": x, "y": y}))
            x += panel.width
        y += HEIGHT
    return found


def _heading(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": f"{panel.pt}\n\n{panel.en}",
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [_target(query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


def _target(query: Query, place: int) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": True,
        "instant": False,
    }


def _defaults(panel: Panel) -> Json:
    steps: Sequence[Step] = panel.steps or (Step(None, "green"),)
    found: Json = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"color": s.color, "value": s.value} for s in steps]},
        "mappings": [],
    }
    if panel.top is not None:
        found["max"] = panel.top
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 10,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
    return found


_OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
}
