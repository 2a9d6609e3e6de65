"""Settings: read from the environment once, judged at the start, frozen from then on.

Each field of `Settings` is one environment variable, by its name in capitals. A value that cannot be used stops the
start with one sentence that names the variable, what is wrong with it, and one that would do. Every secret may stand in
a file instead: NAME_FILE is the path of one that holds the value of NAME, as containers and systemd hand secrets over.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, get_type_hints
from urllib.parse import urlsplit

import msgspec

from zaptrix.core.installation.addresses import is_loopback, passwords_in, postgres_slip, redis_slip
from zaptrix.core.installation.guessing import guessable
from zaptrix.core.installation.variables import (
    HTTP,
    Bad,
    Network,
    Variable,
    choice,
    fernet_keys,
    networks,
    origin,
    origins,
    phone,
    seconds,
    secret,
    secret_list,
    server,
    text,
    url,
    whole,
)
from zaptrix.core.wording.catalog import Locale
from zaptrix.secret_files import content_of

FILE = "_FILE"
"""Behind the name of a secret: the variable that names the file which holds it."""


PREFIXES = ("ZAPTRIX_", "META_", "BITRIX_", "SIM_")
"""Variables that look meant for us: an unknown one is told of, as it is probably a slip."""

SIMULATORS_OWN = frozenset({"SIM_HOST", "SIM_DATA_DIR", "SIM_APP_SECRET", "SIM_VERIFY_TOKEN"})


_POSTGRES = ("postgresql", "postgres")
_REDIS = (
    "redis",
    "rediss",
    "unix",
    *(f"{one}+{form}" for one in ("redis", "rediss") for form in ("cluster", "sentinel")),
)


class SettingsError(Exception):
    """The environment cannot be used; the text has one line a variable."""


def _folder() -> Variable:
    return Variable(lambda raw: Path(raw).expanduser(), "/var/lib/zaptrix")


_DIGITS = (r"\d{5,20}", "is not a number of 5 to 20 digits")


# Meta repeats a webhook for seven days, and a portal's history is searched for up to seven.
MESSAGE_RETENTION_DAYS_MIN = 30


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. META_* and BITRIX_* credentials only seed the first channel and portal; the rest come by API."""

    # The gateway
    host: Annotated[str, text("0.0.0.0", r"[\w.:-]+", "is not a host")] = "127.0.0.1"  # noqa: S104 - an example
    port: Annotated[int, whole(1, 65535, 3000)] = 3000
    public_url: Annotated[str, origin("https://gateway.example.com")] = ""
    """How the platforms reach the gateway; by default http://127.0.0.1:PORT."""
    trusted_proxies: Annotated[tuple[Network, ...], networks()] = ()
    """Only these may say, in a header, for whom they speak."""
    api_rate_per_min: Annotated[int, whole(1, 1_000_000, 100)] = 100
    portal_channels_max: Annotated[int, whole(1, 1000, 100)] = 100
    """How many channels one portal may have."""
    webhook_unauthenticated_rate_per_min: Annotated[int, whole(1, 1_000_000, 200)] = 200
    web_processes: Annotated[int, whole(1, 64, 1)] = 1
    shutdown_delay_s: Annotated[float, seconds(0, 120, 5)] = 5.0
    """How long a gateway that is told to stop takes requests still, while `/health/ready` answers 503."""
    worker_processes: Annotated[int, whole(1, 64, 1)] = 1

    # Where things are kept
    data_dir: Annotated[Path, _folder()] = Path("~/.local/share/zaptrix")
    database_url: Annotated[
        str, server("postgresql://zaptrix:password@db.example.com/zaptrix", *_POSTGRES, slip=postgres_slip)
    ] = ""
    database_direct_url: Annotated[
        str, server("postgresql://zaptrix:password@db.example.com/zaptrix", *_POSTGRES, slip=postgres_slip)
    ] = ""
    """PostgreSQL itself, where DATABASE_URL is a pooler in transaction mode: for what needs a session."""
    database_read_url: Annotated[
        str, server("postgresql://zaptrix:password@replica.example.com/zaptrix", *_POSTGRES, slip=postgres_slip)
    ] = ""
    """A streaming replica that lists are read from."""
    database_pool_max: Annotated[int, whole(2, 200, 10)] = 10
    redis_url: Annotated[str, server("redis://redis.example.com:6379/0", *_REDIS, slip=redis_slip)] = ""
    encryption_keys: Annotated[tuple[str, ...], fernet_keys()] = ()
    """The first one encrypts, all of them decrypt."""
    media_url: Annotated[str, url("s3://bucket/prefix", "s3", "gs", "az", "file", secret=True)] = ""
    """Where files are kept on their way; empty: a folder in DATA_DIR. Processes on several hosts need one for all."""
    aws_access_key_id: Annotated[str, secret()] = ""
    """Of an S3 in `media_url`, by Amazon's own names; without, a role of the machine or of the pod is looked for."""
    aws_secret_access_key: Annotated[str, secret()] = ""
    aws_session_token: Annotated[str, secret()] = ""
    aws_region: Annotated[str, text("us-east-1", r"[\w-]+", "is not the name of a region")] = ""
    aws_endpoint_url: Annotated[str, url("https://s3.example.com:9000", *HTTP)] = ""
    """Of an S3 that is not Amazon's."""
    aws_ca_bundle: Annotated[str, text("/etc/ssl/private-ca.pem")] = ""
    """Authorities that are trusted beside the usual ones when S3 is called."""
    media_retention_days: Annotated[int, whole(1, 3650, 7)] = 7
    media_address_s: Annotated[int, whole(900, 31_536_000, 86_400)] = 86_400
    """How long the signed address of a file is good, for Bitrix24 to fetch it."""
    media_ready_s: Annotated[float, seconds(0, 300, 10)] = 10.0
    """How long a message waits for its file, before a line says that it is on its way."""
    media_timeout_s: Annotated[float, seconds(1, 3600, 300)] = 300.0
    """How long one file may take to come."""
    media_link_origins: Annotated[tuple[str, ...], origins()] = ()
    """Servers of our own that an API caller's `link` may name beside public https addresses."""
    media_private_networks: Annotated[tuple[Network, ...], networks()] = ()
    """Networks of our own in which a portal, META_GRAPH_URL or MEDIA_LINK_ORIGINS may be; nothing else is ever fetched
    from there."""
    event_retention_days: Annotated[int, whole(1, 3650, 30)] = 30
    message_retention_days: Annotated[int, whole(0, 36_500, 365)] = 0
    """How long messages are kept that have come to their end; 0: for ever."""
    audit_retention_days: Annotated[int, whole(0, 36_500, 730)] = 730
    """How long it is kept who changed what; 0: for ever."""

    # What one portal may use in a day (UTC), so that it leaves enough for the others; 0: as much as it likes
    portal_journal_mb_per_day: Annotated[int, whole(0, 10_000_000, 1024)] = 1024
    """Bitrix24's events; over it they are routed, and then kept by their digest alone."""
    portal_files_mb_per_day: Annotated[int, whole(0, 10_000_000, 20_480)] = 20_480
    """Files that are kept on their way; over it they wait for the next day."""
    portal_recoding_s_per_day: Annotated[int, whole(0, 86_400, 3600)] = 3600
    """Time of a processor for voice notes; over it recordings go as they are."""

    # Logs and metrics
    log_level: Annotated[str, choice("info", "debug", "warning", "error")] = "info"
    log_format: Annotated[str, choice("json", "text")] = "json"
    metrics_dir: Annotated[Path, _folder()] = Path("metrics")
    """Shared by all processes of this host; a relative path starts at DATA_DIR."""
    metrics_token: Annotated[str, secret()] = ""
    metrics_port: Annotated[int, whole(0, 65535, 9464)] = 9464
    """Where `zaptrix worker` serves the metrics of its host, on HOST; 0: nowhere."""
    default_locale: Annotated[str, choice(*Locale)] = Locale.PT_BR.value

    # WhatsApp (Meta Cloud API)
    meta_app_secret: Annotated[tuple[str, ...], secret_list()] = ()
    """Several while one replaces another; the first is the newest."""
    meta_verify_token: Annotated[str, secret()] = ""
    meta_access_token: Annotated[str, secret()] = ""
    meta_phone_number_id: Annotated[str, text("210987654321098", *_DIGITS)] = ""
    meta_display_phone_number: Annotated[str, phone()] = ""
    meta_waba_id: Annotated[str, text("102290129340398", *_DIGITS)] = ""
    meta_api_version: Annotated[str, text("v26.0", r"v\d{1,3}\.\d{1,2}", "is not a Graph API version")] = "v26.0"
    meta_callback: Annotated[str, choice("app", "account")] = "app"
    """Where WhatsApp's webhooks go: to the app's own address, or, with `account`, each account's to our PUBLIC_URL."""
    meta_graph_url: Annotated[str, origin("https://graph.facebook.com")] = "https://graph.facebook.com"
    meta_timeout_s: Annotated[float, seconds(1, 300, 20)] = 20.0
    meta_verify_wait_s: Annotated[float, seconds(0, 3600, 60)] = 60.0
    """How long a status webhook may take to prove a send that got no clear answer."""

    window_reminder_min: Annotated[int, whole(0, 1380, 60)] = 0
    """How many minutes before the 24-hour window closes an operator is reminded, in the chat, of a customer who waits;
    0: never."""

    # Bitrix24
    bitrix_portal_url: Annotated[str, origin("https://company.bitrix24.com.br")] = ""
    bitrix_member_id: Annotated[str, text("a223c6b3710f85df22e9377d6c4f7553", r"[\w-]{1,64}")] = ""
    bitrix_client_id: Annotated[str, text("local.5c8bb1b0891cf2.87252039", r"[\w.-]+")] = ""
    bitrix_client_secret: Annotated[str, secret()] = ""
    bitrix_access_token: Annotated[str, secret()] = ""
    bitrix_refresh_token: Annotated[str, secret()] = ""
    bitrix_token_expires: Annotated[int, whole(0, 99_999_999_999, 1_800_000_000)] = 0
    """When the access token ends, in seconds since 1970."""
    bitrix_application_token: Annotated[str, secret()] = ""
    bitrix_client_endpoint: Annotated[str, url("https://company.bitrix24.com.br/rest/", *HTTP)] = ""
    bitrix_oauth_url: Annotated[str, url("https://oauth.bitrix24.tech/oauth/token/", *HTTP)] = ""
    """Replaces both official OAuth hosts; empty: the official ones."""
    bitrix_line_id: Annotated[str, text("1", r"\d{1,12}", "is not the number of an open line")] = ""
    bitrix_timeout_s: Annotated[float, seconds(1, 600, 60)] = 60.0
    bitrix_verify_wait_s: Annotated[float, seconds(0, 3600, 5)] = 5.0
    bitrix_parallel_calls: Annotated[int, whole(1, 32, 4)] = 4

    # Workers
    worker_concurrency: Annotated[int, whole(1, 64, 4)] = 4
    """Lanes of one queue that one process drains at once. A queue has 4, so more places than that stay empty."""
    slice_s: Annotated[float, seconds(0.1, 60, 5)] = 5.0
    """How long a runner drains one lane of routing before it lets another in."""
    lock_duration_s: Annotated[float, seconds(1, 300, 8)] = 8.0
    stalled_interval_s: Annotated[float, seconds(0.5, 300, 3)] = 3.0
    claim_lease_s: Annotated[float, seconds(1, 3600, 90)] = 90.0
    """How long a call may take with its settlement; after this its message is judged as a call without an answer. Of a
    worker that died it is so as soon as the others know."""
    sweep_interval_s: Annotated[float, seconds(0.1, 3600, 5)] = 5.0
    recovery_hours: Annotated[int, whole(1, 168, 24)] = 24
    """An operator's reply that no event told of is sent up to this age; an older one is told of."""
    recovery_round_s: Annotated[float, seconds(0.5, 86_400, 900)] = 900.0
    """How often a portal is asked for lost replies although the gateway was never away."""
    recovery_offline_s: Annotated[float, seconds(0.5, 3600, 45)] = 45.0
    """How often the queue of a portal with `offline_events` is read."""
    retry_base_s: Annotated[float, seconds(0.01, 3600, 1)] = 1.0
    cache_ttl_s: Annotated[int, whole(1, 86_400, 3600)] = 3600
    token_cache_ttl_s: Annotated[int, whole(1, 3600, 3000)] = 3000

    # Simulators
    sim_port: Annotated[int, whole(1, 65535, 3900)] = 3900

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and judge them; raises SettingsError with every fault at once. An empty variable counts as unset."""
        values: dict[str, object] = {}
        faults: list[str] = []
        for name, kind in KINDS.items():
            try:
                value = _read(environ, name, kind)
            except SettingsError as fault:
                faults.append(str(fault))
            else:
                values |= {} if value is None else {name.lower(): value}
        settings = msgspec.structs.replace(cls(), **values)
        faults.extend(_contradictions(settings))
        if faults:
            raise SettingsError("\n".join(faults))
        return settings.with_defaults()

    def with_defaults(self) -> "Settings":
        """Fill in what follows from other settings."""
        data_dir = self.data_dir.expanduser().absolute()
        return msgspec.structs.replace(
            self,
            data_dir=data_dir,
            metrics_dir=data_dir / self.metrics_dir,
            public_url=self.public_url or f"http://127.0.0.1:{self.port}",
        )

    def need(self, *names: str) -> None:
        """Raise SettingsError unless these variables, which have no default, are set."""
        missing = [name for name in names if not getattr(self, name.lower())]
        if missing:
            raise SettingsError("\n".join(f"{name} is not set; for example {_example(name)}" for name in missing))

    @property
    def has_credentials(self) -> bool:
        """Whether somebody gave any real platform account: without, `zaptrix up` shows itself on the simulators."""
        return bool(self.meta_app_secret or self.meta_access_token or self.bitrix_portal_url or self.bitrix_client_id)

    @property
    def is_pooled(self) -> bool:
        """Whether DATABASE_URL is a pooler in transaction mode."""
        return bool(self.database_direct_url)

    @property
    def session_url(self) -> str:
        """PostgreSQL where a session keeps what is its own: for migrations and dumps."""
        return self.database_direct_url or self.database_url

    @property
    def pooled_url(self) -> str:
        """DATABASE_URL where it is a pooler in transaction mode."""
        return self.database_url if self.is_pooled else ""

    @property
    def is_private(self) -> bool:
        """Whether nobody but this machine reaches the gateway, as far as its settings say."""
        return is_loopback(self.host) and (not self.public_url or is_loopback(urlsplit(self.public_url).hostname or ""))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, for the log's redaction."""
        values = [getattr(self, name.lower()) for name, kind in KINDS.items() if kind.secret]
        texts = [text for value in values for text in ((value,) if isinstance(value, str) else value)]
        # Of an address only the password is secret: the rest is what an error must name.
        passwords = [word for text in texts if "://" in text for word in passwords_in(text)]
        return tuple(text for text in (*(text for text in texts if "://" not in text), *passwords) if text)

    def __repr__(self) -> str:
        """Settings end up in tracebacks; secrets must not."""
        shown = (f"{name.lower()}={getattr(self, name.lower())!r}" for name, kind in KINDS.items() if not kind.secret)
        return f"Settings({', '.join(shown)}, …)"


