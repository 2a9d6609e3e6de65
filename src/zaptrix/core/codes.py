"""What a platform's error code stands for: the shape of a row of its table, and the codes that are our own. Pure.

The rows themselves stand with their platform. `docs/ERRORS.md` shows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from zaptrix.core.notices import NOTICES
from zaptrix.core.portal import Locale


class Kind(StrEnum):
    """What an error is; `core.retry` decides by it. Each stands for a class of `core.errors`."""

    TOO_FAST = "too_fast"
    UNAVAILABLE = "unavailable"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    CHANNEL = "channel"  # our key to a number or a line is bad
    PORTAL = "portal"  # our key to a whole portal is bad
    UNEXPECTED = "unexpected"


class Both(NamedTuple):
    """A sentence in both languages."""

    pt: str
    en: str

    def of(self, locale: Locale) -> str:
        return self.en if locale is Locale.EN else self.pt


class Rule(msgspec.Struct, frozen=True):
    """A row: these codes are errors of that kind, and this is what an admin does about them.

    A code of the form "100/33" is code and subcode. `notice` is the line for the operator, when the kind's own does not
    say it; `wait_s` how long a limit asks for; `elsewhere` the kind in calls that do not carry messages.
    """

    codes: tuple[int | range | str, ...]
    kind: Kind
    fix: Both
    notice: str = ""
    wait_s: float | None = None
    elsewhere: Kind | None = None
    page: str = ""

    def names(self) -> Iterator[str]:
        """Every code of the row, as text."""
        for code in self.codes:
            yield from map(str, code if isinstance(code, range) else (code,))


class CodeTable(msgspec.Struct, frozen=True):
    """A platform's codes, and where it documents them."""

    rule_of: Callable[[str], Rule | None]
    page: str


