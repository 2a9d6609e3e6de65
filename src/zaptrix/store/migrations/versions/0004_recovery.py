"""Recovery: what tells that the gateway was away, and how far each portal's history was looked at since."""

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = """
-- One row: the last sign of life of any gateway. NULL: none has ever run.
CREATE TABLE gateway_beat (one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one), at TIMESTAMPTZ);
INSERT INTO gateway_beat (at) VALUES (NULL);

-- A portal's last outage of ours, and when its conversations are looked at next without one.
CREATE TABLE recovery (
    portal_id UUID PRIMARY KEY REFERENCES portal_config(id) ON DELETE CASCADE,
    away_from TIMESTAMPTZ,
    away_until TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    next_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    refused_reason TEXT
);
CREATE INDEX recovery_open ON recovery (next_at) WHERE away_until IS NOT NULL AND ended_at IS NULL;

ALTER TABLE conversation_mapping ADD COLUMN looked_at TIMESTAMPTZ, ADD COLUMN looked_message_id BIGINT;
ALTER TABLE message ADD COLUMN late BOOLEAN NOT NULL DEFAULT false;

-- Events that wait until the history of their conversation was looked at.
CREATE INDEX event_held ON event (received_at) WHERE state = 'held'
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
