"""Restores from a backup: from which moment, and what of the time between is known to be missing.

`suspect`: of a message that may have been sent before the restore, which the ledger does not know.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

STATEMENTS = (
    """CREATE TABLE restore (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dumped_at TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    restored_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    inbound INTEGER NOT NULL DEFAULT 0,
    outbound INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0
)""",
    # What is in the chat of a conversation, was written since the dump, and is not in the ledger.
    """CREATE TABLE restore_gap (
    restore_id BIGINT NOT NULL REFERENCES restore(id) ON DELETE CASCADE,
    conversation_id UUID NOT NULL REFERENCES conversation_mapping(id) ON DELETE CASCADE,
    customers INTEGER NOT NULL,
    replies INTEGER NOT NULL,
    PRIMARY KEY (restore_id, conversation_id)
)""",
    "CREATE INDEX restore_gap_conversation ON restore_gap (conversation_id)",
)


def upgrade() -> None:
    # By itself: a transaction that waits for one table holds up who uses the others that it has.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE message ADD COLUMN IF NOT EXISTS suspect BOOLEAN NOT NULL DEFAULT false")
    for statement in STATEMENTS:
        op.execute(statement)
