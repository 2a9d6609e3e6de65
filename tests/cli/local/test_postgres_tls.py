"""PostgreSQL that takes TLS and a password alone: each way to it reads one address, with any password in it."""

import asyncio
import datetime as dt
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from proof.engines import Engine
from proof.ports import free_port
from tests.postgres_binaries import binaries
from zaptrix.app import open_app
from zaptrix.cli.main import app
from zaptrix.core.installation.faults import FaultKind, Unfit
from zaptrix.settings import KINDS, Settings
from zaptrix.store.schema import fitness

# A loop that ends right after a refused login has not seen its TLS transport close; a process ends just so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DATABASE = "zaptrix"
PASSWORDS = (
    "p@ss:w/o#r?d%",
    "[brackets] and spaces",
    "a&b=c;d,e+f",
    'it\'s "quoted" \\ back',
    "senha-çãõ-日本-😀",
    "%40%2F",
    "tab\tinside",
    "$HOME`id`$(id)",
    "@@@",
)


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server that nobody reaches without TLS and a password."""

    engine: Engine
    port: int
    ca: Path
    other_ca: Path

    def url(self, password: str, *, host: str = "localhost", ca: Path | None = None, mode: str = "verify-full") -> str:
        escaped = quote(password, safe="")
        return (
            f"postgresql://zaptrix:{escaped}@{host}:{self.port}/{DATABASE}?sslmode={mode}&sslrootcert={ca or self.ca}"
        )

    def set_password(self, password: str) -> None:
        quoted = password.replace("'", "''")
        asyncio.run(self.engine.execute(f"ALTER ROLE zaptrix PASSWORD '{quoted}'"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    ca = authority(folder / "ca.pem")
    authority(folder / "other.pem")
    certify(folder, *ca)
    engine = Engine(
        folder / "server",
        binaries=binaries(17),
        listen_addresses="127.0.0.1",
        port=str(port),
        ssl="on",
        ssl_cert_file=str(folder / "server.pem"),
        ssl_key_file=str(folder / "server.key"),
    )
    engine.make()
    owner = engine.folder.stat()
    os.chown(folder / "server.key", owner.st_uid, owner.st_gid)
    (engine.data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii"
    )
    engine.start()
    try:
        asyncio.run(engine.execute(f"CREATE DATABASE {DATABASE}"))
        yield Secured(engine=engine, port=port, ca=folder / "ca.pem", other_ca=folder / "other.pem")
    finally:
        engine.stop()


def authority(file: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key, name = ec.generate_private_key(ec.SECP256R1()), named("An authority of ours")
    certificate = (
        issued(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def certify(folder: Path, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        issued(named("localhost"), ca.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    file = folder / "server.key"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def issued(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=key_cert_sign, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def given(folder: Path, url: str) -> dict[str, str]:
    key = Fernet.generate_key().decode()
    return {"DATA_DIR": str(folder), "DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1", "ENCRYPTION_KEYS": key}


def typed(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, *words: str) -> tuple[int, str]:
    for name in KINDS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given(folder, url).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output


def test_each_way_to_it_takes_one_address(secured: Secured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secured.set_password(PASSWORDS[0])
    url = secured.url(PASSWORDS[0])
    code, said = typed(monkeypatch, tmp_path, url, "migrate")
    assert (code, said.splitlines()[-1]) == (0, "the database has the newest schema")
    assert typed(monkeypatch, tmp_path, url, "api-key", "list")[0] == 0

    async def look() -> bool:
        settings = Settings.from_env(given(tmp_path, url))
        async with open_app(settings) as opened, opened.database.connection() as connection:
            told: bool = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return told

    assert asyncio.run(look())
    several = url.replace(f"@localhost:{secured.port}", f"@localhost:1,localhost:{secured.port}")
    assert typed(monkeypatch, tmp_path, several, "api-key", "list")[0] == 0


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_any_characters(secured: Secured, password: str) -> None:
    secured.set_password(password)
    url = secured.url(password)
    assert Settings.from_env({"DATABASE_URL": url}).database_url == url
    assert asyncio.run(fitness.examine(url)).version == 17
    with pytest.raises(Unfit) as refused:
        asyncio.run(fitness.examine(secured.url(password + "x")))
    assert refused.value.fault.kind is FaultKind.POSTGRES_LOGIN


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda it: it.url("x", ca=it.other_ca), FaultKind.POSTGRES_TLS),
        (lambda it: it.url("x", host="127.0.0.1"), FaultKind.POSTGRES_TLS),  # its certificate names localhost
        (lambda it: it.url("x", mode="disable"), FaultKind.POSTGRES_LOGIN),  # it takes nobody without TLS
    ],
)
def test_a_certificate_of_somebody_else_and_no_tls_at_all(
    secured: Secured, change: Callable[[Secured], str], kind: FaultKind
) -> None:
    with pytest.raises(Unfit) as refused:
        asyncio.run(fitness.examine(change(secured)))
    assert refused.value.fault.kind is kind
