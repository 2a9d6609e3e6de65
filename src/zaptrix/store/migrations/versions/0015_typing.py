"""Channels: whether customers are shown that an answer is being prepared."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("ALTER TABLE channel ADD COLUMN typing BOOLEAN NOT NULL DEFAULT true")
