"""`zaptrix up`: everything on one machine with one command, and everything gone again at its end.

Without a PostgreSQL or a Redis to use it starts its own under the data folder; without a real account it starts the
simulators of both platforms and joins their first number to their first portal.
"""

import http.client
import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from zaptrix.cli.errors import StartError
from zaptrix.cli.local.children import Program, run
from zaptrix.cli.local.data_folder import data_folder, environment_of_holder
from zaptrix.cli.local.servers import encryption_key, log_file, servers_in
from zaptrix.cli.local.supervisor import Process, Signals, Supervisor
from zaptrix.core import limits
from zaptrix.settings import NAMES, Settings, overlaid

LOCAL = "127.0.0.1"
ANSWER_WAIT_S = 60.0
MIGRATE_WAIT_S = 600.0
GATEWAY_STOP_WAIT_S = 20.0
WORKER_STOP_WAIT_S = limits.STOP_S_MAX + 5.0  # it has ended by itself long before
SIMULATOR_STOP_WAIT_S = 5.0

# Which record of the simulators' demo world seeds which variable.
PORTAL_SEED = {
    "BITRIX_PORTAL_URL": "portal_url",
    "BITRIX_MEMBER_ID": "member_id",
    "BITRIX_CLIENT_ID": "client_id",
    "BITRIX_CLIENT_SECRET": "client_secret",
    "BITRIX_ACCESS_TOKEN": "access_token",
    "BITRIX_REFRESH_TOKEN": "refresh_token",
    "BITRIX_TOKEN_EXPIRES": "expires",
    "BITRIX_APPLICATION_TOKEN": "application_token",
    "BITRIX_CLIENT_ENDPOINT": "client_endpoint",
    "BITRIX_OAUTH_URL": "oauth_url",
}
NUMBER_SEED = {
    "META_PHONE_NUMBER_ID": "phone_number_id",
    "META_DISPLAY_PHONE_NUMBER": "display_phone_number",
    "META_WABA_ID": "waba_id",
    "META_ACCESS_TOKEN": "access_token",
    "META_APP_SECRET": "app_secret",
    "META_VERIFY_TOKEN": "verify_token",
}


def up(settings: Settings, environ: Mapping[str, str], *, console: Console, show_logs: bool = False) -> None:
    """Run everything until asked to stop; raises StartError when something does not start."""
    if not settings.has_credentials and not settings.is_private:
        raise StartError(
            "no platform account is given, and simulators, whose secrets everybody knows, are for this machine alone; "
            "set META_APP_SECRET and the other credentials, or keep HOST and PUBLIC_URL on 127.0.0.1"
        )
    with data_folder(settings.data_dir) as folder, Signals().caught() as signals:
        supervisor = Supervisor(signals=signals, say=lambda text: console.print(f"zaptrix: {text}", highlight=False))
        house = House(settings, environ, folder=folder, supervisor=supervisor, show_logs=show_logs)
        try:
            house.open(lambda text: console.print(f"zaptrix: {text}", highlight=False))
            if not signals.stop_requested:
                console.print(house.addresses())
                console.print(f"A key for the API, from another terminal:\n  {house.key_command()}", soft_wrap=True)
                supervisor.keep()
            console.print("zaptrix: stopping (Ctrl-C again ends running calls at once)", highlight=False)
        finally:
            supervisor.stop()
        console.print("zaptrix: stopped", highlight=False)