def _kinds() -> dict[str, Variable]:
    hints = get_type_hints(Settings, include_extras=True)
    return {name.upper(): hints[name].__metadata__[0] for name in Settings.__struct_fields__}


KINDS = _kinds()
"""Every variable that is read, by its name in the environment."""

NAMES = frozenset(KINDS) | {name + FILE for name, kind in KINDS.items() if kind.secret}
"""The same with those that name a secret's file."""


def overlaid(environ: Mapping[str, str], newer: Mapping[str, str]) -> dict[str, str]:
    """One environment over another: a secret that the newer one gives in either form replaces both of the older one."""
    said = {name.removesuffix(FILE) for name, value in newer.items() if name in NAMES and value}
    kept = {name: value for name, value in environ.items() if name not in NAMES or name.removesuffix(FILE) not in said}
    return kept | dict(newer)


def slips(names: Iterable[str]) -> list[str]:
    """A sentence for each variable that looks meant for us and is not read."""
    unknown = sorted(
        name for name in names if name.startswith(PREFIXES) and name not in NAMES and name not in SIMULATORS_OWN
    )
    return [f"{name} is set but not read{_meant(name)}" for name in unknown]


def _meant(name: str) -> str:
    bare = name.removeprefix("ZAPTRIX_")
    close = [bare] if bare in NAMES else difflib.get_close_matches(bare, NAMES, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""


def _read(environ: Mapping[str, str], name: str, kind: Variable) -> object | None:
    """The value of one variable; None: it is not set. Raises SettingsError, with one sentence."""
    raw = environ.get(name, "").strip()
    path = environ.get(name + FILE, "").strip() if kind.secret else ""
    if raw and path:
        raise SettingsError(f"{name} and {name}{FILE} are both set; keep one of them")
    try:
        if path:
            raw = content_of(path)
        return kind.read(raw) if raw else None
    except Bad as fault:
        raise SettingsError(_told(name, raw, kind, str(fault), in_file=bool(path))) from fault


def _told(name: str, raw: str, kind: Variable, fault: str, *, in_file: bool) -> str:
    # Not even the path is told: it is the secret itself where somebody took one variable for the other.
    if in_file and not raw:
        return f"{name}{FILE}: its file {fault}"
    if in_file:
        return f"{name}{FILE}: what its file holds {fault}; for example {KINDS[name].example}"
    value = "its value" if kind.secret else repr(raw)
    return f"{name}: {value} {fault}; for example {_example(name)}"


def _example(name: str) -> str:
    return f"{name}={KINDS[name].example}"


def _contradictions(settings: Settings) -> Iterable[str]:
    """Values that are good alone and bad together."""
    if 0 < settings.message_retention_days < MESSAGE_RETENTION_DAYS_MIN:
        yield (
            f"MESSAGE_RETENTION_DAYS ({settings.message_retention_days}) must be 0 or at least "
            f"{MESSAGE_RETENTION_DAYS_MIN}: what Meta sends again after days would be taken for new"
        )
    longest = max(settings.meta_timeout_s, settings.bitrix_timeout_s)
    if settings.claim_lease_s <= longest:
        yield (
            f"CLAIM_LEASE_S ({settings.claim_lease_s:g}) must be longer than META_TIMEOUT_S and BITRIX_TIMEOUT_S "
            f"(up to {longest:g}): a call that is still under way would be taken for lost"
        )
    if settings.port == settings.sim_port:
        yield f"PORT and SIM_PORT are both {settings.port}; give the simulators another one, for example SIM_PORT=3900"
    if settings.meta_callback == "account" and not settings.meta_verify_token:
        yield "META_CALLBACK=account needs META_VERIFY_TOKEN: Meta asks PUBLIC_URL with it; set a long random one"
    if not settings.is_private:
        tokens = [(name, getattr(settings, name.lower())) for name in ("META_VERIFY_TOKEN", "METRICS_TOKEN")]
        given = [("META_APP_SECRET", settings.meta_app_secret), *((name, (token,)) for name, token in tokens if token)]
        yield from filter(None, (guessable(name, secrets) for name, secrets in given))
