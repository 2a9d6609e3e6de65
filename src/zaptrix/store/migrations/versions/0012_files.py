"""Files of messages: where each stands on its way, and what Meta keeps of them."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    # One operator's message may carry several files, each a message of its own on WhatsApp.
    "ALTER TABLE message ADD COLUMN part SMALLINT NOT NULL DEFAULT 0",
    "DROP INDEX message_bitrix_id",
    """CREATE UNIQUE INDEX message_bitrix_id ON message (portal_id, bitrix_message_id, part)
    WHERE bitrix_message_id IS NOT NULL""",
    """CREATE TABLE file (
    message_id BIGINT PRIMARY KEY REFERENCES message(id) ON DELETE CASCADE,
    portal_id UUID NOT NULL,
    channel_id UUID NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    state TEXT NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'ready', 'failed')),
    due_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts SMALLINT NOT NULL DEFAULT 0,
    attempt_id UUID,
    promised_at TIMESTAMPTZ,
    blob JSONB,
    sent_as TEXT,
    media_id VARCHAR(64),
    error_code VARCHAR(64),
    error_detail TEXT,
    notice TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
)""",
    "CREATE INDEX file_wanted ON file (due_at) WHERE state = 'wanted'",
    """CREATE TABLE whatsapp_media (
    phone_number_id VARCHAR(32) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    type TEXT NOT NULL,
    media_id VARCHAR(64) NOT NULL,
    uploaded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (phone_number_id, sha256, type)
)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