class House:
    """What runs, in the order in which it starts."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], *, folder: Path, supervisor: Supervisor, show_logs: bool
    ) -> None:
        self._settings = settings
        self._environ = {**environ, "DATA_DIR": str(folder), "METRICS_DIR": str(settings.metrics_dir)}
        self._folder = folder
        self._supervisor = supervisor
        self._show_logs = show_logs
        self._simulated = not settings.has_credentials
        self._simulators: Process | None = None
        self._steps: tuple[Callable[[], None], ...] = (
            self._start_servers,
            self._start_simulators,
            self._migrate,
            self._seed,
            self._start_workers,
            self._start_gateway,
        )

    def open(self, say: Callable[[str], None]) -> None:
        """Start all; raises StartError. A request to stop is heard between two steps."""
        self._check_ports()
        say(f"starting, with data in {self._folder}")
        for step in self._steps:
            if self._supervisor.signals.stop_requested:
                return
            step()

    def addresses(self) -> Panel:
        """Where everything is, for the person at the terminal."""
        gateway = self._gateway_address()
        lines = [("Gateway", gateway), ("API docs", f"{gateway}/docs"), ("Health", f"{gateway}/health")]
        if self._simulated:
            lines.append(("Simulators", f"http://{LOCAL}:{self._settings.sim_port}/  (a phone and an open line)"))
        if not self._show_logs:
            lines.append(("Logs", str(self._folder / "log")))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in lines:
            grid.add_row(name, value)
        return Panel.fit(grid, title="Zaptrix is up", subtitle="Ctrl-C stops everything")

    def key_command(self) -> str:
        """How to make a key for the management API, from another terminal."""
        return f"DATA_DIR={shlex.quote(str(self._folder))} {sys.executable} -m zaptrix api-key create --name mine"

    def _check_ports(self) -> None:
        wanted = {"PORT": (self._settings.host, self._settings.port)}
        if self._simulated:
            wanted["SIM_PORT"] = (LOCAL, self._settings.sim_port)
        for name, (host, port) in wanted.items():
            _check_free(name, host, port)

    def _start_servers(self) -> None:
        """Ours, unless there are others to use."""
        servers = servers_in(self._folder)
        if not self._settings.database_url:
            self._supervisor.start(servers.postgres)
            self._environ["DATABASE_URL"] = servers.postgres.url
        if not self._settings.redis_url:
            self._supervisor.start(servers.redis)
            self._environ["REDIS_URL"] = servers.redis.url
        if not self._settings.encryption_keys:
            self._environ["ENCRYPTION_KEYS"] = encryption_key(self._folder)

    def _migrate(self) -> None:
        program = self._program("migrate", "zaptrix", "migrate", log=log_file(self._folder, "migrate"))
        run(program, timeout_s=MIGRATE_WAIT_S)

    def _start_simulators(self) -> None:
        """They get ready while the database does."""
        if not self._simulated:
            return
        self._environ |= {
            "SIM_HOST": LOCAL,
            "SIM_PORT": str(self._settings.sim_port),
            "SIM_DATA_DIR": str(self._folder / "sim"),
            "GATEWAY_URL": self._gateway_address(),
        }
        self._simulators = self._process("simulators", "zaptrix_sim", stop_wait_s=SIMULATOR_STOP_WAIT_S)
        self._supervisor.start(self._simulators)

    def _seed(self) -> None:
        """Without a real account the demo world's is the first."""
        note = _graph_note(self._folder)
        note.unlink(missing_ok=True)
        if self._simulators is None:
            return
        port = self._settings.sim_port
        self._wait_for(self._simulators, LOCAL, port, "/control/health")
        if not self._supervisor.signals.stop_requested:
            self._environ = overlaid(self._environ, demo_seed(_get(LOCAL, port, "/control/demo"), port=port))
            note.write_text(self._environ["META_GRAPH_URL"], encoding="ascii")

    def _start_workers(self) -> None:
        many = self._settings.worker_processes
        names = ["worker"] if many == 1 else [f"worker-{number}" for number in range(1, many + 1)]
        workers = [self._process(name, "zaptrix", "worker", stop_wait_s=WORKER_STOP_WAIT_S) for name in names]
        self._supervisor.start(*workers)

    def _start_gateway(self) -> None:
        gateway = self._process("gateway", "zaptrix", "serve", stop_wait_s=GATEWAY_STOP_WAIT_S)
        self._supervisor.start(gateway)
        self._wait_for(gateway, _reachable(self._settings.host), self._settings.port, "/health")

    def _wait_for(self, process: Process, host: str, port: int, path: str) -> None:
        answered = self._supervisor.until(lambda: _get(host, port, path) is not None, ANSWER_WAIT_S)
        if answered or self._supervisor.signals.stop_requested:
            return
        fallen = self._supervisor.fallen()
        who = fallen[0] if fallen else process
        what = "ended while starting" if fallen else f"does not answer on http://{host}:{port}{path}"
        words = who.last_words() if isinstance(who, Process) else ""
        raise StartError(f"the {who.name} {what}\n{words}".rstrip())

    def _process(self, name: str, *command: str, stop_wait_s: float) -> Process:
        log = None if self._show_logs else log_file(self._folder, name)
        return Process(self._program(name, *command, log=log, stop_wait_s=stop_wait_s))

    def _program(self, name: str, *command: str, log: Path | None, stop_wait_s: float = 10.0) -> Program:
        return Program(
            name=name,
            argv=[sys.executable, "-m", *command],
            # The gateway tells the metrics of the whole host: the workers beside it need no port. And no other gateway
            # would take over while this one still takes requests.
            environ=self._environ | {"METRICS_PORT": "0", "SHUTDOWN_DELAY_S": "0"},
            log=log,
            stop_wait_s=stop_wait_s,
        )

    def _gateway_address(self) -> str:
        return f"http://{_reachable(self._settings.host)}:{self._settings.port}"


