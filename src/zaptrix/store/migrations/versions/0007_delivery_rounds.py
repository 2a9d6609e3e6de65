"""Delivery goes in rounds: who of a round has something due is found by the round."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "DROP INDEX message_due",
    """CREATE INDEX message_due ON message (direction, (get_byte(uuid_send(lane_id), 15) % 16), lane_id, due_at)
    WHERE state IN ('pending', 'verifying')""",
    "DROP INDEX message_confirm",
    """CREATE INDEX message_confirm ON message (direction,
    (get_byte(uuid_send((CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END)), 15) % 16), confirm_due_at)
    WHERE confirm_due_at IS NOT NULL""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
