"""The name of a webhook's item, the key by which two deliveries of it are the same, and the lane it is in.

Pure.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

# A name is a label of metrics, so it comes from a closed list.
_MESSAGE_TYPES = """
    audio button contacts document edit image interactive location order reaction request_welcome revoke sticker system
    text unsupported video
"""
_STATUSES = "sent delivered read played failed deleted warning"
_FIELDS = """
    account_alerts account_review_update account_settings_update account_update automatic_events
    business_capability_update business_status_update business_username_update business_username_updates calls
    consumer_profile flows group_lifecycle_update group_participants_update group_settings_update group_status_update
    history message_echoes message_template_components_update message_template_quality_update
    message_template_status_update messages messaging_handovers partner_solutions payment_configuration_update
    phone_number_name_update phone_number_quality_update security smb_app_state_sync smb_message_echoes standby
    template_category_update template_correct_category_detection tracking_events user_id_update user_preferences
"""
MESSAGE_TYPES = frozenset(_MESSAGE_TYPES.split())
STATUSES = frozenset(_STATUSES.split())
FIELDS = frozenset(_FIELDS.split())

STANDBY = "standby"  # the field of what is said while another app has the conversation
Key = tuple[str | bytes, ...]


def message_name(kind: str, of: str = "messages") -> str:
    return f"{of}.{kind if kind in MESSAGE_TYPES else 'unknown'}"


def status_name(kind: str, status: str) -> str:
    return f"statuses.{'payment' if kind == 'payment' else status if status in STATUSES else 'unknown'}"


def message_key(phone_number_id: str, wamid: str, raw: bytes) -> Key:
    # Another body under the same id is another item: Meta first says that it cannot show a message, and then does.
    return "message", phone_number_id, wamid, raw


def status_key(kind: str, phone_number_id: str, wamid: str, status: str, *, participant: str, raw: bytes) -> Key:
    return "status", kind, phone_number_id, wamid, status, participant, b"" if wamid and status else raw


def digest(key: Key) -> bytes:
    """What makes two deliveries of one item the same. msgpack keeps the parts of `key` apart."""
    return blake2b(msgspec.msgpack.encode(key), digest_size=16).digest()


def lane_owner(text: str) -> str:
    """A lane's name is stored as text and rung as a job's id: nothing strange may come in with it."""
    return text if text.isascii() and text.isalnum() and len(text) <= 32 else "unknown"
