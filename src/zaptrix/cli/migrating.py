"""`zaptrix migrate`: what it tells while it migrates, and what `--check` and `--sql` say beforehand."""

from __future__ import annotations

import sys

from zaptrix.cli.language import locale
from zaptrix.core.wording.catalog import section
from zaptrix.settings import Settings
from zaptrix.store.schema import fitness
from zaptrix.store.schema.migrate import MigrationWait, Telling, pending, statements, upgrade
from zaptrix.store.schema.schema import Migration, migrations

_WORDS = section("migrate")


async def migrate(settings: Settings) -> None:
    """Raises Unfit."""
    facts = await fitness.examine(settings.session_url)
    titles = {each.revision: each.title for each in migrations()}
    left = [each.revision for each in pending(facts.revision)]
    if facts.revision is not None and facts.revision not in titles:
        _say("later", revision=facts.revision)
        return

    def applied(revision: str) -> None:
        if revision in left:
            left.remove(revision)
        _say("applied", revision=revision, title=titles[revision])

    def waiting(told: MigrationWait) -> None:
        _say("waiting", revision=left[0] if left else "", again_s=told.again_s, holders=told.holders or "-")

    telling = Telling(
        applied=applied, waiting=waiting, doing=lambda seen: _say("doing", seen=seen), busy=lambda: _say("busy")
    )
    await upgrade(settings.session_url, pooled_url=settings.pooled_url, telling=telling)
    _say("newest")


async def check(settings: Settings) -> bool:
    """Whether any migration waits; each is told with what it asks for. Raises Unfit."""
    facts = await fitness.examine(settings.session_url)
    waiting = pending(facts.revision)
    if not waiting:
        known = {each.revision for each in migrations()}
        _say("newest" if facts.revision in known else "later", revision=facts.revision)
    elif facts.revision is None:
        _say("empty", many=len(waiting))
    else:
        for each in waiting:
            _say(_mode(each), revision=each.revision, title=each.title)
    return bool(waiting)


async def sql(settings: Settings) -> str:
    """The statements of the migrations that wait; empty when none does. Raises Unfit."""
    facts = await fitness.examine(settings.session_url)
    return statements(facts.revision) if pending(facts.revision) else ""


def _mode(migration: Migration) -> str:
    return "online" if migration.online else "offline"


def _say(what: str, **values: object) -> None:
    sys.stdout.write(_WORDS[what][locale()].format(**values) + "\n")
    sys.stdout.flush()  # who watches a job of an orchestrator sees it as it comes
