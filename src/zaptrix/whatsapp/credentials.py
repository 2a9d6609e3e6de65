"""A number's credentials before they are kept: whose number is it, and which account is it of, by Meta's own word.

A number's id is no secret, it stands in every webhook: who gives one has to hold a token that opens it.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/phone-numbers
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from zaptrix.core.access.ownership import Denial, NotOwned
from zaptrix.core.delivery.errors import PlatformError, Refused, Unauthorized
from zaptrix.whatsapp import wire
from zaptrix.whatsapp.client import GraphClient

# Of a page, a user or a file Meta tells no such thing to anybody: it is a number that was answered for.
_FIELDS = "id,display_phone_number,health_status"
_NO_SUCH_OBJECT = ("33", "100/33")
_PER_PAGE = 100
_PAGES_MAX = 50  # an account has a few dozen numbers


class GraphCredentials:
    """`core.ports.NumberCredentials` on the Graph API."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def account_of(self, phone_number_id: str, token: str, waba_id: str | None) -> str | None:
        """The number's WhatsApp Business account; None when it was not given and Meta does not tell this token of it.

        Raises NotOwned when Meta says that the token does not open the number, or that the number is not of `waba_id`;
        another PlatformError when Meta cannot be asked.
        """
        accounts = await self._accounts(phone_number_id, token)
        if waba_id is None:
            return accounts[0] if accounts else None
        if waba_id not in accounts and (accounts or not await self._holds(waba_id, phone_number_id, token)):
            raise NotOwned(Denial.ACCOUNT)
        return waba_id

    async def _accounts(self, phone_number_id: str, token: str) -> list[str]:
        path = f"{quote(phone_number_id, safe='')}?{urlencode({'fields': _FIELDS})}"
        try:
            number = await self._graph.ask(token, path, wire.PhoneNumber)
        except (Unauthorized, Refused) as error:
            raise NotOwned(_denial(error), error.code) from error
        if number.id != phone_number_id or not number.display_phone_number:
            raise NotOwned(Denial.NUMBER)
        entities = number.health_status.entities if number.health_status else []
        return [each.id for each in entities if each.entity_type == "WABA" and each.id.isdigit()]

    async def _holds(self, waba_id: str, phone_number_id: str, token: str) -> bool:
        """Whether the account lists the number, where the number itself does not name its account."""
        after: str | None = None
        for _ in range(_PAGES_MAX):
            query = {"fields": "id", "limit": str(_PER_PAGE)} | ({"after": after} if after else {})
            path = f"{quote(waba_id, safe='')}/phone_numbers?{urlencode(query)}"
            try:
                page = await self._graph.ask(token, path, wire.PhoneNumbers)
            except (Unauthorized, Refused) as error:
                raise NotOwned(Denial.ACCOUNT, error.code) from error
            if any(each.id == phone_number_id for each in page.data):
                return True
            after = page.paging.after if page.paging else None
            if after is None:
                return False
        return False


def _denial(error: PlatformError) -> Denial:
    """A token that is good, and opens other things than this one, or a token that is none."""
    return Denial.NUMBER if error.code in _NO_SUCH_OBJECT or isinstance(error, Refused) else Denial.NUMBER_TOKEN
