"""A self-hosted portal carries its own pace: the cloud's limits are not its limits."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE portal_config ADD COLUMN rate_per_s INTEGER")
