"""What the doctor says about the way in from outside and about the servers' inside: as in `doctor_words.py`."""

from zaptrix.core.portal import Locale

_EN, _PT = Locale.EN, Locale.PT_BR
_CERTIFICATE_EN, _CERTIFICATE_PT = "certificate", "certificado"

WORDS: dict[str, dict[Locale, tuple[str, str, str, str]]] = {
    "certificate_expired": {
        _EN: (_CERTIFICATE_EN, "", "it has expired ({seen}): no platform sends anything", "renew it, and its renewal"),
        _PT: (_CERTIFICATE_PT, "", "venceu ({seen}): nenhuma plataforma envia nada", "renove-o, e a renovação dele"),
    },
    "certificate_not_yet": {
        _EN: (_CERTIFICATE_EN, "", "it is not good yet ({seen})", "are this machine's clock and its beginning right?"),
        _PT: (_CERTIFICATE_PT, "", "ainda não vale ({seen})", "o relógio desta máquina e o início dele estão certos?"),
    },
    "certificate_self_signed": {
        _EN: (
            _CERTIFICATE_EN, "", "it is signed by itself ({seen}): Meta refuses it",
            "get one of a public authority, such as Let's Encrypt",
        ),
        _PT: (
            _CERTIFICATE_PT, "", "é assinado por si mesmo ({seen}): a Meta o recusa",
            "obtenha um de uma autoridade pública, como a Let's Encrypt",
        ),
    },
    "certificate_chain": {
        _EN: (
            _CERTIFICATE_EN, "", "its chain does not lead to an authority that everybody trusts ({seen})",
            "let the proxy send the certificates in between, too (fullchain.pem); Meta takes no authority of your own",
        ),
        _PT: (
            _CERTIFICATE_PT, "", "a cadeia não chega a uma autoridade em que todos confiam ({seen})",
            "faça o proxy enviar também os intermediários (fullchain.pem); a Meta não aceita autoridade própria",
        ),
    },
    "certificate_name": {
        _EN: (
            _CERTIFICATE_EN, "", "it is for another name ({seen})",
            "get one for the host in PUBLIC_URL, or name its host there",
        ),
        _PT: (
            _CERTIFICATE_PT, "", "é de outro nome ({seen})",
            "obtenha um para o host de PUBLIC_URL, ou ponha lá o host dele",
        ),
    },
    "certificate_other": {
        _EN: (_CERTIFICATE_EN, "", "it cannot be trusted ({seen})", "see the code in OpenSSL's list, and renew it"),
        _PT: (_CERTIFICATE_PT, "", "não é confiável ({seen})", "veja o código na lista do OpenSSL e renove-o"),
    },
    "certificate": {
        _EN: (_CERTIFICATE_EN, "good for {seen} days", "it ends in {seen} days", "see why it was not renewed yet"),
        _PT: (_CERTIFICATE_PT, "vale por {seen} dias", "vence em {seen} dias", "veja por que ainda não foi renovado"),
    },
    "address_unknown": {
        _EN: ("public address", "", "its name is not known ({seen})", "mend its DNS record, or PUBLIC_URL"),
        _PT: ("endereço público", "", "o nome não existe ({seen})", "corrija o registro DNS, ou PUBLIC_URL"),
    },
    "address_unreached": {
        _EN: (
            "public address", "", "nothing answers there ({seen})",
            "are proxy and firewall open? Some routers keep their own network out: try PUBLIC_URL/health from outside",
        ),
        _PT: (
            "endereço público", "", "nada responde lá ({seen})",
            "proxy e firewall estão abertos? Há roteadores que barram a própria rede: teste PUBLIC_URL/health de fora",
        ),
    },
    "address": {
        _EN: (
            "public address", "the gateway answers", "something else than the gateway answers (status {seen})",
            "let the proxy hand every path to the gateway, without redirects or pages of its own",
        ),
        _PT: (
            "endereço público", "o gateway responde", "quem responde não é o gateway (status {seen})",
            "faça o proxy entregar todos os caminhos ao gateway, sem redirecionar nem responder por conta própria",
        ),
    },
    "metrics_open": {
        _EN: (
            "metrics", "closed to strangers", "open to everybody at the public address",
            "let the proxy name whom it speaks for (X-Forwarded-For), and set METRICS_TOKEN",
        ),
        _PT: (
            "métricas", "fechadas a estranhos", "abertas a todos no endereço público",
            "faça o proxy informar por quem fala (X-Forwarded-For) e defina METRICS_TOKEN",
        ),
    },
    "proxy": {
        _EN: (
            "proxy", "named", "PUBLIC_URL is https, so one stands before the gateway, and TRUSTED_PROXIES names none",
            "name its networks: without, all strangers count as one address, and are limited together",
        ),
        _PT: (
            "proxy", "informado", "PUBLIC_URL é https, então há um à frente do gateway, e TRUSTED_PROXIES está vazia",
            "informe as redes dele: sem isso, todos os estranhos contam como um só endereço e são limitados juntos",
        ),
    },
    "release": {
        _EN: (
            "release", "{seen}", "{seen}",
            "let all processes run one release; during an upgrade two neighbours may stand side by side",
        ),
        _PT: (
            "versão", "{seen}", "{seen}",
            "deixe todos os processos na mesma versão; durante uma atualização, duas vizinhas podem conviver",
        ),
    },
    "platform_clock": {
        _EN: ("clock", "{seen} s apart", "{seen} s apart", "let this machine follow a time server (chrony)"),
        _PT: ("relógio", "a {seen} s", "a {seen} s", "sincronize esta máquina com um servidor (chrony)"),
    },
    "platform_unreached": {
        _EN: ("platforms", "", "{seen} cannot be reached", "let this machine call it (firewall, DNS, proxy)"),
        _PT: ("plataformas", "", "{seen} não é alcançada", "permita que esta máquina a chame (firewall, DNS, proxy)"),
    },
    "page_writes": {
        _EN: (
            "full_page_writes", "on", "{seen}",
            "set full_page_writes to on: without, a power cut may tear pages that hold acknowledged webhooks",
        ),
        _PT: (
            "full_page_writes", "ligado", "{seen}",
            "ligue full_page_writes: sem ele, uma queda de energia pode rasgar páginas com webhooks já confirmados",
        ),
    },
    "connections": {
        _EN: (
            "connections", "PostgreSQL has {seen} in use", "PostgreSQL has {seen} in use",
            "lower DATABASE_POOL_MAX, raise max_connections, or put PgBouncer in between (docs/SCALING.md)",
        ),
        _PT: (
            "conexões", "o PostgreSQL tem {seen} em uso", "o PostgreSQL tem {seen} em uso",
            "reduza DATABASE_POOL_MAX, aumente max_connections ou use um PgBouncer (docs/SCALING.pt-BR.md)",
        ),
    },
    "open_files": {
        _EN: (
            "open files", "{seen} allowed", "{seen} allowed: a gateway closes connections for want of places",
            "allow 8,704 or more (ulimit -Hn; LimitNOFILE= in systemd), as this account and where the gateway runs",
        ),
        _PT: (
            "arquivos abertos", "{seen} permitidos", "{seen} permitidos: o gateway fecha conexões por falta de vagas",
            "permita 8.704 ou mais (ulimit -Hn; LimitNOFILE= no systemd), nesta conta e onde o gateway roda",
        ),
    },
    "spool": {
        _EN: (
            "spool", "empty", "{seen} files wait",
            "they wait for PostgreSQL, a key or a person: docs/RUNBOOK.md, `spooled`",
        ),
        _PT: (
            "spool", "vazio", "{seen} arquivos esperam",
            "esperam pelo PostgreSQL, por uma chave ou por alguém: docs/RUNBOOK.md, `spooled`",
        ),
    },
    "backup": {
        _EN: (
            "backup", "the newest is {seen} h old", "the newest is {seen} h old",
            "see why `zaptrix backup` did not run: what is newer than it would be lost with the database",
        ),
        _PT: (
            "backup", "o mais novo tem {seen} h", "o mais novo tem {seen} h",
            "veja por que `zaptrix backup` não rodou: o que é mais novo se perderia com o banco",
        ),
    },
    "replica": {
        _EN: (
            "replica", "{seen}", "{seen}",
            "lists come from the primary meanwhile: is DATABASE_READ_URL a standby of it, and does it follow?",
        ),
        _PT: (
            "réplica", "{seen}", "{seen}",
            "enquanto isso as listas vêm do primário: DATABASE_READ_URL é uma réplica dele, e o acompanha?",
        ),
    },
    "callback": {
        _EN: (
            "", "subscribed", "{seen}: what customers write does not come here",
            "META_CALLBACK=account gives the account this gateway's address; PUT /api/channels/{id} with {} at once",
        ),
        _PT: (
            "", "inscrita", "{seen}: o que os clientes escrevem não chega aqui",
            "META_CALLBACK=account dá à conta o endereço deste gateway; PUT /api/channels/{id} com {} na hora",
        ),
    },
    "hangs": {
        _EN: ("", "", "no answer within {seen} s", "something hangs there: see its log and the network in between"),
        _PT: ("", "", "sem resposta em {seen} s", "algo está travado ali: veja o log dele e a rede até lá"),
    },
}  # fmt: skip
