"""What the gateway tells the operator, in the chat, in the portal's language: what happened and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN

NOTICES: dict[str, dict[Locale, str]] = {
    "refused": {
        _PT: "Mensagem não entregue no WhatsApp: o WhatsApp a recusou (código {code}). Confira o conteúdo e o número.",
        _EN: "Message not delivered on WhatsApp: WhatsApp refused it (code {code}). Check the content and the number.",
    },
    "window_closed": {
        _PT: "Mensagem não entregue no WhatsApp: faz mais de 24 horas que o cliente não escreve. "
        "Envie um modelo (template) aprovado ou aguarde o cliente escrever (código {code}).",
        _EN: "Message not delivered on WhatsApp: the customer has not written for more than 24 hours. "
        "Send an approved template, or wait until the customer writes (code {code}).",
    },
    "too_long": {
        _PT: "Mensagem não entregue no WhatsApp: ela passa de {limit} caracteres. Divida o texto e envie de novo.",
        _EN: "Message not delivered on WhatsApp: it is over {limit} characters. Split the text and send it again.",
    },
    "unreachable": {
        _PT: "Mensagem não entregue no WhatsApp: este número não recebe mensagens no WhatsApp ou o cliente precisa "
        "atualizar o aplicativo (código {code}).",
        _EN: "Message not delivered on WhatsApp: this number cannot receive WhatsApp messages, or the customer has to "
        "update the app (code {code}).",
    },
    "test_number": {
        _PT: "Mensagem não entregue no WhatsApp: este canal usa um número de teste, que só alcança os contatos "
        "cadastrados na Meta (código {code}). Avise o administrador.",
        _EN: "Message not delivered on WhatsApp: this channel has a test number, which only reaches contacts listed "
        "at Meta (code {code}). Tell the administrator.",
    },
    "blocked": {
        _PT: "Mensagem não entregue no WhatsApp: o contato está bloqueado ou recusou mensagens da empresa "
        "(código {code}).",
        _EN: "Message not delivered on WhatsApp: the contact is blocked or has declined the company's messages "
        "(code {code}).",
    },
    "account": {
        _PT: "Mensagem não entregue no WhatsApp: a conta do WhatsApp Business tem um impedimento (código {code}). "
        "Avise o administrador.",
        _EN: "Message not delivered on WhatsApp: the WhatsApp Business account has a restriction (code {code}). "
        "Tell the administrator.",
    },
    "unavailable": {
        _PT: "Mensagem não entregue no WhatsApp: o serviço ficou indisponível em todas as tentativas (código {code}). "
        "Envie de novo mais tarde ou peça ao administrador que a reenvie.",
        _EN: "Message not delivered on WhatsApp: the service was unavailable in every attempt (code {code}). "
        "Send it again later, or ask the administrator to revive it.",
    },
    "unclear": {
        _PT: "Não foi possível confirmar se a mensagem chegou ao WhatsApp (código {code}). "
        "Confira com o cliente antes de enviar de novo.",
        _EN: "It could not be confirmed whether the message reached WhatsApp (code {code}). "
        "Check with the customer before you send it again.",
    },
    "unexpected": {
        _PT: "Mensagem não entregue no WhatsApp: resposta inesperada (código {code}). O administrador foi avisado.",
        _EN: "Message not delivered on WhatsApp: unexpected answer (code {code}). The administrator has been alerted.",
    },
    "unsupported": {
        _PT: "Este tipo de conteúdo ainda não pode ser enviado ao WhatsApp por aqui. Envie como texto.",
        _EN: "This kind of content cannot be sent to WhatsApp from here yet. Send it as text.",
    },
    "inbound_lost": {
        _PT: "Uma mensagem do cliente não pôde ser mostrada aqui (código {code}). Peça ao cliente que a reenvie; "
        "o administrador pode recuperá-la.",
        _EN: "A message of the customer could not be shown here (code {code}). Ask the customer to send it again; "
        "the administrator can recover it.",
    },
    "late_reply": {
        _PT: "Com atraso: 1 resposta que não tinha chegado ao gateway segue agora para o cliente.",
        _EN: "Late: 1 reply that had not reached the gateway is going to the customer now.",
    },
    "late_replies": {
        _PT: "Com atraso: {count} respostas que não tinham chegado ao gateway seguem agora para o cliente.",
        _EN: "Late: {count} replies that had not reached the gateway are going to the customer now.",
    },
    "too_late": {
        _PT: "Não enviado ao cliente: {count} resposta(s) com mais de {hours} horas que não tinham chegado ao gateway. "
        "Confira a conversa e envie de novo o que ainda valer.",
        _EN: "Not sent to the customer: {count} reply or replies older than {hours} hours that had not reached the "
        "gateway. Look at the conversation, and send again what still holds.",
    },
    "late_file": {
        _PT: "Não enviado ao cliente: {count} resposta(s) com arquivo, que não tinham chegado ao gateway. "
        "Envie o arquivo de novo.",
        _EN: "Not sent to the customer: {count} reply or replies with a file that had not reached the gateway. "
        "Send the file again.",
    },
    "sent_by_api": {
        _PT: "Enviado ao cliente pela integração: {text}",
        _EN: "Sent to the customer by the integration: {text}",
    },
}


def notice_text(code: str, params: Mapping[str, str], locale: Locale) -> str:
    """The line for the operator. An unknown code falls back to the plainest true sentence."""
    texts = NOTICES.get(code, NOTICES["unexpected"])
    return texts[locale].format_map(_Blank(params))


_PARAMETER = re.compile(r"\\\{\w+\\\}")
_LINES = re.compile(
    "|".join(_PARAMETER.sub(".*", re.escape(text)) for texts in NOTICES.values() for text in texts.values()), re.DOTALL
)


def is_notice(plain: str) -> bool:
    """Whether a text in a chat is a line of ours: a portal may show one under an employee's name."""
    return bool(_LINES.search(plain))


class _Blank(dict[str, str]):
    """A missing parameter shows as a dash: a notice that cannot be rendered must not hold a conversation."""

    def __missing__(self, key: str) -> str:
        return "-"
