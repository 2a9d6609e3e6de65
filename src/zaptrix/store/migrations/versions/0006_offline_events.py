"""Offline events: a portal's own queue of operators' messages, as a second way to what no event told of."""

from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = """
ALTER TABLE portal_config ADD COLUMN offline_events BOOLEAN NOT NULL DEFAULT false;

-- The queue of a portal. bound_at NULL: the event is not bound to it. keeps: whether the plan lets rows stay until they
-- are cleared; NULL: not asked yet. asking: rows were asked for and are not known to be cleared.
CREATE TABLE offline_queue (
    portal_id UUID PRIMARY KEY REFERENCES portal_config(id) ON DELETE CASCADE,
    bound_at TIMESTAMPTZ,
    keeps BOOLEAN,
    asking BOOLEAN NOT NULL DEFAULT false,
    asked_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    next_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    refused_reason TEXT
)
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
