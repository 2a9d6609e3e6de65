"""A Prometheus, and where it is installed a Grafana, as programs that end with us."""

from __future__ import annotations

import http.client
import os
import shutil
import sys
from pathlib import Path

from observe.local import Targets, grafana_provisioning, prometheus_config
from zaptrix.cli.local.children import Program
from zaptrix.cli.local.supervisor import Process

LOCAL = "127.0.0.1"
_STOP_S = 20.0
# Where Debian keeps daemons, and Grafana's packages their files.
_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
_GRAFANA_HOMES = (Path("/usr/share/grafana"), Path("/usr/local/share/grafana"))


class NotHere(Exception):
    """A program is not installed; the text says what to do."""


def prometheus(folder: Path, targets: Targets, port: int) -> Process:
    """Ready to be started, with its data in `folder`. Raises NotHere."""
    program = shutil.which("prometheus", path=_PATH)
    if program is None:
        raise NotHere("there is no prometheus here: `make prometheus`, or Debian's package prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    config.write_text(prometheus_config(targets), encoding="utf-8")
    argv = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--storage.tsdb.retention.time=7d",
        f"--web.listen-address={LOCAL}:{port}",
        "--log.level=warn",
    ]
    return Process(Program(name="prometheus", argv=argv, log=folder / "prometheus.log", stop_wait_s=_STOP_S))


def grafana(folder: Path, prometheus_port: int, port: int) -> Process | None:
    """Ready to be started; None where it is not installed."""
    program = shutil.which("grafana", path=_PATH)
    home = next((home for home in _GRAFANA_HOMES if home.is_dir()), None)
    if program is None or home is None:
        return None
    grafana_provisioning(folder / "provisioning", f"http://{LOCAL}:{prometheus_port}")
    environ = os.environ | {
        "GF_SERVER_HTTP_ADDR": LOCAL,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "grafana"),
        "GF_PATHS_LOGS": str(folder / "grafana"),
        "GF_PATHS_PLUGINS": str(folder / "grafana" / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",  # on this machine alone
    }
    argv = [program, "server", "--homepath", str(home)]
    return Process(Program(name="grafana", argv=argv, environ=environ, log=folder / "grafana.log", stop_wait_s=_STOP_S))


def answers(port: int, path: str) -> bool:
    """Whether somebody answers 200 there."""
    connection = http.client.HTTPConnection(LOCAL, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