def table_of(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Code, its case folded, to row; the first row that names a code has it."""
    table: dict[str, Rule] = {}
    for rule in rules:
        for name in rule.names():
            table.setdefault(name.casefold(), rule)
    return table


# The line for the operator when a message is buried because of an error of that kind.
_NOTICES = {
    Kind.TOO_FAST: "unavailable",
    Kind.UNAVAILABLE: "unavailable",
    Kind.UNCLEAR: "unclear",
    Kind.REFUSED: "refused",
    Kind.CHANNEL: "account",
    Kind.PORTAL: "account",
    Kind.UNEXPECTED: "unexpected",
}
# The same when the platform took the message and told of the error afterwards.
_LATE = {Kind.TOO_FAST: "failed_later", Kind.UNAVAILABLE: "failed_later", Kind.UNEXPECTED: "refused"}


def notice_of(rule: Rule | None, *, late: bool = False) -> str:
    """The code of the line for the operator; `rule` is None for a code that stands in no table."""
    kind = rule.kind if rule else Kind.UNEXPECTED
    return (rule.notice if rule else "") or (_LATE.get(kind) if late else None) or _NOTICES[kind]


OF_FILES = frozenset({"file_refused", "type_refused"})
"""The notices that say that a file alone was refused: the words beside it were not."""


UNKNOWN_FIX = Both(
    "Código que o Zaptrix não conhece. Veja o detalhe e a documentação da plataforma; se persistir, abra um chamado "
    "com o código e o rastro (trace).",
    "A code that Zaptrix does not know. Look at the detail and at the platform's documentation; if it goes on, report "
    "the code and the trace.",
)

_CONNECTION = Both(
    "Sem resposta da plataforma. Confira rede, DNS e firewall do servidor e a página de status da plataforma.",
    "No answer from the platform. Check the server's network, DNS and firewall, and the platform's status page.",
)
_CONTENT = Both(
    "O conteúdo não pode ir como está. O operador precisa mudá-lo e enviar de novo.",
    "The content cannot go as it is. The operator has to change it and send it again.",
)
_PACE = Both(
    "O próprio Zaptrix espera para não passar do limite. Nada a fazer; se for constante, peça um limite maior.",
    "Zaptrix itself waits, to stay below a limit. Nothing to do; if it never ends, ask for a higher limit.",
)
_PORTAL_ADDRESS = Both(
    "O endereço do portal não responde como um portal. Confira o endereço (https) e reinstale o aplicativo.",
    "The portal's address does not answer as a portal. Check the address (https) and install the app again.",
)

_NO_ENTRY = Both(
    "A plataforma recusa a chave sem dizer por quê, ou uma página de um proxy responde no lugar dela. Confira o "
    "endereço, o token e o plano; depois repare o canal ou o portal, e o que está na fila segue sozinho.",
    "The platform refuses the key without saying why, or a proxy's page answers in its place. Check the address, the "
    "token and the plan; then repair the channel or the portal, and what is waiting goes on by itself.",
)

_FILE_ADDRESS = Both(
    "O endereço do arquivo não é o do portal, ou leva a uma rede privada. Confira o endereço do portal; se ele "
    "fica em rede privada, diga qual em MEDIA_PRIVATE_NETWORKS.",
    "The file's address is not the portal's, or leads into a private network. Check the portal's address; if the "
    "portal is in a private network, name that in MEDIA_PRIVATE_NETWORKS.",
)
_FILE_HOST = Both(
    "O servidor do arquivo não o entregou. O Zaptrix tenta de novo por um dia; confira rede e firewall até ele, e se o "
    "portal ou a Meta está fora do ar.",
    "The file's host did not give it. Zaptrix goes on trying for a day; check the network and firewalls on the "
    "way to it, and whether the portal or Meta is down.",
)
_FILE_SLOW = Both(
    "O servidor do arquivo o entrega devagar demais: em três tentativas não chegou inteiro em MEDIA_TIMEOUT_S. Confira "
    "a rede até o portal, ou aumente esse tempo.",
    "The file's host gives it too slowly: in three tries it did not come whole within MEDIA_TIMEOUT_S. Check the "
    "network to the portal, or raise that time.",
)
_FILE_GONE = Both(
    "O arquivo não existe mais na origem (a Meta guarda o de um cliente por sete dias). Peça que seja enviado de novo.",
    "The file is not there any more (Meta keeps a customer's for seven days). Ask for it to be sent again.",
)
_BLOBS = Both(
    "O Zaptrix não consegue gravar ou ler os arquivos. Confira MEDIA_URL e suas credenciais, se todos os hosts usam o "
    "mesmo, ou o espaço em DATA_DIR/media.",
    "Zaptrix cannot write or read its files. Check MEDIA_URL and its credentials, that all hosts use the same, or the "
    "room in DATA_DIR/media.",
)
_NO_CHANNEL = Both(
    "O canal foi removido enquanto o arquivo vinha. Nada a fazer.",
    "The channel was deleted while the file was on its way. Nothing to do.",
)

_FILE_UNDER_WAY = Both(
    "A mensagem espera pelo seu arquivo, que está sendo preparado. Nada a fazer.",
    "The message waits for its file, which is being made ready. Nothing to do.",
)

# What fetching, keeping and uploading a file can end in.
FILES: tuple[Rule, ...] = (
    Rule(("forbidden_address", "too_many_redirects"), Kind.REFUSED, _FILE_ADDRESS, "file_address"),
    Rule(("gone",), Kind.UNAVAILABLE, _FILE_GONE),
    Rule(("file_gone", "media_gone", "no_file"), Kind.REFUSED, _FILE_GONE, "file_gone"),
    Rule(("file_too_slow",), Kind.REFUSED, _FILE_SLOW, "file_too_slow"),
    Rule(("file_timeout", "file_slow", "file_connection_lost", "file_encoded"), Kind.UNAVAILABLE, _FILE_HOST),
    Rule(("no_media_address", "no_media_id"), Kind.UNAVAILABLE, _FILE_HOST),
    Rule(("blobs_away", "blob_lost"), Kind.UNAVAILABLE, _BLOBS),
    Rule(("blob_gone",), Kind.REFUSED, _BLOBS, "file_not_kept"),
    Rule(("file_too_large", "file_empty"), Kind.REFUSED, _CONTENT, "file_too_large"),
    Rule(("file_failed",), Kind.UNEXPECTED, UNKNOWN_FIX),
    Rule(("no_channel",), Kind.REFUSED, _NO_CHANNEL),
    Rule(("no_voice_note",), Kind.REFUSED, _CONTENT),
    Rule(("file_under_way",), Kind.TOO_FAST, _FILE_UNDER_WAY),
)

OWN: tuple[Rule, ...] = (
    *FILES,
    Rule(("no_connection", "oauth_unreachable", "oauth_timeout", "oauth_no_answer"), Kind.UNAVAILABLE, _CONNECTION),
    Rule(
        ("timeout", "connection_lost", "claim_ran_out", "runner_died", "no_json", "answer_too_large", "unreadable"),
        Kind.UNCLEAR,
        _CONNECTION,
    ),
    Rule(("no_wamid", "no_result", "no_session"), Kind.UNCLEAR, UNKNOWN_FIX),
    Rule(("pace", "pace_unknown", "operating", "status_under_way"), Kind.TOO_FAST, _PACE),
    Rule(
        ("templates_wanted",),
        Kind.TOO_FAST,
        Both(
            "O aviso espera a lista de modelos da Meta e segue sozinho em segundos. Nada a fazer.",
            "The notice waits for Meta's list of templates, and goes by itself in seconds. Nothing to do.",
        ),
    ),
    Rule(
        ("quote_wanted",),
        Kind.TOO_FAST,
        Both(
            "A resposta do cliente espera até saber o que cita e segue sozinha em segundos. Nada a fazer.",
            "The customer's answer waits until what it quotes is known, and goes by itself in seconds. Nothing to do.",
        ),
    ),
    Rule(("too_long",), Kind.REFUSED, _CONTENT, "too_long"),
    Rule(("unsupported",), Kind.REFUSED, _CONTENT, "unsupported"),
    Rule(("empty",), Kind.REFUSED, _CONTENT),
    Rule(
        ("no_address",),
        Kind.REFUSED,
        Both(
            "O cliente não tem número nem identificador do WhatsApp. Peça a ele que escreva primeiro.",
            "The customer has neither a number nor a WhatsApp user id. Have them write first.",
        ),
        "unreachable",
    ),
    Rule(
        ("no_chat",),
        Kind.REFUSED,
        Both(
            "A conversa ainda não tem chat no Bitrix24. Nada a fazer.",
            "The conversation has no chat in Bitrix24 yet. Nothing to do.",
        ),
    ),
    Rule(
        ("item_refused",),
        Kind.REFUSED,
        Both(
            "O Bitrix24 recusou esta mensagem. Veja o detalhe; confira a linha aberta e reenvie a mensagem morta.",
            "Bitrix24 refused this message. Look at the detail; check the open line and revive the dead letter.",
        ),
    ),
    Rule(
        ("file_not_fetched",),
        Kind.UNAVAILABLE,
        Both(
            "O Bitrix24 não conseguiu buscar um arquivo no gateway. Confira se PUBLIC_URL é alcançável da internet; "
            "até lá o operador recebe um link.",
            "Bitrix24 could not fetch a file from the gateway. Check that PUBLIC_URL is reachable from the internet; "
            "until then the operator gets a link.",
        ),
    ),
    Rule(
        ("file_not_given",),
        Kind.REFUSED,
        Both(
            "O portal não entrega o arquivo ao aplicativo. Dê a ele o direito `disk` nas configurações do aplicativo, "
            "ou ligue `offline_events` no portal; o operador precisa enviar o arquivo de novo.",
            "The portal does not hand the file to the application. Give it the right `disk` in the application's "
            "settings, or switch the portal's `offline_events` on; the operator has to send the file again.",
        ),
        "late_file",
    ),
    Rule(
        ("perhaps_sent",),
        Kind.UNCLEAR,
        Both(
            "Pode ter sido enviada antes da restauração do backup, e ninguém sabe dizer. Veja a conversa; se não "
            "chegou, reenvie a mensagem morta.",
            "It may have been sent before the backup was restored, and nobody can tell. Look at the chat; if it did "
            "not arrive, revive the dead letter.",
        ),
        "perhaps_sent",
    ),
    Rule(("redirected", "bad_endpoint"), Kind.UNAVAILABLE, _PORTAL_ADDRESS),
    Rule(
        ("secret_unreadable",),
        Kind.CHANNEL,
        Both(
            "Um segredo guardado não pode ser decifrado. Reponha a chave em ENCRYPTION_KEYS e reinicie: tudo segue "
            "sozinho. Se a chave se perdeu, grave tokens novos pela API.",
            "A stored secret cannot be decrypted. Put its key back into ENCRYPTION_KEYS and restart: all goes on by "
            "itself. If the key is lost, set new tokens by the API.",
        ),
    ),
    Rule(
        ("no_tokens",),
        Kind.PORTAL,
        Both(
            "O portal ainda não autorizou o aplicativo. Instale-o no Bitrix24 ou grave os tokens pela API.",
            "The portal has not authorised the app yet. Install it in Bitrix24, or set the tokens by the API.",
        ),
    ),
)

_OWN = table_of(OWN)
_BY_STATUS = {
    "http_401": Rule(("http_401",), Kind.PORTAL, _NO_ENTRY),
    "http_402": Rule(("http_402",), Kind.PORTAL, _NO_ENTRY),
    "http_403": Rule(("http_403",), Kind.PORTAL, _NO_ENTRY),
    "http_429": Rule(("http_429",), Kind.TOO_FAST, _PACE),
    "http_503": Rule(("http_503",), Kind.UNAVAILABLE, _CONNECTION),
}


def own_rule(code: str) -> Rule | None:
    """The row of a code that is ours: what happened where the platform itself named no code."""
    if rule := _OWN.get(code) or _BY_STATUS.get(code):
        return rule
    if code in NOTICES:  # we refused it ourselves, and the line has the code's own name
        return Rule((code,), Kind.REFUSED, _CONTENT, code)
    if code.startswith("file_http_"):
        return Rule((code,), Kind.UNAVAILABLE, _FILE_HOST)
    if code.startswith("oauth_http_"):
        return Rule((code,), Kind.UNAVAILABLE, _CONNECTION)
    if code.startswith(("http_3", "http_404", "http_410")):
        return Rule((code,), Kind.UNAVAILABLE, _NO_ENTRY)
    return Rule((code,), Kind.UNCLEAR, _CONNECTION) if code.startswith("http_5") else None
