"""deploy/compose.yaml: a good compose file, and one that keeps the house's rules; what ./setup.sh makes starts it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import ROOT, ran
from zaptrix.core import limits
from zaptrix.settings import NAMES, Settings
from zaptrix.web.server import server

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
OURS = {"zaptrix", "gateway-1", "gateway-2", "worker-1", "worker-2", "migrate", "backup"}
BACKUPS_OWN = {"BACKUP_TO", "BACKUP_KEEP", "BACKUP_HOUR"}
APP_SECRET = "0123abcd4567ef89a1b2c3d4e5f60718"

Service = dict[str, Any]


def filled(text: str, given: dict[str, str]) -> str:
    """The variables of a compose file put in, as its engine does."""

    def value(found: re.Match[str]) -> str:
        name, sign, rest = found[1], found[2], found[3] or ""
        if given.get(name):
            return given[name]
        assert sign == ":-", f"{name}: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(filled(FILE.read_text(encoding="utf-8"), {"DOMAIN": "gateway.example.com"}))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


def seconds(told: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", told).groups()  # type: ignore[union-attr]  # it fails if it is neither
    return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def mounts(service: Service) -> Iterator[tuple[str, str, bool]]:
    for volume in service.get("volumes", []):
        source, target, *rest = volume.split(":")
        yield source, target, rest == ["ro"]


def test_it_is_a_compose_file_by_its_schema() -> None:
    ran("check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE)


def test_the_profiles_hold_what_they_promise(services: dict[str, Service]) -> None:
    by_profile = {profile: {n for n, s in services.items() if s["profiles"] == [profile]} for profile in PROFILES}
    assert by_profile == PROFILES


PROFILES = {
    "embedded": {"zaptrix"},
    "full": (OURS - {"zaptrix"}) | {"proxy", "postgres", "valkey", "prometheus", "alertmanager", "grafana"},
}


def test_every_service_is_as_small_as_it_can_be(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged")
        assert set(service) & {"mem_limit", "cpus", "pids_limit"} == {"mem_limit", "cpus", "pids_limit"}, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        assert any(entry.startswith("/tmp:") for entry in service["tmpfs"]), name  # noqa: S108
        if name != "proxy":  # the one that binds ports below 1024
            assert re.fullmatch(r"[1-9]\d*(:\d+)?", service["user"]), name
            assert "cap_add" not in service
        assert not re.search(r":latest$|^[^:]+$", service["image"]), name


def test_every_service_says_whether_it_is_well(services: dict[str, Service]) -> None:
    for name, service in services.items():
        check = service["healthcheck"]
        if name == "migrate":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped"
        assert seconds(check["start_period"]) >= 30, name
        assert seconds(check["interval"]) > seconds(check["timeout"]) - 1, name


def test_nobody_is_killed_while_it_still_works(services: dict[str, Service]) -> None:
    drain = Settings().shutdown_delay_s + server._FINISH_S
    least = {"gateway-1": drain, "gateway-2": drain, "worker-1": limits.STOP_S_MAX, "worker-2": limits.STOP_S_MAX}
    for name, service in services.items():
        assert seconds(service["stop_grace_period"]) > least.get(name, 10.0), name
    assert seconds(services["zaptrix"]["stop_grace_period"]) > 20 + limits.STOP_S_MAX + 5 + 30


def test_one_gateway_that_does_not_come_up_keeps_nobody_out(services: dict[str, Service]) -> None:
    """The proxy asks each of them itself, and workers are asked where their health check asks."""
    assert {each["condition"] for each in services["proxy"]["depends_on"].values()} == {"service_started"}
    assert all(services[name]["environment"]["METRICS_PORT"] == 9464 for name in ("worker-1", "worker-2"))


def test_only_the_proxy_is_open_to_the_world(compose: dict[str, Any], services: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.pop("proxy") == ["80:80", "443:443", "443:443/udp"]
    assert published == {
        "zaptrix": ["127.0.0.1:3000:3000"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3001:3000"],
    }
    assert compose["networks"]["data"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert services[name]["networks"] == ["data"]
    assert services["proxy"]["networks"] == ["edge"]
    on = {name: set(service["networks"]) for name, service in services.items()}
    assert {name for name, networks in on.items() if "edge" in networks} == {
        "proxy", "gateway-1", "gateway-2", "zaptrix"
    }  # fmt: skip


def test_each_gateway_believes_its_proxy_and_nobody_else(compose: dict[str, Any], services: dict[str, Service]) -> None:
    (network,) = compose["networks"]["edge"]["ipam"]["config"]
    for name in ("gateway-1", "gateway-2", "zaptrix"):
        assert services[name]["environment"]["TRUSTED_PROXIES"] == network["subnet"]


def test_every_process_stays_a_target_when_it_is_away(services: dict[str, Service]) -> None:
    """By its own name, written down: a name that DNS looks up is gone with its container, and `up` is never 0."""
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert {name for job in scraped for name in job if name.endswith("_configs")} == {"static_configs"}
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}
    watched = [name for name, service in services.items() if name[:-2] in {"gateway", "worker"}]
    ports = {"gateway": Settings().port, "worker": Settings().metrics_port}
    assert targets["zaptrix-gateway"] + targets["zaptrix-worker"] == [f"{n}:{ports[n[:-2]]}" for n in watched]
    assert len(watched) == 4
    assert all("watch" in services[name]["networks"] for name in watched)
    assert services["prometheus"]["networks"] == ["watch"]
    token = {job["authorization"]["credentials_file"] for job in scraped if "authorization" in job}
    assert token == {"/run/secrets/metrics_token"}
    assert services["prometheus"]["secrets"] == ["metrics_token"]


def test_secrets_are_files_and_never_values(compose: dict[str, Any], services: dict[str, Service]) -> None:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"SECRET|TOKEN|PASSWORD|KEYS|_URL", variable) and variable != "PUBLIC_URL":
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert str(value).removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
    everybody = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert everybody == set(compose["secrets"])


def test_every_setting_that_it_names_is_one(services: dict[str, Service]) -> None:
    for name in OURS:
        assert set(services[name]["environment"]) - BACKUPS_OWN <= NAMES, name


def test_every_file_that_is_mounted_is_there_and_every_volume_declared(
    compose: dict[str, Any], services: dict[str, Service]
) -> None:
    used = set()
    for name, service in services.items():
        for source, target, read_only in mounts(service):
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
                assert read_only, f"{name}: {target}"
            else:
                used.add(source)
    assert used == set(compose["volumes"])
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/zaptrix.yml").read_text(encoding="utf-8"))
    shown = {target for _, target, _ in mounts(services["grafana"])}
    assert {entry["options"]["path"] for entry in provider["providers"]} <= shown


def test_no_two_processes_share_a_data_folder_and_all_share_their_files(services: dict[str, Service]) -> None:
    """Metrics files and spools are a host's own: process numbers of two containers are the same."""
    folders = {name: {target: source for source, target, _ in mounts(services[name])} for name in OURS}
    own = [places["/var/lib/zaptrix"] for places in folders.values()]
    assert len(set(own)) == len(own)
    sharing = {name for name, places in folders.items() if places.get("/var/lib/zaptrix/media") == "media"}
    assert sharing == {"gateway-1", "gateway-2", "worker-1", "worker-2", "backup"}


