"""Errors of the Graph API, in its own envelope.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from zaptrix_sim.world.meta_error_codes import DETAILS, DOCUMENTED


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


UNDELIVERABLE: Final = "131026"


def refusal(code: int, details: str = "", status: int = 400) -> GraphError:
    _, title = DOCUMENTED.get(str(code), (status, "An unknown error occurred"))
    return GraphError(code, title, status=status, details=details or DETAILS.get(str(code), title))


def documented(code: str) -> GraphError:
    """The refusal as Meta documents it: status, title, subcode. Raises KeyError for a code that is not documented."""
    status, title = DOCUMENTED[code]
    number, _, subcode = code.partition("/")
    details = DETAILS.get(code, title)
    return GraphError(int(number), title, status=status, subcode=int(subcode) if subcode else None, details=details)


def told_later(code: str) -> dict[str, Any]:
    """The same refusal as a status webhook tells it: without subcode and trace."""
    number = int(code.partition("/")[0])
    error = documented(code) if code in DOCUMENTED else refusal(number)
    return {
        "code": number,
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
