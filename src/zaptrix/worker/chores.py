"""Chores: what is done again and again, whoever rings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from zaptrix.app import App
from zaptrix.store.database import StoreUnavailable
from zaptrix.store.turns import turn

log = structlog.get_logger(__name__)

Chore = Callable[[], Awaitable[object]]

_HOUSE_EVERY_S = 3_600.0
_REGISTER_EVERY_S = 15.0


def chores_of(app: App) -> list[asyncio.Task[None]]:
    """The chores of a worker, each in a task of its own; cancel them to stop."""
    every = {
        "sweep": (app.sweep.run, app.settings.sweep_interval_s),
        "keep house": (app.sweep.keep_house, _HOUSE_EVERY_S),
        "register": (app.registrar.retry, _REGISTER_EVERY_S),
    }
    return [asyncio.create_task(_again(app, name, chore, seconds)) for name, (chore, seconds) in every.items()]


async def _again(app: App, name: str, chore: Chore, seconds: float) -> None:
    while True:
        try:
            async with turn(app.database, name) as mine:
                if mine:
                    await chore()
        except StoreUnavailable as exc:
            log.warning("chore put off", chore=name, reason=str(exc))
        except Exception:
            # A chore that breaks down must not end the others, nor itself for ever: it is told, and tried again.
            log.exception("chore failed", chore=name, alarm=True)
        await asyncio.sleep(seconds)
