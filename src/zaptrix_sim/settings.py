"""What is fixed at start (Settings, from the environment) and what a test may change while it runs (Options)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 3900
    data_dir: Path | None = None
    gateway_url: str = "http://127.0.0.1:3000"
    public_url: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises ValueError naming the variable when a value cannot be read."""
        data_dir = environ.get("SIM_DATA_DIR", "")
        return cls(
            host=environ.get("SIM_HOST", "127.0.0.1"),
            port=_integer(environ, "SIM_PORT", 3900),
            data_dir=Path(data_dir) if data_dir else None,
            gateway_url=environ.get("GATEWAY_URL", "http://127.0.0.1:3000").rstrip("/"),
            public_url=environ.get("SIM_PUBLIC_URL", "").rstrip("/"),
        )


@dataclass(kw_only=True, slots=True)
class Options:
    """The knobs. Times are real seconds, except `item_operating_s`, which is only counted and never waited for."""

    app_secret: str = "demo-app-secret"
    verify_token: str = "demo-verify-token"
    meta_latency_s: float = 0.01
    status_sent_s: float = 0.03
    status_delivered_s: float = 0.06
    webhook_batch_max: int = 10
    webhook_parallel: int = 32
    webhook_timeout_s: float = 20.0
    retry_first_s: float = 0.2
    retry_longest_s: float = 5.0
    count_inbound: bool = True
    bitrix_latency_s: float = 0.0
    item_latency_s: float = 0.01
    item_operating_s: float = 0.02
    operating_limit_s: float = 480.0
    event_timeout_s: float = 5.0
    file_latency_s: float = 0.0  # before the first byte of any file, and behind the last one of an upload
    fetch_s: float = (
        60.0  # how long a portal waits for a file that it fetches inside a call: so long a request may last
    )
    media_url_s: float = 300.0  # how long an address of Meta's media lives
    strict_types: bool = False  # whether Meta refuses documents of types that it does not list
    clock_skew_s: float = 0.0  # how far both platforms' clocks are ahead of the machine's

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Every knob can be set at start as SIM_<NAME>. Raises ValueError naming the knob."""
        names = {field.name: f"SIM_{field.name.upper()}" for field in fields(cls)}
        options = cls()
        options.change({name: environ[key] for name, key in names.items() if key in environ})
        return options

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Set the named knobs, all or none. Raises ValueError naming the one that is unknown or ill-typed."""
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        ready: dict[str, Any] = {}
        for name, value in wanted.items():
            if name not in known:
                raise ValueError(f"unknown option {name!r}; known ones: {', '.join(sorted(known))}")
            ready[name] = _as(known[name], name, value)
        for name, value in ready.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _as(kind: type, name: str, value: Any) -> Any:
    if kind is bool:
        return value if isinstance(value, bool) else str(value).lower() in {"1", "true", "yes", "y"}
    try:
        return kind(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"option {name!r} wants {kind.__name__}, not {value!r}") from exc


def _integer(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError as exc:
        raise ValueError(f"{name} must be a whole number such as {default}, not {text!r}") from exc
