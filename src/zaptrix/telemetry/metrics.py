"""Every metric of the gateway, in one place, under the names of the brief, with labels from closed lists.

A process calls `start(folder)` before it counts; `exposition.py` then tells, in any process of a host, for them all.
Whoever counts calls a function of this module; no label ever holds an id, a phone number or a path with an id in it.
"""

from __future__ import annotations

import itertools
from collections import Counter as Tally
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.delivery.retry import Verdict
from zaptrix.core.message.message import Direction, MediaKind, Side
from zaptrix.telemetry import metric_files
from zaptrix.telemetry.causes import CallFailure, PaceRefusal, Refresh


class Result(StrEnum):
    """How the work on a message ended."""

    SUCCESS = "success"
    FAILURE = "failure"


class BellStatus(StrEnum):
    """How a bell's job ended, by BullMQ's words."""

    COMPLETED = "completed"
    FAILED = "failed"


class Waiting(StrEnum):
    """Where a message, or a bell, stands: `/queues/stats` and `zaptrix_queue_size` say the same words."""

    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    COMPLETED = "completed"
    FAILED = "failed"


class WebhookSource(StrEnum):
    """Who posts webhooks, by the platform's name as the brief says it."""

    META = "meta"
    BITRIX24 = "bitrix24"


class CacheName(StrEnum):
    """The caches in Redis."""

    CONVERSATION = "conversation"
    TOKEN = "token"  # noqa: S105 - a label
    SEEN = "seen"


class ReadFrom(StrEnum):
    """Who answered a list."""

    PRIMARY = "primary"
    REPLICA = "replica"


class PaceKind(StrEnum):
    """The kinds of pace bucket; a bucket's key begins with its kind."""

    PORTAL = "portal"
    NUMBER = "number"
    PAIR = "pair"


class VerdictName(StrEnum):
    """The verdicts of `core.delivery.retry`, as labels."""

    SENT = "sent"
    SNOOZE = "snooze"
    RETRY = "retry"
    VERIFY = "verify"
    REUPLOAD = "reupload"
    BURY = "bury"
    PAUSE = "pause"


class AlarmKind(StrEnum):
    """What an admin has to look at."""

    UNEXPECTED = "unexpected"  # an answer that no table knows
    PAUSED = "paused"  # a key is bad: a channel or portal stands still
    CONNECTOR_LOST = "connector_lost"  # the connector was taken off its line
    SUBSCRIPTION_LOST = "subscription_lost"  # a WhatsApp account has sent its webhooks to no app for a while
    SPOOLED = "spooled"  # events wait on the local disk for PostgreSQL
    DRAIN_FAILED = "drain_failed"  # a runner, or a call, broke down
    BROKE_DOWN = "broke_down"  # anything else of ours did: a request, a file, a chore, background work
    REDIS_AWAY = "redis_away"  # bells, pace and caches are on their fallbacks
    RECOVERY_REFUSED = "recovery_refused"  # a portal does not let us look for lost replies
    OVER_BUDGET = "over_budget"  # a portal used up what one may use of the gateway in a day
    DISK_LOW = "disk_low"  # the disk that holds DATA_DIR is nearly full
    MEDIA_STORE = "media_store"  # this process keeps files in another store than the others
    TEMPLATE = "template"  # Meta stopped a template, rates it worse or charges it as another category


class RecoveredAs(StrEnum):
    """What became of a reply that no event told of."""

    IN_TIME = "in_time"  # so young that its event may still be on its way
    LATE = "late"
    TOO_LATE = "too_late"  # not sent any more: told of
    SUSPECT = "suspect"  # written before a restore: looked for before it is sent


class FileFailure(StrEnum):
    """Why a file was given up."""

    GONE = "gone"
    SIZE = "size"  # too large, or empty
    ADDRESS = "address"  # it leads where no file may be
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"  # its host did not give it for a day
    UNEXPECTED = "unexpected"


REGISTRY = CollectorRegistry()

