"""`make observe`: the shipped configuration with other targets and paths, and a real Prometheus that ends with us."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from observe.local import Targets, grafana_provisioning, prometheus_config
from proof.ports import free_port
from tests.deploy.queries import PROMETHEUS, ROOT, RULES, rules
from tests.processes import descendants, is_alive, wait_for
from tests.programs import program, ran
from zaptrix.settings import KINDS

TOKEN = "a-token-of-the-tests-for-metrics"


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    return found


def test_only_targets_and_paths_differ_from_what_is_shipped(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    targets = Targets(gateways=("127.0.0.1:3000",), workers=("127.0.0.1:9464",), prometheus="x:1", token_file=token)
    config = yaml.safe_load(prometheus_config(targets))
    assert config["global"] == shipped()["global"]
    assert [path for pattern in config["rule_files"] for path in sorted(Path("/").glob(pattern[1:]))] == RULES
    assert {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]} == {
        "zaptrix-gateway": [{"targets": ["127.0.0.1:3000"]}],
        "zaptrix-worker": [{"targets": ["127.0.0.1:9464"]}],
        "prometheus": [{"targets": ["x:1"]}],
    }
    assert config["scrape_configs"][0]["authorization"] == {"credentials_file": str(token)}
    (tmp_path / "prometheus.yml").write_text(prometheus_config(targets))
    assert "SUCCESS" in ran("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_without_a_token_and_without_workers_there_is_neither(tmp_path: Path) -> None:
    config = yaml.safe_load(prometheus_config(Targets(gateways=("127.0.0.1:3000",), prometheus="127.0.0.1:9090")))
    assert [job["job_name"] for job in config["scrape_configs"]] == ["zaptrix-gateway", "prometheus"]
    assert "authorization" not in config["scrape_configs"][0]


def test_grafana_is_given_the_shipped_provisioning(tmp_path: Path) -> None:
    grafana_provisioning(tmp_path, "http://127.0.0.1:9090")
    sources = yaml.safe_load((tmp_path / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert [source["url"] for source in sources] == ["http://127.0.0.1:9090"]
    [provider] = yaml.safe_load((tmp_path / "dashboards" / "zaptrix.yml").read_text())["providers"]
    assert [path.name for path in Path(provider["options"]["path"]).glob("*.json")] == ["zaptrix-dashboard.json"]


@contextmanager
def observing(folder: Path, **given: object) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    output = folder / "output"
    environ = {name: value for name, value in os.environ.items() if name not in KINDS}
    environ |= {"DATA_DIR": str(folder)} | {name: str(value) for name, value in given.items()}
    with output.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "observe"], cwd=ROOT, env=environ, stdout=out, stderr=out)
    try:
        yield process, output
    finally:
        process.kill()
        process.wait()


def asked(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    found = json.loads(connection.getresponse().read())["data"]
    connection.close()
    return found


def test_a_real_prometheus_runs_on_the_shipped_rules_and_leaves_nothing_behind(tmp_path: Path) -> None:
    program("prometheus")
    port, gateway = free_port(), free_port()
    with observing(tmp_path, PROMETHEUS_PORT=port, GRAFANA_PORT=free_port(), PORT=gateway, METRICS_TOKEN=TOKEN) as (
        process,
        output,
    ):
        wait_for(lambda: "Ctrl-C ends it" in output.read_text() or process.poll() is not None, 30, "prometheus")
        assert f"Prometheus  http://127.0.0.1:{port}" in output.read_text()
        assert f"no gateway answers at 127.0.0.1:{gateway}" in output.read_text()
        loaded = [rule["name"] for group in asked(port, "/api/v1/rules")["groups"] for rule in group["rules"]]
        assert sorted(loaded) == sorted(rule.get("alert") or rule["record"] for rule in rules())
        wait_for(lambda: len(asked(port, "/api/v1/targets")["activeTargets"]) == 2, 30, "its targets")
        scraped = {target["scrapeUrl"] for target in asked(port, "/api/v1/targets")["activeTargets"]}
        assert scraped == {f"http://127.0.0.1:{gateway}/metrics", f"http://127.0.0.1:{port}/metrics"}
        assert TOKEN not in output.read_text()
        assert (tmp_path / "observe" / "metrics_token").stat().st_mode & 0o077 == 0
        started = descendants(process.pid)
        assert started
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not any(is_alive(pid) for pid in started)


def test_a_port_that_is_taken_is_named_with_one_that_may_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with observing(tmp_path, PROMETHEUS_PORT=port) as (process, output):
            assert process.wait(30) == 1
            assert f"PROMETHEUS_PORT={port + 1}" in output.read_text()
