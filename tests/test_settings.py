"""Settings: what the environment may say, and how a slip is told."""

import os
import random
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from zaptrix.core.installation.guessing import guessable
from zaptrix.core.limits import ROUNDS
from zaptrix.settings import KINDS, Settings, SettingsError, overlaid, slips


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value)


def test_nothing_set_is_a_local_gateway() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 3000, "http://127.0.0.1:3000")
    assert settings.meta_graph_url == "https://graph.facebook.com"
    assert settings.metrics_dir == settings.data_dir / "metrics"
    assert not settings.has_credentials


def test_a_worker_has_a_place_for_each_lane_of_a_queue_and_none_beyond() -> None:
    # With fewer a round that waits for a slow platform holds up another one; each beyond makes BullMQ ask for nothing.
    assert Settings.from_env({}).worker_concurrency == ROUNDS


def test_lists_are_split_and_trimmed() -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    settings = Settings.from_env(
        {
            "META_APP_SECRET": "newer, older,",
            "TRUSTED_PROXIES": "10.0.0.1/8,192.168.1.7",
            "ENCRYPTION_KEYS": ",".join(keys),
        }
    )
    assert settings.meta_app_secret == ("newer", "older")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("192.168.1.7/32"))
    assert settings.encryption_keys == tuple(keys)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.from_env({"PORT": "", "DATABASE_URL": " "}) == Settings.from_env({})


def test_paths_follow_the_data_folder(tmp_path: Path) -> None:
    settings = Settings.from_env({"DATA_DIR": str(tmp_path)})
    assert settings.metrics_dir == tmp_path / "metrics"
    assert Settings.from_env({"METRICS_DIR": "/run/metrics"}).metrics_dir == Path("/run/metrics")


def test_only_addresses_that_paths_are_put_after_lose_their_slash() -> None:
    settings = Settings.from_env(
        {"PUBLIC_URL": "https://a.example/", "BITRIX_CLIENT_ENDPOINT": "https://b.example/rest/"}
    )
    assert (settings.public_url, settings.bitrix_client_endpoint) == ("https://a.example", "https://b.example/rest/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("WORKER_CONCURRENCY", "0"),
        ("SLICE_S", "-1"),
        ("META_API_VERSION", "26"),
        ("META_PHONE_NUMBER_ID", "12ab"),
        ("DATABASE_URL", "mysql://x/y"),
        ("REDIS_URL", "localhost"),
        ("PUBLIC_URL", "gateway.example.com"),
        ("LOG_LEVEL", "loud"),
        ("DEFAULT_LOCALE", "xx"),
        ("TRUSTED_PROXIES", "everybody"),
        ("ENCRYPTION_KEYS", "short"),
        ("CLAIM_LEASE_S", "30"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_name(name: str, value: str) -> None:
    assert refusal(**{name: value}).startswith(name)


def test_the_message_says_what_is_wrong_and_what_would_do() -> None:
    assert refusal(PORT="abc") == "PORT: 'abc' is not a whole number from 1 to 65535; for example PORT=3000"


def test_all_faults_are_told_at_once() -> None:
    assert [line.split(":")[0] for line in refusal(PORT="x", LOG_LEVEL="y").splitlines()] == ["PORT", "LOG_LEVEL"]


def test_a_secret_is_never_told() -> None:
    told = refusal(ENCRYPTION_KEYS="hunter2", DATABASE_URL="http://zaptrix:hunter2@db/zaptrix")
    assert "hunter2" not in told
    secrets = {name: "hunter2" for name, kind in KINDS.items() if kind.secret and name.endswith(("SECRET", "TOKEN"))}
    assert "hunter2" not in repr(Settings.from_env(secrets))
    assert len(secrets) >= 7


def test_the_log_is_told_what_to_hide() -> None:
    settings = Settings.from_env(
        {
            "META_APP_SECRET": "newer-secret,older-secret",
            "DATABASE_URL": "postgresql://zaptrix:db-password@db/zaptrix",
            "REDIS_URL": "redis://redis:6379/0",
        }
    )
    assert set(settings.secrets) == {"newer-secret", "older-secret", "db-password"}


def test_the_gateway_and_the_simulators_need_different_ports() -> None:
    assert "SIM_PORT" in refusal(PORT="3900")


def test_a_slip_is_told_with_the_name_that_was_meant() -> None:
    assert slips(["ZAPTRIX_PORT", "META_APP_SECRETS", "PORT", "PATH", "SIM_DATA_DIR"]) == [
        "META_APP_SECRETS is set but not read; did you mean META_APP_SECRET?",
        "ZAPTRIX_PORT is set but not read; did you mean PORT?",
    ]


def test_what_is_needed_and_not_set_is_told_with_an_example() -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL is not set; for example REDIS_URL=redis://"):
        Settings.from_env({"DATABASE_URL": "postgresql://db/zaptrix"}).need("DATABASE_URL", "REDIS_URL")


def test_any_real_account_ends_the_show() -> None:
    assert Settings.from_env({"BITRIX_PORTAL_URL": "https://company.bitrix24.com"}).has_credentials


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.secret])
def test_an_example_that_we_give_would_do(name: str) -> None:
    KINDS[name].read(KINDS[name].example)


