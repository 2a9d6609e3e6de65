"""Metrics: the brief's names, one answer for all processes of a host, and folders that earlier runs left behind."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from zaptrix.core.delivery.errors import FailureScope, Unclear
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.delivery.outcome import Accepted
from zaptrix.core.delivery.retry import Bury, Pause, Retry, Reupload, Sent, Snooze, Verify
from zaptrix.core.message.message import Direction, MediaKind, Side
from zaptrix.telemetry import exposition, metrics
from zaptrix.telemetry.exposition import Disk, Figure, Live, Server, SpoolState
from zaptrix.telemetry.metrics import (
    AlarmKind,
    BellStatus,
    CacheName,
    FileFailure,
    PaceKind,
    Result,
    VerdictName,
    Waiting,
)

ROOT = Path(__file__).resolve().parents[2]

BRIEF_NAMES = (
    "zaptrix_http_requests_total",
    "zaptrix_http_request_duration_seconds",
    "zaptrix_webhooks_received_total",
    "zaptrix_messages_processed_total",
    "zaptrix_queue_job_duration_seconds",
    "zaptrix_queue_job_status",
)
MORE_NAMES = (
    "zaptrix_queue_size",
    "zaptrix_queue_bells",
    "zaptrix_queue_oldest_age_seconds",
    "zaptrix_cache_lookups_total",
    "zaptrix_cache_hit_ratio",
    "zaptrix_verdicts_total",
    "zaptrix_pace_wait_seconds",
    "zaptrix_paused",
    "zaptrix_alarms_total",
    "zaptrix_bells_unrung_total",
    "zaptrix_files_total",
    "zaptrix_files_failed_total",
    "zaptrix_file_bytes_total",
    "zaptrix_file_ready_seconds",
    "zaptrix_files_waiting",
    "zaptrix_queue_messages_total",
    "zaptrix_routing_seconds",
    "zaptrix_delivery_seconds",
    "zaptrix_call_failures_total",
    "zaptrix_pace_refusals_total",
    "zaptrix_token_refreshes_total",
    "zaptrix_server_up",
    "zaptrix_queue_worked",
    "zaptrix_workers",
    "zaptrix_spool_files",
    "zaptrix_disk_free_ratio",
    "zaptrix_channels",
    "zaptrix_certificate_expires_timestamp_seconds",
)

LIVE = Live(
    messages={Queue.META: {Waiting.WAITING: 3, Waiting.FAILED: 1}},
    oldest_age_s={Queue.META: 12.5},
    bells={Queue.META: {Waiting.ACTIVE: 1}},
    cache_hit_ratio={CacheName.CONVERSATION: 0.9},
    paused={FailureScope.PORTAL: 2},
    files_waiting={Direction.INBOUND: 4},
    servers={Server.POSTGRESQL: 0.002, Server.REDIS: None},
    worked=frozenset({Queue.META}),
    workers=2,
    spool={SpoolState.HELD: 5},
    disk=Disk(25, 100),
    figures={Figure.CHANNELS_SILENT: 3.0, Figure.DATABASE_SESSIONS: 12.0},
)

COUNT_ALL = """
    metrics.http_answered("POST", "/webhooks/meta", 200, 0.002)
    metrics.webhook_received(Side.WHATSAPP)
    metrics.messages_processed(Direction.INBOUND, Result.SUCCESS, 10)
    metrics.lane_drained(Queue.META, BellStatus.COMPLETED, 0.2)
    metrics.pace_waited(PaceKind.NUMBER, 0.3)
"""

PROCESS = """
    import sys
    from pathlib import Path
    from zaptrix.core.delivery.lanes import Queue
    from zaptrix.core.message.message import Direction, Side
    from zaptrix.telemetry import exposition, metrics
    from zaptrix.telemetry.exposition import Live
    from zaptrix.telemetry.metrics import BellStatus, PaceKind, Result
    metrics.start(Path(sys.argv[1]))
"""

TELL = """
    sys.stdout.write(exposition.text(Live()).decode())
"""


def source(*parts: str) -> str:
    return "".join(map(textwrap.dedent, (PROCESS, *parts)))


def run(folder: Path, *parts: str) -> str:
    """A process of its own that joins `folder` and does `parts`; what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", source(*parts), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    return done.stdout


