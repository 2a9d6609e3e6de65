"""Operators' edits and deletions: the last one that the operator was told of, so that each is told once."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE message ADD COLUMN told_change BYTEA")