PUBLIC = {"HOST": "0.0.0.0", "PUBLIC_URL": "https://gateway.example.com"}  # noqa: S104
REAL = "a1b2c3d4e5f60718"


@pytest.mark.parametrize("name", ["META_APP_SECRET", "META_VERIFY_TOKEN", "METRICS_TOKEN"])
@pytest.mark.parametrize(
    "secret",
    [
        "1", "demo-app-secret", "demo-verify-token", "fifteen-charact", "Demo-Verify-Token", "my-demo-app-secret-2",
        "a" * 64, "changemechangeme", "1234567890123456", "fedcba9876543210", "aaaabbbbccccdddd", "abcabcabcabcabcab",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "open_to",
    [
        PUBLIC,
        {"HOST": "192.168.0.7"},
        {"HOST": "::"},
        {"PUBLIC_URL": "https://tunnel.example.com"},
        {"HOST": "127.0.0.1", "PUBLIC_URL": "http://127.0.0.1.example.com"},
    ],
)
def test_a_secret_that_can_be_guessed_is_for_this_machine_alone(
    name: str, secret: str, open_to: dict[str, str]
) -> None:
    told = refusal(**open_to, **{name: secret})
    assert told.startswith(f"{name} ")
    assert "set a real one, or keep HOST and PUBLIC_URL on this machine" in told
    assert f" {secret} " not in told
    Settings.from_env({name: secret, "HOST": "localhost", "PUBLIC_URL": "http://[::1]:3000"})
    Settings.from_env({**open_to, name: REAL})


def test_what_is_drawn_by_chance_is_not_taken_for_guessable() -> None:
    drawn = random.Random(4)
    for characters in (16, 32):
        secrets = ["".join(drawn.choices("0123456789abcdef", k=characters)) for _ in range(2_000)]
        assert guessable("META_APP_SECRET", tuple(secrets)) is None


def test_every_secret_of_a_rotation_is_looked_at() -> None:
    assert "META_APP_SECRET is the simulators' own" in refusal(**PUBLIC, META_APP_SECRET=f"{REAL},demo-app-secret")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("postgresql://zaptrix:p%40ss%2Fw@db.example.com:6432,db2.example.com/zaptrix?sslmode=require", True),
        ("postgresql://zaptrix@/zaptrix?host=/run/postgresql", True),
        ("postgresql://zaptrix:x@[2001:db8::1]:5432/zaptrix", True),
        ("postgresql:///zaptrix?host=/run/postgresql&user=me@server", True),
        ("postgresql://db:5432/zaptrix?user=me@server", True),
        ("postgresql://zaptrix@/zaptrix?host=a,b&port=5432,5433", True),
        ("postgresql://zaptrix@db,/zaptrix", False),  # the empty one would be this machine
        ("postgresql://zaptrix@a,,b/zaptrix", False),
        ("postgresql://zaptrix@/zaptrix?host=a,", False),
        ("postgresql://zaptrix@/zaptrix?host=a&port=99999", False),
        ("postgresql://zaptrix@/zaptrix?host=a,b&port=5432,0", False),
        ("postgresql://zaptrix:x@y@db/zaptrix", False),
        ("postgresql://zaptrix:x#y@db/zaptrix", False),
        ("postgresql://zaptrix:12/3@db/zaptrix", False),
        ("postgresql://zaptrix:x@db:0/zaptrix", False),
    ],
)
def test_a_postgresql_address_means_what_it_says(url: str, good: bool) -> None:
    if good:
        assert Settings.from_env({"DATABASE_URL": url}).database_url == url
    else:
        assert refusal(DATABASE_URL=url).startswith(("DATABASE_URL: its value h", "DATABASE_URL: its value names a"))


@pytest.mark.parametrize(
    "url", ["redis://:a@b@redis:6379/2", "unix:///run/redis.sock?db=3", "rediss://redis", "redis://r/"]
)
def test_a_redis_address_that_its_client_reads_is_taken(url: str) -> None:
    assert Settings.from_env({"REDIS_URL": url}).redis_url == url


SECRETS = sorted(name for name, kind in KINDS.items() if kind.secret)
GOOD = {
    "DATABASE_URL": "postgresql://zaptrix:p%40ss@db/zaptrix",
    "REDIS_URL": "redis://:pass@redis/0",
    "MEDIA_URL": "s3://bucket/prefix",
    "META_DISPLAY_PHONE_NUMBER": "+55 11 91234-5678",
    "ENCRYPTION_KEYS": "aKqW0Vb1b0wT2mJ4aXlV5tqv3zq5o9c0Kd1y7xk3n2Y=",
}


