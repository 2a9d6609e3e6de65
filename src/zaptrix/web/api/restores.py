"""Endpoint for the last restore from a backup: what it did, and what is missing.

For admins: it is of all portals.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get
from msgspec import Struct
from msgspec.structs import replace

from zaptrix.core.installation.backup import UNKNOWABLE
from zaptrix.store.backup import restores
from zaptrix.store.backup.restores import Report
from zaptrix.web.api.request.callers import admin, app_of
from zaptrix.web.api.request.languages import Lang, language_of


class Restores(Struct, frozen=True, kw_only=True):
    """Null: these data were never restored from a backup."""

    last: Report | None


@get("/", summary="Show the last restore", operation_id="getRestore")
async def get_restore(request: Request[Any, Any, Any], lang: Lang = None) -> Restores:
    """What the ledger that was restored from a backup held as open, what became of that, and what is known to be
    missing."""
    async with app_of(request).database.connection() as connection:
        report = await restores.report(connection)
    if report is None:
        return Restores(last=None)
    return Restores(last=replace(report, unknowable=UNKNOWABLE[language_of(request, lang)]))


restores_router = Router("/api/restore", route_handlers=[get_restore], tags=["Events"], guards=[admin])
