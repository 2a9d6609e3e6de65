"""Bitrix24's error codes, and a refusal with one of them.

Here and not with the portals, because a fault that a test orders may name any of them.
https://apidocs.bitrix24.com/api-reference/errors.html
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(slots=True)
class RestError(Exception):
    code: str
    text: str
    status: int = 400
    argument: str = ""

    def as_dict(self) -> dict[str, Any]:
        argument = {"argument": self.argument} if self.argument else {}
        return {"error": self.code, "error_description": self.text, **argument}


KNOWN: Final = {
    "QUERY_LIMIT_EXCEEDED": ("Too many requests", 503),
    "OPERATION_TIME_LIMIT": ("Method is blocked due to operation time limit.", 429),
    "OVERLOAD_LIMIT": ("REST API is blocked due to overload.", 503),
    "INTERNAL_SERVER_ERROR": ("Internal server error", 500),
    "ERROR_UNEXPECTED_ANSWER": ("Server returned an unexpected response", 500),
    "expired_token": ("The access token provided has expired.", 401),
    "invalid_token": ("Unable to get application by token", 401),
    "NO_AUTH_FOUND": ("Wrong authorization data", 401),
    "ERROR_METHOD_NOT_FOUND": ("Method not found!", 404),
    "ACCESS_DENIED": ("Access denied!", 403),
    "insufficient_scope": ("The request requires higher privileges than provided by the access token", 403),
    "WRONG_AUTH_TYPE": ("Current authorization type is denied for this method Application context required", 403),
    "PAYMENT_REQUIRED": ("Subscription has been ended", 401),
    "APPLICATION_NOT_FOUND": ("Application not found", 401),
    "NOT_ACTIVE_LINE": ("The line is not active or does not exist", 400),
    "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR": ("The connector is not specified correctly", 400),
    "ERROR_EVENT_NOT_FOUND": ("Event not found", 400),
    "ERROR_UNSUPPORTED_PROTOCOL": ("Unsupported event handler protocol", 400),
    "ERROR_WRONG_HANDLER_URL": ("Wrong handler URL", 400),
    "ERROR_BATCH_LENGTH_EXCEEDED": ("Max batch length exceeded", 400),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": ("Method is not allowed for batch usage", 400),
    "ACCESS_ERROR": ("You do not have access to the specified dialog", 400),
    "MISSING_REQUIRED_PARAM": ("A required parameter is missing", 400),
    "INVALID_SESSION_ID": ("Session id is not valid", 400),
    "MESSAGE_EMPTY": ("Message can't be empty", 400),
    "CHAT_ID_EMPTY": ("Chat id can't be empty", 400),
    "NOT_FOUND": ("Not found", 400),
    "INVALID_FORMAT": ("Unknown parameter", 400),
    "CONFIG_ID_EMPTY": ("Config id can't be empty", 400),
    "WRONG_LICENSE": ("The feature is not in the portal's plan", 403),
    "CONNECTION_ERROR": ("Error connecting to authorization server", 500),
    "ERROR_OAUTH": ("The authorization server could not confirm the token", 401),
    "authorization_error": ("Unable to authorize user", 401),
    "user_access_error": ("The user does not have access to the application.", 403),
    "INVALID_CREDENTIALS": ("Invalid request credentials", 403),
    "NOT_INSTALLED": ("Application not installed", 401),
    "PORTAL_DELETED": ("Portal was deleted", 410),
    "METHOD_CONFIRM_WAITING": ("Waiting for confirmation", 401),
    "METHOD_CONFIRM_DENIED": ("Method call denied", 403),
    "INVALID_REQUEST": ("Https required.", 400),
    "WRONG_ENCODING": ("Wrong request encoding", 400),
    "ERROR_ARGUMENT": ("Argument 'MESSAGES' is null or empty", 400),
    "ERROR_CORE": ("Internal error", 400),
    "IMCONNECTOR_NO_CORRECT_PROVIDER": ("Failed to find a suitable provider for the connector", 400),
}
# The OAuth server's own. https://apidocs.bitrix24.com/settings/oauth/error-codes.html
OAUTH: Final = {
    "invalid_request": 400,
    "invalid_client": 400,
    "wrong_client": 200,
    "invalid_grant": 400,
    "insufficient_scope": 403,
    "invalid_scope": 403,
    "PAYMENT_REQUIRED": 400,
    "NOT_INSTALLED": 401,
}


def refusal(code: str, status: int | None = None) -> RestError:
    text, known = KNOWN.get(code, ("", 400))
    return RestError(code, text, status or known)


def missing(argument: str) -> RestError:
    return RestError("ERROR_ARGUMENT", f"Argument '{argument}' is null or empty", 400, argument)
