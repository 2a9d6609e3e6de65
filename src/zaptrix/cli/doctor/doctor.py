"""`zaptrix doctor`: is everything that the gateway stands on as it must be, and if not, what to do."""

import asyncio
import os
import platform
import resource
import shutil
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from cryptography.fernet import Fernet
from redis.exceptions import RedisError
from rich.table import Table

import zaptrix
from zaptrix.bitrix24.rest.oauth import OFFICIAL_HOSTS
from zaptrix.broker.connection import fitness as redis_fitness
from zaptrix.cli.doctor import public_address
from zaptrix.cli.doctor.doctor_words import HEADINGS, LEVELS, WORDS
from zaptrix.cli.doctor.public_address import Seen, Unreachable
from zaptrix.cli.local.data_folder import open_to_others
from zaptrix.cli.local.redis_server import version_told
from zaptrix.core import limits
from zaptrix.core.installation.addresses import is_loopback
from zaptrix.core.installation.faults import Fault, Unfit
from zaptrix.core.installation.guessing import guessable
from zaptrix.core.portal import Locale
from zaptrix.settings import Settings, overlaid, slips
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.connection.replica import ReplicaState
from zaptrix.store.processes.workers import WorkerAtWork
from zaptrix.store.schema import fitness as postgres_fitness

CLOCK_S_MAX = 5.0
ANSWER_S = 8.0
"""How long one look may take: they go on side by side, so the doctor ends soon after, whatever hangs."""
PLATFORMS_S = 20.0
"""The same for the tokens of all portals and numbers."""
CERTIFICATE_DAYS_MIN = 21
BACKUP_HOURS_MAX = 26
CONNECTIONS_USED_MAX = 0.8
DISK_FREE_MB_MIN = 1_000
UNREACHED = ("no_connection", "connection_lost", "timeout")
"""How the platforms' clients begin the trouble of a call that nobody answered."""

_NOWHERE = "redis://127.0.0.1:1/0"

