"""Customers move: a conversation may have had another user id, or have been two.

Where a customer came from is kept.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = (
    # One that was merged stays: an operator may still answer in its chat.
    """ALTER TABLE conversation_mapping
    ADD COLUMN merged_into UUID REFERENCES conversation_mapping(id) ON DELETE CASCADE,
    ADD COLUMN referral JSONB""",
    "CREATE INDEX conversation_merged ON conversation_mapping (merged_into)",
    # Meta may deliver for seven days what was written under a user id that is no more.
    """CREATE TABLE former_identity (
    channel_id UUID NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
    bsuid VARCHAR(150) NOT NULL,
    conversation_id UUID NOT NULL REFERENCES conversation_mapping(id) ON DELETE CASCADE,
    at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (channel_id, bsuid)
)""",
    "CREATE INDEX former_identity_conversation ON former_identity (conversation_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
