"""deploy/systemd: units that systemd takes, sealed off from the host, with times as the processes need them."""

import re
from pathlib import Path

import pytest

from tests.programs import ROOT, answered
from zaptrix.core import limits
from zaptrix.settings import KINDS, NAMES, Settings
from zaptrix.web.server import server

UNITS = ROOT / "deploy" / "systemd"
COMMON = UNITS / "zaptrix-.service.d" / "common.conf"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSURE_MAX = 20  # tenths, of 100: systemd's own judgement, where 0 is sealed off


def lines(file: Path) -> list[tuple[str, str]]:
    found = re.findall(r"^(\w+)=(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return [(name, value) for name, value in found]


def variables(file: Path) -> dict[str, str]:
    given = [pair for name, value in lines(file) if name == "Environment" for pair in value.split()]
    return dict(pair.split("=", 1) for pair in given)


def path_of_units() -> dict[str, str]:
    """With these units and no others of that name; what they refer to is the system's."""
    return {"SYSTEMD_UNIT_PATH": f"{UNITS}:", "SYSTEMD_COLORS": "0", "SYSTEMD_LOG_LEVEL": "warning"}


def test_systemd_takes_every_unit() -> None:
    files = [*SERVICES, *UNITS.glob("*.timer"), *UNITS.glob("*.target")]
    assert len(files) == 6
    _, told = answered("systemd-analyze", "verify", "--man=no", *files, env=path_of_units())
    faults = [
        line for line in told.splitlines() if "zaptrix" in line and "/opt/zaptrix/bin/zaptrix is not exec" not in line
    ]
    assert not faults, told


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_finds_every_service_sealed_off(unit: Path) -> None:
    limit = f"--threshold={EXPOSURE_MAX}"
    code, told = answered(
        "systemd-analyze", "security", "--offline=yes", "--no-pager", limit, unit, env=path_of_units()
    )
    assert code == 0, told


def test_a_process_gets_its_secrets_by_files_that_only_it_sees() -> None:
    credentials = {
        value.split(":")[0]: value.split(":")[1] for name, value in lines(COMMON) if name == "LoadCredential"
    }
    files = {name: value for name, value in variables(COMMON).items() if name.endswith("_FILE")}
    assert {value.removeprefix("%d/") for value in files.values()} == set(credentials)
    assert {name.removesuffix("_FILE").lower() for name in files} == set(credentials)
    assert {Path(path).parent for path in credentials.values()} == {Path("/etc/zaptrix/secrets")}
    # setup.sh makes each of them.
    made = (ROOT / "deploy" / "setup.sh").read_text(encoding="utf-8")
    assert all(f"keep {name} " in made for name in credentials)


def test_every_variable_of_a_unit_is_a_setting_and_no_secret() -> None:
    ours = {"PYTHONUNBUFFERED", "BACKUP_TO", "BACKUP_KEEP"}
    for file in (COMMON, *SERVICES):
        given = set(variables(file)) - ours
        assert given <= NAMES, file.name
        assert not [name for name in given if name in KINDS and KINDS[name].secret], file.name


@pytest.mark.parametrize(
    ("unit", "drain"),
    [
        ("zaptrix-gateway@", Settings().shutdown_delay_s + server._FINISH_S),
        ("zaptrix-worker@", limits.STOP_S_MAX),
    ],
)
def test_nobody_is_killed_while_it_still_works(unit: str, drain: float) -> None:
    told = dict(lines(UNITS / f"{unit}.service"))
    assert float(told["TimeoutStopSec"]) > drain
    assert told["Restart"] == "always"
    # A restart of what brings the schema up to date takes nobody else with it.
    assert "zaptrix-migrate.service" in told["Wants"]
    assert "Requires" not in told


def test_what_the_nginx_file_knows_is_what_the_units_run() -> None:
    nginx = (ROOT / "deploy" / "nginx" / "zaptrix.conf").read_text(encoding="utf-8")
    ports = set(re.findall(r"server 127\.0\.0\.1:(\d+)", nginx))
    assert {f"zaptrix-gateway@{port}" for port in ports} <= set(
        re.findall(r"zaptrix-gateway@\d+", (ROOT / "deploy" / "README.md").read_text(encoding="utf-8"))
    )
    assert variables(COMMON)["TRUSTED_PROXIES"] == "127.0.0.1/32"
    assert variables(COMMON)["DATA_DIR"] == "%S/zaptrix"
