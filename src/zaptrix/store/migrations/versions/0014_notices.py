"""Which line an operator was told of a message."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("ALTER TABLE message ADD COLUMN notice_id BIGINT")
