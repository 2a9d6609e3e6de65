"""Meta's codes of messages and templates: rows of the table in `codes`. Data only."""

from __future__ import annotations

from zaptrix.core.codes import Both, Kind, Rule

_DEFECT = Both(
    "A Meta não aceitou um campo do envio. Veja o detalhe; se não for o conteúdo nem o número do cliente, abra um "
    "chamado no Zaptrix com o código e o rastro (trace).",
    "Meta did not accept a field of the request. Look at the detail; if it is neither the content nor the customer's "
    "number, report it to Zaptrix with the code and the trace.",
)
_TEMPLATE = Both(
    "Os parâmetros não combinam com a definição do modelo. Confira quantidade, formato e mídia no modelo aprovado.",
    "The parameters do not fit the template's definition. Check number, format and media in the approved template.",
)
_MARKETING = Both(
    "Este caminho só aceita modelos de marketing (Marketing Messages API). Confira a categoria do modelo.",
    "This way takes marketing templates only (Marketing Messages API). Check the template's category.",
)
_GROUPS = Both(
    "Erro de grupos do WhatsApp, que o Zaptrix não usa para enviar. Confira o grupo no Gerenciador do WhatsApp.",
    "An error of WhatsApp groups, which Zaptrix does not send to. Check the group in WhatsApp Manager.",
)
_INBOUND = Both(
    "A Meta não conseguiu ler o que o cliente enviou. Peça ao cliente que envie de novo.",
    "Meta could not read what the customer sent. Ask the customer to send it again.",
)

