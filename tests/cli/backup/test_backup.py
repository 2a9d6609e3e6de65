"""Backups that an administrator makes, and restores elsewhere."""

import asyncio
import gzip
import hashlib
import json
import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from tests.certificates import Authority
from tests.media.s3_server import SECRET, running_s3
from tests.servers import execute
from tests.store.ledger_rows import Ledger, outbound
from zaptrix.cli.local.servers import Servers, encryption_key, keep_keys
from zaptrix.cli.main import app
from zaptrix.core.installation.backup import fingerprint
from zaptrix.settings import KINDS, PREFIXES
from zaptrix.store.connection.database import open_database
from zaptrix.store.encryption import SecretBox
from zaptrix.store.schema.migrate import upgrade

KEY = Fernet.generate_key().decode()
PICTURE = "2026-11-30/" + "a" * 32
GONE = "2026-11-30/" + "b" * 32
LONG_AGO = "2001-01-01/" + "c" * 32

TEXTS = ("olá \\ \t\n ção", "\\N", "'; DROP TABLE message; --")

Type = Callable[..., Result]


@pytest.fixture(scope="module")
def house(servers: Servers, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["House"]:
    """A database with something of everything in it, files and an empty place to restore into."""
    asyncio.run(execute(servers, f'CREATE DATABASE house TEMPLATE "{migrated}"'))
    house = House(servers, tmp_path_factory.mktemp("house"))
    asyncio.run(house.furnish())
    yield house
    for name in ("house", *house.made):
        asyncio.run(execute(servers, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@dataclass
class House:
    servers: Servers
    folder: Path
    made: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def archives(self) -> Path:
        return self.folder / "archives"

    def url(self, name: str = "house") -> str:
        return self.servers.postgres.url_of(name)

    @cached_property
    def untouched(self) -> str:
        """One that stays empty: for what is refused."""
        return self.empty()

    def empty(self) -> str:
        """The address of a database without anything."""
        name = f"elsewhere_{len(self.made)}"
        self.made += (name,)
        asyncio.run(execute(self.servers, f'CREATE DATABASE "{name}"'))
        return self.url(name)

    async def furnish(self) -> None:
        database = await open_database(self.url())
        try:
            ledger = Ledger(database, SecretBox([KEY]))
            talk = await ledger.talk(await ledger.channel(), chat_id=77)
            await ledger.write(*(outbound(talk, text) for text in TEXTS))
        finally:
            await database.close()
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(
                "INSERT INTO event (source, name, key, lane, body, request_id, state)"
                " VALUES ('whatsapp', 'messages.text', '\\x00ff', '1.0', '\\x0a5c00', 'r', 'new')"
            )
            ids = [row["id"] for row in await connection.fetch("SELECT id FROM message ORDER BY id")]
            for message_id, key in zip(ids, (PICTURE, GONE, LONG_AGO), strict=True):
                await connection.execute(
                    "INSERT INTO file (message_id, portal_id, channel_id, direction, state, blob)"
                    " SELECT id, portal_id, channel_id, direction, 'ready', jsonb_build_object('key', $2::text)"
                    " FROM message WHERE id = $1",
                    message_id,
                    key,
                )
        finally:
            await connection.close()
        (self.data / "spool").mkdir(parents=True)
        (self.data / "spool" / "00000000000000000001-x-3.event").write_bytes(b"abc")
        (self.data / "spool" / "00000000000000000002-x-3.part").write_bytes(b"torn")
        picture = self.data / "media" / PICTURE
        picture.parent.mkdir(parents=True)
        picture.write_bytes(b"JPEG" * 100_000)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, house: House) -> Type:
    """Types a command with the house's settings, changed by what is given."""

    def run(*words: str, **environ: str) -> Result:
        for name in (*KINDS, *PREFIXES):
            monkeypatch.delenv(name, raising=False)
        given = {
            "DATABASE_URL": house.url(),
            "REDIS_URL": house.servers.redis.url,
            "ENCRYPTION_KEYS": KEY,
            "DATA_DIR": str(house.data),
            "COLUMNS": "300",
            "LANG": "C",
            "MEDIA_RETENTION_DAYS": "3650",
        }
        for name, value in (given | environ).items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, words)

    return run


@pytest.fixture(scope="module")
def rows_of() -> Callable[[str], dict[str, list[Any]]]:
    """All rows of a database, by table."""

    async def look(url: str) -> dict[str, list[Any]]:
        connection = await asyncpg.connect(url)
        try:
            names = ("portal_config", "channel", "conversation_mapping", "event", "attempt", "file", "audit")
            return {name: [dict(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for name in names}  # noqa: S608
        finally:
            await connection.close()

    return lambda url: asyncio.run(look(url))


async def value(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def newest(house: House) -> Path:
    return max(house.archives.glob("zaptrix-*"))


@pytest.fixture
def archive(house: House, typed: Type) -> Path:
    """One that is whole; a test that breaks it takes a copy."""
    if not house.archives.exists():
        assert typed("backup", "--to", str(house.archives)).exit_code == 0
    return newest(house)


@pytest.fixture
def broken(archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive, to break."""
    return Path(shutil.copytree(archive, tmp_path / archive.name))


def test_a_backup_is_whole_closed_to_others_and_says_which_keys_it_needs(
    house: House, typed: Type, archive: Path
) -> None:
    manifest = json.loads((archive / "manifest.json").read_text())
    assert manifest["keys"] == [fingerprint(KEY)]
    assert (manifest["file_count"], manifest["media_missing"]) == (2, 1)
    for path in archive.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    everything = b"".join(gzip.decompress(path.read_bytes()) for path in archive.rglob("*.gz"))
    assert KEY.encode() not in everything
    assert not list(house.archives.glob(".*"))


def test_what_is_restored_elsewhere_is_what_was_there(
    house: House, typed: Type, archive: Path, rows_of: Callable[[str], dict[str, list[Any]]], tmp_path: Path
) -> None:
    elsewhere, data = house.empty(), tmp_path / "elsewhere"
    with redis.Redis.from_url(house.servers.redis.url) as client:
        client.set("a mapping of yesterday", "1")
        result = typed("restore", str(archive), DATABASE_URL=elsewhere, DATA_DIR=str(data))
        assert result.exit_code == 0, result.output
        assert [b"pace-birth" in key for key in client.scan_iter()] == [
            True
        ]  # that all buckets are to be taken for full
    assert rows_of(elsewhere) == rows_of(house.url())
    assert "0 messages to operators, 3 to customers, 1 webhooks" in result.output
    assert (data / "media" / PICTURE).read_bytes() == (house.data / "media" / PICTURE).read_bytes()
    assert [path.name for path in (data / "spool").iterdir()] == ["00000000000000000001-x-3.bad"]
    states = asyncio.run(value(elsewhere, "SELECT array_agg(DISTINCT state || suspect) FROM message"))
    assert states == ["verifyingtrue"]


def test_ids_of_messages_that_were_lost_are_given_to_no_other(house: House, typed: Type, archive: Path) -> None:
    elsewhere = house.empty()
    assert typed("restore", str(archive), DATABASE_URL=elsewhere).exit_code == 0
    before = asyncio.run(value(house.url(), "SELECT max(id) FROM message"))
    assert asyncio.run(value(elsewhere, "SELECT nextval('message_id_seq')")) >= before + 1_000_000
    assert asyncio.run(value(elsewhere, "SELECT nextval('event_id')")) >= 1_000_000


def test_a_database_that_holds_anything_is_not_restored_into(house: House, typed: Type, archive: Path) -> None:
    result = typed("restore", str(archive))
    assert result.exit_code == 2
    assert "the database is not empty (there are rows in " in result.output


def test_a_dry_run_changes_nothing(house: House, typed: Type, archive: Path) -> None:
    elsewhere = house.untouched
    result = typed("restore", str(archive), "--dry-run", DATABASE_URL=elsewhere)
    assert result.exit_code == 0, result.output
    assert asyncio.run(value(elsewhere, "SELECT to_regclass('alembic_version')")) is None


@pytest.mark.parametrize("given", [True, False])
def test_the_keys_that_are_missing_are_named(house: House, typed: Type, archive: Path, *, given: bool) -> None:
    keys = Fernet.generate_key().decode() if given else ""
    result = typed("restore", str(archive), DATABASE_URL=house.untouched, ENCRYPTION_KEYS=keys)
    assert result.exit_code == 2
    assert (fingerprint(KEY) if given else "ENCRYPTION_KEYS is not set") in result.output


def test_an_archive_that_does_not_know_its_keys_is_tried_with_those_that_are_given(
    house: House, typed: Type, broken: Path
) -> None:
    change_manifest(broken, keys=[])
    result = typed("restore", str(broken), DATABASE_URL=house.untouched, ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert result.exit_code == 2
    assert "5 secrets are under no key of ENCRYPTION_KEYS" in result.output


def change_manifest(archive: Path, **fields: Any) -> None:
    path = archive / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"format": 2}, "which is newer than this one"),
        ({"revision": "9999", "release": "9.0.0"}, "it was made by Zaptrix 9.0.0 (schema 9999)"),
    ],
)
def test_an_archive_of_a_later_release_is_refused(
    house: House, typed: Type, broken: Path, fields: dict[str, Any], told: str
) -> None:
    change_manifest(broken, **fields)
    result = typed("restore", str(broken), DATABASE_URL=house.untouched)
    assert result.exit_code == 2
    assert told in result.output


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def forge(archive: Path, table: str) -> None:
    """A row less, with the hash of that."""
    path = archive / "rows" / f"{table}.gz"
    path.write_bytes(gzip.compress(b"".join(gzip.decompress(path.read_bytes()).splitlines(keepends=True)[1:])))
    manifest = json.loads((archive / "manifest.json").read_text())
    for each in manifest["tables"]:
        if each["name"] == table:
            content = path.read_bytes()
            each["part"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (archive / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda a: flip(a / "rows" / "message.gz"), "rows/message.gz is not what was written"),
        (lambda a: (a / "rows" / "message.gz").unlink(), "rows/message.gz is missing"),
        (lambda a: flip(a / "media" / PICTURE), "is not what was written"),
        (lambda a: (a / "media" / PICTURE).write_bytes(b""), "is not what was written"),
        (lambda a: (a / "manifest.json").unlink(), "it holds no manifest"),
        (lambda a: (a / "manifest.json").write_text("{}"), "its manifest cannot be read"),
        (lambda a: forge(a, "message"), "rows/message.gz holds 2 rows instead of 3"),
    ],
)
def test_a_spoiled_archive_is_refused_and_nothing_is_changed(
    house: House, typed: Type, broken: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(broken)
    elsewhere = house.untouched
    result = typed("restore", str(broken), DATABASE_URL=elsewhere)
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output.splitlines()) < 20
    assert asyncio.run(value(elsewhere, "SELECT to_regclass('alembic_version')")) is None


def test_the_folder_of_all_archives_is_no_archive_and_one_is_named(house: House, typed: Type, archive: Path) -> None:
    result = typed("restore", str(house.archives), DATABASE_URL=house.untouched)
    assert result.exit_code == 2
    assert f"name one of those in it, such as {archive.name}" in result.output


def test_a_restore_that_breaks_off_leaves_an_empty_database_and_can_be_done_again(
    house: House, typed: Type, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = house.empty()
    with monkeypatch.context() as patch:
        patch.setattr("zaptrix.store.backup.restores.mark", pulled_the_plug)
        assert typed("restore", str(archive), DATABASE_URL=elsewhere).exit_code != 0
    assert asyncio.run(value(elsewhere, "SELECT count(*) FROM message")) == 0
    assert typed("restore", str(archive), DATABASE_URL=elsewhere).exit_code == 0


async def pulled_the_plug(*_arguments: object) -> None:
    raise ConnectionResetError


async def pressed_ctrl_c(*_arguments: object, **_named: object) -> None:
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("command", "at", "told", "rows"),
    [
        ("backup", "zaptrix.store.backup.dump.blobs", "no backup was made", None),
        ("restore", "zaptrix.store.backup.restores.mark", "nothing was restored; run it again", 0),
        ("restore", "zaptrix.cli.backup.restore._forget_redis", "nothing was restored; run it again", None),
    ],
)
def test_ctrl_c_is_told_in_a_sentence(
    house: House,
    typed: Type,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    at: str,
    told: str,
    rows: int | None,
) -> None:
    elsewhere = house.empty() if command == "restore" else house.url()
    words = ("restore", str(archive)) if command == "restore" else ("backup", "--to", str(tmp_path / "to"))
    with monkeypatch.context() as patch:
        patch.setattr(at, pressed_ctrl_c)
        result = typed(*words, DATABASE_URL=elsewhere, **({"DATA_DIR": str(tmp_path)} if command == "restore" else {}))
    assert (result.exit_code, result.output) == (130, f"zaptrix: interrupted: {told}\n")
    if command == "backup":
        assert list((tmp_path / "to").iterdir()) == []
    if rows is not None:
        assert asyncio.run(value(elsewhere, "SELECT count(*) FROM message")) == rows


def test_ctrl_c_after_all_rows_are_in_says_so(
    house: House, typed: Type, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = upgrade

    async def last_one(url: str, *to: str, **named: Any) -> None:
        await (real(url, *to, **named) if to else pressed_ctrl_c())

    monkeypatch.setattr("zaptrix.cli.backup.restore.upgrade", last_one)
    elsewhere = house.empty()
    result = typed("restore", str(archive), DATABASE_URL=elsewhere, DATA_DIR=str(tmp_path))
    assert result.exit_code == 130
    assert "interrupted: everything is restored" in result.output
    assert asyncio.run(value(elsewhere, "SELECT count(*) FROM message")) == 3


def test_ctrl_c_while_servers_stop_does_not_deny_what_was_done(
    typed: Type, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Servers.stop

    def interrupted(servers: Servers) -> None:
        stop(servers)
        raise KeyboardInterrupt

    monkeypatch.setattr(Servers, "stop", interrupted)
    result = typed("restore", str(archive), DATABASE_URL="", REDIS_URL="", DATA_DIR=str(tmp_path))
    assert result.exit_code == 130
    assert "interrupted: all was done" in result.output


def test_a_place_that_cannot_be_written_leaves_nothing_and_says_so(
    house: House, typed: Type, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = typed("backup", "--to", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "no backup was made" in result.output
    assert "make room" in result.output


def test_a_backup_that_breaks_off_leaves_no_archive(
    house: House, typed: Type, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("zaptrix.store.backup.dump.blobs", pulled_the_plug)
        assert typed("backup", "--to", str(tmp_path / "to")).exit_code == 2
    assert list((tmp_path / "to").iterdir()) == []


def test_one_that_is_told_to_stop_leaves_no_archive_and_says_so(
    house: House, typed: Type, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told_to_stop(*_arguments: object) -> None:
        assert list((tmp_path / "to").iterdir()) != []
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr("zaptrix.store.backup.dump.blobs", told_to_stop)
    result = typed("backup", "--to", str(tmp_path / "to"))
    assert result.exit_code == 2
    assert "it was told to stop" in result.output
    assert list((tmp_path / "to").iterdir()) == []


def test_the_newest_are_kept(house: House, typed: Type, archive: Path, tmp_path: Path) -> None:
    for day in ("20260101", "20260102", "20260103"):
        shutil.copytree(archive, tmp_path / f"zaptrix-{day}T000000Z")
    (tmp_path / "zaptrix-20260101T000000Z.mine").mkdir()
    (tmp_path / ".zaptrix-20260101T000001Z.partial").mkdir()
    result = typed("backup", "--to", str(tmp_path), "--keep", "2", "--no-media")
    assert result.exit_code == 0, result.output
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[:2] == ["zaptrix-20260101T000000Z.mine", "zaptrix-20260103T000000Z"]
    assert len(left) == 3
    assert "without media" in result.output


def test_keys_are_kept_under_a_passphrase_alone(house: House, typed: Type, archive: Path, tmp_path: Path) -> None:
    sealed, passphrase, other = tmp_path / "keys", tmp_path / "passphrase", tmp_path / "other"
    passphrase.write_text("correct horse battery staple\n")
    other.write_text("incorrect horse battery staple\n")
    keys = ["backup", "--to", str(tmp_path / "to"), "--no-media", "--keys-to", str(sealed)]
    assert "--passphrase-file FILE" in typed(*keys).output
    assert typed(*keys, "--passphrase-file", str(passphrase)).exit_code == 0
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert KEY not in sealed.read_text()
    assert typed("keys", "unseal", str(sealed), "--passphrase-file", str(passphrase)).output == f"{KEY}\n"
    assert "another passphrase" in typed("keys", "unseal", str(sealed), "--passphrase-file", str(other)).output
    assert "no sealed keys" in typed("keys", "unseal", str(other), "--passphrase-file", str(passphrase)).output


def test_a_database_that_a_gateway_uses_is_refused(house: House, typed: Type, archive: Path) -> None:
    elsewhere = house.empty()
    assert typed("migrate", DATABASE_URL=elsewhere).exit_code == 0
    asyncio.run(value(elsewhere, "UPDATE gateway_beat SET at = now() RETURNING at"))
    result = typed("restore", str(archive), DATABASE_URL=elsewhere)
    assert result.exit_code == 2
    assert "a gateway runs on this database" in result.output


def test_an_object_store_keeps_archives_too_and_what_is_unfinished_there_is_none(
    house: House, typed: Type, archive: Path, tmp_path: Path
) -> None:
    """`file://` is one to us: written under its final name, and whole when its manifest is there."""
    where = f"file://{tmp_path}/bucket"
    (tmp_path / "bucket").mkdir()
    shutil.copytree(archive, tmp_path / "bucket" / "zaptrix-20260101T000000Z")
    (tmp_path / "bucket" / "zaptrix-20260101T000000Z" / "manifest.json").unlink()
    shutil.copytree(archive, tmp_path / "bucket" / "zaptrix-20260102T000000Z")
    result = typed("backup", "--to", where, "--keep", "1")
    assert result.exit_code == 0, result.output
    made = result.output.split("backup: ")[1].split("\n")[0]
    assert "removed: zaptrix-20260102T000000Z\n" in result.output
    assert [path.name for path in (tmp_path / "bucket").iterdir() if (path / "manifest.json").exists()] == [
        made.rpartition("/")[2]
    ]
    restored = typed("restore", made, "--dry-run", DATABASE_URL=house.untouched)
    assert restored.exit_code == 0, restored.output


def test_an_s3_is_reached_by_the_settings_that_media_are_reached_by(
    house: House, typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS by an authority of one's own, with the key in a file; rows and files come back from there."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # nothing but this machine is ever called
    authority, secret = Authority(), tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    with running_s3(tmp_path / "store", authority.server(tmp_path / "server.pem", "127.0.0.1")) as s3:
        given = s3.environ | {
            "MEDIA_URL": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_SECRET_ACCESS_KEY_FILE": str(secret),
            "AWS_CA_BUNDLE": str(authority.write(tmp_path / "ca.pem")),
        }
        result = typed("backup", "--to", "s3://media/backups", **given)
        assert result.exit_code == 0, result.output
        made = result.output.split("backup: ")[1].split("\n")[0]
        elsewhere = house.empty()
        to_s3 = given | {"DATABASE_URL": elsewhere, "DATA_DIR": str(tmp_path / "new"), "MEDIA_URL": "s3://media/files"}
        result = typed("restore", made, **to_s3)
        assert result.exit_code == 0, result.output
        assert (s3.folder / "media" / "files" / PICTURE).read_bytes() == b"JPEG" * 100_000
        # And files are read from there for the next one.
        result = typed("backup", "--to", "s3://media/others", **to_s3)
        assert result.exit_code == 0, result.output
        for wrong, told in (
            ({"AWS_SECRET_ACCESS_KEY_FILE": "", "AWS_SECRET_ACCESS_KEY": "not-it"}, "set AWS_ACCESS_KEY_ID and"),
            ({"AWS_CA_BUNDLE": ""}, "its CA's file in AWS_CA_BUNDLE"),
            ({"AWS_CA_BUNDLE": "/nowhere"}, "the file in AWS_CA_BUNDLE cannot be read"),
        ):
            for words in (("backup", "--to", "s3://media/backups"), ("restore", made, "--dry-run")):
                result = typed(*words, **(given | wrong))
                assert result.exit_code == 2, result.output
                assert told in result.output
                assert SECRET not in result.output


def test_a_plain_http_store_is_reached_too(house: House, typed: Type, tmp_path: Path) -> None:
    with running_s3(tmp_path / "store") as s3:
        given = {**s3.environ, "MEDIA_URL": ""}
        result = typed("backup", "--to", "s3://media", "--keep", "1", **given)
        assert result.exit_code == 0, result.output
        assert any(path.name == "manifest.json" for path in s3.objects())


def test_files_that_are_kept_elsewhere_are_not_taken_for_gone(
    house: House, typed: Type, archive: Path, tmp_path: Path
) -> None:
    asyncio.run(value(house.url(), "INSERT INTO media_store (id) VALUES (gen_random_uuid()) RETURNING id"))
    try:
        result = typed("backup", "--to", str(tmp_path), DATA_DIR=str(tmp_path / "another host"))
        assert result.exit_code == 2
        assert "leave files out with --no-media" in result.output
        assert list(tmp_path.glob("*zaptrix*")) == []
    finally:
        asyncio.run(value(house.url(), "DELETE FROM media_store RETURNING id"))


def test_the_report_of_a_database_that_was_never_restored_says_so(house: House, typed: Type) -> None:
    assert "never restored from a backup" in typed("restore", "--report").output
    assert "name the archive" in typed("restore").output


@pytest.mark.parametrize("where", ["nope", "ftp://x/y", "s3:/bucket/x", "file:///nowhere/at/all", "http://x/y"])
def test_a_place_that_is_none_is_said_in_a_sentence_before_a_server_is_started(
    typed: Type, tmp_path: Path, where: str
) -> None:
    result = typed("restore", where, DATABASE_URL="", DATA_DIR=str(tmp_path / "new"))
    assert result.exit_code == 2
    assert result.output.startswith(f"zaptrix: {where} cannot be restored: ")
    assert len(result.output.splitlines()) == 1
    assert "MEDIA_URL" not in result.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("where", ["s3:/bucket/x", "ftp://x/y", "FILE:/x"])
def test_a_backup_goes_nowhere_by_an_address_that_is_none(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = typed("backup", "--to", where)
    assert result.exit_code == 2
    assert "name a folder, or an address such as s3://BUCKET/FOLDER" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_no_sealed_keys_is_not_written_over(typed: Type, tmp_path: Path) -> None:
    passphrase, important = tmp_path / "passphrase", tmp_path / "important"
    passphrase.write_text("correct horse battery staple\n")
    important.write_text("important")
    given = ["backup", "--to", str(tmp_path / "to"), "--passphrase-file", str(passphrase)]
    for keys_to in (passphrase, important, tmp_path):
        result = typed(*given, "--keys-to", str(keys_to))
        assert result.exit_code == 2
        assert "name a file of its own" in result.output
    assert "--keys-to FILE alone" in typed(*given).output
    assert important.read_text() == "important"
    assert "correct horse" in passphrase.read_text()
    assert not (tmp_path / "to").exists()


def test_keys_that_are_not_given_are_those_that_the_folder_keeps(
    house: House, typed: Type, archive: Path, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": house.untouched, "ENCRYPTION_KEYS": "", "DATA_DIR": str(tmp_path)}
    assert "the keys of the house that made the backup" in typed("restore", str(archive), **given).output
    keep_keys(tmp_path, (Fernet.generate_key().decode(), KEY))
    result = typed("restore", str(archive), "--dry-run", **given)
    assert result.exit_code == 0, result.output


def test_a_database_that_was_just_restored_is_not_empty_rather_than_served(
    house: House, typed: Type, archive: Path, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": house.empty(), "DATA_DIR": str(tmp_path)}
    assert typed("restore", str(archive), **given).exit_code == 0
    assert "the database is not empty" in typed("restore", str(archive), **given).output


def test_a_folder_that_is_restored_into_keeps_the_keys(typed: Type, archive: Path, tmp_path: Path) -> None:
    """With servers of its own, as `zaptrix up` starts them there later, without ENCRYPTION_KEYS."""
    own = Fernet.generate_key().decode()
    keep_keys(tmp_path / "new", (own,))
    given = {"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(tmp_path / "new")}
    assert typed("restore", str(archive), "--dry-run", **given).exit_code == 0
    assert encryption_key(tmp_path / "new") == own
    result = typed("restore", str(archive), **given)
    assert result.exit_code == 0, result.output
    assert encryption_key(tmp_path / "new") == f"{KEY},{own}"
    assert stat.S_IMODE((tmp_path / "new" / "keys" / "encryption.key").stat().st_mode) == 0o600
