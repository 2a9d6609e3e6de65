"""What the counted and the live metrics look like to who asks: Prometheus' text, or JSON for people who debug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec
from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zaptrix.core.errors import Scope
from zaptrix.core.lanes import Queue
from zaptrix.core.message import Direction
from zaptrix.telemetry import metric_files, metrics
from zaptrix.telemetry.metrics import CacheName, Waiting

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Label = TypeVar("_Label", bound=StrEnum)


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What is not counted but looked up when somebody asks. None: nobody can tell right now, so nothing is told."""

    messages: Mapping[Queue, Mapping[Waiting, int]] | None = None
    oldest_age_s: Mapping[Queue, float] | None = None
    bells: Mapping[Queue, Mapping[Waiting, int]] | None = None
    cache_hit_ratio: Mapping[CacheName, float] | None = None
    paused: Mapping[Scope, int] | None = None
    recovering: int | None = None
    files_waiting: Mapping[Direction, int] | None = None
    replica_lag_s: float | None = None
    replica_fit: bool | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric with all its values, for `/metrics/json`."""

    name: str
    type: str
    help: str
    samples: list[Sample]


def text(live: Live) -> bytes:
    """Everything in Prometheus' text format (`CONTENT_TYPE`). Reads files: a few milliseconds of blocking work."""
    return generate_latest(_Told(live))


def as_json(live: Live) -> list[Family]:
    """The same, for people who debug."""
    return [
        Family(
            name=family.name,
            type=family.type,
            help=family.documentation,
            samples=[Sample(name=each.name, labels=dict(each.labels), value=each.value) for each in family.samples],
        )
        for family in _Told(live).collect()
    ]


class _Told(Collector):
    """Counted and live metrics as one collection."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        yield from _counted()
        yield from _live_families(self._live)


def _counted() -> Iterator[Metric]:
    own = list(metrics.REGISTRY.collect())
    folder = metrics.folder()
    shared = own if folder is None else metric_files.read(folder)
    samples = {metric.name: metric.samples for metric in shared}
    for metric in own:  # the order, the texts and the families without a value yet come from here
        kept = metric.name in metrics.KEPT_NAMES
        family = Metric(metric.name, metric.documentation, "unknown" if kept else metric.type)
        for sample in samples.get(metric.name, ()):
            if not sample.name.endswith("_created"):
                name = metric.name if kept else sample.name
                family.add_sample(name, sample.labels, sample.value)
        yield family


def _live_families(live: Live) -> Iterator[Metric]:
    yield _by_queue("zaptrix_queue_size", "Messages of a queue by where they stand", live.messages)
    yield _by_queue("zaptrix_queue_bells", "Bells of a queue (BullMQ jobs) by where they stand", live.bells)
    yield _by_label(
        "zaptrix_queue_oldest_age_seconds", "Age of the oldest open message of a queue", "queue", live.oldest_age_s
    )
    yield _by_label("zaptrix_cache_hit_ratio", "Share of look-ups that a cache answered", "cache", live.cache_hit_ratio)
    yield _one("zaptrix_recovery_running", "Portals whose conversations are looked at after an outage", live.recovering)
    yield _one(
        "zaptrix_replica_lag_seconds", "How far the replica is behind that lists are read from", live.replica_lag_s
    )
    yield _one(
        "zaptrix_replica_fit", "Whether lists are read from the replica (1), or else the primary", live.replica_fit
    )
    yield _by_label("zaptrix_files_waiting", "Files that are not ready yet", "direction", live.files_waiting)
    yield _by_label("zaptrix_paused", "Channels and portals that stand still behind a bad key", "kind", live.paused)


def _one(name: str, told: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, told)
    if value is not None:
        family.add_metric((), value)
    return family


def _by_queue(name: str, told: str, values: Mapping[Queue, Mapping[Waiting, int]] | None) -> Metric:
    family = GaugeMetricFamily(name, told, labels=("queue", "state"))
    for queue, states in (values or {}).items():
        for state, count in states.items():
            family.add_metric((queue, state), count)
    return family


def _by_label(name: str, told: str, label: str, values: Mapping[_Label, float] | None) -> Metric:
    family = GaugeMetricFamily(name, told, labels=(label,))
    for key, value in (values or {}).items():
        family.add_metric((key,), value)
    return family