# A quantile is guessed inside of a bucket: these are a fifth wide where people look.
_HTTP_SECONDS = (
    0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.0072, 0.0086, 0.01, 0.012, 0.015, 0.018, 0.022, 0.026, 0.031, 0.037,
    0.045, 0.054, 0.065, 0.078, 0.093, 0.11, 0.13, 0.16, 0.19, 0.23, 0.27, 0.33, 0.4, 0.5, 0.75, 1, 1.5, 2.5, 5, 10,
)  # fmt: skip
_MESSAGE_SECONDS = (
    0.01, 0.02, 0.03, 0.05, 0.06, 0.072, 0.086, 0.1, 0.12, 0.15, 0.18, 0.22, 0.26, 0.31, 0.37, 0.45, 0.54, 0.65, 0.78,
    0.93, 1.1, 1.3, 1.6, 1.9, 2.3, 2.7, 3.3, 4, 5, 7.5, 10, 15, 30, 60, 120, 300, 900, 3600,
)  # fmt: skip
_JOB_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 30, 60)
_FILE_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 1800)
_PACE_SECONDS = (0, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)

HTTP_REQUESTS = Counter(
    "zaptrix_http_requests_total", "HTTP requests answered", ("method", "route", "status"), registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "zaptrix_http_request_duration_seconds",
    "How long HTTP requests took",
    ("method", "route"),
    buckets=_HTTP_SECONDS,
    registry=REGISTRY,
)
WEBHOOKS_RECEIVED = Counter(
    "zaptrix_webhooks_received_total", "Webhooks taken at the doors", ("source",), registry=REGISTRY
)
MESSAGES_PROCESSED = Counter(
    "zaptrix_messages_processed_total",
    "Messages whose work ended: carried, or buried",
    ("direction", "result"),
    registry=REGISTRY,
)
QUEUE_JOB_SECONDS = Histogram(
    "zaptrix_queue_job_duration_seconds",
    "How long one drain of a lane took",
    ("queue",),
    buckets=_JOB_SECONDS,
    registry=REGISTRY,
)
QUEUE_JOB_STATUS = Counter(
    "zaptrix_queue_job_status", "Drains of a lane that completed or failed", ("queue", "status"), registry=REGISTRY
)
QUEUE_MESSAGES = Counter(
    "zaptrix_queue_messages_total", "What a queue saw through: events where it routes, messages where it delivers",
    ("queue", "result"), registry=REGISTRY,
)  # fmt: skip
ROUTING_SECONDS = Histogram(
    "zaptrix_routing_seconds", "From a webhook's commit until its event was routed", ("queue",),
    buckets=_MESSAGE_SECONDS, registry=REGISTRY,
)  # fmt: skip
DELIVERY_SECONDS = Histogram(
    "zaptrix_delivery_seconds", "From a message's entry in the ledger until the platform took it", ("direction",),
    buckets=_MESSAGE_SECONDS, registry=REGISTRY,
)  # fmt: skip
CALL_FAILURES = Counter(
    "zaptrix_call_failures_total", "Deliveries that did not succeed, by the platform and the cause", ("side", "cause"),
    registry=REGISTRY,
)  # fmt: skip
PACE_REFUSALS = Counter(
    "zaptrix_pace_refusals_total", "Calls that a platform refused for their pace", ("bucket",), registry=REGISTRY
)
TOKEN_REFRESHES = Counter(
    "zaptrix_token_refreshes_total", "Renewals of portals' tokens", ("result",), registry=REGISTRY
)
BELLS_UNRUNG = Counter(
    "zaptrix_bells_unrung_total", "Bells that Redis did not take; the sweep rings again", ("queue",), registry=REGISTRY
)
CACHE_LOOKUPS = Counter(
    "zaptrix_cache_lookups_total", "Look-ups in a cache (result: hit, miss)", ("cache", "result"), registry=REGISTRY
)
LIST_READS = Counter(
    "zaptrix_list_reads_total", "Lists read, by the server that answered", ("server",), registry=REGISTRY
)
VERDICTS = Counter(
    "zaptrix_verdicts_total", "Verdicts on calls, by the platform that was called", ("side", "verdict"),
    registry=REGISTRY,
)  # fmt: skip
PACE_WAITS = Histogram(
    "zaptrix_pace_wait_seconds",
    "How long a call had to wait for its bucket, whether it waited or was put off",
    ("bucket",),
    buckets=_PACE_SECONDS,
    registry=REGISTRY,
)
ALARMS = Counter("zaptrix_alarms_total", "What an admin has to look at", ("kind",), registry=REGISTRY)
RECOVERED = Counter(
    "zaptrix_recovered_messages_total", "Replies found in a portal's history that no event told of", ("fate",),
    registry=REGISTRY,
)  # fmt: skip
FILES = Counter(
    "zaptrix_files_total", "Files made ready to go with their messages", ("direction", "kind"), registry=REGISTRY
)
FILES_FAILED = Counter("zaptrix_files_failed_total", "Files given up", ("direction", "reason"), registry=REGISTRY)
FILE_BYTES = Counter("zaptrix_file_bytes_total", "Bytes of files made ready", ("direction",), registry=REGISTRY)
FILE_SECONDS = Histogram(
    "zaptrix_file_ready_seconds", "How long a file took to be ready since it was wanted", ("direction",),
    buckets=_FILE_SECONDS, registry=REGISTRY,
)  # fmt: skip