RULES: tuple[Rule, ...] = (
    Rule((100, 131008, 131009, 135000), Kind.REFUSED, _DEFECT),
    Rule(
        (131047,),
        Kind.REFUSED,
        Both(
            "Fora das 24 horas só saem modelos (templates). Aprove um modelo de retomada no Gerenciador do WhatsApp.",
            "Outside the 24 hours only templates go out. Have a re-engagement template approved in WhatsApp Manager.",
        ),
        "window_closed",
    ),
    Rule(
        (131026,),
        Kind.REFUSED,
        Both(
            "O número não está no WhatsApp, não aceitou os termos novos ou usa um aplicativo antigo; a Meta não diz "
            "qual. Confira o número com o cliente.",
            "The number is not on WhatsApp, has not accepted the new terms, or runs an old app; Meta does not say "
            "which. Check the number with the customer.",
        ),
        "unreachable",
    ),
    Rule(
        (131030,),
        Kind.REFUSED,
        Both(
            "Número de teste: cadastre o destinatário na lista da Meta (até 5) ou use um número de produção. No "
            "Brasil, cadastre com e sem o nono dígito.",
            "A test number: add the recipient to the list at Meta (up to 5), or use a production number. In Brazil, "
            "add it with and without the ninth digit.",
        ),
        "test_number",
    ),
    Rule(
        (130403,),
        Kind.REFUSED,
        Both(
            "O cliente está na lista de bloqueio da empresa. Desbloqueie-o no Gerenciador do WhatsApp.",
            "The customer is on the company's block list. Unblock them in WhatsApp Manager.",
        ),
        "blocked",
    ),
    Rule(
        (131050,),
        Kind.REFUSED,
        Both(
            "O cliente pediu para não receber marketing desta empresa. Tire-o das campanhas.",
            "The customer has opted out of this company's marketing. Take them out of campaigns.",
        ),
        "opted_out",
    ),
    Rule(
        (131049,),
        Kind.REFUSED,
        Both(
            "A Meta limita quanto marketing cada cliente recebe. Não insista: espere ao menos 24 horas.",
            "Meta limits how much marketing each customer gets. Do not insist: wait 24 hours at least.",
        ),
        "withheld",
    ),
    Rule(
        (130472,),
        Kind.REFUSED,
        Both(
            "O cliente está num experimento da Meta e não recebe marketing agora. Não insista.",
            "The customer is in an experiment of Meta's and gets no marketing for now. Do not insist.",
        ),
        "withheld",
    ),
    Rule(
        (130497,),
        Kind.REFUSED,
        Both(
            "A conta não pode enviar mensagens a clientes deste país. Veja as regras por país no Suporte da Empresa.",
            "The account may not message customers in this country. See the rules by country in Business Support.",
        ),
        "country",
    ),
    Rule(
        (131064,),
        Kind.REFUSED,
        Both(
            "O limite caiu porque modelos foram classificados errado; passa sozinho. Corrija a categoria dos modelos.",
            "The limit fell because templates were given a wrong category; it lifts by itself. Correct the category.",
        ),
        "account",
    ),
    Rule(
        (131021,),
        Kind.REFUSED,
        Both(
            "O destinatário é o próprio número do canal. Corrija o telefone do contato.",
            "The recipient is the channel's own number. Correct the contact's phone.",
        ),
        "own_number",
    ),
    Rule(
        (137000,),
        Kind.REFUSED,
        Both(
            "A identidade do cliente no WhatsApp mudou (aparelho ou número novo). Confirme com ele quem é.",
            "The customer's identity on WhatsApp has changed (new phone or number). Confirm with them who they are.",
        ),
        "identity",
    ),
    Rule(
        (131062,),
        Kind.REFUSED,
        Both(
            "Este tipo de mensagem exige o telefone do cliente, que ele esconde. Peça o número a ele.",
            "This kind of message needs the customer's phone number, which is hidden. Ask for the number.",
        ),
        "needs_phone",
    ),
    Rule(
        (131051,),
        Kind.REFUSED,
        Both(
            "O WhatsApp não aceita este tipo de mensagem. Envie como texto ou documento.",
            "WhatsApp does not take this type of message. Send it as text or as a document.",
        ),
        "type_refused",
    ),
    Rule((131052, 131060), Kind.REFUSED, _INBOUND),
    Rule(
        (131053,),
        Kind.REFUSED,
        Both(
            "A Meta não conseguiu ler o arquivo: confira formato, tamanho e codec.",
            "Meta could not read the file: check its format, size and codec.",
        ),
        "file_refused",
    ),
    Rule((131055, 134100), Kind.REFUSED, _MARKETING, "template"),
    Rule(
        (131063,),
        Kind.REFUSED,
        Both(
            "Modelos de marketing estão desligados na Cloud API desta conta; use a Marketing Messages API ou religue.",
            "Marketing templates are off on this account's Cloud API; use the Marketing Messages API, or turn them on.",
        ),
        "template",
    ),
    Rule(
        (131065,),
        Kind.REFUSED,
        Both(
            "O preço máximo por mensagem não existe neste país. Envie sem ele.",
            "A maximum price for a message does not exist in this country. Send without it.",
        ),
        "template",
    ),
    Rule((131020, 131041, 131059, range(131201, 131216)), Kind.REFUSED, _GROUPS, "group"),
    Rule((132000, 132008, 132012, 132018), Kind.REFUSED, _TEMPLATE, "template_fields"),
    Rule(
        (132001, 134102, 134103),
        Kind.REFUSED,
        Both(
            "O modelo não existe neste idioma, não está aprovado ou não pode ser usado. Confira nome, idioma e "
            "situação no Gerenciador do WhatsApp.",
            "The template does not exist in this language, is not approved or cannot be used. Check name, language and "
            "status in WhatsApp Manager.",
        ),
        "template",
    ),
    Rule(
        (132005,),
        Kind.REFUSED,
        Both(
            "Com os parâmetros o texto do modelo ficou longo demais. Encurte os parâmetros.",
            "With its parameters the template's text is too long. Shorten the parameters.",
        ),
        "template_fields",
    ),
    Rule(
        (132007,),
        Kind.REFUSED,
        Both(
            "O conteúdo do modelo viola a política da Meta. Reescreva o modelo.",
            "The template's content violates Meta's policy. Write it anew.",
        ),
        "template",
    ),
    Rule(
        (132015, 132016),
        Kind.REFUSED,
        Both(
            "A Meta pausou ou desativou o modelo por baixa qualidade. Edite-o ou use outro.",
            "Meta has paused or disabled the template for low quality. Edit it, or use another.",
        ),
        "template",
    ),
    Rule(
        (132068, 132069),
        Kind.REFUSED,
        Both(
            "O Flow está bloqueado ou limitado a 10 mensagens por hora. Corrija-o no Gerenciador do WhatsApp.",
            "The Flow is blocked, or held to 10 messages an hour. Repair it in WhatsApp Manager.",
        ),
        "template",
    ),
    Rule(
        (134101,),
        Kind.UNAVAILABLE,
        Both(
            "O modelo ainda está sincronizando (até 10 minutos). Nada a fazer.",
            "The template is still being synchronised (up to 10 minutes). Nothing to do.",
        ),
    ),
    # Meta gives templates' errors this range.
    Rule((range(132000, 132100),), Kind.REFUSED, _TEMPLATE, "template"),
)