def demo_seed(world: dict[str, Any] | None, *, port: int) -> dict[str, str]:
    """The variables that join the demo world's number to its portal; raises StartError when it is not one."""
    try:
        portal, number = (world or {})["portal"], (world or {})["number"]
        return {
            "META_GRAPH_URL": f"http://{LOCAL}:{port}/meta",
            "MEDIA_PRIVATE_NETWORKS": f"{LOCAL}/32",
            "BITRIX_LINE_ID": str(portal["lines"][0]["id"]),
            **{variable: str(portal[key]) for variable, key in PORTAL_SEED.items()},
            **{variable: str(number[key]) for variable, key in NUMBER_SEED.items()},
        }
    except (KeyError, IndexError, TypeError) as exc:
        raise StartError(f"the simulators gave no usable demo world (missing: {exc})") from exc


def _get(host: str, port: int, path: str) -> dict[str, Any] | None:
    """The JSON at that address; an empty answer for anything else that answers, None when nobody does."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        body = connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return LOCAL if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound


def _check_free(name: str, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do it: a port that only waits for old connections to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise StartError(
                f"{name}: {host}:{port} cannot be used ({os.strerror(exc.errno or 0)}); "
                f"stop what uses it, or set another one: {name}={port + 1}"
            ) from exc


def beside(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command beside a running `zaptrix up`: its own, and where it has none that gateway's."""
    house = environment_of_holder(Settings.from_env({"DATA_DIR": environ.get("DATA_DIR", "")}).data_dir)
    theirs = {name: value for name, value in house.items() if name in NAMES}
    return overlaid(theirs, {name: value for name, value in environ.items() if value})


def with_local_servers(settings: Settings) -> Settings:
    """Settings that reach what `zaptrix up` runs on this data folder, where they name nothing else."""
    servers = servers_in(settings.data_dir) if settings.data_dir.is_dir() else None
    found: dict[str, Any] = {}
    if servers and not settings.database_url and servers.postgres.is_served:
        found["database_url"] = servers.postgres.url
    if servers and not settings.redis_url and servers.redis.is_served:
        found["redis_url"] = servers.redis.url
    if found and not settings.encryption_keys:
        found["encryption_keys"] = tuple(encryption_key(settings.data_dir).split(","))
    if found and not settings.has_credentials and _graph_note(settings.data_dir).exists():
        found["meta_graph_url"] = _graph_note(settings.data_dir).read_text(encoding="ascii")
    return msgspec.structs.replace(settings, **found)


def _graph_note(folder: Path) -> Path:
    """Where a gateway on simulators notes its Graph API, so that no command shows the real one a demo token."""
    return folder / "graph_url"
