"""The new events of each tenant by themselves, so that a backlog of one does not hold up the others of its round."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX event_new_of_lane ON event (source, split_part(lane, '.', -1), lane, id) WHERE state = 'new'"
    )