class Living:
    """A process that has counted and lives until it is told to end."""

    def __init__(self, folder: Path, *parts: str) -> None:
        wait = "\nprint('counted', flush=True)\nsys.stdin.readline()\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", source(*parts, wait), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        assert self.process.stdout is not None
        assert b"counted\n" in iter(self.process.stdout.readline, b"")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def values(text: str, name: str, **labels: str) -> list[float]:
    """Values of the samples `name` that carry `labels`."""
    found = []
    for line in text.splitlines():
        sample = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if sample and all(f'{label}="{value}"' in (sample[1] or "") for label, value in labels.items()):
            found.append(float(sample[2]))
    return found


@pytest.mark.parametrize("name", BRIEF_NAMES + MORE_NAMES)
def test_every_metric_is_told_under_its_name_before_anything_happened(name: str) -> None:
    text = exposition.text(Live()).decode()
    assert re.search(rf"^# TYPE {name} \w+$", text, re.MULTILINE)
    assert re.search(rf"^# HELP {name} \S+", text, re.MULTILINE)


def test_live_gauges_are_told_as_they_were_handed_over() -> None:
    text = exposition.text(LIVE).decode()
    assert values(text, "zaptrix_queue_size", queue="meta-messages", state="waiting") == [3]
    assert values(text, "zaptrix_queue_bells", queue="meta-messages", state="active") == [1]
    assert values(text, "zaptrix_queue_oldest_age_seconds", queue="meta-messages") == [12.5]
    assert values(text, "zaptrix_cache_hit_ratio", cache="conversation") == [0.9]
    assert values(text, "zaptrix_paused", kind="portal") == [2]
    assert values(text, "zaptrix_files_waiting", direction="inbound") == [4]
    assert values(text, "zaptrix_server_up", server="postgresql") == [1]
    assert values(text, "zaptrix_server_up", server="redis") == [0]
    assert values(text, "zaptrix_server_ping_seconds") == [0.002]
    assert values(text, "zaptrix_queue_worked", queue="meta-messages") == [1]
    assert values(text, "zaptrix_queue_worked", queue="bitrix24-messages") == [0]
    assert values(text, "zaptrix_workers") == [2]
    assert values(text, "zaptrix_spool_files", state="held") == [5]
    assert values(text, "zaptrix_disk_free_ratio") == [0.25]
    assert values(text, "zaptrix_channels", state="silent") == [3]
    assert values(text, "zaptrix_database_sessions") == [12]
    assert values(text, "zaptrix_database_sessions_max") == []


def test_json_tells_the_same() -> None:
    metrics.alarmed(AlarmKind.UNEXPECTED)
    families = {family.name: family for family in exposition.as_json(LIVE)}
    [paused] = families["zaptrix_paused"].samples
    assert (paused.name, paused.labels, paused.value) == ("zaptrix_paused", {"kind": "portal"}, 2)
    assert families["zaptrix_alarms"].type == "counter"
    assert {sample.name for sample in families["zaptrix_alarms"].samples} == {"zaptrix_alarms_total"}


def test_the_job_status_has_the_briefs_name_without_an_ending() -> None:
    metrics.lane_drained(Queue.OUTBOUND, BellStatus.FAILED, 1)
    text = exposition.text(Live()).decode()
    assert values(text, "zaptrix_queue_job_status", queue="outbound-messages", status="failed")[0] >= 1
    assert "zaptrix_queue_job_status_total" not in text
    assert "_created" not in text


def test_an_invented_method_is_no_label() -> None:
    metrics.http_answered("BREW", "/api/portals/{id}", 405, 0.1)
    text = exposition.text(Live()).decode()
    assert "BREW" not in text
    assert values(text, "zaptrix_http_requests_total", method="other", status="405") == [1]


def test_every_verdict_has_a_label() -> None:
    assert {kind.__name__.lower() for kind in (Sent, Snooze, Retry, Verify, Reupload, Bury, Pause)} == set(VerdictName)
    before = count_verdicts()
    metrics.verdict_given(Side.BITRIX24, Sent(Accepted()), 3)
    assert count_verdicts() == before + 3
    with pytest.raises(ValueError, match="unclear"):
        metrics.verdict_given(Side.BITRIX24, Unclear("x"))  # type: ignore[arg-type] # an outcome is not a verdict


def count_verdicts() -> float:
    found = values(exposition.text(Live()).decode(), "zaptrix_verdicts_total", side="bitrix24", verdict="sent")
    return found[0] if found else 0


