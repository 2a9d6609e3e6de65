"""The `time` block of a REST response.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/data-encoding.html
"""

from datetime import UTC, datetime
from typing import Any

from zaptrix_sim.world.limits import OperatingTime


def timing(started: float, finish: float, operating: OperatingTime | None = None) -> dict[str, Any]:
    used = operating or OperatingTime()
    return {
        "start": started,
        "finish": finish,
        "duration": finish - started,
        "processing": finish - started,
        "date_start": iso(started),
        "date_finish": iso(finish),
        "operating_reset_at": used.reset_at(finish),
        "operating": round(used.used(finish), 6),
    }


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
