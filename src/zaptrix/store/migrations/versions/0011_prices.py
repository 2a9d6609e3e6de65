"""What Meta charges a message as, voice messages that were played, and which windows an operator was reminded of."""

from alembic import op

revision = "0011"
down_revision = "0010"

# NOT VALID: what is there already keeps to it, and the whole ledger need not be read while it is locked.
STATEMENTS = (
    """
    ALTER TABLE message ADD COLUMN played_at TIMESTAMPTZ, ADD COLUMN price_category VARCHAR(64),
        ADD COLUMN price_type VARCHAR(64), ADD COLUMN price_model VARCHAR(64), ADD COLUMN price_billable BOOLEAN,
        DROP CONSTRAINT message_state_check, ADD CONSTRAINT message_state_check CHECK (state IN
            ('pending', 'sending', 'verifying', 'sent', 'delivered', 'read', 'played', 'dead', 'dismissed')) NOT VALID
    """,
    "ALTER TABLE parked_receipt ADD COLUMN pricing JSONB",
    "ALTER TABLE conversation_mapping ADD COLUMN window_reminded_at TIMESTAMPTZ",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
