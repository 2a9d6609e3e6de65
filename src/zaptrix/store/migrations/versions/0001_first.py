"""The first schema: tenants, conversations, the journal of events, the ledger of messages.

`portal_config` and `conversation_mapping` keep the brief's names and columns. What differs, and why:
- secrets are stored encrypted, so their columns are TEXT;
- times carry their zone;
- `bitrix_contact_id` and `bitrix_chat_id` may be empty: a conversation is in the ledger before Bitrix24 knows of it;
- a mapping is unique in its channel: one customer who writes to two numbers of a portal has two conversations.
"""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE portal_config (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    portal_url VARCHAR(255) UNIQUE NOT NULL,
    member_id VARCHAR(64) UNIQUE NOT NULL,
    client_id VARCHAR(255) NOT NULL,
    client_secret TEXT NOT NULL,
    client_endpoint VARCHAR(255) NOT NULL,
    oauth_host VARCHAR(255),
    access_token TEXT,
    refresh_token TEXT,
    token_expiration_time TIMESTAMPTZ,
    application_token TEXT NOT NULL,
    locale VARCHAR(8) NOT NULL DEFAULT 'pt-BR',
    enterprise BOOLEAN NOT NULL DEFAULT false,
    paused_at TIMESTAMPTZ,
    paused_reason TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE channel (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    portal_id UUID NOT NULL REFERENCES portal_config(id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    phone_number_id VARCHAR(32) UNIQUE NOT NULL,
    display_phone_number VARCHAR(32) NOT NULL,
    waba_id VARCHAR(32),
    access_token TEXT NOT NULL,
    line_id INTEGER NOT NULL,
    rate_per_s INTEGER NOT NULL DEFAULT 80,
    crm_mode VARCHAR(16) NOT NULL DEFAULT 'line',
    operator_prefix BOOLEAN NOT NULL DEFAULT false,
    mark_read BOOLEAN NOT NULL DEFAULT true,
    registered_at TIMESTAMPTZ,
    registered_url VARCHAR(255),
    registration_error TEXT,
    whatsapp_paused_at TIMESTAMPTZ,
    whatsapp_paused_reason TEXT,
    line_paused_at TIMESTAMPTZ,
    line_paused_reason TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX channel_portal ON channel (portal_id);

CREATE TABLE conversation_mapping (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    portal_id UUID NOT NULL REFERENCES portal_config(id) ON DELETE CASCADE,
    channel_id UUID NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
    meta_whatsapp_id VARCHAR(150) NOT NULL,
    bsuid VARCHAR(150),
    wa_id VARCHAR(20),
    phone VARCHAR(20),
    username VARCHAR(64),
    contact_name VARCHAR(255),
    bitrix_contact_id BIGINT,
    bitrix_chat_id BIGINT,
    bitrix_session_id BIGINT,
    window_expires_at TIMESTAMPTZ,
    last_message_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (portal_id, channel_id, meta_whatsapp_id)
);
CREATE UNIQUE INDEX conversation_bsuid ON conversation_mapping (channel_id, bsuid) WHERE bsuid IS NOT NULL;
CREATE INDEX conversation_wa_id ON conversation_mapping (channel_id, wa_id);
CREATE INDEX conversation_phone ON conversation_mapping (channel_id, phone);
CREATE INDEX conversation_recent ON conversation_mapping (portal_id, last_message_at DESC, id DESC);

-- The journal: each webhook item as it came. A day is a partition, so that forgetting is a DROP.
CREATE SEQUENCE event_id;
CREATE TABLE event (
    received_on DATE NOT NULL DEFAULT (now() AT TIME ZONE 'utc')::date,
    id BIGINT NOT NULL DEFAULT nextval('event_id'),
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    key BYTEA NOT NULL,
    lane TEXT NOT NULL,
    body BYTEA NOT NULL,
    request_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    routed_at TIMESTAMPTZ,
    PRIMARY KEY (received_on, id)
) PARTITION BY RANGE (received_on);
CREATE UNIQUE INDEX event_key ON event (received_on, key);
CREATE INDEX event_new ON event (source, lane, id) WHERE state = 'new';
CREATE INDEX event_unroutable ON event (id) WHERE state = 'unroutable';
-- Should the chore that makes tomorrow's partition ever fail, nothing is refused.
CREATE TABLE event_default PARTITION OF event DEFAULT;

-- The ledger. `lane_id` is where the message goes: the portal when inbound, the channel when outbound.
CREATE TABLE message (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal_id UUID NOT NULL,
    channel_id UUID NOT NULL,
    conversation_id UUID NOT NULL REFERENCES conversation_mapping(id) ON DELETE CASCADE,
    lane_id UUID NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    kind TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('customer', 'operator', 'api', 'gateway')),
    content JSONB NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sending', 'verifying', 'sent', 'delivered', 'read', 'dead', 'dismissed')),
    due_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts SMALLINT NOT NULL DEFAULT 0,
    attempt_id UUID,
    claimed_at TIMESTAMPTZ,
    whatsapp_id VARCHAR(255),
    bitrix_chat_id BIGINT,
    bitrix_message_id BIGINT,
    error_code VARCHAR(64),
    error_detail TEXT,
    request_id TEXT NOT NULL,
    written_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    sent_at TIMESTAMPTZ,
    delivered_at TIMESTAMPTZ,
    read_at TIMESTAMPTZ,
    dead_at TIMESTAMPTZ,
    confirm_due_at TIMESTAMPTZ,
    confirm_attempts SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX message_conversation ON message (conversation_id, id);
CREATE INDEX message_open ON message (lane_id, conversation_id, id)
    WHERE state IN ('pending', 'sending', 'verifying');
CREATE INDEX message_due ON message (lane_id, due_at) WHERE state IN ('pending', 'verifying');
CREATE INDEX message_verifying ON message (lane_id, due_at) WHERE state = 'verifying';
CREATE INDEX message_sending ON message (claimed_at) WHERE state = 'sending';
CREATE INDEX message_dead ON message (portal_id, id) WHERE state = 'dead';
CREATE INDEX message_confirm ON message ((CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END),
    confirm_due_at) WHERE confirm_due_at IS NOT NULL;
CREATE UNIQUE INDEX message_whatsapp_id ON message (channel_id, whatsapp_id) WHERE whatsapp_id IS NOT NULL;
CREATE UNIQUE INDEX message_bitrix_id ON message (portal_id, bitrix_message_id) WHERE bitrix_message_id IS NOT NULL;

-- Failures only: what went well stands in the message itself.
CREATE TABLE attempt (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id BIGINT NOT NULL REFERENCES message(id) ON DELETE CASCADE,
    number SMALLINT NOT NULL,
    verdict TEXT NOT NULL,
    code VARCHAR(64) NOT NULL,
    detail TEXT NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX attempt_message ON attempt (message_id, id);

-- Receipts that were here before their message's WhatsApp id was.
CREATE TABLE parked_receipt (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id UUID NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
    whatsapp_id VARCHAR(255) NOT NULL,
    status TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    code VARCHAR(64),
    detail TEXT,
    parked_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (channel_id, whatsapp_id, status)
);

CREATE TABLE api_key (
    id VARCHAR(16) PRIMARY KEY,
    hash BYTEA NOT NULL,
    name VARCHAR(255) NOT NULL,
    portal_id UUID REFERENCES portal_config(id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX api_key_portal ON api_key (portal_id);

CREATE TABLE idempotency (
    api_key_id VARCHAR(16) NOT NULL REFERENCES api_key(id) ON DELETE CASCADE,
    key VARCHAR(255) NOT NULL,
    fingerprint BYTEA NOT NULL,
    message_id BIGINT NOT NULL REFERENCES message(id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (api_key_id, key)
);
CREATE INDEX idempotency_message ON idempotency (message_id);

CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL DEFAULT now(),
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail JSONB NOT NULL DEFAULT '{}'
);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
