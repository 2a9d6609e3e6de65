"""The simulator as one web application: both platforms, /control, and the page.

The composition root: everything is built and routed here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web

from zaptrix_sim.bitrix24.api import RestApi
from zaptrix_sim.bitrix24.chats import Chats
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.bitrix24.files import PortalFiles
from zaptrix_sim.bitrix24.oauth import OAuth
from zaptrix_sim.control.control import Control
from zaptrix_sim.control.orders import orders_from_here
from zaptrix_sim.control.page_files import PageFiles
from zaptrix_sim.meta.api import GraphApi
from zaptrix_sim.meta.media import MetaMedia
from zaptrix_sim.meta.phones import Phones
from zaptrix_sim.meta.send import MetaSend
from zaptrix_sim.meta.templates import MetaTemplates
from zaptrix_sim.meta.webhooks import MetaWebhooks
from zaptrix_sim.settings import Options, Settings
from zaptrix_sim.world import persistence
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import World

BODY_MAX: Final = 16 * 1024 * 1024
PAGE: Final = Path(__file__).parent / "page"
SAFE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def application(settings: Settings, options: Options) -> web.Application:
    """The whole simulator. It listens on one address only, so that its own address is known from the settings."""
    world = persistence.load(settings.data_dir) if settings.data_dir else None
    engine = Engine(settings=settings, options=options, world=world or World())
    engine.world.wake()
    engine.url = settings.public_url or f"http://{settings.host}:{settings.port}"
    webhooks, events, oauth = MetaWebhooks(engine), BitrixEvents(engine), OAuth(engine)
    phones, chats = Phones(engine, webhooks), Chats(engine, events)
    templates, media = MetaTemplates(engine, webhooks), MetaMedia(engine)
    meta = GraphApi(engine, MetaSend(engine, phones, webhooks, media), media, templates)
    portal, portal_files, page_files = RestApi(engine, events, chats), PortalFiles(engine), PageFiles(engine)
    control = Control(
        engine, phones=phones, webhooks=webhooks, templates=templates, chats=chats, events=events, oauth=oauth
    )

    async def living(_app: web.Application) -> AsyncIterator[None]:
        await webhooks.start()
        await events.start()
        phones.resume()
        snapshots = asyncio.ensure_future(_snapshots(engine))
        yield
        snapshots.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await snapshots
        await webhooks.stop()
        await events.stop()
        if settings.data_dir:
            persistence.save(settings.data_dir, engine.world)

    async def closing(_app: web.Application) -> None:
        engine.stream.close()

    app = web.Application(client_max_size=BODY_MAX, middlewares=[orders_from_here(settings)])
    app.cleanup_ctx.append(living)
    app.on_shutdown.append(closing)
    app.router.add_route("*", "/meta/{tail:.*}", meta.serve)
    app.router.add_route("*", "/bitrix24/oauth/token/", oauth.token)
    app.router.add_route("*", "/bitrix24/oauth/token", oauth.token)
    app.router.add_route("*", "/bitrix24/rest/app.info", oauth.app_info)
    app.router.add_route("*", "/bitrix24/oauth/rest/app.info", oauth.app_info)
    app.router.add_route("*", "/bitrix24/oauth/rest/app.info/", oauth.app_info)
    app.router.add_route("*", "/bitrix24/{portal}/rest/{method:.+}", portal.serve)
    app.router.add_get("/bitrix24/{portal}/pub/im.file.php", portal_files.whole)
    app.router.add_get("/bitrix24/{portal}/disk/downloadFile/{file}/", portal_files.by_token)
    app.router.add_get("/bitrix24/{portal}/~{code}", portal_files.short)
    app.router.add_post("/control/files", page_files.take)
    app.router.add_get("/control/files/{file}", page_files.give)
    app.router.add_get("/control/stream", engine.stream.serve)
    app.router.add_route("*", "/control/{tail:.*}", control.serve)
    app.router.add_get("/", _index)
    app.router.add_get("/page/{tail:.+}", _page_file)
    return app


async def _snapshots(engine: Engine) -> None:
    if engine.settings.data_dir:
        await persistence.Snapshots(engine.settings.data_dir).run(lambda: engine.world)


async def _index(_request: web.Request) -> web.StreamResponse:
    return _file(PAGE / "index.html")


async def _page_file(request: web.Request) -> web.StreamResponse:
    path = (PAGE / request.match_info["tail"]).resolve()
    return _file(path) if path.is_relative_to(PAGE) else web.Response(status=404)


def _file(path: Path) -> web.StreamResponse:
    if not path.is_file():
        return web.Response(status=404, text="not found")
    return web.FileResponse(path, headers=SAFE_HEADERS)
