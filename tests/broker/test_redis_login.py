"""The way in: a user of few rights, passwords of any characters, TLS with a CA of one's own."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis

from proof.ports import free_port
from proof.redis_nodes import ClusterServers, Node
from tests.broker.conftest import StartWorkers, eventually
from zaptrix.broker.cache.cache import RedisTokenCache, SeenCache
from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.connection.connection import connect
from zaptrix.broker.connection.fitness import examine
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.broker.pace.throttle import Throttle
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.stats import bell_counts, cache_stats, look_at_redis
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.ids import PortalId
from zaptrix.core.installation.addresses import passwords_in
from zaptrix.core.installation.faults import REDIS_RIGHTS, FaultKind, Unfit

WORD = "p@ss:w/ör?d#[1]%40 +&="
RUNBOOK = Path(__file__).parents[2] / "docs" / "RUNBOOK.md"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, ClusterServers]]:
    """One server, and a cluster of one node: the same user on both."""
    folder = tmp_path_factory.mktemp("guarded")
    node, cluster = Node(folder / "node"), ClusterServers(folder / "cluster", masters=1)
    node.start()
    cluster.start()
    for each in (node, *cluster.nodes):
        each.told("ACL", "SETUSER", "zaptrix", "on", f">{WORD}", *REDIS_RIGHTS.split())
    yield node, cluster
    node.stop()
    cluster.stop()


@pytest.fixture(params=["one server", "cluster"])
def server(request: pytest.FixtureRequest, guarded: tuple[Node, ClusterServers]) -> Node:
    return guarded[0] if request.param == "one server" else guarded[1].nodes[0]


@pytest.fixture
def url(request: pytest.FixtureRequest, server: Node, guarded: tuple[Node, ClusterServers]) -> str:
    """Of that user."""
    scheme = "redis" if server is guarded[0] else "redis+cluster"
    return f"{scheme}://zaptrix:{quote(WORD, safe='')}@127.0.0.1:{server.port}"


async def test_the_documented_user_can_do_all_that_we_do(url: str, server: Node, start_workers: StartWorkers) -> None:
    assert REDIS_RIGHTS in RUNBOOK.read_text(encoding="utf-8")
    server.told("ACL", "LOG", "RESET")
    await examine(url)
    client = connect(url)
    bells, hits, pace = Bells(client), Hits(client), RedisPace(client)
    drained: set[str] = set()

    async def drain(lane: Lane) -> None:
        drained.add(lane.name)
        if lane.name == "bad":
            raise KeyError

    try:
        await start_workers(url, drain, bells, *Queue)
        await bells.ring([Lane(Queue.META, "now"), Lane(Queue.BITRIX24, "bad")])
        await bells.later(Lane(Queue.META, "later"), dt.datetime.now(UTC) + timedelta(seconds=0.3))
        await eventually(lambda: drained >= {"now", "bad", "later"})
        portal = PortalId(uuid4())
        spending = Spending(portal_id=portal, method="imconnector.send.messages")
        reserved = await pace.take(Bucket(key="portal:1", rate_per_s=50, burst=5), spending=spending)
        await pace.settle(spending, reserved, Operating(used_s=400, reset_at=0, at=1), refused=True)
        assert await Throttle(client).allow("10.0.0.1", 60) is None
        box = Fernet(Fernet.generate_key())
        tokens = RedisTokenCache(client, hits, lambda _: None, encrypt=box.encrypt, decrypt=box.decrypt)
        await tokens.put(portal, "token", 60)
        assert await tokens.reseal(str) == 1
        await SeenCache(client, hits).probably_seen([b"1", b"2"])
        assert (await cache_stats(client, hits)).available
        assert await bell_counts(bells) is not None
        health = await look_at_redis(client, bells)
        assert (health.fault, health.worked) == (None, frozenset(Queue))
    finally:
        await bells.close()
        await client.aclose()
    assert server.told("ACL LOG") == []


async def test_processes_that_start_together_do_not_refuse_each_other(url: str) -> None:
    for _ in range(3):
        assert {facts.role for facts in await asyncio.gather(*(examine(url) for _ in range(12)))} == {"master"}


@pytest.mark.parametrize(("less", "seen"), [
    (("-eval",), "EVAL"), (("-@scripting",), "EVAL"), (("-info",), "INFO"), (("-@sortedset",), "ZADD"),
    (("-xadd",), "XADD"), (("resetkeys", "~other:*"), ""), (("resetkeys", "~zx:*", "~{zx*"), ""),
    (("-watch",), "WATCH"), (("-bzpopmin",), "BZPOPMIN"), (("-scan",), "SCAN"),
])  # fmt: skip
async def test_a_right_that_is_missing_is_named(url: str, server: Node, less: tuple[str, ...], seen: str) -> None:
    server.told("ACL", "SETUSER", "zaptrix", *less)
    try:
        with pytest.raises(Unfit) as unfit:
            await examine(url)
    finally:
        server.told("ACL", "SETUSER", "zaptrix", "resetkeys", "-@all", *REDIS_RIGHTS.split())
    assert unfit.value.fault.kind is FaultKind.REDIS_RIGHTS
    assert f"({seen}" in str(unfit.value)
    assert "zaptrix" not in str(unfit.value).replace("ACL SETUSER name", "")


def test_each_password_of_an_address_is_known_as_a_secret() -> None:
    url = "rediss+sentinel://u:a%40b@h:1,g:2/s/0?sentinel_username=x&sentinel_password=c%26d&ssl_ca_certs=/ca.pem"
    assert set(passwords_in(url)) == {"a%40b", "a@b", "c%26d", "c&d"}


# --- TLS --------------------------------------------------------------------------------------------------------------


class Files(NamedTuple):
    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A CA, and what it signed for 127.0.0.1: the server shows it, and so does the client."""
    folder = tmp_path_factory.mktemp("tls")
    found = Files(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA of our own")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    for subject, of, extension, file in (
        (ca, ca_key, x509.BasicConstraints(ca=True, path_length=None), found.ca),
        (name, key, host, found.certificate),
    ):
        begins = dt.datetime.now(UTC) - timedelta(days=1)
        signed = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=30))
            .add_extension(extension, critical=True)
            .sign(ca_key, hashes.SHA256())
        )
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return found


