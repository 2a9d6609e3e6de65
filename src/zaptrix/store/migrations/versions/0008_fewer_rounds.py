"""Fewer rounds of delivery: at a moderate rate there was hardly more than one message in each."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    "DROP INDEX message_due",
    """CREATE INDEX message_due ON message (direction, (get_byte(uuid_send(lane_id), 15) % 4), lane_id, due_at)
    WHERE state IN ('pending', 'verifying')""",
    "DROP INDEX message_confirm",
    """CREATE INDEX message_confirm ON message (direction,
    (get_byte(uuid_send((CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END)), 15) % 4), confirm_due_at)
    WHERE confirm_due_at IS NOT NULL""",
    # What waits to be routed keeps its order: a round of sixteen is one of four, by the remainder.
    """UPDATE event SET lane = regexp_replace(lane, '[0-9]+$', '') || split_part(lane, '.', -1)::int % 4
    WHERE state IN ('new', 'held') AND lane ~ '[.][0-9]+$'""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
