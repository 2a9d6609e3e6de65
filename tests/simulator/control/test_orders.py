"""Orders from pages elsewhere: refused, under whatever name the browser found the simulators."""

import dataclasses

import aiohttp
import pytest
from aiohttp import web

from proof.ports import free_port
from tests.simulator.stage import Stage
from zaptrix_sim.server import application
from zaptrix_sim.settings import Options, Settings

ANYWHERE = "0.0.0.0"  # noqa: S104  # it is only told so
JSON = {"Content-Type": "application/json"}
PATHS = ("/control/demo", "/control/state", "/control/files/1", "/control/stream", "/", "/page/index.html")


async def status(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> int:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.request(method, url, data=data, headers=told, timeout=aiohttp.ClientTimeout(10)) as response,
    ):
        return response.status


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["rebind.evil.example", "127.0.0.1.nip.io:{port}", "10.0.0.1", "localhost.evil.example", ""]
)
async def test_a_name_that_is_not_ours_is_refused(stage: Stage, path: str, host: str) -> None:
    port = stage.url.rpartition(":")[2]
    assert await status(stage.url + path, Host=host.format(port=port)) == 403


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1", "[::1]:{port}", "127.0.0.2:80"])
async def test_this_machine_is_known_by_its_names(stage: Stage, host: str) -> None:
    port = stage.url.rpartition(":")[2]
    assert await status(stage.url + "/control/health", Host=host.format(port=port)) == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}.evil.example", "", "file://"],
)
async def test_a_page_of_another_origin_gives_no_orders(stage: Stage, origin: str) -> None:
    told = origin.format(port=stage.url.rpartition(":")[2])
    before = await stage.control("GET", "state")
    orders = (("control/customers/write", "POST"), ("control/reset", "POST"), ("control/faults", "DELETE"),
              ("control/demo", "GET"), ("control/files?name=x", "POST"), ("", "GET"))  # fmt: skip
    for path, method in orders:
        assert (
            await status(f"{stage.url}/{path}", method, b"{}" if method == "POST" else None, Origin=told, **JSON) == 403
        )
    assert await stage.control("GET", "state") == before


async def test_our_own_page_gives_them(stage: Stage) -> None:
    assert await status(stage.url + "/control/options", "PUT", b"{}", Origin=stage.url, **JSON) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_picture_or_script_of_another_page_is_no_order_and_a_link_to_ours_is_followed(
    stage: Stage, site: str
) -> None:
    assert await status(stage.url + "/control/demo", Sec_Fetch_Site=site) == 403
    assert await status(stage.url + "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate") == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_is_posted_has_to_be_json(stage: Stage, kind: str) -> None:
    told = {"Content-Type": kind} if kind else {}
    assert await status(stage.url + "/control/reset", "POST", b"{}", **told) == 415
    assert await status(stage.url + "/control/options", "PUT", b"{}", **told) == 415
    assert (
        await status(stage.url + "/control/options", "PUT", b"{}", Content_Type="application/json; charset=utf-8")
        == 200
    )


async def test_the_platforms_are_reached_by_any_name(stage: Stage) -> None:
    assert await status(stage.url + "/meta/v26.0/1", Host="graph.facebook.com", Origin="https://evil.example") == 401


@pytest.mark.parametrize(
    ("more", "host", "expected"),
    [
        ({"host": ANYWHERE, "public_url": "http://simulators:3900"}, "simulators:3900", 200),
        ({"host": ANYWHERE, "public_url": "http://simulators:3900"}, "192.168.1.7:3900", 200),
        ({"host": ANYWHERE, "public_url": "http://simulators:3900"}, "evil.example:3900", 403),
        ({"public_url": "https://demo.example.com"}, "demo.example.com", 200),
        ({"public_url": "https://demo.example.com"}, "192.168.1.7:3900", 403),
    ],
)
async def test_the_names_that_are_configured_are_ours(more: dict[str, str], host: str, expected: int) -> None:
    port = free_port()
    settings = dataclasses.replace(Settings(port=port), **more)  # type: ignore[arg-type]  # texts all
    runner = web.AppRunner(application(settings, Options()))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert await status(f"http://127.0.0.1:{port}/control/health", Host=host) == expected
    finally:
        await runner.cleanup()
