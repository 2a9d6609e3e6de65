"""Moves of customers that found nobody: looked at again when one of their number is made."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute("CREATE INDEX event_move ON event (lane) WHERE state = 'ignored' AND name = 'messages.system'")
