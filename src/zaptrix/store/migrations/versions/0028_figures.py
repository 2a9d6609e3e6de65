"""What one worker works out for all: figures of the gateway, and how often customers write to a number in an hour."""

from alembic import op

revision = "0028"
down_revision = "0027"

_STATEMENTS = (
    """CREATE TABLE figure (
    name TEXT PRIMARY KEY,
    value DOUBLE PRECISION NOT NULL,
    good_until TIMESTAMPTZ NOT NULL
)""",
    """CREATE TABLE channel_hour (
    hour TIMESTAMPTZ NOT NULL,
    channel_id UUID NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
    messages INTEGER NOT NULL,
    PRIMARY KEY (hour, channel_id)
)""",
    "CREATE INDEX channel_hour_channel ON channel_hour (channel_id)",
    # Up to which message the hours are counted.
    """CREATE TABLE channel_hour_count (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    message_id BIGINT NOT NULL
)""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
