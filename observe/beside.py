"""`make observe`: a Prometheus, and a Grafana where there is one, beside a running `make run`, until Ctrl-C."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from observe.local import Targets
from observe.servers import LOCAL, NotHere, answers, grafana, prometheus
from zaptrix.cli.errors import StartError
from zaptrix.cli.local.supervisor import Signals, Supervisor
from zaptrix.cli.local.up import beside
from zaptrix.settings import Settings

_START_S = 30.0


def observe(environ: Mapping[str, str]) -> int:
    """The exit code. PROMETHEUS_PORT and GRAFANA_PORT say where they listen."""
    settings = Settings.from_env(beside(environ))
    port, grafana_port = int(environ.get("PROMETHEUS_PORT", "9090")), int(environ.get("GRAFANA_PORT", "3001"))
    for name, wanted in (("PROMETHEUS_PORT", port), ("GRAFANA_PORT", grafana_port)):
        if not _is_free(wanted):
            return _refused(f"{name}: {LOCAL}:{wanted} is taken; set another one: {name}={wanted + 1}")
    folder = settings.data_dir / "observe"
    targets = Targets(
        gateways=(f"{LOCAL}:{settings.port}",),
        prometheus=f"{LOCAL}:{port}",
        token_file=_token_file(folder, settings.metrics_token),
    )
    try:
        with Signals().caught() as signals:
            return _kept(folder, targets, (port, grafana_port), Supervisor(signals=signals, say=_say))
    except (NotHere, StartError) as exc:
        return _refused(str(exc))


def _kept(folder: Path, targets: Targets, ports: tuple[int, int], supervisor: Supervisor) -> int:
    port, grafana_port = ports
    try:
        supervisor.start(prometheus(folder, targets, port))
        shown = grafana(folder, port, grafana_port)
        if shown is not None:
            supervisor.start(shown)
        if not supervisor.until(lambda: answers(port, "/-/ready"), _START_S):
            if supervisor.signals.stop_requested:
                return 0
            return _refused(f"prometheus does not answer; its log: {folder / 'prometheus.log'}")
        _say(f"Prometheus  http://{LOCAL}:{port}  (alarms: /alerts, who is scraped: /targets)")
        if shown is None:
            _say("Grafana     is not installed here: import grafana/dashboards/zaptrix-dashboard.json into yours")
        else:
            _say(f"Grafana     http://{LOCAL}:{grafana_port}/d/zaptrix")
        if not answers(int(targets.gateways[0].rpartition(":")[2]), "/health/live"):
            _say(f"no gateway answers at {targets.gateways[0]} yet: `make run`, in another terminal")
        _say("Ctrl-C ends it")
        supervisor.keep()
        return 0
    finally:
        supervisor.stop()


def _token_file(folder: Path, token: str) -> Path | None:
    if not token:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics_token"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(token, encoding="utf-8")
    return path


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError:
            return False
    return True


def _say(text: str) -> None:
    print(f"observe: {text}", flush=True)


def _refused(why: str) -> int:
    print(f"observe: {why}", file=sys.stderr, flush=True)
    return 1