@asynccontextmanager
async def over_tls(files: Files, port: int, behind: int) -> AsyncIterator[None]:
    """TLS on `port` before the server on `behind`, as stunnel does it; the client has to show a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.certificate, files.key)
    flows: set[asyncio.Task[None]] = set()

    async def flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", behind)
        for one in (flow(reader, forth), flow(back, writer)):
            flows.add(asyncio.create_task(one))

    server = await asyncio.start_server(join, "127.0.0.1", port, ssl=context)
    try:
        yield
    finally:
        server.close()
        for one in flows:
            one.cancel()
        await asyncio.gather(*flows, return_exceptions=True)


async def test_tls_with_a_ca_and_a_certificate_of_our_own(files: Files, guarded: tuple[Node, ClusterServers]) -> None:
    node, cluster = guarded
    ours = f"ssl_ca_certs={files.ca}&ssl_certfile={files.certificate}&ssl_keyfile={files.key}"
    for scheme, server in (("rediss", node), ("rediss+cluster", cluster.nodes[0])):
        port = free_port()
        server.told("CONFIG", "SET", "cluster-announce-port", port)  # where the cluster says that it is found
        async with over_tls(files, port, server.port):
            place = f"{scheme}://:@127.0.0.1:{port}"
            assert (await examine(f"{place}?{ours}")).role == "master"
            client = connect(f"{place}?{ours}")
            await Bells(client).ring([Lane(Queue.META, "l")])
            assert await _waiting(client) == 1
            await client.aclose()
            for less in ("", f"?ssl_ca_certs={files.certificate}", f"?{ours.replace('ca.pem', 'none.pem')}"):
                with pytest.raises(Unfit) as unfit:
                    await examine(f"{place}{less}")
                assert unfit.value.fault.kind is FaultKind.REDIS_TLS, less
        server.told("CONFIG", "SET", "cluster-announce-port", 0)


async def _waiting(client: Redis) -> int:
    return int(await client.llen(Bells(client).queue(Queue.META).toKey("wait")))
