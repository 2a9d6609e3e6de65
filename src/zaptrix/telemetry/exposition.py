"""What the counted and the live metrics look like to who asks: Prometheus' text, or JSON for people who debug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec
from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import zaptrix
from zaptrix.core.delivery.errors import FailureScope
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.message.message import Direction
from zaptrix.telemetry import metric_files, metrics
from zaptrix.telemetry.metrics import CacheName, Waiting

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Label = TypeVar("_Label", bound=StrEnum)


class Server(StrEnum):
    """What a gateway stands on."""

    POSTGRESQL = "postgresql"
    REDIS = "redis"


class SpoolState(StrEnum):
    """What a file of the spool waits for."""

    WAITING = "waiting"  # for PostgreSQL
    HELD = "held"  # for its portal's secret to be readable
    BAD = "bad"  # for a person


class Figure(StrEnum):
    """What one worker of the cluster works out for all of them, under the name of its metric."""

    CHANNELS_CONNECTED = "zaptrix_channels:connected"
    CHANNELS_BUSY = "zaptrix_channels:busy"
    CHANNELS_SILENT = "zaptrix_channels:silent"
    DATABASE_SIZE = "zaptrix_database_size_bytes"
    DATABASE_SESSIONS = "zaptrix_database_sessions"
    DATABASE_SESSIONS_MAX = "zaptrix_database_sessions_max"
    DATABASE_OLDEST_TRANSACTION = "zaptrix_database_oldest_transaction_seconds"
    CERTIFICATE_EXPIRES = "zaptrix_certificate_expires_timestamp_seconds"


class Disk(msgspec.Struct, frozen=True):
    """The disk that holds DATA_DIR."""

    free_bytes: int
    bytes: int


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What is not counted but looked up when somebody asks. None: nobody can tell right now, so nothing is told."""

    servers: Mapping[Server, float | None] = {}
    """Seconds until each answered; None: it cannot be used."""
    worked: frozenset[Queue] | None = None
    workers: int | None = None
    spool: Mapping[SpoolState, int] | None = None
    disk: Disk | None = None
    redis_bytes: int | None = None
    figures: Mapping[Figure, float] = {}
    messages: Mapping[Queue, Mapping[Waiting, int]] | None = None
    oldest_age_s: Mapping[Queue, float] | None = None
    bells: Mapping[Queue, Mapping[Waiting, int]] | None = None
    cache_hit_ratio: Mapping[CacheName, float] | None = None
    paused: Mapping[FailureScope, int] | None = None
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
    yield from _server_families(live)
    yield _by_label("zaptrix_spool_files", "Events on this host's disk, by what they wait for", "state", live.spool)
    yield from _host_families(live.disk)
    yield from _figure_families(live.figures)


def _server_families(live: Live) -> Iterator[Metric]:
    up = {server: float(ping_s is not None) for server, ping_s in live.servers.items()}
    pings = {server: ping_s for server, ping_s in live.servers.items() if ping_s is not None}
    yield _by_label("zaptrix_server_up", "Whether this gateway can use the server", "server", up)
    yield _by_label("zaptrix_server_ping_seconds", "How long a simple question to it takes", "server", pings)
    worked = None if live.worked is None else {queue: float(queue in live.worked) for queue in Queue}
    yield _by_label("zaptrix_queue_worked", "Whether any worker answers for the queue", "queue", worked)
    yield _one("zaptrix_workers", "Worker processes that give their heartbeat", live.workers)
    yield _one("zaptrix_redis_memory_bytes", "Memory that Redis uses", live.redis_bytes)


def _host_families(disk: Disk | None) -> Iterator[Metric]:
    free, whole = (disk.free_bytes, disk.bytes) if disk else (None, None)
    yield _one("zaptrix_disk_free_bytes", "Free room on the disk that holds DATA_DIR", free)
    ratio = free / whole if free is not None and whole else None
    yield _one("zaptrix_disk_free_ratio", "The free share of that disk", ratio)
    build = GaugeMetricFamily("zaptrix_build_info", "The version that runs", labels=("version",))
    build.add_metric((zaptrix.__version__,), 1)
    yield build


_FIGURES = {
    "zaptrix_channels": "Numbers, by whether customers write (busy: many did a week ago; silent: none does now)",
    "zaptrix_database_size_bytes": "What the database takes on disk",
    "zaptrix_database_sessions": "Connections of clients to PostgreSQL, all of them",
    "zaptrix_database_sessions_max": "How many connections PostgreSQL allows",
    "zaptrix_database_oldest_transaction_seconds": "How long the oldest transaction of this database has been open",
    "zaptrix_certificate_expires_timestamp_seconds": "When the certificate of PUBLIC_URL ends, in seconds since 1970",
}


def _figure_families(figures: Mapping[Figure, float]) -> Iterator[Metric]:
    for name, told in _FIGURES.items():
        found = {key: value for figure, value in figures.items() for key in [figure.partition(":")] if key[0] == name}
        family = GaugeMetricFamily(name, told, labels=("state",) if any(key[2] for key in found) else ())
        for (_, _, state), value in found.items():
            family.add_metric((state,) if state else (), value)
        yield family


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
