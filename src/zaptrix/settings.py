"""Settings: read from the environment once, judged at the start, frozen from then on.

Each field of `Settings` is one environment variable, by its name in capitals. A value that cannot be used stops the
start with one sentence that names the variable, what is wrong with it, and one that would do.
"""

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, NamedTuple, get_type_hints
from urllib.parse import urlsplit

import msgspec

Network = IPv4Network | IPv6Network

PREFIXES = ("ZAPTRIX_", "META_", "BITRIX_", "SIM_")
"""Variables that look meant for us: an unknown one is told of, as it is probably a slip."""

SIMULATORS_OWN = frozenset({"SIM_HOST", "SIM_DATA_DIR", "SIM_APP_SECRET", "SIM_VERIFY_TOKEN"})


_HTTP = ("https", "http")


class SettingsError(Exception):
    """The environment cannot be used; the text has one line a variable."""


class _Bad(Exception):
    """Why one value cannot be used, as the second half of a sentence."""


class Kind(NamedTuple):
    """How a variable is read: its reader, a value that would do, and whether the value may be shown."""

    read: Callable[[str], object]
    example: str
    secret: bool = False


def _whole(least: int, most: int, example: int) -> Kind:
    def read(raw: str) -> int:
        if not re.fullmatch(r"\d{1,12}", raw) or not least <= int(raw) <= most:
            raise _Bad(f"is not a whole number from {least} to {most}")
        return int(raw)

    return Kind(read, str(example))


