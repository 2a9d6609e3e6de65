"""Servers that cannot be used: each command says so in one sentence with the remedy, and ends."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
import redis
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from proof.pooler import Pooler
from proof.ports import free_port
from tests.processes import wait_for
from tests.servers import TEMPLATE, execute
from zaptrix.cli.local.children import Child, Program
from zaptrix.cli.local.redis_server import server_program
from zaptrix.cli.local.servers import Servers
from zaptrix.cli.main import app
from zaptrix.core.installation import compatibility
from zaptrix.core.installation.faults import WORDS, Fault, FaultKind
from zaptrix.core.portal import Locale
from zaptrix.settings import KINDS, PREFIXES
from zaptrix.store.connection.dialling import SESSION
from zaptrix.store.schema.migrate import newest, upgrade

Type = Callable[..., Result]

SERVING = [("serve",), ("worker",)]
WITH_DATABASE = [*SERVING, ("api-key", "list"), ("api-key", "create", "--name", "mine"), ("api-key", "revoke", "x")]
ALL = [*WITH_DATABASE, ("migrate",)]
NAMES = {" ".join(words): words for words in ALL}

START_WAIT_S = 20


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody has: a gateway that would open after all ends there."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, servers: Servers, migrated: str, taken: int) -> Type:
    """Types a command that has all it needs, but for what is given; it must end in one sentence."""

    def run(*words: str, **environ: str) -> Result:
        for name in (*KINDS, *PREFIXES, "LC_ALL", "LC_MESSAGES"):
            monkeypatch.delenv(name, raising=False)
        given = {
            "DATA_DIR": str(tmp_path / "none"),
            "DATABASE_URL": servers.postgres.url_of(migrated),
            "REDIS_URL": servers.redis.url,
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "LANG": "C",
            "PORT": str(taken),
            **environ,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, words)

    return run


def sentence(result: Result) -> str:
    """The one line that it ended with."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    (line,) = result.output.splitlines()
    assert line.startswith("zaptrix: ")
    return line.removeprefix("zaptrix: ")


def told(kind: FaultKind, seen: str = "") -> str:
    return str(Fault(kind, seen).words(Locale.EN))


@pytest.fixture(params=NAMES)
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return NAMES[request.param]


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(servers: Servers, migrated: str) -> str:
    """A role that has to tell its password, and has no rights."""
    hba = servers.folder / "postgres" / "pg_hba.conf"
    hba.write_text("local all guarded scram-sha-256\n" + hba.read_text(encoding="utf-8"), encoding="utf-8")
    asyncio.run(execute(servers, "CREATE ROLE guarded LOGIN PASSWORD 'p@ss:w/o#r?d%'"))
    asyncio.run(execute(servers, "SELECT pg_reload_conf()"))
    return "guarded"


def as_role(servers: Servers, who: str, database: str = TEMPLATE) -> str:
    return servers.postgres.url_of(database).replace("zaptrix@", f"{who}@", 1)


def test_a_database_that_was_never_migrated(typed: Type, servers: Servers, command: tuple[str, ...]) -> None:
    if command == ("migrate",):
        return
    url = servers.postgres.url_of("postgres")
    assert sentence(typed(*command, DATABASE_URL=url)) == told(FaultKind.POSTGRES_UNMIGRATED, "-")


@pytest.fixture(scope="module")
def bent(servers: Servers, migrated: str) -> Callable[..., str]:
    """A copy of the migrated database after some statements."""

    async def make(name: str, statements: tuple[str, ...]) -> str:
        quoted = name.replace('"', '""')
        await execute(servers, f'CREATE DATABASE "{quoted}" TEMPLATE "{migrated}"')
        connection = await asyncpg.connect(servers.postgres.url_of(quote(name)))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
        return servers.postgres.url_of(quote(name))

    return lambda name, *statements: asyncio.run(make(name, statements))


def test_a_database_of_an_earlier_and_of_a_later_version(typed: Type, bent: Callable[..., str]) -> None:
    earlier = bent("earlier", "UPDATE alembic_version SET version_num = '0003'")
    assert sentence(typed("worker", DATABASE_URL=earlier)) == told(FaultKind.POSTGRES_UNMIGRATED, "0003")
    later = bent("later", "UPDATE alembic_version SET version_num = '9999'", "COMMENT ON TABLE alembic_version IS NULL")
    assert sentence(typed("worker", DATABASE_URL=later)) == told(FaultKind.POSTGRES_LATER, "9999")
    assert sentence(typed("migrate", DATABASE_URL=later)) == told(FaultKind.POSTGRES_LATER, "9999")


