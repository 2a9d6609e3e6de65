"""Redis on ports of its own, as a cluster and under Sentinel: real servers, as many as are asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.exceptions import RedisError

from proof.ports import free_port
from zaptrix.cli.local.children import Child, Holder, Program
from zaptrix.cli.local.redis_server import SETTINGS, server_program
from zaptrix.cli.local.waiting import wait_until

READY_S_MAX = 30.0
STOP_S_MAX = 10.0
SLOTS = 16384
MISSED_MS = 1000
"""How long a server is missed before another one takes its place."""
SERVICE = "zaptrix"


class Node(Holder):
    """One server on 127.0.0.1. It has a file for its configuration, which Sentinel and CONFIG REWRITE change."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, password: str = "") -> None:
        super().__init__()
        self.port = free_port()
        self.folder = folder
        self.password = password
        self.settings: dict[str, str] = {
            **{name: value for name, value in SETTINGS.items() if name != "unixsocketperm"},
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
        }
        if password:
            self.settings |= {"requirepass": _quoted(password), "masterauth": _quoted(password)}

    @property
    def url(self) -> str:
        return f"redis://{_login(self.password)}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve; returns when it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        file = self.folder / "redis.conf"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")
        log = self.folder / "log"
        argv: list[str | Path] = [server_program(), file, *self.flags]
        self._child = Child(Program(name=self.folder.name, argv=argv, log=log, stop_wait_s=STOP_S_MAX))

    def wait(self) -> None:
        wait_for(self.answers, f"{self.folder.name} ({self.folder / 'log'})")

    flags: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        return [f"{name} {value}" for name, value in self.settings.items() if value != '""']

    def told(self, *command: object) -> Any:
        """What it answers."""
        with redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5) as client:
            return client.execute_command(*command)

    def answers(self) -> bool:
        return self.role() is not None

    def role(self) -> str | None:
        """master, slave or sentinel; None while it is away."""
        try:
            return str(self.told("ROLE")[0])
        except (RedisError, OSError):
            return None


class SentinelNode(Node):
    """One Sentinel."""

    flags = ("--sentinel",)

    def __init__(self, folder: Path, master: Node, *, password: str = "") -> None:
        super().__init__(folder, password=password)
        watched = {
            f"monitor {SERVICE}": f"127.0.0.1 {master.port} 2",
            f"down-after-milliseconds {SERVICE}": str(MISSED_MS),
            f"failover-timeout {SERVICE}": "5000",
            f"auth-pass {SERVICE}": _quoted(master.password),
            "sentinel-pass": _quoted(password),
        }
        self.settings = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(folder)}
        self.settings |= {"requirepass": _quoted(password)}
        self.settings |= {f"sentinel {name}": value for name, value in watched.items()}


class RedisServers:
    """Several that are one Redis to who uses them. `nodes` hold the data; `url` is what REDIS_URL is set to."""

    nodes: Sequence[Node]
    url: str

    @property
    def pid(self) -> int | None:
        return self.nodes[0].pid

    @property
    def masters(self) -> list[Node]:
        """Those that are used as such."""
        return [node for node in self.nodes if node.role() == "master"]

    def exit_code(self) -> int | None:
        return self.nodes[0].exit_code()

    def is_whole(self) -> bool:
        """Whether all are there, and any master may fall."""
        raise NotImplementedError

    def start(self) -> None:
        """Start all; returns when they are one."""
        raise NotImplementedError

    def stop(self) -> None:
        _stop(self.nodes)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def fail_over(self, master: Node) -> None:
        """Kill a master, and return when another one has taken its place. It stays away."""
        before = {node.port for node in self.masters}
        master.kill()
        wait_for(lambda: bool({node.port for node in self.masters} - before), "another master")


