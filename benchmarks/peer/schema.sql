-- The brief's two tables, with the columns that its flows need and do not name: which portal a number belongs to, on
-- which line it answers, and the keys for both platforms.
CREATE TABLE portal_config (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    portal_url VARCHAR(255) UNIQUE NOT NULL,
    client_id VARCHAR(255) NOT NULL,
    client_secret VARCHAR(255) NOT NULL,
    access_token TEXT,
    refresh_token TEXT,
    token_expiration_time TIMESTAMP,
    created_at TIMESTAMP DEFAULT NOW(),
    updated_at TIMESTAMP DEFAULT NOW(),
    member_id VARCHAR(64) UNIQUE NOT NULL,
    application_token VARCHAR(255) NOT NULL,
    client_endpoint VARCHAR(255) NOT NULL,
    connector_id VARCHAR(64) NOT NULL,
    line_id INTEGER NOT NULL,
    phone_number_id VARCHAR(32) UNIQUE NOT NULL,
    number_token VARCHAR(255) NOT NULL
);

CREATE TABLE conversation_mapping (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    portal_id UUID NOT NULL REFERENCES portal_config(id) ON DELETE CASCADE,
    meta_whatsapp_id VARCHAR(50) NOT NULL,
    bitrix_contact_id BIGINT,
    bitrix_chat_id BIGINT,
    contact_name VARCHAR(255),
    last_message_at TIMESTAMP DEFAULT NOW(),
    created_at TIMESTAMP DEFAULT NOW(),
    updated_at TIMESTAMP DEFAULT NOW(),
    UNIQUE (portal_id, meta_whatsapp_id)
);
-- The brief looks conversations up by their chat, too.
CREATE INDEX conversation_chat ON conversation_mapping (portal_id, bitrix_chat_id);
