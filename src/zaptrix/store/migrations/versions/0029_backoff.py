"""Which portals and channels are left alone, and until when, as every process sees it."""

from alembic import op

revision = "0029"
down_revision = "0028"

# No foreign key: `lane_id` is a portal's id, for what goes to Bitrix24, or a channel's.
_BACKOFF = """
CREATE TABLE backoff (
    lane_id UUID PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL
)
"""


def upgrade() -> None:
    op.execute(_BACKOFF)