def test_every_closed_list_is_told_from_zero_on(tmp_path: Path) -> None:
    text = run(tmp_path, TELL)
    assert values(text, "zaptrix_messages_processed_total") == [0.0] * len(Direction) * len(Result)
    assert values(text, "zaptrix_queue_job_status") == [0.0] * len(Queue) * len(BellStatus)
    assert values(text, "zaptrix_pace_wait_seconds_count") == [0.0] * len(PaceKind)
    assert values(text, "zaptrix_files_total") == [0.0] * len(Direction) * len(MediaKind)
    assert values(text, "zaptrix_files_failed_total") == [0.0] * len(Direction) * len(FileFailure)
    assert values(text, "zaptrix_file_ready_seconds_count") == [0.0] * len(Direction)


def test_any_process_answers_for_all_living_ones(tmp_path: Path) -> None:
    others = [Living(tmp_path, COUNT_ALL) for _ in range(2)]
    text = run(tmp_path, COUNT_ALL, TELL)
    for other in others:
        other.kill()
    assert values(text, "zaptrix_http_requests_total", method="POST", route="/webhooks/meta", status="200") == [3]
    assert values(text, "zaptrix_messages_processed_total", direction="inbound", result="success") == [30]
    assert values(text, "zaptrix_queue_job_duration_seconds_count", queue="meta-messages") == [3]
    assert values(text, "zaptrix_queue_job_duration_seconds_bucket", queue="meta-messages", le="0.25") == [3]
    assert values(text, "zaptrix_queue_job_duration_seconds_bucket", queue="meta-messages", le="0.1") == [0]
    assert values(text, "zaptrix_pace_wait_seconds_sum", bucket="number") == [pytest.approx(0.9)]
    assert "pid=" not in text


def test_totals_do_not_go_back_when_a_process_dies_and_its_files_are_cleaned(tmp_path: Path) -> None:
    watcher = Living(tmp_path)
    for _ in range(3):
        Living(tmp_path, COUNT_ALL).kill()
    for _ in range(2):  # the second answer comes from the folded files
        text = run(tmp_path, TELL)
        assert values(text, "zaptrix_messages_processed_total", direction="inbound", result="success") == [30]
        assert values(text, "zaptrix_queue_job_duration_seconds_bucket", queue="meta-messages", le="0.25") == [3]
    pids = {name.stem.rpartition("_")[2] for name in tmp_path.glob("*.db")}
    assert len(pids) <= 3  # the watcher, the past, and the last one that answered
    watcher.kill()


def test_a_folder_of_an_earlier_run_begins_at_zero(tmp_path: Path) -> None:
    Living(tmp_path, COUNT_ALL).kill()
    (tmp_path / "counter_999999999.db").write_bytes(b"torn")
    text = run(tmp_path, TELL)
    assert values(text, "zaptrix_messages_processed_total", direction="inbound", result="success") == [0]


def test_a_torn_file_of_a_dead_process_is_given_up(tmp_path: Path) -> None:
    watcher = Living(tmp_path, COUNT_ALL)
    (tmp_path / "counter_999999999.db").write_bytes(b"\xff\x00\x00\x00torn")
    (tmp_path / "histogram_999999999.db").write_bytes(b"")
    text = run(tmp_path, TELL)
    watcher.kill()
    assert values(text, "zaptrix_messages_processed_total", direction="inbound", result="success") == [10]
    assert not list(tmp_path.glob("*_999999999.db"))


def test_a_forked_process_counts_for_itself(tmp_path: Path) -> None:
    fork = """
    import os
    child = os.fork()
    if not child:
        metrics.start(Path(sys.argv[1]))
        metrics.messages_processed(Direction.INBOUND, Result.SUCCESS, 5)
        os._exit(0)
    os.waitpid(child, 0)
    """
    text = run(tmp_path, COUNT_ALL, fork, TELL)
    assert values(text, "zaptrix_messages_processed_total", direction="inbound", result="success") == [15]


def test_what_was_counted_before_the_start_does_not_break_what_comes_after(tmp_path: Path) -> None:
    early = "import zaptrix.telemetry.metrics as metrics\nfrom zaptrix.core.message.message import Side\n"
    early += "metrics.webhook_received(Side.WHATSAPP)\n"
    done = subprocess.run(
        [sys.executable, "-c", early + source(COUNT_ALL, TELL), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert values(done.stdout, "zaptrix_webhooks_received_total", source="meta") == [1]
