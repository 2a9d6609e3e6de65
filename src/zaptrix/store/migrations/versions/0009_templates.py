"""Templates as Meta keeps them, by WhatsApp Business account; when each channel has fetched them; what Meta changed.

A channel sees an account's templates only after its own token has fetched them: to name an account proves nothing.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = """
CREATE TABLE template (
    waba_id VARCHAR(32) NOT NULL,
    id VARCHAR(32) NOT NULL,
    name VARCHAR(512) NOT NULL,
    language VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    category VARCHAR(64) NOT NULL,
    quality VARCHAR(64) NOT NULL,
    definition JSONB NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (waba_id, id)
);
CREATE INDEX template_name ON template (waba_id, name, language);

CREATE TABLE template_list (
    channel_id UUID PRIMARY KEY REFERENCES channel(id) ON DELETE CASCADE,
    waba_id VARCHAR(32) NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    stale BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX template_list_waba ON template_list (waba_id);

CREATE TABLE template_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    waba_id VARCHAR(32) NOT NULL,
    template_id VARCHAR(32) NOT NULL,
    name VARCHAR(512) NOT NULL,
    language VARCHAR(64) NOT NULL,
    what VARCHAR(16) NOT NULL,
    old VARCHAR(64),
    new VARCHAR(64) NOT NULL,
    reason VARCHAR(64),
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX template_change_waba ON template_change (waba_id, id);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
