"""Bitrix24's error codes, as rows of a table.

Statuses differ between documentation, versions and plans, so a code counts for more than the status beside it, and its
case counts for nothing. Data only.
https://apidocs.bitrix24.com/error-codes.html
"""

from __future__ import annotations

from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.error_codes import ErrorClass, Rule

PAGE = "https://apidocs.bitrix24.com/error-codes.html"
_LIMITS = "https://apidocs.bitrix24.com/limits.html"
_OAUTH = "https://apidocs.bitrix24.com/settings/oauth/error-codes.html"
_MESSAGE = "https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html"
_CONNECTOR = "https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/index.html"

_LOST = "inbound_lost"

_REAUTHORISE = Sentence("fixes.bitrix24.reauthorise")
_RIGHTS = Sentence("fixes.bitrix24.rights")
_DEFECT = Sentence("fixes.bitrix24.defect")

RULES: tuple[Rule, ...] = (
    Rule(
        ("QUERY_LIMIT_EXCEEDED",),
        ErrorClass.TOO_FAST,
        Sentence("fixes.bitrix24.QUERY_LIMIT_EXCEEDED"),
        wait_s=1.5,
        page=_LIMITS,
    ),
    Rule(
        ("OPERATION_TIME_LIMIT",),
        ErrorClass.TOO_FAST,
        Sentence("fixes.bitrix24.OPERATION_TIME_LIMIT"),
        wait_s=60.0,  # when the answer does not tell when the window moves on
        page=_LIMITS,
    ),
    Rule(
        ("OVERLOAD_LIMIT",),
        ErrorClass.TOO_FAST,
        Sentence("fixes.bitrix24.OVERLOAD_LIMIT"),
        wait_s=3600.0,
        page=_LIMITS,
    ),
    Rule(
        ("CONNECTION_ERROR", "expired_token"),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.bitrix24.CONNECTION_ERROR"),
        page=_OAUTH,
    ),
    Rule(
        ("INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"),
        ErrorClass.UNCLEAR,
        Sentence("fixes.bitrix24.INTERNAL_SERVER_ERROR"),
    ),
    Rule(
        ("invalid_token", "NO_AUTH_FOUND", "ERROR_OAUTH", "authorization_error", "invalid_grant"),
        ErrorClass.PORTAL,
        _REAUTHORISE,
        page=_OAUTH,
    ),
    Rule(
        ("invalid_client", "wrong_client"),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.invalid_client"),
        page=_OAUTH,
    ),
    Rule(
        ("APPLICATION_NOT_FOUND", "NOT_INSTALLED"),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.APPLICATION_NOT_FOUND"),
        page=_OAUTH,
    ),
    Rule(
        ("PAYMENT_REQUIRED",),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.PAYMENT_REQUIRED"),
        page=_OAUTH,
    ),
    Rule(
        ("PORTAL_DELETED",),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.PORTAL_DELETED"),
    ),
    Rule(
        ("user_access_error", "WRONG_AUTH_TYPE", "invalid_scope"),
        ErrorClass.PORTAL,
        _RIGHTS,
        page=_OAUTH,
    ),
    Rule(
        ("METHOD_CONFIRM_WAITING", "METHOD_CONFIRM_DENIED"),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.METHOD_CONFIRM_WAITING"),
    ),
    Rule(
        ("INVALID_REQUEST",),
        ErrorClass.PORTAL,
        Sentence("fixes.bitrix24.INVALID_REQUEST"),
    ),
    # Rights that are missing for the connector hold the portal; elsewhere they only cost what was asked for.
    Rule(
        ("ACCESS_DENIED", "insufficient_scope", "INVALID_CREDENTIALS", "WRONG_LICENSE", "ERROR_METHOD_NOT_FOUND"),
        ErrorClass.PORTAL,
        _RIGHTS,
        elsewhere=ErrorClass.REFUSED,
    ),
    Rule(
        ("NOT_ACTIVE_LINE",),
        ErrorClass.CHANNEL,
        Sentence("fixes.bitrix24.NOT_ACTIVE_LINE"),
        page=_CONNECTOR,
    ),
    Rule(
        ("IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR", "IMCONNECTOR_NO_CORRECT_PROVIDER"),
        ErrorClass.CHANNEL,
        Sentence("fixes.bitrix24.IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR"),
        page=_CONNECTOR,
    ),
    # A line into the chat.
    Rule(
        ("ACCESS_ERROR", "CHAT_ID_EMPTY", "MESSAGE_EMPTY"),
        ErrorClass.REFUSED,
        Sentence("fixes.bitrix24.ACCESS_ERROR"),
        _LOST,
        page=_MESSAGE,
    ),
    Rule(
        (
            "ERROR_ARGUMENT",
            "ERROR_CORE",
            "WRONG_ENCODING",
            "ERROR_BATCH_LENGTH_EXCEEDED",
            "ERROR_BATCH_METHOD_NOT_ALLOWED",
        ),
        ErrorClass.UNEXPECTED,
        _DEFECT,
    ),
)
