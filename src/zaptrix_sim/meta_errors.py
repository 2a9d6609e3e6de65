"""The Graph API's refusals, in its own envelope.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final


@dataclass(slots=True)
class GraphError(Exception):
    code: int
    message: str
    status: int = 400
    subcode: int | None = None
    details: str = ""
    transient: bool = False
    user_text: str = ""

    def as_dict(self) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.message}",
            "type": "OAuthException",
            "code": self.code,
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.user_text:
            error |= {"error_user_title": "Template could not be created", "error_user_msg": self.user_text}
        if self.transient:
            error["is_transient"] = True
        return {"error": error | {"fbtrace_id": "A" + secrets.token_urlsafe(16)}}


UNDELIVERABLE: Final = 131026
TITLES: Final = {
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131030: "Recipient phone number not in allowed list",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "Message not delivered to maintain healthy ecosystem engagement",
    131051: "Unsupported message type",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Account in maintenance mode",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132012: "Parameter format does not match format in the created template",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "Template parameter validation failed",
}
DETAILS: Final = {
    130429: "Message failed to send because there were too many messages sent from this phone number in a short period"
    " of time.",
    131047: "Message failed to send because more than 24 hours have passed since the customer last replied to this"
    " number.",
    131056: "Message failed to send because there were too many messages sent from this phone number to the same phone"
    " number in a short period of time.",
}


def refusal(code: int, details: str = "", status: int = 400) -> GraphError:
    title = TITLES.get(code, "An unknown error occurred")
    return GraphError(code, title, status=status, details=details or DETAILS.get(code, title))


def told_later(code: int) -> dict[str, Any]:
    """The same refusal as a status webhook tells it."""
    error = refusal(code)
    return {
        "code": code,
        "title": error.message,
        "message": error.message,
        "error_data": {"details": error.details},
        "href": "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes",
    }


def no_token() -> GraphError:
    return GraphError(104, "An access token is required to request this resource.", status=401)


def bad_token() -> GraphError:
    return GraphError(190, "Invalid OAuth access token - Cannot parse access token", status=401)


def expired_token() -> GraphError:
    return GraphError(190, "Error validating access token: Session has expired.", status=401, subcode=463)


def unknown_object(object_id: str) -> GraphError:
    return GraphError(
        100,
        f"Unsupported request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation",
        subcode=33,
    )


def bad_parameter(text: str) -> GraphError:
    return GraphError(100, text, details=text)