def test_postgresql_is_durable_and_valkey_never_forgets_by_itself(services: dict[str, Service]) -> None:
    assert {"--fsync=on", "--synchronous_commit=on", "--full_page_writes=on"} <= set(services["postgres"]["command"])
    told = (DEPLOY / "valkey" / "valkey.conf").read_text(encoding="utf-8").splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes"} <= set(told)
    for name in OURS - {"zaptrix", "migrate"}:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_variable_is_explained(services: dict[str, Service]) -> None:
    asked = {match[1] for match in re.finditer(r"\$\{(\w+)", FILE.read_text(encoding="utf-8"))}
    told = (DEPLOY / "compose.env.example").read_text(encoding="utf-8")
    assert asked | {"COMPOSE_PROFILES"} == set(re.findall(r"^(\w+)=", told, re.MULTILINE))
    # What is explained is also what is taken when nothing is said.
    for name, value in re.findall(r"^(\w+)=(.+)$", told, re.MULTILINE):
        for default in re.findall(rf"\${{{name}:-([^}}]*)}}", FILE.read_text(encoding="utf-8")):
            assert default == value, name


# --- setup.sh --------------------------------------------------------------------------------------------------------


def copied(tmp_path: Path) -> Path:
    target = tmp_path / "deploy"
    shutil.copytree(DEPLOY, target, ignore=shutil.ignore_patterns("secrets", ".env", "helm"))
    shutil.copytree(ROOT / "grafana", tmp_path / "grafana")
    return target


