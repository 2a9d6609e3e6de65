"""The shipped configuration in real proxies, before a gateway that tells what it was sent and one that is away."""

import http.client
import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proof.ports import free_port
from tests.processes import wait_for
from tests.programs import ROOT, answered, program, ran

CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
NGINX = ROOT / "deploy" / "nginx" / "zaptrix.conf"
START_WAIT_S = 60.0
NAME = "gateway.example.com"


class Proxy(NamedTuple):
    port: int
    tls: bool

    def asked(self, method: str, path: str, *, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
        context = ssl._create_unverified_context() if self.tls else None  # noqa: S323 - of this test's own making
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        )
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            told = answer.read()
        except ConnectionError:
            return 0, {}
        finally:
            connection.close()
        return answer.status, json.loads(told) if told.startswith(b"{") else {}


class Telling(BaseHTTPRequestHandler):
    """A gateway's place: says what reached it."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = json.dumps({"path": self.path, "bytes": len(body), **{k.lower(): v for k, v in self.headers.items()}})
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    do_GET = do_POST = _answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def gateways() -> Iterator[tuple[int, int]]:
    """One that answers, one that is away."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Telling) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], free_port()
        server.shutdown()


@pytest.fixture(scope="module", params=["caddy", "nginx"])
def proxy(
    request: pytest.FixtureRequest, gateways: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with started(request.param, tmp_path_factory.mktemp(request.param), gateways) as proxy:
        yield proxy


@contextmanager
def started(name: str, folder: Path, gateways: tuple[int, int]) -> Iterator[Proxy]:
    """That proxy before these gateways, once it answers; it writes to `output` and `error.log`."""
    proxy = Proxy(free_port(), tls=name == "nginx")
    command, environ = (_caddy if name == "caddy" else _nginx)(folder, proxy.port, gateways)
    with (folder / "output").open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=out, stderr=out)
    try:
        ready = lambda: process.poll() is not None or proxy.asked("GET", "/metrics")[0] == 404  # noqa: E731
        wait_for(ready, START_WAIT_S, f"{name}: {(folder / 'output').read_text()}")
        assert process.poll() is None, (folder / "output").read_text()
        yield proxy
    finally:
        process.terminate()
        process.wait(30)


def _caddy(folder: Path, port: int, gateways: tuple[int, int]) -> tuple[list[str | Path], dict[str, str]]:
    given = {
        "SITE": f"http://:{port}",
        "ADMIN": f"127.0.0.1:{free_port()}",
        "GATEWAYS": " ".join(f"127.0.0.1:{each}" for each in gateways),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", CADDYFILE], given


def _nginx(folder: Path, port: int, gateways: tuple[int, int]) -> tuple[list[str | Path], dict[str, str]]:
    configuration = _nginx_configuration(folder, port, gateways)
    return [program("nginx"), "-p", folder, "-c", configuration, "-g", "daemon off;"], {}


def _nginx_configuration(folder: Path, port: int, gateways: tuple[int, int]) -> Path:
    """The shipped file with this test's ports and certificate, inside of the least that includes it."""
    certificate, key = _certificate(folder)
    told = NGINX.read_text(encoding="utf-8")
    told = re.sub(r"\n    listen \[::\].*", "", told)  # not every machine has IPv6
    told = told.replace("/var/log/nginx/error.log", f"{folder}/error.log")
    for old, new in [
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("127.0.0.1:3000", f"127.0.0.1:{gateways[0]}"),
        ("127.0.0.1:3010", f"127.0.0.1:{gateways[1]}"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(certificate)),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(key)),
    ]:
        # A port that was put in before may begin with the digits of one that is looked for.
        told, found = re.subn(rf"{re.escape(old)}(?!\d)", new, told)
        assert found == 1, old
    site, whole = folder / "zaptrix.conf", folder / "nginx.conf"
    site.write_text(told, encoding="utf-8")
    folders = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    user = "user root;\n" if os.geteuid() == 0 else ""
    whole.write_text(
        f"{user}pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{folders}    include {site};\n}}\n",
        encoding="utf-8",
    )
    return whole


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(*form))
    return files


def test_a_caller_cannot_say_who_it_is(proxy: Proxy) -> None:
    status, told = proxy.asked(
        "POST", "/webhooks/meta", body=b"{}", X_Forwarded_For="203.0.113.9", X_Request_Id="mine", Host=NAME
    )
    assert status == 200
    assert (told["x-forwarded-for"], told["host"]) == ("127.0.0.1", NAME)
    assert re.fullmatch(r"[0-9a-f-]{32,36}", told["x-request-id"])


def test_a_gateway_that_is_away_costs_no_webhook(proxy: Proxy) -> None:
    assert {proxy.asked("POST", "/webhooks/meta", body=b"{}")[0] for _ in range(12)} == {200}


@pytest.mark.parametrize(("name", "status"), [("caddy", 503), ("nginx", 502)])
def test_no_log_shows_what_a_call_holds_that_no_gateway_took(tmp_path: Path, name: str, status: int) -> None:
    with started(name, tmp_path, (free_port(), free_port())) as proxy:
        path = "/media/held-file?sig=held-signature&hub.verify_token=held-token"
        assert proxy.asked("POST", path, body=b"held-text", X_Api_Key="held-key")[0] == status
    told = "".join(file.read_text() for file in tmp_path.glob("*") if file.name in {"output", "error.log"})
    assert "held-" not in told
    assert name != "caddy" or '"status":503' in told


def test_metrics_stay_inside(proxy: Proxy) -> None:
    assert [proxy.asked("GET", path)[0] for path in ("/metrics", "/metrics/json")] == [404, 404]
    assert proxy.asked("GET", "/metricsx")[0] == 200


def test_files_pass_and_what_is_larger_than_any_does_not(proxy: Proxy) -> None:
    status, told = proxy.asked("POST", "/api/messages/document", body=b"\0" * 12_000_000)
    assert (status, told["bytes"]) == (200, 12_000_000)
    if proxy.tls:  # nginx goes by the length alone; caddy counts what comes, and its limit is looked at below
        length = str(120 * 1024 * 1024)
        assert proxy.asked("POST", "/api/messages/document", body=b"{}", Content_Length=length)[0] == 413


def test_caddy_takes_its_file_with_a_name_and_tls(tmp_path: Path) -> None:
    given = {"SITE": NAME, "GATEWAYS": "gateway-1:3000 gateway-2:3000"}
    homes = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    ran("caddy", "validate", "--adapter", "caddyfile", "--config", CADDYFILE, env=given | homes)
    adapted = ran("caddy", "adapt", "--adapter", "caddyfile", "--config", CADDYFILE, env=given | homes)
    assert '"max_size":110000000' in adapted
    assert f'"host":["{NAME}"]' in adapted
    assert answered("caddy", "fmt", CADDYFILE, env=homes)[1] == CADDYFILE.read_text(encoding="utf-8")


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    told = ran("nginx", "-t", "-p", tmp_path, "-c", _nginx_configuration(tmp_path, free_port(), (3000, 3010)))
    assert "warn" not in told