def good_value(name: str) -> str:
    """One that would do: of a secret that is to come, too, if its example is no more than words."""
    return GOOD.get(name) or (KINDS[name].example if "://" in KINDS[name].example else "a1b2c3d4e5f60718")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("form", ["{}", "{}\n", "{}\r\n", "\ufeff{}\n"])
def test_every_secret_may_stand_in_a_file(tmp_path: Path, name: str, form: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(form.format(good_value(name)).encode())
    plain = Settings.from_env({name: good_value(name)})
    assert Settings.from_env({f"{name}_FILE": str(file)}) == plain
    assert Settings.from_env({f"{name}_FILE": str(file), name: ""}) == plain
    assert slips([f"{name}_FILE"]) == []


def test_a_list_of_secrets_may_have_one_a_line(tmp_path: Path) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    (tmp_path / "keys").write_text("\n".join(keys) + "\n", encoding="ascii")
    (tmp_path / "app").write_text("newer-secret\nolder-secret\n", encoding="ascii")
    settings = Settings.from_env(
        {"ENCRYPTION_KEYS_FILE": str(tmp_path / "keys"), "META_APP_SECRET_FILE": str(tmp_path / "app")}
    )
    assert settings.encryption_keys == tuple(keys)
    assert settings.meta_app_secret == ("newer-secret", "older-secret")
    assert {"newer-secret", "older-secret", *keys} <= set(settings.secrets)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_given_in_both_ways_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(good_value(name), encoding="utf-8")
    told = refusal(**{name: good_value(name), f"{name}_FILE": str(tmp_path / "secret")})
    assert told == f"{name} and {name}_FILE are both set; keep one of them"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "its file cannot be read (No such file or directory); name one by its whole path"),
        (b"", "its file is empty; write the secret into it"),
        (b" \n\n", "its file is empty"),
        (b"\xff\xfeh\0u\0n\0t\0e\0r\0002\0", "its file is not plain text in UTF-8"),  # as PowerShell writes it
        (b"hunter2\0hunter2", "its file is not plain text"),
        (b"hunter2 " * 10_000, "or too long for a secret"),
        (b"hunter2 hunter2\n", "what its file holds has a space inside; for example the value that the platform shows"),
        (b"hunter2\nhunter2\n", "what its file holds has a space inside"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_the_remedy(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "hunter2"
    if content is not None:
        file.write_bytes(content)
    whole = refusal(META_VERIFY_TOKEN_FILE=str(file))
    assert whole.startswith("META_VERIFY_TOKEN_FILE: ")
    assert told in whole
    assert "hunter2" not in whole
    assert "\n" not in whole


def test_what_is_no_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "its file is a folder" in refusal(ENCRYPTION_KEYS_FILE=str(tmp_path))
    assert "its file is not a regular file" in refusal(DATABASE_URL_FILE=str(tmp_path / "pipe"))
    assert "its file is not a regular file" in refusal(REDIS_URL_FILE="/dev/zero")
    assert "its file cannot be read" in refusal(METRICS_TOKEN_FILE=str(tmp_path / "loop"))
    assert "its file cannot be read" in refusal(METRICS_TOKEN_FILE="~no-such-account/token")


def test_a_file_is_reached_by_links_as_clusters_mount_secrets(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "token").write_text("token-of-the-metrics\n", encoding="ascii")
    (tmp_path / "token").symlink_to("..data/token")
    assert Settings.from_env({"METRICS_TOKEN_FILE": str(tmp_path / "token")}).metrics_token == "token-of-the-metrics"


def test_only_secrets_have_files_and_a_slip_in_their_name_is_told() -> None:
    assert Settings.from_env({"PORT_FILE": "/nowhere"}).port == 3000
    assert slips(["META_WABA_ID_FILE"])[0].startswith("META_WABA_ID_FILE is set but not read")
    assert slips(["META_APP_SECRETS_FILE"])[0].endswith("did you mean META_APP_SECRET_FILE?")


def test_a_newer_environment_replaces_a_secret_in_both_its_forms() -> None:
    older = {"META_APP_SECRET_FILE": "/old", "META_VERIFY_TOKEN": "old", "DATABASE_URL_FILE": "/db", "PATH": "/bin"}
    newer = {"META_APP_SECRET": "new", "META_VERIFY_TOKEN_FILE": "/new", "DATABASE_URL": ""}
    assert overlaid(older, newer) == {
        "META_APP_SECRET": "new",
        "META_VERIFY_TOKEN_FILE": "/new",
        "DATABASE_URL": "",
        "DATABASE_URL_FILE": "/db",
        "PATH": "/bin",
    }
