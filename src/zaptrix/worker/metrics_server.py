"""The worker's metrics over HTTP: what a gateway on another host cannot see.

A worker on its own host counts into that host's folder, which no gateway reads: its failures and alarms would be seen
by nobody. Any worker of a host answers for all of them, so one port is enough: who finds it taken by another tries
again now and then, and takes over when that one ends.
"""

from __future__ import annotations

import asyncio
import errno
import hmac

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

import zaptrix
from zaptrix.core.installation.addresses import is_loopback
from zaptrix.settings import Settings
from zaptrix.telemetry import exposition
from zaptrix.telemetry.disk import disk_of
from zaptrix.telemetry.exposition import Live

log = structlog.get_logger(__name__)

LIVE = "/health/live"

_AGAIN_S = 15.0
_CLOSE_S = 1.0  # nobody waits longer for a scrape that was under way
_TYPE = {"Content-Type": exposition.CONTENT_TYPE}


async def serve_metrics(settings: Settings) -> None:
    """Until cancelled: `/metrics` and `/health/live` on HOST and METRICS_PORT; nothing when that is 0."""
    if not settings.metrics_port:
        return
    if not settings.metrics_token and not is_loopback(settings.host):
        log.warning("metrics closed", port=settings.metrics_port, reason="METRICS_TOKEN is not set")
    while not await _serve(settings):
        await asyncio.sleep(_AGAIN_S)


async def _serve(settings: Settings) -> bool:
    """False when the port cannot be had; else it only ends by being cancelled."""
    app = web.Application(middlewares=[_guard(settings)])
    app.router.add_get("/metrics", _metrics_of(settings))
    app.router.add_get(LIVE, _live)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.metrics_port).start()
        log.info("metrics ready", port=settings.metrics_port)
        await asyncio.Event().wait()
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            log.error("metrics not served", port=settings.metrics_port, reason=exc.strerror, alarm=True)  # noqa: TRY400
        return False
    finally:
        await runner.cleanup()
    return True


async def _live(_request: web.Request) -> web.Response:
    """200 from a worker that answers at all, to anybody: one that does not has to be started anew."""
    return web.json_response({"status": "live", "version": zaptrix.__version__})


def _metrics_of(settings: Settings) -> Handler:
    def told() -> bytes:
        # What is looked up in the stores is the gateway's to tell: told by every host it would be added up.
        return exposition.text(Live(disk=disk_of(settings.data_dir)))

    async def metrics(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=await asyncio.to_thread(told), headers=_TYPE)

    return metrics


def _guard(settings: Settings) -> Middleware:
    """Open to this machine alone; from elsewhere METRICS_TOKEN, as a bearer token, opens it."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == LIVE or (is_loopback(settings.host) and is_loopback(request.url.host or "")):
            return await handler(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = settings.metrics_token
        if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return await handler(request)
        raise web.HTTPUnauthorized(text="Send METRICS_TOKEN: Authorization: Bearer ...\n")

    return guard
