"""What each documented error code has to lead to, by hand from the platforms' documentation and not from our tables.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
https://apidocs.bitrix24.com/error-codes.html
"""

from typing import NamedTuple

# What the operator's line says, in Portuguese and in English.
WORDS = {
    "refused": ("o WhatsApp a recusou", "WhatsApp refused it"),
    "window": ("faz mais de 24 horas", "more than 24 hours"),
    "unreachable": ("não recebe mensagens no WhatsApp", "cannot receive WhatsApp messages"),
    "test_number": ("número de teste", "test number"),
    "blocked": ("lista de bloqueio", "block list"),
    "opted_out": ("não quer receber divulgação", "does not want the company's marketing"),
    "withheld": ("limitou a divulgação", "limits marketing"),
    "country": ("deste país", "in this country"),
    "own_number": ("número da própria empresa", "company's own number"),
    "identity": ("identidade do cliente mudou", "identity has changed"),
    "needs_phone": ("exige o telefone", "needs the customer's phone number"),
    "type": ("não aceita este tipo de mensagem", "does not take this type of message"),
    "file": ("Arquivo não entregue", "File not delivered"),
    "template": ("não pode ser usado agora", "cannot be used now"),
    "fields": ("campos preenchidos não combinam", "what was filled in does not fit"),
    "group": ("é de um grupo", "is a group's"),
    "account": ("tem um impedimento", "has a restriction"),
    "billing": ("problema de pagamento", "payment problem"),
    "spam": ("o número foi restrito", "the number is restricted"),
    "unexpected": ("resposta inesperada", "unexpected answer"),
    "later": ("falhou depois de aceitá-la", "failed after taking it"),
    "on_hold": ("Mensagem em espera", "Message on hold"),
    "lost": ("não pôde ser mostrada aqui", "could not be shown here"),
    "": ("", ""),
}


class Expected(NamedTuple):
    """`verdict` on a call; `said` then in the chat; `said_late` when WhatsApp tells of it after taking the message."""

    verdict: str
    said: str
    said_late: str = ""


def _each(expected: Expected, *codes: object) -> dict[str, Expected]:
    return {str(code): expected for code in codes}


def _refused(said: str, *codes: object) -> dict[str, Expected]:
    return _each(Expected("bury", said, said), *codes)


META: dict[str, Expected] = {
    # The limits: wait, and the operator need not know.
    **_each(Expected("snooze", "", "later"), 4, 17, 32, 613, 80007, 80008, 130429, 131056, 133008, 133009, 133016),
    # Passes by itself.
    **_each(Expected("retry", "", "later"), 2, 131000, 131016, 131057, 133000, 133004, 133015, 134101, 139102, 139103),
    **_each(Expected("retry", "", "later"), 2494100),
    # Somebody has to repair the number or its key.
    **_each(Expected("pause", "on_hold", "account"), 0, 3, 10, 33, "100/33", 104, 190, 200, 294, 299, 368),
    **_each(Expected("pause", "on_hold", "account"), "190/458", "190/460", "190/463", "190/464", "190/467", "190/492"),
    **_each(Expected("pause", "on_hold", "account"), 131005, 131031, 131037, 131045, 133006, 133010),
    **_each(Expected("pause", "on_hold", "billing"), 131042, 131044, 134011),
    **_each(Expected("pause", "on_hold", "spam"), 131048),
    # Without a cause: tried again, then given up with an alarm.
    **_each(Expected("unexpected", "unexpected", "refused"), 1),
    # Never taken as it is.
    **_refused("window", 131047),
    **_refused("unreachable", 131026),
    **_refused("test_number", 131030),
    **_refused("blocked", 130403),
    **_refused("opted_out", 131050),
    **_refused("withheld", 130472, 131049),
    **_refused("country", 130497),
    **_refused("own_number", 131021),
    **_refused("identity", 137000),
    **_refused("needs_phone", 131062),
    **_refused("type", 131051),
    **_refused("file", 131053),
    **_refused("account", 131064),
    **_refused("group", 131020, 131041, 131059, *range(131201, 131216)),
    **_refused("fields", 132000, 132005, 132008, 132012, 132018),
    **_refused("template", 131055, 131063, 131065, 132001, 132007, 132015, 132016, 132068, 132069),
    **_refused("template", 134100, 134102, 134103, 2388019, 2388039),
    **_refused("template", *(f"100/{sub}" for sub in (2388040, 2388047, 2388072, 2388073, 2388293, 2388299))),
    **_refused("refused", 100, 131008, 131009, 131052, 131060, 133005, 135000, 136024, 136025, 139100, 139101),
    **_refused("refused", *range(138000, 138008), 138009, 138012, 138018, 138038, *range(139000, 139005)),
    **_refused("refused", *range(147001, 147006), *range(200005, 200008), 1752041, 2494191),
    **_refused("refused", 2388001, 2388012, 2388091, 2388093, 2388103),
    **_refused("refused", 2593079, 2593085, 2593107, 2593108, 2593109),
}

# A status webhook carries no subcode: its code is what is left.
LATE = {code: expected.said_late for code, expected in META.items() if "/" not in code}

BITRIX24: dict[str, Expected] = {
    **_each(Expected("snooze", ""), "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "OVERLOAD_LIMIT"),
    **_each(Expected("retry", ""), "CONNECTION_ERROR", "expired_token"),
    **_each(Expected("verify", ""), "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"),
    **_each(Expected("pause portal", ""), "invalid_token", "NO_AUTH_FOUND", "ERROR_OAUTH", "authorization_error"),
    **_each(Expected("pause portal", ""), "APPLICATION_NOT_FOUND", "NOT_INSTALLED", "PAYMENT_REQUIRED"),
    **_each(Expected("pause portal", ""), "PORTAL_DELETED", "user_access_error", "WRONG_AUTH_TYPE", "INVALID_REQUEST"),
    **_each(Expected("pause portal", ""), "METHOD_CONFIRM_WAITING", "METHOD_CONFIRM_DENIED", "ACCESS_DENIED"),
    **_each(Expected("pause portal", ""), "insufficient_scope", "INVALID_CREDENTIALS", "WRONG_LICENSE"),
    **_each(Expected("pause portal", ""), "ERROR_METHOD_NOT_FOUND"),
    **_each(Expected("pause line", ""), "NOT_ACTIVE_LINE", "IMCONNECTOR_NO_CORRECT_PROVIDER"),
    **_each(Expected("pause line", ""), "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR"),
    **_each(Expected("bury", "lost"), "ACCESS_ERROR", "MESSAGE_EMPTY", "CHAT_ID_EMPTY"),
    **_each(Expected("unexpected", "lost"), "ERROR_ARGUMENT", "ERROR_CORE", "WRONG_ENCODING"),
    **_each(Expected("unexpected", "lost"), "ERROR_BATCH_LENGTH_EXCEEDED", "ERROR_BATCH_METHOD_NOT_ALLOWED"),
}

# What the OAuth server says to a refresh; each holds the portal.
OAUTH = ("invalid_grant", "invalid_client", "wrong_client", "invalid_scope")