def set_up(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "setup.sh", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("profile", "service"), [("full", "gateway-1"), ("full", "migrate"), ("embedded", "zaptrix")])
def test_what_setup_makes_is_what_the_settings_want(tmp_path: Path, profile: str, service: str) -> None:
    deploy = copied(tmp_path)
    arguments = [*(["--embedded"] if profile == "embedded" else []), "gw.example.org"]
    done = set_up(deploy, *arguments, META_APP_SECRET=APP_SECRET)
    assert done.returncode == 0, done.stderr
    assert APP_SECRET not in done.stdout + done.stderr
    told = dict(re.findall(r"^(\w+)=(.*)$", (deploy / ".env").read_text(encoding="utf-8"), re.MULTILINE))
    assert (told["COMPOSE_PROFILES"], told["DOMAIN"]) == (profile, "gw.example.org")
    found = yaml.safe_load(filled((deploy / "compose.yaml").read_text(encoding="utf-8"), told))["services"]
    environ = {
        name: str(value).replace("/run/secrets", str(deploy / "secrets"))
        for name, value in found[service]["environment"].items()
    }
    settings = Settings.from_env(environ)
    assert settings.public_url == "https://gw.example.org"
    settings.need("ENCRYPTION_KEYS", "META_APP_SECRET", "META_VERIFY_TOKEN", "METRICS_TOKEN")
    assert settings.meta_app_secret == (APP_SECRET,)
    if profile == "full":
        settings.need("DATABASE_URL", "REDIS_URL")
        password = (deploy / "secrets" / "postgres_password").read_text(encoding="ascii").strip()
        assert settings.database_url == f"postgresql://zaptrix:{password}@postgres/zaptrix"
    parts = [each for each in found.values() if profile in each["profiles"]]
    wanted = {secret for each in parts for secret in each.get("secrets", [])}
    assert {file.name for file in (deploy / "secrets").iterdir()} == wanted


def test_setup_changes_nothing_that_is_there(tmp_path: Path) -> None:
    deploy = copied(tmp_path)
    assert set_up(deploy, "gw.example.org", META_APP_SECRET=APP_SECRET).returncode == 0
    assert (deploy / "secrets").stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_text(encoding="ascii") for file in (deploy / "secrets").iterdir()}
    assert {file.stat().st_mode & 0o777 for file in (deploy / "secrets").iterdir()} == {0o444}
    (deploy / "secrets" / "metrics_token").unlink()
    again = set_up(deploy, "gw.example.org", META_APP_SECRET="another")
    assert again.returncode == 0
    assert ".env is there and stays as it is" in again.stdout
    after = {file.name: file.read_text(encoding="ascii") for file in (deploy / "secrets").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"metrics_token"}
    for other in (["other.example.org"], ["--embedded", "gw.example.org"]):
        refused = set_up(deploy, *other)
        assert (refused.returncode, "says another name or profile" in refused.stderr) == (2, True)
        assert "Callback" not in refused.stdout


def test_the_password_for_mail_is_empty_until_it_is_given_and_then_stays(
    tmp_path: Path, services: dict[str, Service]
) -> None:
    deploy = copied(tmp_path)
    told = []
    for given in ({"META_APP_SECRET": APP_SECRET}, {"SMTP_PASSWORD": "a mail's $word"}, {}):
        assert set_up(deploy, "gw.example.org", **given).returncode == 0
        told.append((deploy / "secrets" / "smtp_password").read_text(encoding="ascii").strip())
    assert told == ["", "a mail's $word", "a mail's $word"]
    named = re.findall(r"/run/secrets/(\w+)", (DEPLOY / "alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    assert named == services["alertmanager"]["secrets"]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "https://gw.example.org",
        "gw example",
        "-x",
        "a/b",
        "gw.example.org:443",
        "localhost",
        "127.0.0.1",
        "a..b",
        "x-.com",
    ],
)
def test_setup_wants_a_name_and_the_apps_secret(tmp_path: Path, host: str) -> None:
    deploy = copied(tmp_path)
    refused = set_up(deploy, host, META_APP_SECRET=APP_SECRET)
    assert (refused.returncode, "usage: " in refused.stderr) == (2, True)
    assert set_up(deploy, "gw.example.org", "--embedded", META_APP_SECRET=APP_SECRET).returncode == 2
    short = set_up(deploy, "gw.example.org", META_APP_SECRET="short")
    assert (short.returncode, "is not the app's secret" in short.stderr) == (2, True)
    without = set_up(deploy, "gw.example.org")
    assert (without.returncode, "the app's secret is not given" in without.stderr) == (2, True)
    assert not (deploy / ".env").exists()
