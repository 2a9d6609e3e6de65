"""Restores from a backup: from which moment, and what of the time between is known to be missing.

`suspect`: of a message that may have been sent before the restore, which the ledger does not know.
"""

from alembic import op

from zaptrix.store.schema.online_ddl import backfill

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
    # What was found in the chat of a conversation, was written since the dump, and was not in the ledger: WhatsApp's id
    # of a customer's message, the portal's of an operator's.
    """CREATE TABLE restore_gap (
    restore_id BIGINT NOT NULL REFERENCES restore(id) ON DELETE CASCADE,
    conversation_id UUID NOT NULL REFERENCES conversation_mapping(id) ON DELETE CASCADE,
    key VARCHAR(255) NOT NULL,
    customers BOOLEAN NOT NULL,
    PRIMARY KEY (restore_id, conversation_id, key)
)""",
    "CREATE INDEX restore_gap_conversation ON restore_gap (conversation_id)",
)


def upgrade() -> None:
    # Each by itself: a transaction that waits for one table holds up who uses the others that it has.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE message ADD COLUMN IF NOT EXISTS suspect BOOLEAN NOT NULL DEFAULT false")
        # A conversation's id follows from its customer, so that whom a restore has forgotten gets the same chat again;
        # and from this, so that nobody who reads the id can tell whose it is.
        op.execute("ALTER TABLE channel ADD COLUMN IF NOT EXISTS salt UUID")
        op.execute("ALTER TABLE channel ALTER COLUMN salt SET DEFAULT gen_random_uuid()")
    backfill(
        "UPDATE channel SET salt = gen_random_uuid() WHERE id IN (SELECT id FROM channel WHERE salt IS NULL LIMIT 1000)"
    )
    for statement in STATEMENTS:
        op.execute(statement)