class ClusterServers(RedisServers):
    """A Redis Cluster: masters that share the slots, each with as many replicas as asked for."""

    def __init__(self, folder: Path, *, masters: int = 3, replicas: int = 0, password: str = "") -> None:
        names = [f"node{nth}" for nth in range(masters)]
        names += [f"node{nth}-{one}" for nth in range(masters) for one in range(replicas)]
        self.nodes = [Node(folder / name, _in_cluster(), password=password) for name in names]
        self._size, self._replicas = masters, replicas
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:masters])
        self.url = f"redis+cluster://{_login(password)}{hosts}"
        self._formed = False

    def start(self) -> None:
        _start(self.nodes)
        if not self._formed:
            self._form()
            self._formed = True
        wait_for(self.is_whole, "the cluster")

    def is_whole(self) -> bool:
        return all(self._is_settled(node) for node in self.nodes)

    def _is_settled(self, node: Node) -> bool:
        try:
            info, role = node.told("CLUSTER INFO"), node.told("ROLE")
        except (RedisError, OSError):
            return False
        knows_all = info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.nodes)
        return knows_all and (role[0] == "master" or role[3] == "connected")

    def _form(self) -> None:
        first, size = self.nodes[0], self._size
        for nth, node in enumerate(self.nodes):
            node.told("CLUSTER", "SET-CONFIG-EPOCH", nth + 1)
            if nth < size:
                node.told("CLUSTER", "ADDSLOTSRANGE", SLOTS * nth // size, SLOTS * (nth + 1) // size - 1)
            if nth:
                first.told("CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster-port"])
        wait_for(lambda: all(self._has_met_all(node) for node in self.nodes), "the nodes to meet")
        for nth, replica in enumerate(self.nodes[size:]):
            replica.told("CLUSTER", "REPLICATE", self.nodes[nth // self._replicas].told("CLUSTER", "MYID"))

    def _has_met_all(self, node: Node) -> bool:
        told = node.told("CLUSTER NODES")
        return len(told) == len(self.nodes) and not any("handshake" in one["flags"] for one in told.values())


class SentinelServers(RedisServers):
    """A master, a replica, and three Sentinels that watch them."""

    def __init__(self, folder: Path, *, password: str = "", sentinel_password: str = "") -> None:
        first = Node(folder / "first", password=password)
        other = Node(folder / "other", {"replicaof": f"127.0.0.1 {first.port}"}, password=password)
        self.nodes = (first, other)
        names = [f"sentinel{nth}" for nth in range(3)]
        self.sentinels = [SentinelNode(folder / name, first, password=sentinel_password) for name in names]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        own = f"?sentinel_password={quote(sentinel_password, safe='')}" if sentinel_password else ""
        self.url = f"redis+sentinel://{_login(password)}{hosts}/{SERVICE}/0{own}"

    def start(self) -> None:
        _start(self.nodes)
        _start(self.sentinels)
        wait_for(self.is_whole, "Sentinel to know a master and its replica")

    def stop(self) -> None:
        _stop(self.sentinels)
        super().stop()

    @property
    def masters(self) -> list[Node]:
        try:
            _, port = self.sentinels[0].told("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        except (RedisError, OSError, TypeError):
            return []
        return [node for node in super().masters if node.port == int(port)]

    def is_whole(self) -> bool:
        return all(self._is_settled(node) for node in self.sentinels) and self._roles() == {"master", "slave"}

    def _roles(self) -> set[str | None]:
        """What they say they are. One that was master comes back as one, until Sentinel has seen it (10 s)."""
        return {node.role() for node in self.nodes}

    def _is_settled(self, sentinel: Node) -> bool:
        try:
            told = sentinel.told("SENTINEL MASTERS")[SERVICE]
        except (RedisError, OSError, KeyError):
            return False
        return bool(
            told["num-other-sentinels"] == len(self.sentinels) - 1 and told["num-slaves"] == len(self.nodes) - 1
        )


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` holds. Raises AssertionError when it does not in time."""
    assert wait_until(condition, READY_S_MAX), f"waited {READY_S_MAX:g} s in vain for {what}"


def _in_cluster() -> dict[str, str]:
    return {
        "cluster-enabled": "yes",
        "cluster-port": str(free_port()),
        "cluster-node-timeout": str(MISSED_MS),
        "cluster-replica-validity-factor": "0",  # a replica may always take over, however long it was cut off
    }


def _quoted(password: str) -> str:
    """As a configuration file has it: https://valkey.io/topics/valkey.conf/"""
    return '"' + "".join(f"\\x{byte:02x}" for byte in password.encode()) + '"'


def _login(password: str) -> str:
    return f":{quote(password, safe='')}@" if password else ""


def _start(nodes: Sequence[Node]) -> None:
    """Those that do not run."""
    for node in nodes:
        if node.pid is None or node.exit_code() is not None:
            node.begin()
    for node in nodes:
        node.wait()


def _stop(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.ask()
    for node in nodes:
        node.stop()
