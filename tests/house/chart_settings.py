"""The names of our settings in the chart's schema: `python -m tests.house.chart_settings` writes them anew."""

import json
from pathlib import Path
from typing import Any

from zaptrix.settings import KINDS

SCHEMA = Path(__file__).parents[2] / "deploy/helm/zaptrix/values.schema.json"

BY_THE_CHART = frozenset(
    {
        "DATA_DIR", "METRICS_DIR", "METRICS_PORT", "PORT", "PUBLIC_URL", "SHUTDOWN_DELAY_S", "WEB_PROCESSES",
        "SIM_PORT", "WORKER_PROCESSES",  # the latter two are for `zaptrix up`
    }
)  # fmt: skip
"""Settings that follow from other values, or mean nothing in a cluster."""


def written() -> str:
    """The whole schema with the names as they are now: a setting that is none is refused, and a secret's value, too."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    secrets = sorted(name for name, kind in KINDS.items() if kind.secret)
    schema["definitions"]["secretName"]["enum"] = secrets
    schema["properties"]["settings"]["properties"] = {
        name: {"$ref": "#/definitions/setting"} for name in sorted(KINDS.keys() - BY_THE_CHART - set(secrets))
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(written(), encoding="utf-8")
