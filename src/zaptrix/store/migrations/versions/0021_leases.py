"""What one process does at a time, and until when it is its own to do."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("CREATE TABLE lease (name TEXT PRIMARY KEY, holder UUID NOT NULL, ends_at TIMESTAMPTZ NOT NULL)")