def test_a_later_version_that_has_only_added_to_the_schema_lets_this_one_go_on(
    typed: Type, bent: Callable[..., str]
) -> None:
    comment = f"COMMENT ON TABLE alembic_version IS '{compatibility.told(newest())}'"
    later = bent("added", "UPDATE alembic_version SET version_num = '9999'", comment)
    assert typed("api-key", "list", DATABASE_URL=later).exit_code == 0
    for words in (("migrate",), ("migrate", "--check")):
        result = typed(*words, DATABASE_URL=later)
        assert (result.exit_code, "9999" in result.output) == (0, True), result.output


def test_what_waits_is_told_before_it_is_done(typed: Type, servers: Servers) -> None:
    done = typed("migrate", "--check")
    assert (done.exit_code, done.output) == (0, "the database has the newest schema\n")
    asyncio.run(execute(servers, "CREATE DATABASE waiting TEMPLATE template0"))
    earlier = servers.postgres.url_of("waiting")
    asyncio.run(upgrade(earlier, "0024"))
    check = typed("migrate", "--check", DATABASE_URL=earlier)
    assert check.exit_code == 1
    assert check.output.startswith("waits: 0025 Moves of customers")
    assert "(holds tables: stop gateways and workers before)" in check.output
    told_ = typed("migrate", "--check", DATABASE_URL=earlier, LANG="pt_BR.UTF-8")
    assert told_.output.startswith("espera: 0025 ")
    sql = typed("migrate", "--sql", DATABASE_URL=earlier)
    assert sql.exit_code == 0
    assert "CREATE TABLE media_store" in sql.output
    assert typed("migrate", "--check", DATABASE_URL=earlier).exit_code == 1  # nothing was done
    migrated = typed("migrate", DATABASE_URL=earlier)
    assert migrated.exit_code == 0
    assert "applied: 0026 Which media store is in use" in migrated.output
    assert typed("migrate", "--check", DATABASE_URL=earlier).exit_code == 0
    assert typed("migrate", "--sql", DATABASE_URL=earlier).output.strip() == ""


def test_an_empty_database_holds_up_nobody(typed: Type, servers: Servers) -> None:
    result = typed("migrate", "--check", DATABASE_URL=servers.postgres.url_of("postgres"))
    assert result.exit_code == 1
    assert "the database is empty" in result.output


def test_a_wrong_password_a_role_without_rights_and_a_database_that_is_not_there(
    typed: Type, servers: Servers, guarded: str, command: tuple[str, ...]
) -> None:
    wrong = as_role(servers, "guarded:hunter2")
    result = typed(*command, DATABASE_URL=wrong)
    assert sentence(result) == told(FaultKind.POSTGRES_LOGIN)
    assert "hunter2" not in result.output
    nobody = as_role(servers, "nobody%20at%20all")
    assert sentence(typed(*command, DATABASE_URL=nobody)) == told(FaultKind.POSTGRES_LOGIN)
    escaped = as_role(servers, "guarded:p%40ss%3Aw%2Fo%23r%3Fd%25")
    assert sentence(typed(*command, DATABASE_URL=escaped)).startswith(
        "the role in DATABASE_URL lacks rights on the schema"
    )
    nowhere = servers.postgres.url_of("nowhere")
    assert sentence(typed(*command, DATABASE_URL=nowhere)) == told(FaultKind.POSTGRES_NO_DATABASE)


def test_a_role_that_may_do_less_than_the_gateway_does(
    typed: Type, servers: Servers, guarded: str, bent: Callable[..., str]
) -> None:
    bent("narrow", "GRANT CREATE ON SCHEMA public TO guarded", "GRANT ALL ON ALL TABLES IN SCHEMA public TO guarded",
         "REVOKE DELETE ON message FROM guarded")  # fmt: skip
    url = as_role(servers, "guarded:p%40ss%3Aw%2Fo%23r%3Fd%25", "narrow")
    assert sentence(typed("worker", DATABASE_URL=url)) == told(FaultKind.POSTGRES_RIGHTS, "event, message")


@pytest.mark.parametrize(
    "raw", ["p@ss", "p/ss", "p#ss", "p?ss", "p:ss/", "p[ss", "p/s@s?#", "p ss", "1#2", "12/3", "1?2"]
)
def test_a_password_with_a_character_that_means_something_in_an_address(
    typed: Type, command: tuple[str, ...], raw: str
) -> None:
    result = typed(*command, DATABASE_URL=f"postgresql://zaptrix:{raw}@127.0.0.1:1/zaptrix")
    assert sentence(result).startswith("DATABASE_URL: its value h")
    assert "%20" in result.output or "%40 %3A %2F" in result.output
    assert raw not in result.output


