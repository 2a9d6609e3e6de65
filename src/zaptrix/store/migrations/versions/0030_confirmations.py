"""Confirmations in a narrow table: what is to be told is no new version of a message's row.

Moves nothing: the sweep takes over what processes of the release before leave in `message.confirm_due_at`. The next
release takes over the rest and drops that column, `confirm_attempts` and the index `message_confirm`.
"""

from alembic import op

revision = "0030"
down_revision = "0029"

_STATEMENTS = (
    # Without a foreign key: it would lock the message's row.
    """CREATE TABLE confirmation (
    message_id BIGINT PRIMARY KEY,
    direction TEXT NOT NULL,
    owner_id UUID NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    attempts SMALLINT NOT NULL DEFAULT 0
)""",
    """CREATE INDEX confirmation_due ON confirmation (direction, (get_byte(uuid_send(owner_id), 15) % 4), due_at)""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
