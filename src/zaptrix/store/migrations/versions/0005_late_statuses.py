"""Until when statuses that Meta could not deliver during an outage of ours may still be on their way."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE gateway_beat ADD COLUMN statuses_until TIMESTAMPTZ")
