"""What the chart tells its pods starts them: their variables, secrets as files, and commands, on real servers."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from proof.ports import free_port
from tests.deploy.charts import NEEDED, Json, merged, pods, rendered, variables
from tests.programs import ROOT, ran

CLAIMED = merged(
    NEEDED,
    {
        "media": {"url": "", "existingClaim": "zaptrix-files"},
        "settings": {"API_RATE_PER_MIN": 1_000_000, "TRUSTED_PROXIES": ["10.0.0.0/8", "127.0.0.1"]},
        "backup": {"enabled": True, "existingClaim": "zaptrix-backups", "keep": 2},
    },
)


def test_gateway_and_worker_start_on_what_their_pods_are_told_and_a_backup_is_made(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """The smoke test of CI, too, which starts them as the chart does: public, so with every secret a gateway needs."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    parts = dict(pods(rendered(tmp_path, CLAIMED)))
    assert {part: pod["containers"][0]["args"][0] for part, pod in parts.items()} == {
        "gateway": "serve", "worker": "worker", "migrate": "migrate", "backup": "backup",
    }  # fmt: skip
    (tmp_path / "secrets").mkdir()
    for name, secret in {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "META_APP_SECRET": "2f0b1c97d64e58a3b9c1d0e2f7a86b54",
        "META_VERIFY_TOKEN": "kV7-xQ2_mZ9sLr4tYp",
        "METRICS_TOKEN": "wB3nHc8Ue5RzTq1GxJf6",
    }.items():
        (tmp_path / "secrets" / name).write_text(secret + "\n")

    both = _here(tmp_path, parts["gateway"]) | _here(tmp_path, parts["worker"])
    ports = {"PORT": str(free_port()), "METRICS_PORT": str(free_port())}
    told = ran("bash", ROOT / ".github" / "everything-works.sh", env=both | ports)
    health: Json = json.loads(next(line for line in told.splitlines() if line.startswith('{"status"')))
    assert (health["status"], health["works"]) == ("ok", ["Everything works."])

    command = [part.replace("/backups", f"{tmp_path}/backups") for part in parts["backup"]["containers"][0]["args"]]
    ran("zaptrix", *command, env=_here(tmp_path, parts["backup"]))
    assert len([folder for folder in (tmp_path / "backups").iterdir() if folder.is_dir()]) == 1


def _here(folder: Path, pod: Json) -> dict[str, str]:
    """The pod's variables, with its mounts where this test has them."""
    moved = {"/run/secrets/zaptrix": f"{folder}/secrets", "/var/lib/zaptrix": f"{folder}/data"}
    told = variables(pod)
    for mount, place in moved.items():
        told = {name: value.replace(mount, place) for name, value in told.items()}
    return told
