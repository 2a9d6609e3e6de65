"""What a migration would hold up, by its SQL: squawk's rules, and what squawk does not look at."""

import json
import re
from pathlib import Path

from tests.programs import answered
from zaptrix.store.schema.schema import Migration

# Each session has its time-outs (`store/migrations/env.py`), and how columns are called is no matter here.
_LEFT_OUT = (
    "require-lock-timeout", "require-statement-timeout", "prefer-bigint-over-int", "prefer-bigint-over-smallint",
    "prefer-text-field", "prefer-identity", "prefer-robust-stmts", "prefer-timestamp-tz", "ban-char-field",
)  # fmt: skip
# What a release takes away that no running code uses any more: its migration says from which code on it is so.
_CONTRACT = ("ban-drop-column", "ban-drop-table", "ban-drop-not-null")
_BESIDES = {
    r"^(VACUUM|CLUSTER|TRUNCATE|LOCK|REFRESH)\b": "stops everybody who uses the table",
    r"^REINDEX (?!.*CONCURRENTLY)": "stops everybody who uses the table",
    r"^ALTER TABLE .*\bSET (UN)?LOGGED\b": "writes the table anew",
    r"^ALTER TABLE .*\bSET (ACCESS METHOD|TABLESPACE)\b": "writes the table anew",
    r"^(UPDATE|DELETE FROM) (?!alembic_version)(?!.*\bLIMIT\b)": "changes all rows at once: backfill",
    r"^INSERT INTO (?!alembic_version).*\bSELECT\b(?!.*\bLIMIT\b)": "copies all rows at once: backfill",
}
# Code of the release before goes on writing: what it may not write any more is taken away from it, too.
_TIGHTENS = re.compile(
    r"^(ALTER TABLE .*\b(ADD CONSTRAINT|SET NOT NULL)\b|CREATE UNIQUE INDEX)", re.IGNORECASE | re.DOTALL
)
_TABLE = re.compile(r"^(?:ALTER TABLE(?: ONLY)?(?: IF EXISTS)?|CREATE TRIGGER .*? ON|DROP TABLE) (\w+)", re.DOTALL)
_REFERENCED = re.compile(r"REFERENCES (\w+)")  # a foreign key stops writers of what it points at
_MADE = re.compile(r"CREATE TABLE(?: IF NOT EXISTS)? (\w+)")


def judged(sql: str, migration: Migration, folder: Path) -> list[str]:
    """What is wrong with the statements of a migration; empty when it may run beside a busy house."""
    file = folder / f"{migration.revision}.sql"
    file.write_text(sql, encoding="utf-8")
    left_out = (*_LEFT_OUT, *(_CONTRACT if migration.works_from else ()))
    _, told = answered("squawk", "--pg-version=14", "--reporter=json", f"--exclude={','.join(left_out)}", file)
    found = [f"{each['rule_name']}: {each['message']}" for each in json.loads(told)]
    found += [f"{why}: {each[:60]}" for each in _statements(sql) for why in _besides(each)]
    made = set(_MADE.findall(sql))
    if not migration.works_from:
        tight = [
            each for each in _statements(sql) if _TIGHTENS.match(each) and not made & set(re.findall(r"\w+", each))
        ]
        found += [f"older code may write what this refuses, say works_from: {each[:60]}" for each in tight]
    return found + _together(sql)


def _statements(sql: str) -> list[str]:
    bare = re.sub(r"^\s*--.*$", "", sql, flags=re.MULTILINE)
    return [each.strip() for each in bare.split(";") if each.strip()]


def _besides(statement: str) -> list[str]:
    return [why for pattern, why in _BESIDES.items() if re.search(pattern, statement, re.IGNORECASE | re.DOTALL)]


def _together(sql: str) -> list[str]:
    """While a transaction waits for one table it holds the others that it changed before: each on its own."""
    made, held, open_, found = set(_MADE.findall(sql)), set[str](), False, list[str]()
    for statement in _statements(sql):
        if statement in {"BEGIN", "COMMIT"}:
            held, open_ = set(), statement == "BEGIN"
        now = held | {*_TABLE.findall(statement), *_REFERENCED.findall(statement)} - made
        if len(now) > max(1, len(held)):
            found.append(f"one transaction holds {', '.join(sorted(now))}: an autocommit block, or two migrations")
        held = now if open_ else set()
    return found
