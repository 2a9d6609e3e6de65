"""The free space of a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from zaptrix.telemetry.exposition import Disk


def disk_of(folder: Path) -> Disk | None:
    """The disk that holds `folder`; None where nobody can tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(usage.free, usage.total)