@pytest.mark.parametrize("port", ["abc", "70000", "54a"])
def test_a_port_that_is_none(typed: Type, port: str) -> None:
    assert sentence(typed("migrate", DATABASE_URL=f"postgresql://db:{port}/zaptrix")).startswith(
        "DATABASE_URL: its value"
    )


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_missing_certificate_file(typed: Type, tmp_path: Path, name: str) -> None:
    url = f"postgresql://zaptrix@127.0.0.1:1/zaptrix?sslmode=verify-full&{name}={tmp_path}/nowhere.pem"
    assert sentence(typed("serve", DATABASE_URL=url)) == told(FaultKind.POSTGRES_TLS_FILE)
    assert sentence(typed("migrate", DATABASE_URL=url)) == told(FaultKind.POSTGRES_TLS_FILE)


def test_a_certificate_that_is_expected_in_its_usual_place(typed: Type, tmp_path: Path) -> None:
    url = "postgresql://zaptrix@127.0.0.1:1/zaptrix?sslmode=verify-ca"
    assert sentence(typed("worker", DATABASE_URL=url, HOME=str(tmp_path))) == told(FaultKind.POSTGRES_TLS_FILE)


def test_a_file_that_holds_no_certificate(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n", encoding="ascii")
    url = f"postgresql://zaptrix@127.0.0.1:1/zaptrix?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"
    assert "no trusted TLS connection to PostgreSQL" in sentence(typed("worker", DATABASE_URL=url))


def test_a_database_that_only_reads_or_cannot_hold_every_text(
    typed: Type, servers: Servers, bent: Callable[..., str]
) -> None:
    silent = bent("silent", "ALTER DATABASE silent SET default_transaction_read_only = on")
    assert sentence(typed("worker", DATABASE_URL=silent)) == told(FaultKind.POSTGRES_READ_ONLY)
    asyncio.run(
        execute(
            servers,
            "CREATE DATABASE narrow_minded ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'",
        )
    )
    url = servers.postgres.url_of("narrow_minded")
    assert sentence(typed("migrate", DATABASE_URL=url)) == told(FaultKind.POSTGRES_ENCODING, "SQL_ASCII")


def test_a_database_that_is_away_stops_what_needs_it_at_once(typed: Type, command: tuple[str, ...]) -> None:
    if command in SERVING:
        return  # they open all the same: a gateway keeps Bitrix24's events on its disk
    url = "postgresql://zaptrix:hunter2@127.0.0.1:1/zaptrix"
    result = typed(*command, DATABASE_URL=url)
    assert sentence(result) == told(FaultKind.POSTGRES_AWAY, "ConnectionRefusedError")
    assert "hunter2" not in result.output


def test_in_portuguese_for_who_speaks_it(typed: Type, servers: Servers) -> None:
    result = typed("worker", DATABASE_URL=servers.postgres.url_of("postgres"), LANG="pt_BR.UTF-8")
    assert sentence(result) == "o banco não tem o esquema desta versão (-); execute `zaptrix migrate`"


# --- poolers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pooled(servers: Servers, migrated: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A pgbouncer before the database; gives its address."""
    started: list[Pooler] = []

    def start(mode: str, *options: str, only: str = "*") -> str:
        started.append(Pooler(servers.postgres, tmp_path / mode, *options, mode=mode, only=only))
        started[-1].start()
        return started[-1].url_of(migrated)

    yield start
    for pooler in started:
        pooler.stop()


IGNORING = f"ignore_startup_parameters = {','.join(SESSION)}"


@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
def test_a_pooler_that_does_not_let_our_sessions_be(typed: Type, pooled: Callable[..., str], mode: str) -> None:
    url = pooled(mode)
    for words in ALL:
        assert sentence(typed(*words, DATABASE_URL=url)) == told(FaultKind.POSTGRES_POOLER), words


@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
def test_a_pooler_that_drops_our_settings_in_silence(typed: Type, pooled: Callable[..., str], mode: str) -> None:
    url = pooled(mode, IGNORING)
    for words in ALL:
        assert sentence(typed(*words, DATABASE_URL=url)) == told(FaultKind.POSTGRES_POOLER), words


def test_a_pooler_in_transaction_mode_whose_database_has_our_settings(
    typed: Type, pooled: Callable[..., str], servers: Servers, migrated: str
) -> None:
    """Then only what a session keeps gives it away; one in session mode is of use."""
    settings = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
    for name, value in settings.items():
        asyncio.run(execute(servers, f'ALTER DATABASE "{migrated}" SET {name} = {value}'))
    try:
        url = pooled("transaction", IGNORING)
        assert sentence(typed("worker", DATABASE_URL=url)) == told(FaultKind.POSTGRES_POOLER)
        assert typed("api-key", "list", DATABASE_URL=pooled("session", IGNORING)).exit_code == 0
    finally:
        for name in settings:
            asyncio.run(execute(servers, f'ALTER DATABASE "{migrated}" RESET {name}'))


def test_a_pooler_that_does_not_know_the_database(typed: Type, pooled: Callable[..., str]) -> None:
    url = pooled("transaction", IGNORING, only=TEMPLATE).replace(f"/{TEMPLATE}?", "/nowhere?")
    assert sentence(typed("worker", DATABASE_URL=url)) == told(FaultKind.POSTGRES_NO_DATABASE)


def test_a_pooler_in_transaction_mode_beside_the_direct_address(
    typed: Type, pooled: Callable[..., str], servers: Servers, bent: Callable[..., str], tmp_path: Path
) -> None:
    """`zaptrix migrate` makes it of use; before, each command says so."""
    direct = bent('behind "a pooler"')
    url = pooled("transaction").replace(f"/{TEMPLATE}?", "/behind%20%22a%20pooler%22?")
    both = {"DATABASE_URL": url, "DATABASE_DIRECT_URL": direct}
    for words in WITH_DATABASE:
        assert sentence(typed(*words, **both)) == told(FaultKind.POSTGRES_ROLE), words
    assert typed("migrate", **both).exit_code == 0
    assert typed("api-key", "list", **both).exit_code == 0
    assert typed("backup", "--to", str(tmp_path / "backups"), **both).exit_code == 0
    told_all = typed("doctor", **both, DATABASE_READ_URL=direct, COLUMNS="400").output
    assert "DATABASE_URL is a pooler, DATABASE_DIRECT_URL leads past it" in told_all
    assert "is DATABASE_READ_URL a standby of it" in told_all
    other = servers.postgres.url_of("postgres")
    assert sentence(typed("migrate", **both | {"DATABASE_DIRECT_URL": other})) == told(FaultKind.POSTGRES_OTHER)
    away = "postgresql://zaptrix:hunter2@127.0.0.1:1/zaptrix"
    result = typed("migrate", **both | {"DATABASE_DIRECT_URL": away})
    assert sentence(result).endswith("is the address in DATABASE_DIRECT_URL right, and is PostgreSQL up?")
    assert "hunter2" not in result.output
    assert sentence(typed("migrate", **both | {"DATABASE_DIRECT_URL": url})) == told(FaultKind.POSTGRES_POOLER)
    assert "DATABASE_DIRECT_URL" in told(FaultKind.POSTGRES_POOLER)


def test_a_pooler_that_takes_no_transactions_although_the_direct_address_is_there(
    typed: Type, pooled: Callable[..., str], servers: Servers, migrated: str
) -> None:
    both = {"DATABASE_URL": pooled("statement"), "DATABASE_DIRECT_URL": servers.postgres.url_of(migrated)}
    for words in (("worker",), ("migrate",)):
        assert sentence(typed(*words, **both)) == told(FaultKind.POSTGRES_POOLER_MODE), words


@pytest.mark.parametrize("name", ["DATABASE_DIRECT_URL", "DATABASE_READ_URL"])
def test_a_second_address_without_the_first(typed: Type, servers: Servers, migrated: str, name: str) -> None:
    result = typed("up", DATABASE_URL="", **{name: servers.postgres.url_of(migrated)})
    assert sentence(result).startswith("DATABASE_URL is not set")


# --- Redis ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rediss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts Redis servers with options of their own; gives their addresses."""
    started: list[Child] = []

    def start(*options: str, mode: str = "") -> str:
        folder = tmp_path_factory.mktemp("redis")
        socket = folder / "redis.sock"
        config = folder / "conf"
        config.write_text(
            f"port 0\nunixsocket {socket}\ndir {folder}\nsave ''\n" + "\n".join(options), encoding="ascii"
        )
        argv: list[str | Path] = [server_program(), config, *([mode] if mode else [])]
        started.append(Child(Program(name="redis", argv=argv, log=folder / "log")))
        wait_for(socket.exists, START_WAIT_S, "Redis")
        return f"unix://{socket}"

    yield start
    for child in started:
        child.kill()


@pytest.mark.parametrize("command", SERVING)
def test_a_cluster_a_sentinel_and_a_replica(typed: Type, rediss: Callable[..., str], command: tuple[str, ...]) -> None:
    cluster = rediss(f"port {free_port()}", "cluster-enabled yes", f"cluster-port {free_port()}")
    assert sentence(typed(*command, REDIS_URL=cluster)) == told(FaultKind.REDIS_CLUSTER)
    assert sentence(typed(*command, REDIS_URL=f"{cluster}?db=3")) == told(FaultKind.REDIS_CLUSTER)
    replica = rediss("replicaof 127.0.0.1 1")
    assert sentence(typed(*command, REDIS_URL=replica)) == told(FaultKind.REDIS_REPLICA)


@pytest.mark.parametrize("command", SERVING)
def test_a_sentinel(typed: Type, rediss: Callable[..., str], command: tuple[str, ...]) -> None:
    sentinel = rediss(f"port {free_port()}", mode="--sentinel")
    assert sentence(typed(*command, REDIS_URL=sentinel)) == told(FaultKind.REDIS_SENTINEL)
    assert sentence(typed(*command, REDIS_URL=f"{sentinel}?db=3")) == told(FaultKind.REDIS_SENTINEL)


@pytest.mark.parametrize("command", SERVING)
def test_a_redis_that_wants_a_password(typed: Type, rediss: Callable[..., str], command: tuple[str, ...]) -> None:
    locked = rediss("requirepass right", "user narrow on >right ~cache:* +@read +@connection +@transaction +info")
    path = locked.removeprefix("unix://")
    for url in (locked, f"unix://:hunter2@{path}", f"unix://somebody:hunter2@{path}"):
        result = typed(*command, REDIS_URL=url)
        assert sentence(result) == told(FaultKind.REDIS_LOGIN)
        assert "hunter2" not in result.output
    assert sentence(typed(*command, REDIS_URL=f"unix://narrow:right@{path}")) == told(FaultKind.REDIS_RIGHTS, "EVAL")
    assert sentence(typed(*command, REDIS_URL=f"unix://:right@{path}?db=99")) == told(FaultKind.REDIS_DB)


@pytest.mark.parametrize("url", [
    "redis://127.0.0.1:1/foo", "redis://127.0.0.1:1/0/1", "redis://127.0.0.1:1?db=foo", "unix:///tmp/none.sock?db=one",
    "rediss://127.0.0.1:1/-1", "redis://127.0.0.1:1/1.5",
])  # fmt: skip
@pytest.mark.parametrize("command", SERVING)
def test_a_redis_database_that_is_no_number(typed: Type, url: str, command: tuple[str, ...]) -> None:
    assert sentence(typed(*command, REDIS_URL=url)).startswith(
        "REDIS_URL: its value names a database that is not a whole number"
    )


def test_an_option_that_no_redis_client_has(typed: Type, servers: Servers) -> None:
    result = typed("worker", REDIS_URL=f"{servers.redis.url}?pool=9")
    assert sentence(result) == told(FaultKind.REDIS_URL, "TypeError")


def test_a_missing_certificate_file_for_redis(typed: Type, rediss: Callable[..., str]) -> None:
    port = free_port()
    rediss(f"port {port}", "bind 127.0.0.1")
    missing = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=/nowhere/ca.pem"
    assert sentence(typed("serve", REDIS_URL=missing)).startswith("no trusted TLS connection to Redis comes about")


def test_every_fault_has_its_words_in_both_languages() -> None:
    assert set(WORDS) == set(FaultKind)
    for kind, words in WORDS.items():
        assert set(words) == set(Locale), kind
        for told_, remedy in words.values():
            assert remedy
            assert "\n" not in told_ + remedy


def test_up_refuses_before_it_starts_anything(typed: Type, servers: Servers, rediss: Callable[..., str]) -> None:
    result = typed("up", DATABASE_URL=servers.postgres.url_of("nowhere"))
    assert sentence(result) == told(FaultKind.POSTGRES_NO_DATABASE)
    full = rediss("requirepass right")
    assert sentence(typed("up", DATABASE_URL="", REDIS_URL=full)) == told(FaultKind.REDIS_LOGIN)
    assert redis.Redis.from_url(servers.redis.url).ping()