# Prometheus would append "_total"; the brief's name has no such ending.
KEPT_NAMES = frozenset({"zaptrix_queue_job_status"})

_ENUMERATED: tuple[tuple[Counter | Histogram, tuple[Iterable[str], ...]], ...] = (
    (WEBHOOKS_RECEIVED, (WebhookSource,)),
    (MESSAGES_PROCESSED, (Direction, Result)),
    (QUEUE_JOB_SECONDS, (Queue,)),
    (QUEUE_JOB_STATUS, (Queue, BellStatus)),
    (QUEUE_MESSAGES, (Queue, Result)),
    (ROUTING_SECONDS, ((Queue.INCOMING, Queue.OUTBOUND),)),
    (DELIVERY_SECONDS, (Direction,)),
    (CALL_FAILURES, (Side, CallFailure)),
    (PACE_REFUSALS, (PaceRefusal,)),
    (TOKEN_REFRESHES, (Refresh,)),
    (BELLS_UNRUNG, (Queue,)),
    (CACHE_LOOKUPS, (CacheName, ("hit", "miss"))),
    (VERDICTS, (Side, VerdictName)),
    (PACE_WAITS, (PaceKind,)),
    (ALARMS, (AlarmKind,)),
    (RECOVERED, (RecoveredAs,)),
    (FILES, (Direction, MediaKind)),
    (FILES_FAILED, (Direction, FileFailure)),
    (FILE_BYTES, (Direction,)),
    (FILE_SECONDS, (Direction,)),
)

_DELIVERING = {Direction.INBOUND: Queue.BITRIX24, Direction.OUTBOUND: Queue.META}
_SOURCES = {Side.WHATSAPP: WebhookSource.META, Side.BITRIX24: WebhookSource.BITRIX24}
# Finding the value of a set of labels costs more than counting it. Measured at webhooks: 9 us a webhook, 3 with these.
_requests = cache(HTTP_REQUESTS.labels)
_request_seconds = cache(HTTP_SECONDS.labels)
_webhooks = cache(WEBHOOKS_RECEIVED.labels)
_lookups = cache(CACHE_LOOKUPS.labels)
_verdicts = cache(VERDICTS.labels)
_waits = cache(PACE_WAITS.labels)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_folder: Path | None = None
_delivered: Tally[Direction] = Tally()  # since `take_delivered` was asked last


