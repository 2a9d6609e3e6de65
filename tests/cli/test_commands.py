"""What an administrator types, and what she reads back."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

import zaptrix
from zaptrix.cli.doctor import doctor_words
from zaptrix.cli.local.servers import Servers
from zaptrix.cli.main import app
from zaptrix.core.portal import Locale
from zaptrix.settings import KINDS, PREFIXES

Type = Callable[..., Result]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Type:
    """Types a command, with nothing in the environment but what is given."""

    def run(*words: str, **environ: str) -> Result:
        for name in (*KINDS, *PREFIXES):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"DATA_DIR": str(tmp_path / "none"), "COLUMNS": "300", "LANG": "C", **environ}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, words)

    return run


def test_version(typed: Type) -> None:
    assert typed("version").output == f"{zaptrix.__version__}\n"


def test_a_new_encryption_key_can_be_used(typed: Type) -> None:
    Fernet(typed("new-encryption-key").output.strip())


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "doctor", "up"])
def test_a_setting_that_cannot_be_used_stops_every_command_with_a_sentence(typed: Type, command: str) -> None:
    result = typed(command, PORT="abc")
    assert result.exit_code == 2
    assert result.output == "zaptrix: PORT: 'abc' is not a whole number from 1 to 65535; for example PORT=3000\n"


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_says_what_it_needs(typed: Type, command: str) -> None:
    result = typed(command)
    assert result.exit_code == 2
    assert re.findall(r"zaptrix: (\w+) is not set", result.output) == ["DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEYS"]


@pytest.mark.parametrize("given", [{"PUBLIC_URL": "https://gateway.example.com"}, {"HOST": "0.0.0.0"}])  # noqa: S104
def test_a_gateway_that_the_platforms_reach_needs_the_secrets_they_vouch_with(
    typed: Type, given: dict[str, str]
) -> None:
    result = typed("serve", **given)
    assert result.exit_code == 2
    assert re.findall(r"zaptrix: (META_\w+) is not set", result.output) == ["META_APP_SECRET", "META_VERIFY_TOKEN"]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_data_folder_that_cannot_be_written_is_named_with_its_remedy(typed: Type, command: str) -> None:
    nowhere = "postgresql://zaptrix:hunter2@127.0.0.1:1/zaptrix"
    given = {"DATABASE_URL": nowhere, "REDIS_URL": "redis://127.0.0.1:1/0", "DATA_DIR": "/proc/zaptrix"}
    result = typed(command, **given, ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert result.exit_code == 2
    assert "zaptrix: DATA_DIR: /proc/zaptrix cannot be written (No such file or directory); " in result.output
    result = typed(command, **given, ENCRYPTION_KEYS=Fernet.generate_key().decode(), LANG="pt_BR.UTF-8")
    assert "zaptrix: DATA_DIR: não é possível escrever em /proc/zaptrix" in result.output


def test_a_slip_is_pointed_out(typed: Type) -> None:
    assert "warning: ZAPTRIX_PORT is set but not read; did you mean PORT?" in typed("worker", ZAPTRIX_PORT="1").output


def test_an_unknown_queue_is_refused_with_the_known_ones(typed: Type) -> None:
    result = typed("worker", "--queues", "meta-messages,mail")
    assert result.exit_code == 2
    assert "--queues: there is no mail; there are incoming-messages" in result.output


def test_a_database_that_does_not_answer_is_told_without_its_password(typed: Type) -> None:
    result = typed("migrate", DATABASE_URL="postgresql://zaptrix:hunter2@127.0.0.1:1/zaptrix")
    assert result.exit_code == 2
    assert "does not answer" in result.output
    assert "hunter2" not in result.output


def test_doctor_says_what_is_wrong_and_what_to_do(typed: Type) -> None:
    result = typed("doctor", DATABASE_URL="postgresql://zaptrix:hunter2@127.0.0.1:1/zaptrix", META_APP_SECRET="x")
    assert result.exit_code == 1
    assert "hunter2" not in result.output
    for told in ("address in DATABASE_URL right", "set REDIS_URL", "new-encryption-key", "set PUBLIC_URL to the https"):
        assert told in result.output


def test_doctor_is_not_blind(typed: Type, own_servers: Servers) -> None:
    """Servers that run, and nothing else that a gateway in production needs: each is a line with its remedy."""
    folder = str(own_servers.folder)
    assert typed("migrate", DATA_DIR=folder).exit_code == 0
    (own_servers.folder / "media").mkdir()
    (own_servers.folder / "media").chmod(0o755)
    given = {"DATA_DIR": folder, "PUBLIC_URL": "http://127.0.0.1:3000", "META_APP_SECRET": "demo-app-secret"}
    result = typed("doctor", **given)
    assert result.exit_code == 1
    for told in (
        "META_VERIFY_TOKEN │ not set",
        "META_APP_SECRET can be guessed",
        "http://127.0.0.1:3000 cannot be reached by the platforms",
        "no worker runs for incoming-messages, bitrix24-messages, outbound-messages, meta-messages",
        "no gateway runs",
        "start `zaptrix serve`",
        f"other accounts may read {folder}/media",
    ):
        assert told in result.output, result.output
    assert "not set: every webhook of WhatsApp is refused" in typed("doctor", DATA_DIR=folder).output
    for spoken in (typed("doctor", "--lang", "pt", **given), typed("doctor", **given, LANG="pt_BR.UTF-8")):
        assert spoken.exit_code == 1
        assert "nenhum gateway está no ar" in spoken.output
        assert "inicie `zaptrix worker`" in spoken.output
    assert "no gateway runs" in typed("doctor", "--lang", "en", **given, LANG="pt_BR.UTF-8").output


def test_doctor_sees_files_that_another_host_keeps_elsewhere(typed: Type, own_servers: Servers) -> None:
    folder = str(own_servers.folder)
    assert typed("migrate", DATA_DIR=folder).exit_code == 0
    assert "one for all hosts" in typed("doctor", DATA_DIR=folder).output

    async def another_host_works() -> None:
        connection = await asyncpg.connect(own_servers.postgres.url)
        await connection.execute("INSERT INTO media_store (id) VALUES (gen_random_uuid())")
        await connection.close()

    asyncio.run(another_host_works())
    assert "give all hosts the same MEDIA_URL" in typed("doctor", DATA_DIR=folder).output
    assert "dê a todos os hosts a mesma MEDIA_URL" in typed("doctor", "--lang", "pt", DATA_DIR=folder).output
    assert not (own_servers.folder / "media").exists()


def test_the_doctors_words_are_whole() -> None:
    for key, words in doctor_words.WORDS.items():
        assert set(words) == set(Locale), key
        english, portuguese = words[Locale.EN], words[Locale.PT_BR]
        assert [text.count("{seen}") for text in english] == [text.count("{seen}") for text in portuguese], key
        assert [bool(text) for text in english] == [bool(text) for text in portuguese], key


def test_a_command_without_a_database_says_where_it_looked(typed: Type) -> None:
    result = typed("api-key", "create", "--name", "mine")
    assert result.exit_code == 2
    assert re.search(r"DATABASE_URL is not set, and no `zaptrix up` runs on \S+none; set .* DATA_DIR", result.output)


def test_a_folder_from_nothing_to_a_key(typed: Type, own_servers: Servers) -> None:
    """Commands find the servers that `zaptrix up` runs on the same data folder."""
    folder = str(own_servers.folder)
    before = typed("doctor", DATA_DIR=folder)
    assert before.exit_code == 1
    assert "run `zaptrix migrate`" in before.output

    assert typed("migrate", DATA_DIR=folder).exit_code == 0
    after = typed("doctor", DATA_DIR=folder)
    assert "never migrated" not in after.output
    assert "fsync on, synchronous_commit on" in after.output

    made = typed("api-key", "create", "--name", "mine", DATA_DIR=folder)
    assert made.exit_code == 0, made.output
    assert re.search(r"^zx_\w+", made.stdout, re.MULTILINE)


def test_a_key_for_a_portal_that_is_not_there_is_refused(typed: Type, own_servers: Servers) -> None:
    folder = str(own_servers.folder)
    assert typed("migrate", DATA_DIR=folder).exit_code == 0
    nowhere = "0198f2b4-1111-7abc-8123-123456789012"
    made = typed("api-key", "create", "--name", "theirs", "--portal", nowhere, DATA_DIR=folder)
    assert made.exit_code == 2
    assert made.stdout == ""


def test_doctor_sees_a_redis_that_may_forget(typed: Type, own_servers: Servers) -> None:
    with redis.Redis.from_url(own_servers.redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    told = typed("doctor", DATA_DIR=str(own_servers.folder)).output
    assert "set maxmemory-policy to noeviction" in told
    assert "set appendonly to yes" in told
