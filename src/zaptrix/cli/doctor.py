"""`zaptrix doctor`: is everything that the gateway stands on as it must be, and if not, what to do."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
from redis.exceptions import RedisError
from rich.table import Table

from zaptrix.cli.doctor_words import HEADINGS, LEVELS, WORDS
from zaptrix.cli.folders import open_to_others
from zaptrix.cli.redis_server import version_told
from zaptrix.core.addresses import is_loopback
from zaptrix.core.faults import Fault, Unfit
from zaptrix.core.guessing import guessable
from zaptrix.core.portal import Locale
from zaptrix.queues import fitness as redis_fitness
from zaptrix.settings import Settings, slips
from zaptrix.store import fitness as postgres_fitness

CLOCK_S_MAX = 5.0
DISK_FREE_MB_MIN = 1_000
UNREACHED = ("no_connection", "connection_lost", "timeout")
"""How the platforms' clients begin the trouble of a call that nobody answered."""

OK, WARNING, WRONG = "ok", "warning", "wrong"
_COLOURS = {OK: "green", WARNING: "yellow", WRONG: "red"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `fix` says what to do when it is not good; a warning does not make the doctor fail."""

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
        self._simulated = not settings.has_credentials and is_loopback(_host(settings.meta_graph_url))

    async def examine(self) -> list[Finding]:
        """Never raises for what it examines."""
        found = [*self._given(), *self._machine()]
        postgres, redis = await self._postgres(), await self._redis()
        found += [*postgres, *redis]
        if not any(finding.level == WRONG for finding in postgres):
            found += await self._at_work()
            found += await self._stored()
        return found

    def table(self, findings: list[Finding]) -> Table:
        """As a person reads it."""
        shown = Table(title="zaptrix doctor", show_lines=False)
        for column in HEADINGS[self._locale]:
            shown.add_column(column, overflow="fold")
        for finding in findings:
            sign = f"[{_COLOURS[finding.level]}]{LEVELS[self._locale][finding.level]}[/]"
            shown.add_row(sign, finding.what, finding.told, "" if finding.level == OK else finding.fix)
        return shown

    def _line(self, key: str, *, good: bool, seen: str = "", what: str = "", bad: str = WRONG) -> Finding:
        named, well, ill, fix = WORDS[key][self._locale]
        told = (well if good else ill).format(seen=seen)
        return Finding(level=OK if good else bad, what=what or named, told=told, fix=fix)

    def _faulty(self, key: str, fault: Fault) -> Finding:
        words = fault.words(self._locale)
        return Finding(level=WRONG, what=WORDS[key][self._locale][0], told=words.told, fix=words.remedy)

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
        """The data folder and its disk."""
        folder = self._settings.data_dir
        place = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(place).free // 1_000_000
        found = [self._line("disk", good=free >= DISK_FREE_MB_MIN, seen=str(free))]
        if folder.exists():
            readable = ", ".join(map(str, open_to_others(folder)))
            found.append(self._line("folder", good=not readable, seen=readable))
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
        ]

    async def _redis(self) -> list[Finding]:
        if not self._settings.redis_url:
            return [self._line("redis", good=False)]
        try:
            facts = await redis_fitness.examine(self._settings.redis_url)
        except Unfit as exc:
            return [self._faulty("redis", exc.fault)]
        seen = f"{facts.name} {facts.version}"
        return [
            self._line("redis", good=True, seen=seen),
            self._line("redis_age", good=version_told(facts.name, facts.version).is_sound, seen=seen, bad=WARNING),
            self._line("eviction", good=facts.policy == "noeviction", seen=facts.policy or "?"),
            self._line("append_only", good=facts.append_only),
        ]

    async def _at_work(self) -> list[Finding]:
        """Whether somebody takes webhooks in, and somebody delivers."""
        from zaptrix.cli.checks import check_at_work

        try:
            gateway, idle = await check_at_work(self._settings)
        except (RedisError, OSError, asyncpg.PostgresError):
            return []  # told of by the servers' own lines
        found = [self._line("gateway", good=gateway)]
        if idle is not None:
            found.append(self._line("workers", good=not idle, seen=", ".join(idle)))
        return found

    async def _stored(self) -> list[Finding]:
        """Files; stored secrets; each number's token and each portal's, as the platforms see them."""
        from zaptrix.cli.checks import check_media, check_platforms, check_recovery, check_secrets

        fault = await check_media(self._settings)
        found = [self._faulty("media", fault) if fault else self._line("media", good=True)]
        if self._settings.encryption_keys:
            sealed = await check_secrets(self._settings)
            by_key = [sealed.by_key[place] for place in range(len(self._settings.encryption_keys))]
            lost = ", ".join(sealed.unreadable[:3])
            found.append(self._line("secrets", good=not lost, seen=lost or ", ".join(map(str, by_key))))
            if any(by_key[1:]):
                found.append(self._line("old_key", good=False, seen=str(sum(by_key[1:])), bad=WARNING))
        for portal_url, reason in await check_recovery(self._settings):
            what = f"{WORDS['history'][self._locale][0]}: {portal_url}"
            found.append(self._line("history", good=False, seen=reason, what=what))
        for what, trouble in await check_platforms(self._settings):
            found.append(self._line(_kind(trouble or ""), good=trouble is None, seen=trouble or "", what=what))
        return found


def _kind(trouble: str) -> str:
    if "WhatsApp Business account" in trouble:
        return "subscription"
    return "unreached" if trouble.startswith(UNREACHED) else "token"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
