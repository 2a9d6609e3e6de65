"""Routing goes in rounds, each of many tenants: their events are found by the round that ends a lane's name."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("DROP INDEX event_new")
    op.execute("CREATE INDEX event_new ON event (source, split_part(lane, '.', -1), id) WHERE state = 'new'")
