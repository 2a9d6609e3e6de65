"""Meta's codes of the platform, the account and the number: rows of the table in `codes`. Data only."""

from __future__ import annotations

from zaptrix.core.codes import Both, Kind, Rule

GRAPH_PAGE = "https://developers.facebook.com/docs/graph-api/guides/error-handling"

_TOKEN = Both(
    "O token da Meta não vale mais. Gere um token de usuário do sistema, sem validade, e grave-o no canal; o que está "
    "na fila segue sozinho.",
    "Meta's token is no longer valid. Make a system user token that does not expire and set it on the channel; what "
    "is waiting goes on by itself.",
)
_MAINTENANCE = Both(
    "A Meta está em manutenção ou com o número em atualização; passa em minutos. Veja metastatus.com.",
    "Meta, or the number, is in maintenance; it passes within minutes. See metastatus.com.",
)
_REGISTER = Both(
    "O número precisa ser registrado de novo na Cloud API (verificação e PIN) no Gerenciador do WhatsApp.",
    "The number has to be registered with the Cloud API again (verification and PIN) in WhatsApp Manager.",
)

RULES: tuple[Rule, ...] = (
    Rule((0, 104, 190), Kind.CHANNEL, _TOKEN),
    Rule(
        ("190/463",),
        Kind.CHANNEL,
        Both(
            "O token da Meta expirou. Use um token de usuário do sistema, que não expira, e grave-o no canal.",
            "Meta's token has expired. Use a system user token, which does not expire, and set it on the channel.",
        ),
        page=GRAPH_PAGE,
    ),
    Rule(
        ("190/458",),
        Kind.CHANNEL,
        Both(
            "O aplicativo foi removido da empresa na Meta. Adicione-o de novo e grave um token novo no canal.",
            "The app was removed from the business at Meta. Add it again and set a new token on the channel.",
        ),
        page=GRAPH_PAGE,
    ),
    Rule(
        ("190/460", "190/464", "190/467", "190/492"),
        Kind.CHANNEL,
        Both(
            "O token caiu porque a pessoa dele trocou a senha, saiu ou não está confirmada. Use um token de usuário do "
            "sistema e grave-o no canal.",
            "The token fell because its person changed the password, left or is not confirmed. Use a system user "
            "token and set it on the channel.",
        ),
        page=GRAPH_PAGE,
    ),
    Rule(
        (3, 10, range(200, 300), 131005),
        Kind.CHANNEL,
        Both(
            "Falta permissão: dê whatsapp_business_messaging ao aplicativo e a conta do WhatsApp ao usuário do "
            "sistema; depois gere um token novo e grave-o no canal.",
            "A permission is missing: grant whatsapp_business_messaging to the app and the WhatsApp account to the "
            "system user; then make a new token and set it on the channel.",
        ),
    ),
    Rule(
        (33, "100/33"),
        Kind.CHANNEL,
        Both(
            "O número não existe mais ou o token não o alcança. Confira o phone_number_id do canal e os ativos do "
            "usuário do sistema.",
            "The number is gone, or the token does not reach it. Check the channel's phone_number_id and the system "
            "user's assets.",
        ),
    ),
    Rule(
        (368,),
        Kind.CHANNEL,
        Both(
            "A Meta bloqueou a conta por violação de política. Veja o motivo no Suporte da Empresa e peça revisão.",
            "Meta has blocked the account for a policy violation. See the reason in Business Support and ask for a "
            "review.",
        ),
    ),
    Rule(
        (131031,),
        Kind.CHANNEL,
        Both(
            "A conta está bloqueada ou o PIN de duas etapas não pôde ser conferido. Veja o Suporte da Empresa.",
            "The account is locked, or its two-step PIN could not be checked. See Business Support.",
        ),
    ),
    Rule(
        (131037,),
        Kind.CHANNEL,
        Both(
            "O nome de exibição do número não foi aprovado. Ajuste-o no Gerenciador do WhatsApp e aguarde a aprovação.",
            "The number's display name is not approved. Change it in WhatsApp Manager and wait for the approval.",
        ),
    ),
    Rule(
        (131042, 131044),
        Kind.CHANNEL,
        Both(
            "Há um problema de pagamento na Meta. Confira forma de pagamento, limite, moeda e fuso da conta do "
            "WhatsApp Business.",
            "There is a payment problem at Meta. Check payment method, credit line, currency and time zone of the "
            "WhatsApp Business account.",
        ),
        "billing",
    ),
    Rule((131045, 133006, 133010), Kind.CHANNEL, _REGISTER),
    Rule(
        (131048,),
        Kind.CHANNEL,
        Both(
            "O número está restrito porque muitos clientes o bloquearam ou denunciaram. Veja a qualidade no "
            "Gerenciador do WhatsApp e pare os envios em massa.",
            "The number is restricted because many customers blocked or reported it. See its quality in WhatsApp "
            "Manager and stop bulk sending.",
        ),
        "spam",
    ),
    Rule(
        (134011,),
        Kind.CHANNEL,
        Both(
            "Os termos de pagamento da Meta não foram aceitos. Aceite-os no Gerenciador do WhatsApp.",
            "Meta's payments terms have not been accepted. Accept them in WhatsApp Manager.",
        ),
        "billing",
    ),
    Rule(
        (4, 17, 32, 613),
        Kind.TOO_FAST,
        Both(
            "O aplicativo passou do limite de chamadas da Meta. O envio continua sozinho; veja se outro programa usa "
            "o mesmo aplicativo.",
            "The app has met Meta's limit of calls. Sending goes on by itself; see whether another program uses the "
            "same app.",
        ),
        wait_s=60.0,
        page=GRAPH_PAGE,
    ),
    Rule(
        (80007, 80008),
        Kind.TOO_FAST,
        Both(
            "A conta do WhatsApp Business passou do limite de chamadas por hora. O envio continua sozinho.",
            "The WhatsApp Business account has met its hourly limit of calls. Sending goes on by itself.",
        ),
        wait_s=60.0,
    ),
    Rule(
        (130429,),
        Kind.TOO_FAST,
        Both(
            "O número passou do seu limite de mensagens por segundo. O envio continua sozinho; veja se outro programa "
            "envia pelo mesmo número e confira o rate_per_s do canal.",
            "The number has met its limit of messages a second. Sending goes on by itself; see whether another program "
            "sends on this number, and check the channel's rate.",
        ),
        wait_s=1.0,
    ),
    Rule(
        (131056,),
        Kind.TOO_FAST,
        Both(
            "Mensagens demais para o mesmo cliente em pouco tempo. O envio continua sozinho.",
            "Too many messages to one customer within a short time. Sending goes on by itself.",
        ),
        wait_s=6.0,
    ),
    Rule(
        (1,),
        Kind.UNEXPECTED,
        Both(
            "Erro sem nome na Meta. Se persistir, abra um chamado na Meta com o rastro (trace) do detalhe.",
            "An error without a name at Meta. If it goes on, open a case at Meta with the trace in the detail.",
        ),
    ),
    Rule(
        (2, 131000, 131016, 133004),
        Kind.UNAVAILABLE,
        Both(
            "Falha do lado da Meta; o Zaptrix tenta de novo. Veja metastatus.com.",
            "A failure on Meta's side; Zaptrix tries again. See metastatus.com.",
        ),
    ),
    Rule((131057, 2494100), Kind.UNAVAILABLE, _MAINTENANCE),
    Rule(
        (133000, 133015),
        Kind.UNAVAILABLE,
        Both(
            "O número acaba de ser removido ou a remoção não terminou. Aguarde cinco minutos e registre-o de novo.",
            "The number was removed moments ago, or its removal did not end. Wait five minutes and register it again.",
        ),
    ),
)
