"""Bitrix24's error codes, as rows. Data only.

Statuses differ between documentation, versions and plans, so a code counts for more than the status beside it, and its
case counts for nothing. https://apidocs.bitrix24.com/error-codes.html
"""

from __future__ import annotations

from zaptrix.core.codes import Both, Kind, Rule

PAGE = "https://apidocs.bitrix24.com/error-codes.html"
_LIMITS = "https://apidocs.bitrix24.com/limits.html"
_OAUTH = "https://apidocs.bitrix24.com/settings/oauth/error-codes.html"
_MESSAGE = "https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html"
_CONNECTOR = "https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/index.html"

_LOST = "inbound_lost"

_REAUTHORISE = Both(
    "A autorização do portal não vale mais. Reinstale o aplicativo no Bitrix24 ou grave tokens novos pela API; o que "
    "está na fila segue sozinho.",
    "The portal's authorisation is no longer valid. Install the app in Bitrix24 again, or set new tokens by the API; "
    "what is waiting goes on by itself.",
)
_RIGHTS = Both(
    "Faltam direitos: confira os escopos do aplicativo (imopenlines, imconnector, im, crm), se quem o instalou é "
    "administrador e se o plano do portal inclui REST; depois reinstale.",
    "Rights are missing: check the app's scopes (imopenlines, imconnector, im, crm), that who installed it is an "
    "administrator, and that the portal's plan includes REST; then install it again.",
)
_DEFECT = Both(
    "O Bitrix24 não aceitou um campo da chamada. Veja o detalhe e abra um chamado no Zaptrix.",
    "Bitrix24 did not accept a field of the call. Look at the detail and report it to Zaptrix.",
)

RULES: tuple[Rule, ...] = (
    Rule(
        ("QUERY_LIMIT_EXCEEDED",),
        Kind.TOO_FAST,
        Both(
            "O portal recebe chamadas demais. A entrega continua sozinha; veja se outro programa no mesmo servidor usa "
            "o portal.",
            "The portal gets too many calls. Delivery goes on by itself; see whether another program on the same "
            "server uses the portal.",
        ),
        wait_s=1.5,
        page=_LIMITS,
    ),
    Rule(
        ("OPERATION_TIME_LIMIT",),
        Kind.TOO_FAST,
        Both(
            "O método gastou seu tempo de 10 minutos no portal. A entrega continua sozinha quando a janela anda.",
            "The method has used up its time of 10 minutes on the portal. Delivery goes on when the window moves on.",
        ),
        wait_s=60.0,  # when the answer does not tell when the window moves on
        page=_LIMITS,
    ),
    Rule(
        ("OVERLOAD_LIMIT",),
        Kind.TOO_FAST,
        Both(
            "O Bitrix24 bloqueou a REST do portal por sobrecarga. Fale com o suporte do Bitrix24.",
            "Bitrix24 has blocked the portal's REST for overload. Talk to Bitrix24's support.",
        ),
        wait_s=3600.0,
        page=_LIMITS,
    ),
    Rule(
        ("CONNECTION_ERROR", "expired_token"),
        Kind.UNAVAILABLE,
        Both(
            "O portal não alcançou seu servidor de autorização; o Zaptrix tenta de novo.",
            "The portal did not reach its authorisation server; Zaptrix tries again.",
        ),
        page=_OAUTH,
    ),
    Rule(
        ("INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"),
        Kind.UNCLEAR,
        Both(
            "Falha interna do portal; o Zaptrix confere no histórico antes de repetir. Se persistir, fale com o "
            "suporte do Bitrix24.",
            "An internal failure of the portal; Zaptrix looks into the history before it repeats. If it goes on, talk "
            "to Bitrix24's support.",
        ),
    ),
    Rule(
        ("invalid_token", "NO_AUTH_FOUND", "ERROR_OAUTH", "authorization_error", "invalid_grant"),
        Kind.PORTAL,
        _REAUTHORISE,
        page=_OAUTH,
    ),
    Rule(
        ("invalid_client", "wrong_client"),
        Kind.PORTAL,
        Both(
            "client_id ou client_secret não são os do aplicativo. Corrija-os no portal.",
            "client_id or client_secret are not the app's. Correct them on the portal.",
        ),
        page=_OAUTH,
    ),
    Rule(
        ("APPLICATION_NOT_FOUND", "NOT_INSTALLED"),
        Kind.PORTAL,
        Both(
            "O aplicativo foi removido do portal. Instale-o de novo.",
            "The app was removed from the portal. Install it again.",
        ),
        page=_OAUTH,
    ),
    Rule(
        ("PAYMENT_REQUIRED",),
        Kind.PORTAL,
        Both(
            "A assinatura do portal ou do aplicativo venceu. Renove-a no Bitrix24.",
            "The subscription of the portal or of the app has run out. Renew it in Bitrix24.",
        ),
        page=_OAUTH,
    ),
    Rule(
        ("PORTAL_DELETED",),
        Kind.PORTAL,
        Both(
            "O portal não existe mais. Remova-o do Zaptrix, se não voltar.",
            "The portal is gone. Remove it from Zaptrix, unless it comes back.",
        ),
    ),
    Rule(
        ("user_access_error", "WRONG_AUTH_TYPE", "invalid_scope"),
        Kind.PORTAL,
        _RIGHTS,
        page=_OAUTH,
    ),
    Rule(
        ("METHOD_CONFIRM_WAITING", "METHOD_CONFIRM_DENIED"),
        Kind.PORTAL,
        Both(
            "O portal pede que um administrador confirme o método do aplicativo. Confirme-o no Bitrix24.",
            "The portal wants an administrator to confirm the app's method. Confirm it in Bitrix24.",
        ),
    ),
    Rule(
        ("INVALID_REQUEST",),
        Kind.PORTAL,
        Both(
            "O endereço do portal está em http; a REST só aceita https. Corrija o endereço.",
            "The portal's address is http; REST takes https only. Correct the address.",
        ),
    ),
    # Rights that are missing for the connector hold the portal; elsewhere they only cost what was asked for.
    Rule(
        ("ACCESS_DENIED", "insufficient_scope", "INVALID_CREDENTIALS", "WRONG_LICENSE", "ERROR_METHOD_NOT_FOUND"),
        Kind.PORTAL,
        _RIGHTS,
        elsewhere=Kind.REFUSED,
    ),
    Rule(
        ("NOT_ACTIVE_LINE",),
        Kind.CHANNEL,
        Both(
            "A linha aberta foi apagada ou desligada. Ligue o conector a uma linha e repare o canal.",
            "The open line was deleted or switched off. Join the connector to a line and repair the channel.",
        ),
        page=_CONNECTOR,
    ),
    Rule(
        ("IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR", "IMCONNECTOR_NO_CORRECT_PROVIDER"),
        Kind.CHANNEL,
        Both(
            "O conector não está registrado no portal. Repare o canal, que o registra de novo.",
            "The connector is not registered on the portal. Repair the channel, which registers it again.",
        ),
        page=_CONNECTOR,
    ),
    # A line into the chat.
    Rule(
        ("ACCESS_ERROR", "CHAT_ID_EMPTY", "MESSAGE_EMPTY"),
        Kind.REFUSED,
        Both(
            "O chat não aceita a mensagem: foi apagado, ou o aplicativo não participa dele. Confira a conversa.",
            "The chat does not take the message: it was deleted, or the app has no part in it. Look at the "
            "conversation.",
        ),
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
        Kind.UNEXPECTED,
        _DEFECT,
    ),
)
