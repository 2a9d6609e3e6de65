"""The image, without an engine: its Dockerfile, and what the steps of it make, run as a container would run it."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proof.ports import free_port
from tests.processes import descendants, wait_for
from tests.programs import ROOT, ran

IMAGE = ROOT / "deploy" / "image"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
# By the lock, with every package fetched and judged by its hash, it takes a minute: in CI, and where it is asked for.
WHOLE = bool(os.environ.get("CI") or os.environ.get("IMAGE_BY_LOCK"))
UP_WAIT_S = 500.0 if WHOLE else 120.0


def instructions() -> list[str]:
    joined = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def tracked(*paths: str) -> list[str]:
    """Files of the repository, also those that are about to be committed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in found if name and (ROOT / name).is_file()]


pytestmark = pytest.mark.timeout(900 if WHOLE else 180)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with source/, as .dockerignore lets it through, and wheels/ with the wheel that is made of it."""
    work = tmp_path_factory.mktemp("image")
    for name in tracked("src", "requirements/runtime.txt", "deploy/image", "LICENSE", "README.md", "pyproject.toml"):
        target = work / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    wheels = work / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    make: list[str | Path] = [
        *pip,
        "wheel",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        wheels,
        ".",
    ]
    subprocess.run(make, cwd=work / "source", check=True)
    if WHOLE:
        environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        lock = work / "source" / "requirements" / "runtime.txt"
        subprocess.run([IMAGE / "fetch.sh", lock, wheels], env=environ, check=True)
    return work


@dataclass(frozen=True, kw_only=True)
class Container:
    """`zaptrix up` as process 1 of namespaces of its own."""

    process: subprocess.Popen[bytes]
    output: Path
    port: int

    @property
    def pid(self) -> int:
        """Process 1, by its number out here."""
        return next(pid for pid in descendants(self.process.pid) if _innermost(pid) == 1)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")


def _innermost(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("NSpid:")[1].splitlines()[0].split()[-1])


@pytest.fixture(scope="module")
def container(work: Path) -> Iterator[Container]:
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0 or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces of its own, without an engine, want root")
    ports = free_port(), free_port()
    environ = {
        "WORK": str(work),
        "VENV": sys.prefix,
        "BASE": sys.base_prefix,
        "WHOLE": str(int(WHOLE)),
        "PORT": str(ports[0]),
        "SIM_PORT": str(ports[1]),
    }
    output = work / "output"
    with output.open("wb") as out:
        command: list[str | Path] = [*unshare, "sh", ROOT / "tests" / "deploy" / "container.sh"]
        process = subprocess.Popen(command, env=os.environ | environ, stdout=out, stderr=out)
    container = Container(process=process, output=output, port=ports[0])
    try:
        wait_for(lambda: "Zaptrix is up" in container.said() or process.poll() is not None, UP_WAIT_S, "zaptrix up")
        assert process.poll() is None, container.said()
        yield container
    finally:
        process.kill()
        process.wait()


def asked(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_wheel_holds_every_file_that_the_source_has(work: Path) -> None:
    (wheel,) = (work / "wheels").glob("zaptrix-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {name.removeprefix("src/") for name in tracked("src")}


def test_it_runs_by_the_wheel_alone_under_a_numeric_account_that_may_write_nowhere_else(container: Container) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{container.pid}/status").read_text(encoding="ascii").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert (status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapBnd"], 16)) == ("1", 0, 0)
    mounts = Path(f"/proc/{container.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
    # The last mount of a place is the one that is seen.
    seen = {line.split()[4]: line.split()[5].split(",")[0] for line in mounts}
    assert (seen["/"], seen["/opt"], seen["/var/lib"], seen["/tmp"]) == ("ro", "ro", "rw", "rw")  # noqa: S108
    for path in ("/health", "/health/live", "/docs", "/openapi.json"):
        assert asked(container.port, path) == 200, container.said()


def test_its_health_check_tells_a_running_one_from_none(container: Container) -> None:
    check = [sys.executable, "-I", str(IMAGE / "alive.py")]
    for host in ("0.0.0.0", "127.0.0.1", ""):  # noqa: S104
        subprocess.run(check, env={"PORT": str(container.port), "HOST": host}, check=True)
    # A worker's is behind METRICS_PORT.
    subprocess.run(check, env={"PORT": "1", "METRICS_PORT": str(container.port)}, check=True)
    nobody = {"PORT": "1", "METRICS_PORT": "2"}
    told = subprocess.run(check, env=nobody, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stdout == "nothing answers /health/live on 127.0.0.1, port 1 or 2\n"


def test_as_process_1_it_stops_in_order_when_it_is_asked_to(container: Container) -> None:
    os.kill(container.pid, signal.SIGTERM)
    assert container.process.wait(90) == 0, container.said()
    assert container.said().rstrip().endswith("zaptrix: stopped")


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, ROOT / ".devcontainer" / "Dockerfile"], ids=["image", "editor"])
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    assert ran("hadolint", "--no-color", dockerfile) == ""


def test_the_steps_are_scripts_that_shellcheck_finds_nothing_in() -> None:
    others = ("deploy/setup.sh", "tests/deploy/container.sh", ".githooks/pre-commit")
    ran("shellcheck", *sorted(IMAGE.glob("*.sh")), *(ROOT / name for name in others))
    steps = [line.split()[1] for line in instructions() if line.startswith("RUN ")]
    assert [Path(step).name for step in steps] == ["fetch.sh", "install.sh", "account.sh"]
    assert all(os.access(IMAGE / Path(step).name, os.X_OK) for step in steps)


def test_the_last_stage_begins_anew_and_is_nobodys_root() -> None:
    last = instructions()[instructions().index("FROM ${PYTHON_IMAGE}") :]
    assert "USER 10001:10001" in last
    assert "STOPSIGNAL SIGTERM" in last
    assert 'ENTRYPOINT ["/opt/zaptrix/bin/zaptrix"]' in last
    assert not [line for line in last if "apt-get" in line or "curl" in line]
    ids = re.findall(r"\bid=(\d+)", (IMAGE / "account.sh").read_text(encoding="utf-8"))
    assert ids == ["10001"]


def test_every_version_of_the_image_is_the_packages() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "src/zaptrix/__init__.py").read_text(encoding="utf-8"))
    assert version
    assert f"ARG VERSION={version[1]}" in instructions()


def test_the_builder_sees_only_what_it_needs() -> None:
    """Each COPY from the repository is let through by .dockerignore, which shuts out all else."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[ignored.index("*") - 1].startswith("#")
    open_to_it = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for line in instructions()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == open_to_it
    assert all((ROOT / source).exists() for source in copied)
