"""What the doctor finds outside and inside: on real certificates, clocks and servers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from proof.ports import free_port
from tests.certificates import Authority
from zaptrix import __version__
from zaptrix.cli.doctor import doctor, public_address
from zaptrix.cli.doctor.doctor import Doctor, Finding
from zaptrix.core.portal import Locale
from zaptrix.deadlines import new_worker_id
from zaptrix.settings import Settings
from zaptrix.store.connection.database import open_database
from zaptrix.store.processes import workers


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everybody trusted that authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "authority.pem")))


async def health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "works": ["all"], "version": __version__})


async def metrics(_request: web.Request) -> web.Response:
    return web.Response(text="zaptrix_http_requests_total 1\n")


@asynccontextmanager
async def proxy(certificate: Path | None, *, is_open: bool = False, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """What stands before a gateway; its address."""
    served = web.Application()
    served.router.add_get("/health", health)
    if is_open:
        served.router.add_get("/metrics", metrics)
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    runner = web.AppRunner(served)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


async def found_outside(public_url: str, locale: Locale = Locale.EN, **given: str) -> dict[str, Finding]:
    environ = {
        "PUBLIC_URL": public_url,
        "META_APP_SECRET": "0f6c1e5a9b3d4c7e8a2b",
        "META_VERIFY_TOKEN": "7d41c0a9e85f4b2c6e13",
        **given,
    }
    examination = Doctor(Settings.from_env(environ), locale, environ)
    return {finding.check: finding for finding in await examination._outside()}


async def test_a_gateway_behind_a_good_certificate_is_well(authority: Authority, tmp_path: Path) -> None:
    async with proxy(authority.server(tmp_path / "server.pem", days=60.5)) as url:
        found = await found_outside(url, TRUSTED_PROXIES="10.0.0.0/8")
    assert {check: finding.level for check, finding in found.items()} == dict.fromkeys(
        ("certificate", "address", "release", "metrics_open", "proxy"), doctor.OK
    )
    assert found["certificate"].told == "good for 60 days"


@pytest.mark.parametrize("days", [20.5, 0.5])
async def test_a_certificate_that_ends_soon_is_a_warning(authority: Authority, tmp_path: Path, days: float) -> None:
    async with proxy(authority.server(tmp_path / "server.pem", days=days)) as url:
        found = await found_outside(url)
    assert (found["certificate"].level, found["certificate"].told) == (doctor.WARNING, f"it ends in {int(days)} days")
    assert found["proxy"].level == doctor.WARNING  # who speaks for whom is not told


async def test_a_chain_in_between_has_to_be_sent_along(authority: Authority, tmp_path: Path) -> None:
    between = authority.beneath()
    async with proxy(between.server(tmp_path / "leaf.pem")) as url:
        assert "fullchain.pem" in (await found_outside(url))["certificate_chain"].fix
    async with proxy(between.server(tmp_path / "chain.pem", chain=between.pem)) as url:
        assert (await found_outside(url))["certificate"].level == doctor.OK


async def test_what_no_platform_takes_is_told_by_its_kind(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority("nobody's authority")
    itself = tmp_path / "itself.pem"
    own = authority.server(itself)  # its key is used for a certificate that vouches for itself
    cases = {
        authority.server(tmp_path / "old.pem", days=-1): ("certificate_expired", "127.0.0.1"),
        authority.server(tmp_path / "other.pem", "gateway.example.com"): ("certificate_name", "127.0.0.1"),
        authority.server(tmp_path / "address.pem", "127.0.0.1"): ("certificate_name", "localhost"),
        stranger.server(tmp_path / "stranger.pem"): ("certificate_chain", "127.0.0.1"),
        stranger.server(tmp_path / "whole.pem", chain=stranger.pem): ("certificate_chain", "127.0.0.1"),
    }
    assert own.exists()
    for certificate, (check, host) in cases.items():
        async with proxy(certificate, host=host) as url:
            found = await found_outside(url)
            assert found[check].level == doctor.WRONG, certificate.name
            assert "address" not in found


async def test_an_address_where_nobody_or_somebody_else_answers_is_wrong(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.server(tmp_path / "server.pem")
    assert "address_unreached" in await found_outside(f"https://127.0.0.1:{free_port()}")
    assert "address_unknown" in await found_outside("https://gateway.invalid")
    async with proxy(certificate) as url:
        found = await found_outside(f"{url.replace('127.0.0.1', 'localhost')}")
        assert found["address"].level == doctor.OK
    async with proxy(None) as url:  # no TLS there at all
        assert "address_unreached" in await found_outside(url.replace("http:", "https:"))
    async with proxy(certificate, is_open=True) as url:
        assert (await found_outside(url))["metrics_open"].level == doctor.WRONG


async def test_a_host_that_takes_no_call_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "CALL_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = await found_outside(f"https://127.0.0.1:{listening.getsockname()[1]}")
    assert found["address_unreached"].told == "nothing answers there (127.0.0.1, TimeoutError)"


async def test_a_platforms_clock_is_compared_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(None) as url:
        assert abs(await public_address.clock_off_s(url) or 0.0) < 3
        monkeypatch.setattr(
            public_address,
            "parsedate_to_datetime",
            lambda _told: datetime(2020, 1, 1, tzinfo=UTC),
        )
        environ = {
            "META_GRAPH_URL": url,
            "BITRIX_OAUTH_URL": url + "/oauth/token/",
            "META_APP_SECRET": "0f6c1e5a9b3d4c7e8a2b",
        }
        found = await Doctor(Settings.from_env(environ), Locale.PT_BR, environ)._platform_clocks()
    assert [(finding.check, finding.level) for finding in found] == [("platform_clock", doctor.WRONG)] * 2
    assert found[0].what == "relógio: 127.0.0.1"


async def test_what_hangs_holds_nobody_up_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        environ = {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "DATABASE_URL": f"postgresql://x@127.0.0.1:{port}/x"}
        found = await Doctor(Settings.from_env(environ), Locale.EN, environ).examine()
    hanging = [finding for finding in found if finding.check == "hangs"]
    assert sorted(finding.what for finding in hanging) == ["PostgreSQL", "Redis"]


async def test_the_inside_of_postgresql_is_looked_at(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    examination = Doctor(Settings.from_env(environ), Locale.EN, environ)
    found = {finding.what: finding for finding in await examination._inside()}
    assert found["full_page_writes"].level == found["connections"].level == found["disk: PostgreSQL"].level == doctor.OK
    places = int(found["connections"].told.split()[2].split("/")[1])
    many = [await asyncpg.connect(database_url) for _ in range(int(places * 0.8))]
    try:
        (crowded,) = [one for one in await examination._inside() if one.check == "connections"]
        assert (crowded.level, "DATABASE_POOL_MAX" in crowded.fix) == (doctor.WARNING, True)
    finally:
        for connection in many:
            await connection.close()


async def test_which_release_each_worker_runs_is_told(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}

    async def releases() -> list[Finding]:
        found = await Doctor(Settings.from_env(environ), Locale.EN, environ)._at_work()
        return [one for one in found if one.check == "release"]

    assert await releases() == []
    database = await open_database(database_url)
    try:
        for pid, version, level in ((41, __version__, doctor.OK), (42, "0.0.9", doctor.WARNING)):
            async with database.connection() as connection:
                await workers.register(connection, new_worker_id(), 60, workers.WorkerPlace("host-1", pid), version)
            (found,) = await releases()
            assert (found.level, found.what) == (level, "release: workers")
            assert f"{version} (host-1, {pid})" in found.told
    finally:
        await database.close()


async def test_a_replica_that_is_none_is_told(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environ = {
        "DATABASE_URL": database_url,
        "DATABASE_READ_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(tmp_path),
    }
    (found,) = [
        one for one in await Doctor(Settings.from_env(environ), Locale.EN, environ)._inside() if one.check == "replica"
    ]
    assert (found.level, found.told, "DATABASE_READ_URL" in found.fix) == (doctor.WARNING, "other", True)


def test_an_old_backup_and_a_spool_that_waits_are_warnings(tmp_path: Path) -> None:
    for name, hours in (("old", 90), ("newer", 27)):
        (tmp_path / "backups" / name).mkdir(parents=True)
        manifest = tmp_path / "backups" / name / "manifest.json"
        manifest.touch()
        os.utime(manifest, (manifest.stat().st_atime, manifest.stat().st_mtime - hours * 3600))
    (tmp_path / "backups" / "half").mkdir()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1.json").touch()
    environ = {"DATA_DIR": str(tmp_path)}
    found = {one.check: one for one in Doctor(Settings.from_env(environ), Locale.EN, environ)._machine()}
    assert (found["backup"].level, found["backup"].told) == (doctor.WARNING, "the newest is 27 h old")
    assert (found["spool"].level, found["spool"].told) == (doctor.WARNING, "1 files wait")


async def test_without_a_redis_the_rest_is_looked_at_all_the_same(database_url: str, tmp_path: Path) -> None:
    environ = {**os.environ, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    found = {one.check: one.level for one in await Doctor(Settings.from_env(environ), Locale.EN, environ).examine()}
    assert (found["redis"], found["postgres"], found["media"], found["page_writes"], found["gateway"]) == (
        doctor.WRONG, doctor.OK, doctor.OK, doctor.OK, doctor.WRONG,
    )  # fmt: skip


async def test_programs_read_the_same_as_json(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path), "LANG": "pt_BR.UTF-8"}
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zaptrix", "doctor", "--json",
        env={**os.environ, **environ}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await asked.communicate()
    told = json.loads(said)
    assert asked.returncode == 1
    assert told["ok"] is False
    by_check = {finding["check"]: finding for finding in told["findings"]}
    assert (by_check["gateway"]["level"], by_check["gateway"]["fix"]) == ("wrong", "inicie `zaptrix serve`")
    assert {by_check[check]["level"] for check in ("postgres", "redis", "durability", "page_writes", "media")} == {"ok"}