def start(folder: Path) -> None:
    """Count into `folder` together with the other processes of this host. Before anything else is counted."""
    global _folder  # noqa: PLW0603 - a process counts in one place
    if _folder is None:
        for metric, _ in _ENUMERATED:
            metric.clear()
        HTTP_REQUESTS.clear()
        HTTP_SECONDS.clear()
        for found in (_requests, _request_seconds, _webhooks, _lookups, _verdicts, _waits):
            found.cache_clear()
    metric_files.join(folder)
    _folder = folder
    # A series that appears with its first event hides that event from rate(); all that can be known begin at zero.
    for metric, labels in _ENUMERATED:
        for values in itertools.product(*labels):
            metric.labels(*values)


def folder() -> Path | None:
    """Where the processes of this host count together; None: this process counts for itself."""
    return _folder


# --- counting --------------------------------------------------------------------------------------------------------


def http_answered(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is the route's pattern (`/api/portals/{id}`), never the path that was asked for."""
    method = method if method in _METHODS else "other"
    _requests(method, route, status).inc()
    _request_seconds(method, route).observe(seconds)


def webhook_received(source: Side) -> None:
    _webhooks(_SOURCES[source]).inc()


def messages_processed(direction: Direction, result: Result, count: int = 1) -> None:
    MESSAGES_PROCESSED.labels(direction, result).inc(count)
    QUEUE_MESSAGES.labels(_DELIVERING[direction], result).inc(count)
    if result is Result.SUCCESS:
        _delivered[direction] += count


def delivered_after(direction: Direction, seconds: float) -> None:
    DELIVERY_SECONDS.labels(direction).observe(seconds)


def event_routed(queue: Queue, result: Result, seconds: float) -> None:
    """`seconds` since it was received."""
    QUEUE_MESSAGES.labels(queue, result).inc()
    ROUTING_SECONDS.labels(queue).observe(seconds)


def call_failed(side: Side, cause: CallFailure) -> None:
    CALL_FAILURES.labels(side, cause).inc()


def pace_refused(limit: PaceRefusal) -> None:
    PACE_REFUSALS.labels(limit).inc()


def token_refreshed(how: Refresh) -> None:
    TOKEN_REFRESHES.labels(how).inc()


def take_delivered() -> dict[Direction, int]:
    """How many messages this process has delivered since this was asked last, for the totals of all hosts."""
    taken = dict(_delivered)
    _delivered.clear()
    return taken


def lane_drained(queue: Queue, status: BellStatus, seconds: float) -> None:
    QUEUE_JOB_SECONDS.labels(queue).observe(seconds)
    QUEUE_JOB_STATUS.labels(queue, status).inc()


def bells_unrung(queue: Queue, count: int = 1) -> None:
    BELLS_UNRUNG.labels(queue).inc(count)


def cache_looked_up(cache: CacheName, *, hits: int, misses: int) -> None:
    if hits:
        _lookups(cache, "hit").inc(hits)
    if misses:
        _lookups(cache, "miss").inc(misses)


def verdict_given(side: Side, verdict: Verdict, count: int = 1) -> None:
    _verdicts(side, VerdictName(type(verdict).__name__.lower())).inc(count)


def pace_waited(kind: PaceKind, seconds: float) -> None:
    _waits(kind).observe(seconds)


def list_read(server: ReadFrom) -> None:
    LIST_READS.labels(server).inc()


def alarmed(kind: AlarmKind) -> None:
    ALARMS.labels(kind).inc()


def recovered(fate: RecoveredAs, count: int) -> None:
    RECOVERED.labels(fate).inc(count)


def file_ready(direction: Direction, kind: MediaKind, size: int, seconds: float) -> None:
    FILES.labels(direction, kind).inc()
    FILE_BYTES.labels(direction).inc(size)
    FILE_SECONDS.labels(direction).observe(seconds)


def file_failed(direction: Direction, reason: FileFailure) -> None:
    FILES_FAILED.labels(direction, reason).inc()
