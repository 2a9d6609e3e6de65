"""The words with which a customer's wordless messages are shown to operators, in the portal's language."""

from __future__ import annotations

from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN

PHRASES: dict[str, dict[Locale, str]] = {
    # Kinds, as a label in front of what can be read of them, and in a quote.
    "image": {_PT: "imagem", _EN: "image"},
    "video": {_PT: "vídeo", _EN: "video"},
    "audio": {_PT: "áudio", _EN: "audio"},
    "voice": {_PT: "mensagem de voz", _EN: "voice message"},
    "document": {_PT: "documento", _EN: "document"},
    "sticker": {_PT: "figurinha", _EN: "sticker"},
    "location": {_PT: "localização", _EN: "location"},
    "contacts": {_PT: "contato", _EN: "contact"},
    "reply": {_PT: "resposta", _EN: "reply"},
    "reaction": {_PT: "reação", _EN: "reaction"},
    "order": {_PT: "pedido", _EN: "order"},
    "edited": {_PT: "mensagem editada", _EN: "edited message"},
    "revoked": {_PT: "mensagem apagada", _EN: "deleted message"},
    "group": {_PT: "mensagem de grupo", _EN: "group message"},
    "unsupported": {_PT: "mensagem não suportada", _EN: "unsupported message"},
    "unknown": {_PT: "mensagem não suportada", _EN: "unsupported message"},
    "empty": {_PT: "mensagem vazia", _EN: "empty message"},
    # Marks.
    "standby": {
        _PT: "🔀 Outro aplicativo cuida desta conversa agora; o que for respondido aqui pode não chegar",
        _EN: "🔀 Another app has this conversation now; what is answered here may not arrive",
    },
    "from_ad": {_PT: "📣 Veio de um anúncio", _EN: "📣 Came from an ad"},
    "from_post": {_PT: "📣 Veio de uma publicação", _EN: "📣 Came from a post"},
    "forwarded": {_PT: "↪ Encaminhada", _EN: "↪ Forwarded"},
    "forwarded_often": {_PT: "↪ Encaminhada muitas vezes", _EN: "↪ Forwarded many times"},
    "about_product": {_PT: "🛍 Sobre o produto", _EN: "🛍 About the product"},
    "quote_ours": {_PT: "Empresa", _EN: "Company"},
    "quote_theirs": {_PT: "Cliente", _EN: "Customer"},
    "quote_lost": {_PT: "uma mensagem que não está aqui", _EN: "a message that is not here"},
    # Lines.
    "location_is": {_PT: "📍 Localização", _EN: "📍 Location"},
    "location_unknown": {_PT: "(sem coordenadas)", _EN: "(without coordinates)"},
    "location_unreadable": {
        _PT: "(coordenadas que não indicam um lugar: {what})",
        _EN: "(coordinates that are no place: {what})",
    },
    "contact_is": {_PT: "👤 Contato", _EN: "👤 Contact"},
    "contact_own": {_PT: "👤 O cliente compartilhou o próprio número", _EN: "👤 The customer shared their own number"},
    "birthday": {_PT: "🎂 Nascimento", _EN: "🎂 Birthday"},
    "pressed": {_PT: "🔘 Escolheu", _EN: "🔘 Chose"},
    "form_filled": {_PT: "📝 Formulário respondido", _EN: "📝 Form filled in"},
    "calls_allowed": {_PT: "📞 Permitiu receber ligações", _EN: "📞 Allowed calls"},
    "calls_refused": {_PT: "📞 Não permitiu ligações", _EN: "📞 Did not allow calls"},
    "place_wanted": {_PT: "Pedido de localização", _EN: "Request for the location"},
    "form": {_PT: "Formulário", _EN: "Form"},
    "reacted": {_PT: "Reagiu com", _EN: "Reacted with"},
    "reaction_removed": {_PT: "Retirou a reação", _EN: "Took the reaction away"},
    "order_is": {_PT: "🛒 Pedido", _EN: "🛒 Order"},
    "catalog": {_PT: "catálogo", _EN: "catalogue"},
    "total": {_PT: "Total", _EN: "Total"},
    "total_without": {
        _PT: "Total sem {count} item(ns), cuja quantidade ou preço não pôde ser lido",
        _EN: "Total without {count} item(s), whose quantity or price could not be read",
    },
    "payment_is": {
        _PT: "💳 Confirmou o pagamento e espera a cobrança",
        _EN: "💳 Confirmed the payment and waits to be charged",
    },
    "payment_order": {_PT: "Pedido", _EN: "Order"},
    "pay_offsite_card_pay": {_PT: "cartão salvo", _EN: "stored card"},
    "pay_pix_dynamic_code": {_PT: "Pix", _EN: "Pix"},
    "pay_payment_link": {_PT: "link de pagamento", _EN: "payment link"},
    "pay_boleto": {_PT: "boleto", _EN: "boleto"},
    "last_four_digits": {_PT: "Final do cartão", _EN: "Card ending in"},
    "credential_id": {_PT: "Credencial", _EN: "Credential"},
    "edited_to": {_PT: "✏ O cliente editou a mensagem", _EN: "✏ The customer edited the message"},
    "was_revoked": {_PT: "🗑 O cliente apagou esta mensagem", _EN: "🗑 The customer deleted this message"},
    "in_group": {
        _PT: "👥 O contato escreveu num grupo; o que for respondido aqui vai só para o contato",
        _EN: "👥 The contact wrote in a group; what is answered here goes to the contact alone",
    },
    "cannot_show": {
        _PT: "⚠ O cliente enviou algo que o WhatsApp não mostra aqui{what}. Peça que envie de outra forma.",
        _EN: "⚠ The customer sent something that WhatsApp does not show here{what}. Ask to send it in another form.",
    },
    "look_at_the_phone": {
        _PT: "⚠ O cliente enviou uma mensagem que o WhatsApp não mostra aqui{what}. Veja no celular da empresa "
        "ou peça que envie de novo.",
        _EN: "⚠ The customer sent a message that WhatsApp does not show here{what}. Look at the company's "
        "phone, or ask to send it again.",
    },
    "too_large": {
        _PT: "⚠ O cliente enviou um arquivo que o WhatsApp não pôde entregar: passa de 100 MB ou não pôde ser baixado. "
        "Peça que envie um menor.",
        _EN: "⚠ The customer sent a file that WhatsApp could not deliver: it is over 100 MB or could not be "
        "fetched. Ask for a smaller one.",
    },
    # What WhatsApp names and does not show.
    "poll_creation": {_PT: "enquete", _EN: "poll"},
    "poll_update": {_PT: "voto em enquete", _EN: "vote in a poll"},
    "edit": {_PT: "edição de mensagem", _EN: "edit of a message"},
    "gif": {_PT: "GIF", _EN: "GIF"},
    "group_invite": {_PT: "convite de grupo", _EN: "group invitation"},
    "media_placeholder": {_PT: "arquivo", _EN: "file"},
    "product": {_PT: "produto", _EN: "product"},
    "pin": {_PT: "mensagem fixada", _EN: "pinned message"},
    "keep_in_chat": {_PT: "mensagem guardada", _EN: "kept message"},
    "link_preview": {_PT: "prévia de link", _EN: "link preview"},
    "button": {_PT: "botão", _EN: "button"},
    "list": {_PT: "lista", _EN: "list"},
    "interactive": {_PT: "mensagem interativa", _EN: "interactive message"},
    "hsm": {_PT: "modelo de mensagem", _EN: "template"},
}


def phrase(code: str, locale: Locale) -> str:
    """The words for `code`; a code without words is shown as it is."""
    found = PHRASES.get(code)
    return found[locale] if found else code
