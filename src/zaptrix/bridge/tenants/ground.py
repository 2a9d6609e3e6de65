"""Ground: what most parts of the bridge depend on (the database, bells, the clock), as one value.

Why: these are needed by most, so that constructors show what is a part's own. A part that needs one or two of them
takes those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.broker.queues.bells import Bells
from zaptrix.deadlines import Stopping
from zaptrix.store.connection.database import Database


class Ground(NamedTuple):
    """One for all parts of a process."""

    database: Database
    bells: Bells
    directory: Directory
    budgets: Budgets
    now: Callable[[], datetime]
    stopping: Stopping
