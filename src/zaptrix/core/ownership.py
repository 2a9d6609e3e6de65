"""Ownership: what is unique across tenants is taken only by whom the platform itself says that it is theirs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from zaptrix.core.codes import Both
from zaptrix.core.errors import PlatformError


class Denial(StrEnum):
    """What a platform says against it."""

    NUMBER_TOKEN = "number_token_refused"  # noqa: S105
    NUMBER = "number_not_opened"
    ACCOUNT = "another_account"
    PORTAL_TOKEN = "portal_token_refused"  # noqa: S105
    ADDRESS = "not_a_portal"
    MEMBER = "another_portal"
    APPLICATION = "another_application"


TOLD: Final = {
    Denial.NUMBER_TOKEN: Both(
        "A Meta recusa este token. Gere um token de usuário do sistema com whatsapp_business_management e "
        "whatsapp_business_messaging para a conta do número, e envie-o de novo.",
        "Meta refuses this token. Make a system user's token with whatsapp_business_management and "
        "whatsapp_business_messaging for the number's account, and send it again.",
    ),
    Denial.NUMBER: Both(
        "O token não abre este número. Confira phone_number_id no Gerenciador do WhatsApp (é o identificador, não o "
        "número) e dê ao token acesso à conta dele.",
        "The token does not open this number. Check phone_number_id in WhatsApp Manager (it is the id, not the "
        "number), and give the token access to its account.",
    ),
    Denial.ACCOUNT: Both(
        "O número não é desta conta do WhatsApp Business, ou o token não a abre. Confira waba_id, ou deixe-o de fora.",
        "The number is not of this WhatsApp Business account, or the token does not open it. Check waba_id, or leave "
        "it out.",
    ),
    Denial.PORTAL_TOKEN: Both(
        "O Bitrix24 recusa estes tokens. Autorize o aplicativo de novo no portal e envie o novo par.",
        "Bitrix24 refuses these tokens. Authorise the application in the portal again, and send the new pair.",
    ),
    Denial.ADDRESS: Both(
        "Neste endereço não responde um portal do Bitrix24. Confira portal_url e client_endpoint.",
        "No Bitrix24 portal answers at this address. Check portal_url and client_endpoint.",
    ),
    Denial.MEMBER: Both(
        "Os tokens são de outro portal. Confira member_id, ou autorize o aplicativo no portal certo.",
        "The tokens are another portal's. Check member_id, or authorise the application in the right portal.",
    ),
    Denial.APPLICATION: Both(
        "Os tokens são de outro aplicativo. Confira client_id, ou envie os tokens do aplicativo certo.",
        "The tokens are another application's. Check client_id, or send the right application's tokens.",
    ),
}


class NotOwned(PlatformError):
    """The platform says that it is not the caller's. `code` is the platform's own where it gave one."""

    def __init__(self, denial: Denial, code: str = "") -> None:
        super().__init__(code or denial, TOLD[denial].en)
        self.denial = denial
