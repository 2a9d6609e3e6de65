"""What each portal uses of the gateway in a day; and what a deleted tenant leaves, until it is erased."""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = (
    """CREATE TABLE portal_usage (
    portal_id UUID NOT NULL REFERENCES portal_config(id) ON DELETE CASCADE,
    day DATE NOT NULL,
    journal_bytes BIGINT NOT NULL DEFAULT 0,
    file_bytes BIGINT NOT NULL DEFAULT 0,
    recoding_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (portal_id, day)
)""",
    "CREATE INDEX portal_usage_day ON portal_usage (day)",
    """CREATE TABLE erasure_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL
)""",
    "CREATE TABLE erasure_blob (key TEXT PRIMARY KEY)",
    "CREATE INDEX audit_at ON audit (at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
