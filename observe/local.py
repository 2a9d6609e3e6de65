"""The shipped configuration as it is used beside a running gateway: the same rules, other targets and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """Who is scraped: `host:port` of each. `token_file` holds METRICS_TOKEN; None: the pages are open."""

    gateways: tuple[str, ...]
    workers: tuple[str, ...] = ()
    prometheus: str
    token_file: Path | None = None


def prometheus_config(targets: Targets) -> str:
    """`deploy/prometheus/prometheus.yml` with these targets. Nobody is told of alarms: Prometheus itself shows them."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["rule_files"] = [str(DEPLOY / "prometheus" / pattern) for pattern in config["rule_files"]]
    del config["alerting"]
    places = {
        "zaptrix-gateway": targets.gateways,
        "zaptrix-worker": targets.workers,
        "prometheus": (targets.prometheus,),
    }
    config["scrape_configs"] = [
        _job(job, places[job["job_name"]], targets.token_file)
        for job in config["scrape_configs"]
        if places[job["job_name"]]
    ]
    return str(yaml.safe_dump(config, sort_keys=False))


def _job(job: dict[str, Any], places: tuple[str, ...], token_file: Path | None) -> dict[str, Any]:
    kept = {name: value for name, value in job.items() if not name.endswith("_configs") and name != "authorization"}
    kept["static_configs"] = [{"targets": list(places)}]
    if "authorization" in job and token_file is not None:
        kept["authorization"] = job["authorization"] | {"credentials_file": str(token_file)}
    return kept


def grafana_provisioning(folder: Path, prometheus_url: str) -> None:
    """Write the shipped provisioning into `folder`, for that Prometheus and the dashboards where they lie."""
    shipped = DEPLOY / "grafana" / "provisioning"
    for path in shipped.rglob("*.yml"):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        for source in told.get("datasources", ()):
            source["url"] = prometheus_url
        for provider in told.get("providers", ()):
            provider["options"]["path"] = str(DASHBOARDS)
        target = folder / path.relative_to(shipped)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
