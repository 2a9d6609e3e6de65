"""What Meta changed about templates: recorded, told to the admin, and the lists that hold them are fetched anew."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from zaptrix.core.event import TemplateChange
from zaptrix.store import templates
from zaptrix.store.database import Connection
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

# After these a template works no worse than before.
_GOOD = {
    "status": ("APPROVED", "PENDING", "REINSTATED", "UNARCHIVED"),
    "quality": ("GREEN", "UNKNOWN"),
    "components": ("",),
}


async def apply_changes(connection: Connection, told: Sequence[TemplateChange]) -> set[str]:
    """Record changes inside the caller's transaction; the accounts that a channel belongs to."""
    accounts = await templates.known_accounts(connection, list({each.waba_id for each in told}))
    ours = [each for each in told if each.waba_id in accounts]
    for each in ours:
        old = await templates.change(connection, each)
        _tell(each, old)
    await templates.outdate(connection, list(accounts))
    return accounts


def _tell(change: TemplateChange, old: str | None) -> None:
    is_bad = change.new not in _GOOD.get(change.what, ())
    if is_bad:
        metrics.alarmed(AlarmKind.TEMPLATE)
    tell = log.warning if is_bad else log.info
    tell(
        "template changed",
        waba_id=change.waba_id,
        template=change.name,
        language=change.language,
        what=change.what,
        old=old,
        new=change.new,
        reason=change.reason,
        alarm=is_bad,
    )
