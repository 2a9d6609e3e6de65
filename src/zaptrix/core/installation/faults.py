"""Why a server that the gateway stands on cannot be used as it is, each with its remedy.

The commands refuse to start with these sentences, the doctor lists them, and `/health` tells them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from zaptrix.core.wording.catalog import Locale, text_of


class FaultKind(StrEnum):
    """What is wrong. A kind in `PASSING` may end by itself."""

    POSTGRES_AWAY = "postgres_away"
    POSTGRES_URL = "postgres_url"
    POSTGRES_LOGIN = "postgres_login"
    POSTGRES_NO_DATABASE = "postgres_no_database"
    POSTGRES_TLS = "postgres_tls"
    POSTGRES_TLS_FILE = "postgres_tls_file"
    POSTGRES_POOLER = "postgres_pooler"
    POSTGRES_POOLER_MODE = "postgres_pooler_mode"
    POSTGRES_ROLE = "postgres_role"
    POSTGRES_OTHER = "postgres_other"
    POSTGRES_OLD = "postgres_old"
    POSTGRES_READ_ONLY = "postgres_read_only"
    POSTGRES_ENCODING = "postgres_encoding"
    POSTGRES_UNMIGRATED = "postgres_unmigrated"
    POSTGRES_LATER = "postgres_later"
    POSTGRES_RIGHTS = "postgres_rights"
    POSTGRES_REFUSED = "postgres_refused"
    REDIS_AWAY = "redis_away"
    REDIS_URL = "redis_url"
    REDIS_LOGIN = "redis_login"
    REDIS_TLS = "redis_tls"
    REDIS_RIGHTS = "redis_rights"
    REDIS_DB = "redis_db"
    REDIS_CLUSTER = "redis_cluster"
    REDIS_NO_CLUSTER = "redis_no_cluster"
    REDIS_SENTINEL = "redis_sentinel"
    REDIS_NO_SENTINEL = "redis_no_sentinel"
    REDIS_SERVICE = "redis_service"
    REDIS_SENTINEL_LOGIN = "redis_sentinel_login"
    REDIS_REPLICA = "redis_replica"
    REDIS_OLD = "redis_old"
    REDIS_FULL = "redis_full"
    REDIS_REFUSED = "redis_refused"
    MEDIA_OTHER = "media_other"
    MEDIA_AWAY = "media_away"
    MEDIA_URL = "media_url"
    MEDIA_BUCKET = "media_bucket"
    MEDIA_KEYLESS = "media_keyless"
    MEDIA_LOGIN = "media_login"
    MEDIA_RIGHTS = "media_rights"
    MEDIA_CLOCK = "media_clock"
    MEDIA_REGION = "media_region"
    MEDIA_TLS = "media_tls"
    MEDIA_CA_FILE = "media_ca_file"


PASSING = frozenset({FaultKind.POSTGRES_AWAY, FaultKind.REDIS_AWAY, FaultKind.REDIS_FULL, FaultKind.MEDIA_AWAY})


class FaultWords(NamedTuple):
    """What is wrong, and what to do."""

    told: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.told}; {self.remedy}"


class Fault(NamedTuple):
    """One kind, with what was seen: a version, the names of tables. Never a value of an address."""

    kind: FaultKind
    seen: str = ""
    url: str = "DATABASE_URL"
    """The variable that names a PostgreSQL."""

    @property
    def may_pass(self) -> bool:
        return self.kind in PASSING

    def words(self, locale: Locale) -> FaultWords:
        values = {
            "seen": self.seen,
            "url": self.url,
            "rights": REDIS_RIGHTS,
            "escapes": text_of("faults.escapes", locale),
        }
        return FaultWords(*(each.format_map(values) for each in WORDS[self.kind][locale]))


class Unfit(Exception):
    """A server cannot be used as it is. The text is in English, for logs."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.words(Locale.EN)))
        self.fault = fault


# A cluster's keys begin with a brace. INFO and CLIENT LIST are counted as dangerous, which the rest of it need not be.
REDIS_RIGHTS = (
    "~bull:* ~zx:* ~{* +@read +@write +@scripting +@transaction +@connection -@dangerous "
    "+info +time +client|list +cluster|slots"
)

WORDS: dict[FaultKind, dict[Locale, FaultWords]] = {
    kind: {
        locale: FaultWords(*(text_of(f"faults.{kind}.{part}", locale) for part in FaultWords._fields))
        for locale in Locale
    }
    for kind in FaultKind
}