def _seconds(least: float, most: float, example: float) -> Kind:
    def read(raw: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?", raw) or not least <= float(raw) <= most:
            raise _Bad(f"is not a number of seconds from {least:g} to {most:g}")
        return float(raw)

    return Kind(read, f"{example:g}")


def _text(example: str, pattern: str = r".+", told: str = "is not of the right form", *, secret: bool = False) -> Kind:
    def read(raw: str) -> str:
        if not re.fullmatch(pattern, raw):
            raise _Bad(told)
        return raw

    return Kind(read, example, secret)


def _secret() -> Kind:
    return _text("the value that the platform shows", r"\S+", "has a space inside", secret=True)


def _phone() -> Kind:
    return _text("+55 11 91234-5678", r"\+?[\d ()-]{6,24}", "is not a phone number", secret=True)


def _choice(*values: str) -> Kind:
    by_lower = {value.lower(): value for value in values}

    def read(raw: str) -> str:
        if raw.lower() not in by_lower:
            raise _Bad(f"is not one of {', '.join(values)}")
        return by_lower[raw.lower()]

    return Kind(read, values[0])


def _url(example: str, *schemes: str, secret: bool = False) -> Kind:
    def read(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise _Bad(f"is not an address that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return raw

    return Kind(read, example, secret)


def _origin(example: str) -> Kind:
    """An address that paths are put after: its closing slash goes."""
    return Kind(lambda raw: str(_url(example, *_HTTP).read(raw)).rstrip("/"), example)


def _split(raw: str) -> list[str]:
    return [part for part in (piece.strip() for piece in raw.split(",")) if part]


def _secrets() -> Kind:
    return Kind(lambda raw: tuple(_split(raw)), "newest-secret,older-secret", secret=True)


def _fernet_keys() -> Kind:
    def read(raw: str) -> tuple[str, ...]:
        keys = tuple(_split(raw))
        for place, key in enumerate(keys, start=1):
            try:
                good = len(base64.urlsafe_b64decode(key)) == 32
            except (binascii.Error, ValueError):
                good = False
            if not good:
                raise _Bad(f"holds a key (number {place}) that is not 32 bytes in url-safe base64")
        return keys

    return Kind(read, "the output of: zaptrix new-encryption-key", secret=True)


def _origins() -> Kind:
    def read(raw: str) -> tuple[str, ...]:
        return tuple(str(_url("https://files.example.com", *_HTTP).read(part)).rstrip("/") for part in _split(raw))

    return Kind(read, "https://files.example.com:8443")


def _networks() -> Kind:
    def read(raw: str) -> tuple[Network, ...]:
        try:
            return tuple(ip_network(part, strict=False) for part in _split(raw))
        except ValueError as exc:
            raise _Bad(f"is not a list of networks ({exc})") from exc

    return Kind(read, "10.0.0.0/8,192.168.1.7/32")


def _folder() -> Kind:
    return Kind(lambda raw: Path(raw).expanduser(), "/var/lib/zaptrix")


_DIGITS = (r"\d{5,20}", "is not a number of 5 to 20 digits")


# Meta repeats a webhook for seven days, and a portal's history is searched for up to seven.
MESSAGE_RETENTION_DAYS_MIN = 30


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. META_* and BITRIX_* credentials only seed the first channel and portal; the rest come by API."""

    # The gateway
    host: Annotated[str, _text("0.0.0.0", r"[\w.:-]+", "is not a host")] = "127.0.0.1"  # noqa: S104 - an example
    port: Annotated[int, _whole(1, 65535, 3000)] = 3000
    public_url: Annotated[str, _origin("https://gateway.example.com")] = ""
    """How the platforms reach the gateway; by default http://127.0.0.1:PORT."""
    trusted_proxies: Annotated[tuple[Network, ...], _networks()] = ()
    """Only these may say, in a header, for whom they speak."""
    api_rate_per_min: Annotated[int, _whole(1, 1_000_000, 100)] = 100
    portal_channels_max: Annotated[int, _whole(1, 1000, 100)] = 100
    """How many channels one portal may have."""
    webhook_unauthenticated_rate_per_min: Annotated[int, _whole(1, 1_000_000, 200)] = 200
    web_processes: Annotated[int, _whole(1, 64, 1)] = 1
    worker_processes: Annotated[int, _whole(1, 64, 1)] = 1

    # Where things are kept
    data_dir: Annotated[Path, _folder()] = Path("~/.local/share/zaptrix")
    database_url: Annotated[
        str, _url("postgresql://zaptrix:password@db.example.com/zaptrix", "postgresql", "postgres", secret=True)
    ] = ""
    database_pool_max: Annotated[int, _whole(2, 200, 10)] = 10
    redis_url: Annotated[str, _url("redis://redis.example.com:6379/0", "redis", "rediss", "unix", secret=True)] = ""
    encryption_keys: Annotated[tuple[str, ...], _fernet_keys()] = ()
    """The first one encrypts, all of them decrypt."""
    media_url: Annotated[str, _url("s3://bucket/prefix", "s3", "gs", "az", "file", secret=True)] = ""
    """Where files are kept on their way; empty: a folder in DATA_DIR. Processes on several hosts need one for all."""
    media_retention_days: Annotated[int, _whole(1, 3650, 7)] = 7
    media_address_s: Annotated[int, _whole(900, 31_536_000, 86_400)] = 86_400
    """How long the signed address of a file is good, for Bitrix24 to fetch it."""
    media_ready_s: Annotated[float, _seconds(0, 300, 10)] = 10.0
    """How long a message waits for its file, before a line says that it is on its way."""
    media_timeout_s: Annotated[float, _seconds(1, 3600, 300)] = 300.0
    """How long one file may take to come."""
    media_link_origins: Annotated[tuple[str, ...], _origins()] = ()
    """Servers of our own that an API caller's `link` may name beside public https addresses."""
    media_private_networks: Annotated[tuple[Network, ...], _networks()] = ()
    """Networks of our own in which a portal, META_GRAPH_URL or MEDIA_LINK_ORIGINS may be; nothing else is ever fetched
    from there."""
    event_retention_days: Annotated[int, _whole(1, 3650, 30)] = 30
    message_retention_days: Annotated[int, _whole(0, 36_500, 365)] = 0
    """How long messages are kept that have come to their end; 0: for ever."""
    audit_retention_days: Annotated[int, _whole(0, 36_500, 730)] = 730
    """How long it is kept who changed what; 0: for ever."""

    # What one portal may use in a day (UTC), so that it leaves enough for the others; 0: as much as it likes
    portal_journal_mb_per_day: Annotated[int, _whole(0, 10_000_000, 1024)] = 1024
    """Bitrix24's events; over it they are routed, and then kept by their digest alone."""
    portal_files_mb_per_day: Annotated[int, _whole(0, 10_000_000, 20_480)] = 20_480
    """Files that are kept on their way; over it they wait for the next day."""
    portal_recoding_s_per_day: Annotated[int, _whole(0, 86_400, 3600)] = 3600
    """Time of a processor for voice notes; over it recordings go as they are."""

    # Logs and metrics
    log_level: Annotated[str, _choice("info", "debug", "warning", "error")] = "info"
    log_format: Annotated[str, _choice("json", "text")] = "json"
    metrics_dir: Annotated[Path, _folder()] = Path("metrics")
    """Shared by all processes of this host; a relative path starts at DATA_DIR."""
    metrics_token: Annotated[str, _secret()] = ""
    metrics_port: Annotated[int, _whole(0, 65535, 9464)] = 9464
    """Where `zaptrix worker` serves the metrics of its host, on HOST; 0: nowhere."""
    default_locale: Annotated[str, _choice("pt-BR", "en")] = "pt-BR"

    # WhatsApp (Meta Cloud API)
    meta_app_secret: Annotated[tuple[str, ...], _secrets()] = ()
    """Several while one replaces another; the first is the newest."""
    meta_verify_token: Annotated[str, _secret()] = ""
    meta_access_token: Annotated[str, _secret()] = ""
    meta_phone_number_id: Annotated[str, _text("210987654321098", *_DIGITS)] = ""
    meta_display_phone_number: Annotated[str, _phone()] = ""
    meta_waba_id: Annotated[str, _text("102290129340398", *_DIGITS)] = ""
    meta_api_version: Annotated[str, _text("v26.0", r"v\d{1,3}\.\d{1,2}", "is not a Graph API version")] = "v26.0"
    meta_graph_url: Annotated[str, _origin("https://graph.facebook.com")] = "https://graph.facebook.com"
    meta_timeout_s: Annotated[float, _seconds(1, 300, 20)] = 20.0
    meta_verify_wait_s: Annotated[float, _seconds(0, 3600, 60)] = 60.0
    """How long a status webhook may take to prove a send that got no clear answer."""

    window_reminder_min: Annotated[int, _whole(0, 1380, 60)] = 0
    """How many minutes before the 24-hour window closes an operator is reminded, in the chat, of a customer who waits;
    0: never."""

    # Bitrix24
    bitrix_portal_url: Annotated[str, _origin("https://company.bitrix24.com.br")] = ""
    bitrix_member_id: Annotated[str, _text("a223c6b3710f85df22e9377d6c4f7553", r"[\w-]{1,64}")] = ""
    bitrix_client_id: Annotated[str, _text("local.5c8bb1b0891cf2.87252039", r"[\w.-]+")] = ""
    bitrix_client_secret: Annotated[str, _secret()] = ""
    bitrix_access_token: Annotated[str, _secret()] = ""
    bitrix_refresh_token: Annotated[str, _secret()] = ""
    bitrix_token_expires: Annotated[int, _whole(0, 99_999_999_999, 1_800_000_000)] = 0
    """When the access token ends, in seconds since 1970."""
    bitrix_application_token: Annotated[str, _secret()] = ""
    bitrix_client_endpoint: Annotated[str, _url("https://company.bitrix24.com.br/rest/", *_HTTP)] = ""
    bitrix_oauth_url: Annotated[str, _url("https://oauth.bitrix24.tech/oauth/token/", *_HTTP)] = ""
    """Replaces both official OAuth hosts; empty: the official ones."""
    bitrix_line_id: Annotated[str, _text("1", r"\d{1,12}", "is not the number of an open line")] = ""
    bitrix_timeout_s: Annotated[float, _seconds(1, 600, 60)] = 60.0
    bitrix_verify_wait_s: Annotated[float, _seconds(0, 3600, 5)] = 5.0
    bitrix_parallel_calls: Annotated[int, _whole(1, 32, 4)] = 4

    # Workers
    worker_concurrency: Annotated[int, _whole(1, 64, 16)] = 16
    """Lanes of one queue that one process drains at once."""
    slice_s: Annotated[float, _seconds(0.1, 60, 5)] = 5.0
    """How long a runner drains one lane before it lets another in."""
    lock_duration_s: Annotated[float, _seconds(1, 300, 10)] = 10.0
    stalled_interval_s: Annotated[float, _seconds(0.5, 300, 5)] = 5.0
    claim_lease_s: Annotated[float, _seconds(1, 3600, 90)] = 90.0
    """After this a message whose runner vanished is judged as a call without an answer."""
    sweep_interval_s: Annotated[float, _seconds(0.1, 3600, 5)] = 5.0
    recovery_hours: Annotated[int, _whole(1, 168, 24)] = 24
    """An operator's reply that no event told of is sent up to this age; an older one is told of."""
    recovery_round_s: Annotated[float, _seconds(0.5, 86_400, 900)] = 900.0
    """How often a portal is asked for lost replies although the gateway was never away."""
    recovery_offline_s: Annotated[float, _seconds(0.5, 3600, 45)] = 45.0
    """How often the queue of a portal with `offline_events` is read."""
    retry_base_s: Annotated[float, _seconds(0.01, 3600, 1)] = 1.0
    cache_ttl_s: Annotated[int, _whole(1, 86_400, 3600)] = 3600
    token_cache_ttl_s: Annotated[int, _whole(1, 3600, 3000)] = 3000

    # Simulators
    sim_port: Annotated[int, _whole(1, 65535, 3900)] = 3900

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and judge them; raises SettingsError with every fault at once. An empty variable counts as unset."""
        values: dict[str, object] = {}
        faults: list[str] = []
        for name, kind in KINDS.items():
            raw = environ.get(name, "").strip()
            if not raw:
                continue
            try:
                values[name.lower()] = kind.read(raw)
            except _Bad as fault:
                faults.append(_told(name, raw, kind, str(fault)))
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
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, for the log's redaction."""
        values = [getattr(self, name.lower()) for name, kind in KINDS.items() if kind.secret]
        texts = [text for value in values for text in ((value,) if isinstance(value, str) else value)]
        # Of an address only the password is secret: the rest is what an error must name.
        passwords = [urlsplit(text).password for text in texts if "://" in text]
        return tuple(text for text in (*texts, *passwords) if text and "://" not in text)

    def __repr__(self) -> str:
        """Settings end up in tracebacks; secrets must not."""
        shown = (f"{name.lower()}={getattr(self, name.lower())!r}" for name, kind in KINDS.items() if not kind.secret)
        return f"Settings({', '.join(shown)}, …)"


def _kinds() -> dict[str, Kind]:
    hints = get_type_hints(Settings, include_extras=True)
    return {name.upper(): hints[name].__metadata__[0] for name in Settings.__struct_fields__}


KINDS = _kinds()
"""Every variable that is read, by its name in the environment."""


def slips(names: Iterable[str]) -> list[str]:
    """A sentence for each variable that looks meant for us and is not read."""
    unknown = sorted(
        name for name in names if name.startswith(PREFIXES) and name not in KINDS and name not in SIMULATORS_OWN
    )
    return [f"{name} is set but not read{_meant(name)}" for name in unknown]


def _meant(name: str) -> str:
    bare = name.removeprefix("ZAPTRIX_")
    close = [bare] if bare in KINDS else difflib.get_close_matches(bare, KINDS, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""


def _told(name: str, raw: str, kind: Kind, fault: str) -> str:
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
