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
    "window_closed_templates": {
        _PT: "Mensagem não entregue no WhatsApp: faz mais de 24 horas que o cliente não escreve (código {code}). "
        "Aguarde o cliente escrever ou envie, pela integração, um destes modelos aprovados:\n{templates}",
        _EN: "Message not delivered on WhatsApp: the customer has not written for more than 24 hours (code {code}). "
        "Wait until the customer writes, or send one of these approved templates by the integration:\n{templates}",
    },
    "window_closes": {
        _PT: "O cliente aguarda resposta, e em {minutes} min o WhatsApp só aceitará modelos (templates) aprovados. "
        "Responda antes.",
        _EN: "The customer is waiting for an answer, and in {minutes} min WhatsApp will take approved templates only. "
        "Answer before.",
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
        _PT: "Mensagem não entregue no WhatsApp: o contato está na lista de bloqueio da empresa (código {code}). "
        "Peça ao administrador que o desbloqueie.",
        _EN: "Message not delivered on WhatsApp: the contact is on the company's block list (code {code}). "
        "Ask the administrator to unblock them.",
    },
    "opted_out": {
        _PT: "Mensagem não entregue no WhatsApp: o cliente não quer receber divulgação da empresa (código {code}). "
        "Não insista; responda quando ele escrever.",
        _EN: "Message not delivered on WhatsApp: the customer does not want the company's marketing (code {code}). "
        "Do not insist; answer when they write.",
    },
    "withheld": {
        _PT: "Mensagem não entregue no WhatsApp: a Meta limitou a divulgação para este cliente (código {code}). "
        "Espere 24 horas ou aguarde o cliente escrever.",
        _EN: "Message not delivered on WhatsApp: Meta limits marketing to this customer (code {code}). "
        "Wait for 24 hours, or until the customer writes.",
    },
    "country": {
        _PT: "Mensagem não entregue no WhatsApp: a empresa não pode escrever a clientes deste país (código {code}). "
        "Use outro meio e avise o administrador.",
        _EN: "Message not delivered on WhatsApp: the company may not write to customers in this country (code {code}). "
        "Use another way, and tell the administrator.",
    },
    "own_number": {
        _PT: "Mensagem não entregue no WhatsApp: o destinatário é o número da própria empresa (código {code}). "
        "Corrija o telefone do contato.",
        _EN: "Message not delivered on WhatsApp: the recipient is the company's own number (code {code}). "
        "Correct the contact's phone number.",
    },
    "identity": {
        _PT: "Mensagem não entregue no WhatsApp: a identidade do cliente mudou (código {code}). "
        "Confirme com ele quem é antes de enviar de novo.",
        _EN: "Message not delivered on WhatsApp: the customer's identity has changed (code {code}). "
        "Confirm who they are before you send it again.",
    },
    "needs_phone": {
        _PT: "Mensagem não entregue no WhatsApp: ela exige o telefone do cliente, que ele esconde (código {code}). "
        "Peça o número a ele.",
        _EN: "Message not delivered on WhatsApp: it needs the customer's phone number, which is hidden (code {code}). "
        "Ask them for it.",
    },
    "type_refused": {
        _PT: "Mensagem não entregue no WhatsApp: ele não aceita este tipo de mensagem (código {code}). "
        "Envie como texto ou documento.",
        _EN: "Message not delivered on WhatsApp: it does not take this type of message (code {code}). "
        "Send it as text or as a document.",
    },
    "file_refused": {
        _PT: "Arquivo não entregue no WhatsApp: a Meta não conseguiu lê-lo (código {code}). "
        "Confira formato e tamanho e envie de novo.",
        _EN: "File not delivered on WhatsApp: Meta could not read it (code {code}). "
        "Check its format and size, and send it again.",
    },
    "template_fields": {
        _PT: "Modelo não entregue no WhatsApp: os campos preenchidos não combinam com ele (código {code}). "
        "Confira quantidade e tamanho dos campos e envie de novo.",
        _EN: "Template not delivered on WhatsApp: what was filled in does not fit it (code {code}). "
        "Check the number and length of its fields, and send it again.",
    },
    "template": {
        _PT: "Modelo não entregue no WhatsApp: ele não pode ser usado agora (código {code}). "
        "Use outro modelo e avise o administrador.",
        _EN: "Template not delivered on WhatsApp: it cannot be used now (code {code}). "
        "Use another template, and tell the administrator.",
    },
    "group": {
        _PT: "Mensagem não entregue no WhatsApp: ela é de um grupo, e grupos não recebem por aqui (código {code}). "
        "Escreva ao cliente em conversa própria.",
        _EN: "Message not delivered on WhatsApp: it is a group's, and groups get nothing from here (code {code}). "
        "Write to the customer directly.",
    },
    "billing": {
        _PT: "Mensagem não entregue no WhatsApp: há um problema de pagamento na conta da Meta (código {code}). "
        "Avise o administrador.",
        _EN: "Message not delivered on WhatsApp: there is a payment problem with the account at Meta (code {code}). "
        "Tell the administrator.",
    },
    "spam": {
        _PT: "Mensagem não entregue no WhatsApp: o número foi restrito, porque muitos clientes o bloquearam ou "
        "denunciaram (código {code}). Avise o administrador.",
        _EN: "Message not delivered on WhatsApp: the number is restricted, because many customers blocked or reported "
        "it (code {code}). Tell the administrator.",
    },
    "on_hold": {
        _PT: "Mensagem em espera: o canal do WhatsApp está parado por um problema da conta (código {code}). "
        "Ela segue sozinha quando o administrador resolver; não a envie de novo.",
        _EN: "Message on hold: the WhatsApp channel stands still because of a problem with its account (code {code}). "
        "It goes by itself when the administrator has solved that; do not send it again.",
    },
    "failed_later": {
        _PT: "Mensagem não entregue no WhatsApp: o serviço da Meta falhou depois de aceitá-la (código {code}). "
        "Envie de novo.",
        _EN: "Message not delivered on WhatsApp: Meta's service failed after taking it (code {code}). Send it again.",
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
    "file_too_large": {
        _PT: "Arquivo não entregue no WhatsApp: está vazio ou passa de 100 MB. Envie um arquivo menor ou um link.",
        _EN: "File not delivered on WhatsApp: it is empty, or over 100 MB. Send a smaller file, or a link.",
    },
    "file_gone": {
        _PT: "Arquivo não entregue no WhatsApp: ele não está mais no Bitrix24 (código {code}). Envie-o de novo.",
        _EN: "File not delivered on WhatsApp: it is not in Bitrix24 any more (code {code}). Send it again.",
    },
    "file_not_kept": {
        _PT: "Arquivo não entregue no WhatsApp: o Zaptrix não o acha mais onde o guardou (código {code}). "
        "Envie-o de novo e avise o administrador.",
        _EN: "File not delivered on WhatsApp: Zaptrix does not find it any more where it kept it (code {code}). "
        "Send it again, and tell the administrator.",
    },
    "file_too_slow": {
        _PT: "Arquivo não entregue no WhatsApp: ele não chegou inteiro do Bitrix24 a tempo (código {code}). "
        "Envie-o de novo, ou um menor.",
        _EN: "File not delivered on WhatsApp: it did not come whole from Bitrix24 in time (code {code}). "
        "Send it again, or a smaller one.",
    },
    "file_address": {
        _PT: "Arquivo não entregue no WhatsApp: o endereço dele não é deste portal (código {code}). "
        "Anexe o arquivo na conversa; se o portal fica em rede privada, avise o administrador.",
        _EN: "File not delivered on WhatsApp: its address is not this portal's (code {code}). "
        "Attach the file in the chat; if the portal is in a private network, tell the administrator.",
    },
    "file_lost": {
        _PT: "O arquivo do cliente não chegou (código {code}). Peça ao cliente que o envie de novo.",
        _EN: "The customer's file did not arrive (code {code}). Ask the customer to send it again.",
    },
    "file_not_shown": {
        _PT: "O Bitrix24 não conseguiu buscar o arquivo do cliente. Ele pode ser aberto aqui por um dia: {address}",
        _EN: "Bitrix24 could not fetch the customer's file. It can be opened here for a day: {address}",
    },
    "perhaps_sent": {
        _PT: "Não enviado de novo: “{text}”. Esta mensagem pode já ter chegado ao cliente antes da restauração do "
        "Zaptrix. Confira com o cliente; se não chegou, envie de novo ou peça ao administrador que a reenvie.",
        _EN: "Not sent again: “{text}”. This message may have reached the customer before Zaptrix was restored. "
        "Check with the customer; if it did not, send it again, or ask the administrator to revive it.",
    },
    "perhaps_shown": {
        _PT: "Uma mensagem do cliente pode já ter aparecido aqui antes da restauração do Zaptrix: “{text}”. "
        "Se não a vê, peça ao administrador que a recupere.",
        _EN: "A message of the customer may have been shown here before Zaptrix was restored: “{text}”. "
        "If you do not see it, ask the administrator to revive it.",
    },
    "restored": {
        _PT: "O Zaptrix foi restaurado de um backup: ele não conhece o que foi escrito aqui de {since} a {until} "
        "(UTC). O que o cliente escreveu nesse tempo e não aparece aqui se perdeu: peça que envie de novo.",
        _EN: "Zaptrix was restored from a backup: it does not know what was written here from {since} to {until} "
        "(UTC). What the customer wrote in that time and is not here is lost: ask for it to be sent again.",
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
        _PT: "Não enviado ao cliente: um arquivo que não tinha chegado ao gateway e que o Bitrix24 não entrega ao "
        "aplicativo. Envie o arquivo de novo.",
        _EN: "Not sent to the customer: a file that had not reached the gateway, and that Bitrix24 does not hand to "
        "the application. Send the file again.",
    },
    "number_changed": {
        _PT: "O cliente mudou de número no WhatsApp: agora é {phone}. A conversa continua aqui.",
        _EN: "The customer has another number on WhatsApp: it is {phone} now. The conversation goes on here.",
    },
    "number_hidden": {
        _PT: "O cliente mudou de número no WhatsApp, e o WhatsApp não mostra o novo. A conversa continua aqui.",
        _EN: "The customer has another number on WhatsApp, which it does not show. The conversation goes on here.",
    },
    "edited_late": {
        _PT: "A edição não chega ao WhatsApp: o cliente já recebeu a versão anterior de “{text}”. "
        "Para corrigir, envie uma nova mensagem.",
        _EN: "The edit does not reach WhatsApp: the customer has got the version before of “{text}”. "
        "To correct it, send a new message.",
    },
    "edited_unsent": {
        _PT: "A mensagem editada não tinha sido entregue, e editá-la não a envia: “{text}”. "
        "Envie-a como nova mensagem.",
        _EN: "The edited message had not been delivered, and editing does not send it: “{text}”. "
        "Send it as a new message.",
    },
    "deleted_late": {
        _PT: "Apagar aqui não apaga no WhatsApp: o cliente já recebeu “{text}”. Se for preciso, escreva a ele.",
        _EN: "Deleting here does not delete on WhatsApp: the customer has got “{text}”. Write to them if need be.",
    },
    "not_carried": {
        _PT: "A última mensagem não foi ao WhatsApp: não há nela texto nem arquivo que ele receba. "
        "Envie como texto ou como arquivo.",
        _EN: "The last message did not go to WhatsApp: there is no text and no file in it that WhatsApp takes. "
        "Send it as text or as a file.",
    },
    "file_unreachable": {
        _PT: "Arquivo não enviado ao WhatsApp: o Bitrix24 não deu o endereço de {count} arquivo(s); "
        "o cliente recebeu só o nome. Envie de novo.",
        _EN: "File not sent to WhatsApp: Bitrix24 gave no address of {count} file(s); the customer got the name alone. "
        "Send it again.",
    },
    "text_cut": {
        _PT: "A última mensagem passa de {limit} caracteres: ao WhatsApp foi só o começo dela. "
        "Envie o resto em outra mensagem.",
        _EN: "The last message is over {limit} characters: its beginning alone went to WhatsApp. "
        "Send the rest in another message.",
    },
    "arrived_after_all": {
        _PT: "Correção: a mensagem{text} que constava como não entregue chegou ao WhatsApp do cliente. "
        "Não a envie de novo.",
        _EN: "Correction: the message{text} that was told as not delivered has reached the customer's WhatsApp. "
        "Do not send it again.",
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


# Characters. A line of ours is not that long, and each of its beginnings is followed to the end of what is looked at.
_LOOKED_AT = 2_000
_PARAMETER = re.compile(r"\\\{\w+\\\}")
_LINES = re.compile(
    "|".join(_PARAMETER.sub(".*", re.escape(text)) for texts in NOTICES.values() for text in texts.values()), re.DOTALL
)


def is_notice(plain: str) -> bool:
    """Whether a text in a chat is a line of ours: a portal may show one under an employee's name."""
    return bool(_LINES.search(plain[:_LOOKED_AT]))


class _Blank(dict[str, str]):
    """A missing parameter shows as a dash: a notice that cannot be rendered must not hold a conversation."""

    def __missing__(self, key: str) -> str:
        return "-"
