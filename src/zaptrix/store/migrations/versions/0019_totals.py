"""How many messages each queue has delivered, over all hosts."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("CREATE TABLE queue_total (queue VARCHAR(32) PRIMARY KEY, completed BIGINT NOT NULL)")