OK, WARNING, WRONG = "ok", "warning", "wrong"
_COLOURS = {OK: "green", WARNING: "yellow", WRONG: "red"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. `fix` says what to do when it is not good; a warning does not make the doctor fail."""

    check: str
    """The same in every language, for programs."""
    level: str
    what: str
    told: str
    fix: str = ""


class Doctor:
    """Looks at everything, in the order in which it stands on one another, and says it in one language."""

    def __init__(self, settings: Settings, locale: Locale, environ: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._locale = locale
        self._environ = environ
        # Who looks at the rest needs neither a key nor Redis, but the gateway is not opened without them.
        keys = settings.encryption_keys or (Fernet.generate_key().decode("ascii"),)
        redis_url = settings.redis_url or _NOWHERE
        self._house = msgspec.structs.replace(settings, encryption_keys=keys, redis_url=redis_url)
        self._simulated = not settings.has_credentials and is_loopback(_host(settings.meta_graph_url))

    async def examine(self) -> list[Finding]:
        """Never raises for what it examines. What hangs is told as such, and holds up nobody else."""
        (postgres, stored), outside, clocks, redis = await asyncio.gather(
            self._database(),
            self._timely("public_url", self._outside()),
            self._timely("platforms", self._platform_clocks()),
            self._timely("redis", self._redis()),
        )
        return [*self._given(), *self._machine(), *outside, *clocks, *postgres, *redis, *stored]

    async def _database(self) -> tuple[list[Finding], list[Finding]]:
        """PostgreSQL; and, where it can be asked, what it tells of everything else."""
        postgres = await self._timely("postgres", self._postgres())
        if any(finding.level == WRONG for finding in postgres):
            return postgres, []
        found = await asyncio.gather(
            self._timely("postgres", self._inside()),
            self._timely("gateway", self._at_work()),
            self._timely("media", self._media()),
            self._timely("secrets", self._stored()),
            self._timely("platforms", self._tenants(), PLATFORMS_S),
        )
        return postgres, [finding for each in found for finding in each]

    async def _timely(self, key: str, look: Awaitable[list[Finding]], seconds: float | None = None) -> list[Finding]:
        seconds = seconds or ANSWER_S
        try:
            async with asyncio.timeout(seconds):
                return await look
        except TimeoutError:
            return [self._line("hangs", good=False, seen=f"{seconds:g}", what=WORDS[key][self._locale].what)]
        except (StoreUnavailable, RedisError, OSError, asyncpg.PostgresError):
            return []  # told of by the servers' own lines

    def table(self, findings: list[Finding]) -> Table:
        """As a person reads it."""
        shown = Table(title="zaptrix doctor", show_lines=False)
        shown.add_column("", overflow="fold")
        for column in HEADINGS.values():
            shown.add_column(column[self._locale], overflow="fold")
        for finding in findings:
            sign = f"[{_COLOURS[finding.level]}]{LEVELS[finding.level][self._locale]}[/]"
            shown.add_row(sign, finding.what, finding.told, "" if finding.level == OK else finding.fix)
        return shown

    def _line(self, key: str, *, good: bool, seen: str = "", what: str = "", bad: str = WRONG) -> Finding:
        words = WORDS[key][self._locale]
        told = (words.good if good else words.bad).format(seen=seen)
        return Finding(
            check=key, level=OK if good else bad, what=what or words.what, told=told, fix=words.remedy.format(seen=seen)
        )

    def _faulty(self, key: str, fault: Fault) -> Finding:
        words = fault.words(self._locale)
        return Finding(
            check=str(fault.kind), level=WRONG, what=WORDS[key][self._locale].what, told=words.told, fix=words.remedy
        )

    def _given(self) -> list[Finding]:
        """What the environment says."""
        settings, unread = self._settings, slips(self._environ)
        keys = len(settings.encryption_keys)
        found = [
            self._line("settings", good=not unread, seen="; ".join(unread)),
            self._line("encryption_keys", good=keys > 0, seen=str(keys)),
        ]
        if self._simulated:
            return [*found, self._line("simulators", good=True)]
        secrets = {
            "META_APP_SECRET": settings.meta_app_secret,
            "META_VERIFY_TOKEN": tuple(filter(None, [settings.meta_verify_token])),
            "METRICS_TOKEN": tuple(filter(None, [settings.metrics_token])),
        }
        weak = [name for name, given in secrets.items() if guessable(name, given)]
        https = settings.public_url.startswith("https://") and not is_loopback(_host(settings.public_url))
        return [
            *found,
            self._line("app_secret", good=bool(settings.meta_app_secret)),
            self._line("verify_token", good=bool(settings.meta_verify_token)),
            self._line("guessable", good=not weak, seen=", ".join(weak)),
            self._line("public_url", good=https, seen=settings.public_url),
        ]

    def _machine(self) -> list[Finding]:
        """The data folder and its disk; what this account may open; the newest backup, where backups are kept here."""
        folder = self._settings.data_dir
        place = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(place).free // 1_000_000
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = hard == resource.RLIM_INFINITY or hard >= limits.CONNECTIONS_MAX + limits.OPEN_FILES_SPARE
        found = [
            self._line("release", good=True, seen=f"Zaptrix {zaptrix.__version__}, Python {platform.python_version()}"),
            self._line("disk", good=free >= DISK_FREE_MB_MIN, seen=str(free)),
            self._line("open_files", good=enough, seen=str(hard), bad=WARNING),
        ]
        if folder.exists():
            readable = ", ".join(map(str, open_to_others(folder)))
            waiting = sum(path.is_file() for path in (folder / "spool").glob("*"))
            found.append(self._line("folder", good=not readable, seen=readable))
            found.append(self._line("spool", good=not waiting, seen=str(waiting), bad=WARNING))
        if (hours := _newest_backup_h(folder / "backups")) is not None:
            found.append(self._line("backup", good=hours <= BACKUP_HOURS_MAX, seen=str(hours), bad=WARNING))
        return found

    async def _outside(self) -> list[Finding]:
        """The public address, as the platforms meet it."""
        settings = self._settings
        if self._simulated or not settings.public_url.startswith("https://"):
            return []
        found = [self._line("proxy", good=bool(settings.trusted_proxies), bad=WARNING)]
        try:
            seen = await public_address.look(settings.public_url)
        except Unreachable as exc:
            return [self._line(exc.trouble, good=False, seen=exc.seen), *found]
        return [*self._met(seen), *found]

    def _met(self, seen: Seen) -> list[Finding]:
        days, ours = seen.days_left, zaptrix.__version__
        found = [self._line("address", good=seen.release is not None, seen=str(seen.status))]
        if days is not None:
            good = days >= CERTIFICATE_DAYS_MIN
            found.insert(0, self._line("certificate", good=good, seen=str(days), bad=WARNING))
        if seen.release is not None:
            both = f"{seen.release} (PUBLIC_URL), {ours}"
            found.append(self._line("release", good=seen.release == ours, seen=both, bad=WARNING))
            found.append(self._line("metrics_open", good=not seen.metrics_open))
        return found

    async def _platform_clocks(self) -> list[Finding]:
        """Whether this machine reaches the platforms at all, and whether its clock is theirs."""
        if self._simulated:
            return []
        urls = (self._settings.meta_graph_url, self._settings.bitrix_oauth_url or f"https://{OFFICIAL_HOSTS[-1]}/")
        return [finding for each in await asyncio.gather(*map(self._platform_clock, urls)) for finding in each]

    async def _platform_clock(self, url: str) -> list[Finding]:
        host = _host(url)
        try:
            off_s = await public_address.clock_off_s(url)
        except Unreachable:
            return [self._line("platform_unreached", good=False, seen=host)]
        if off_s is None:
            return []
        what = f"{WORDS['platform_clock'][self._locale].what}: {host}"
        return [self._line("platform_clock", good=abs(off_s) < CLOCK_S_MAX, seen=f"{abs(off_s):.0f}", what=what)]

    async def _inside(self) -> list[Finding]:
        """What PostgreSQL is set to, and how full it is."""
        from zaptrix.cli.doctor.checks import check_inside

        inside = await check_inside(self._house)
        used = f"{inside.used}/{inside.places}"
        found = [
            self._line("page_writes", good=inside.full_page_writes == "on", seen=inside.full_page_writes),
            self._line("connections", good=inside.used < inside.places * CONNECTIONS_USED_MAX, seen=used, bad=WARNING),
        ]
        if inside.replica is not None:
            state, lag_s = inside.replica
            seen = state.value if lag_s is None else f"{state.value}, {lag_s:.1f} s"
            found.append(self._line("replica", good=state is ReplicaState.FIT, seen=seen, bad=WARNING))
        # Another machine's path may exist on this one, too.
        if inside.folder is not None and _is_here(self._settings.database_url) and inside.folder.is_dir():
            free = shutil.disk_usage(inside.folder).free // 1_000_000
            what = f"{WORDS['disk'][self._locale].what}: PostgreSQL"
            found.append(self._line("disk", good=free >= DISK_FREE_MB_MIN, seen=str(free), what=what))
        return found

    async def _postgres(self) -> list[Finding]:
        if not self._settings.database_url:
            return [self._line("postgres", good=False)]
        try:
            facts = await postgres_fitness.examine(self._settings.database_url, pooled=self._settings.is_pooled)
        except Unfit as exc:
            return [self._faulty("postgres", exc.fault)]
        away_s = abs((datetime.now(UTC) - facts.now).total_seconds())
        safe = facts.fsync == "on" and facts.synchronous_commit != "off"
        durability = f"fsync {facts.fsync}, synchronous_commit {facts.synchronous_commit}"
        fault = postgres_fitness.fault_of(facts, pooled=self._settings.is_pooled)
        return [
            self._faulty("postgres", fault) if fault else self._line("postgres", good=True, seen=str(facts.version)),
            self._line("schema", good=facts.revision is not None, seen=str(facts.revision)),
            self._line("durability", good=safe, seen=durability),
            self._line("clock", good=away_s < CLOCK_S_MAX, seen=f"{away_s:.1f}"),
            *await self._pooler(),
        ]

    async def _pooler(self) -> list[Finding]:
        if not self._settings.is_pooled:
            return []
        fault = await postgres_fitness.direct_fault(self._settings.database_direct_url, self._settings.database_url)
        return [self._faulty("pooler", fault) if fault else self._line("pooler", good=True)]

    async def _redis(self) -> list[Finding]:
        if not self._settings.redis_url:
            return [self._line("redis", good=False)]
        try:
            facts = await redis_fitness.examine(self._settings.redis_url)
        except Unfit as exc:
            return [self._faulty("redis", exc.fault)]
        seen = f"{facts.name} {facts.version}"
        return [
            self._line("redis", good=True, seen=seen if facts.mode == "standalone" else f"{seen}, {facts.mode}"),
            self._line("redis_age", good=version_told(facts.name, facts.version).is_sound, seen=seen, bad=WARNING),
            self._line("eviction", good=facts.policy == "noeviction", seen=facts.policy or "?"),
            self._line("append_only", good=facts.append_only, bad=WARNING),
        ]

    async def _at_work(self) -> list[Finding]:
        """Whether somebody takes webhooks in, and somebody delivers."""
        from zaptrix.cli.doctor.checks import check_at_work

        at_work = await check_at_work(self._house)
        found = [self._line("gateway", good=at_work.gateway)]
        if at_work.idle is not None:
            found.append(self._line("workers", good=not at_work.idle, seen=", ".join(at_work.idle)))
        if at_work.workers:
            found.append(self._releases(at_work.workers))
        return found

    def _releases(self, workers: Sequence[WorkerAtWork]) -> Finding:
        """Which release each worker runs: one that was forgotten goes on with the old one."""
        ours = all(each.version == zaptrix.__version__ for each in workers)
        seen = ", ".join(f"{each.version} ({each.place.host}, {each.place.pid})" for each in workers)
        what = f"{WORDS['release'][self._locale].what}: workers"
        return self._line("release", good=ours, seen=seen, bad=WARNING, what=what)

    async def _media(self) -> list[Finding]:
        """Whether files are where those of the other processes are. In a process of its own, for stores that hang."""
        from zaptrix.cli.shared_store import look_at_media_store

        given = {
            "DATABASE_URL": self._settings.database_url,
            "REDIS_URL": self._house.redis_url,
            "DATA_DIR": str(self._settings.data_dir),
            "ENCRYPTION_KEYS": ",".join(self._house.encryption_keys),
        }
        fault = await look_at_media_store(overlaid(self._environ, given), ANSWER_S)
        return [self._faulty("media", fault) if fault else self._line("media", good=True)]

    async def _stored(self) -> list[Finding]:
        """Stored secrets, and portals that hide their history."""
        from zaptrix.cli.doctor.checks import check_recovery, check_secrets

        found: list[Finding] = []
        if self._settings.encryption_keys:
            sealed = await check_secrets(self._house)
            by_key = [sealed.by_key[place] for place in range(len(self._settings.encryption_keys))]
            lost = ", ".join(sealed.unreadable[:3])
            found.append(self._line("secrets", good=not lost, seen=lost or ", ".join(map(str, by_key))))
            if any(by_key[1:]):
                found.append(self._line("old_key", good=False, seen=str(sum(by_key[1:])), bad=WARNING))
        for portal_url, reason in await check_recovery(self._house):
            what = f"{WORDS['history'][self._locale].what}: {portal_url}"
            found.append(self._line("history", good=False, seen=reason, what=what))
        return found

    async def _tenants(self) -> list[Finding]:
        """Each number's token and each portal's, as the platforms see them."""
        from zaptrix.cli.doctor.checks import check_platforms

        if not self._settings.encryption_keys:
            return []
        return [
            self._line(_kind(trouble or ""), good=trouble is None, seen=trouble or "", what=what)
            for what, trouble in await check_platforms(self._house)
        ]


def _kind(trouble: str) -> str:
    if "override_callback_uri" in trouble:
        return "callback"
    if "WhatsApp Business account" in trouble:
        return "subscription"
    return "unreached" if trouble.startswith(UNREACHED) else "token"


def _is_here(database_url: str) -> bool:
    """Whether PostgreSQL is on this machine: behind a socket, or a loopback address."""
    parts = urlsplit(database_url)
    return is_loopback(parts.hostname) if parts.hostname else "host=/" in unquote(parts.query) or not parts.netloc


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def as_text(findings: list[Finding]) -> str:
    """As a program reads it: {"ok": ..., "findings": [...]}."""
    ok = not any(finding.level == WRONG for finding in findings)
    return msgspec.json.format(msgspec.json.encode({"ok": ok, "findings": findings})).decode()


def _newest_backup_h(folder: Path) -> int | None:
    """How many hours old the newest whole backup in the folder is; None: none is kept there."""
    try:
        times = [path.stat().st_mtime for path in folder.glob("*/manifest.json")]
    except OSError:
        return None
    return int(max(0.0, time.time() - max(times)) // 3600) if times else None
