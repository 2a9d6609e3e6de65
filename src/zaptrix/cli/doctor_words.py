"""What the doctor looks at, what is wrong with it, and what to do, in both languages."""

from zaptrix.core.portal import Locale

_EN, _PT = Locale.EN, Locale.PT_BR

HEADINGS = {
    _EN: ("", "what", "found", "what to do"),
    _PT: ("", "o quê", "encontrado", "o que fazer"),
}
LEVELS = {
    _EN: {"ok": "ok", "warning": "warning", "wrong": "wrong"},
    _PT: {"ok": "ok", "warning": "atenção", "wrong": "errado"},
}

# By check: its name, what is found when it is good, when it is not, and the remedy.
WORDS: dict[str, dict[Locale, tuple[str, str, str, str]]] = {
    "settings": {
        _EN: ("settings", "each one is read and can be used", "{seen}", "mend or remove these variables"),
        _PT: ("configuração", "tudo é lido e pode ser usado", "{seen}", "corrija ou retire essas variáveis"),
    },
    "encryption_keys": {
        _EN: (
            "encryption keys",
            "{seen} given",
            "none",
            "set ENCRYPTION_KEYS to the output of `zaptrix new-encryption-key`, and keep a copy",
        ),
        _PT: (
            "chaves de cifra",
            "{seen} informada(s)",
            "nenhuma",
            "ponha em ENCRYPTION_KEYS a saída de `zaptrix new-encryption-key`, e guarde uma cópia",
        ),
    },
    "app_secret": {
        _EN: (
            "META_APP_SECRET",
            "set",
            "not set: every webhook of WhatsApp is refused",
            "set it to the app's secret (Meta app, Settings, Basic)",
        ),
        _PT: (
            "META_APP_SECRET",
            "informado",
            "não informado: todo webhook do WhatsApp é recusado",
            "informe a chave secreta do app (app da Meta, Configurações, Básico)",
        ),
    },
    "verify_token": {
        _EN: (
            "META_VERIFY_TOKEN",
            "set",
            "not set: Meta cannot confirm the webhook's address",
            "set a long random value, and give the same one in the Meta app's webhook configuration",
        ),
        _PT: (
            "META_VERIFY_TOKEN",
            "informado",
            "não informado: a Meta não consegue confirmar o endereço do webhook",
            "informe um valor longo e aleatório, e o mesmo na configuração do webhook no app da Meta",
        ),
    },
    "guessable": {
        _EN: ("secrets", "none can be guessed", "{seen} can be guessed", "set real ones of 16 characters or more"),
        _PT: (
            "segredos",
            "nenhum é previsível",
            "previsíveis: {seen}",
            "informe segredos reais, de 16 caracteres ou mais",
        ),
    },
    "public_url": {
        _EN: (
            "public address",
            "{seen}",
            "{seen} cannot be reached by the platforms",
            "set PUBLIC_URL to the https address by which Meta and Bitrix24 reach the gateway",
        ),
        _PT: (
            "endereço público",
            "{seen}",
            "{seen} não pode ser alcançado pelas plataformas",
            "ponha em PUBLIC_URL o endereço https pelo qual a Meta e o Bitrix24 chegam ao gateway",
        ),
    },
    "platforms": {
        _EN: ("platforms", "", "", ""),
        _PT: ("plataformas", "", "", ""),
    },
    "simulators": {
        _EN: ("platforms", "simulators on this machine, with their own secrets", "", ""),
        _PT: ("plataformas", "simuladores nesta máquina, com os segredos deles", "", ""),
    },
    "pooler": {
        _EN: ("pooler", "DATABASE_URL is a pooler, DATABASE_DIRECT_URL leads past it", "", ""),
        _PT: ("pool", "DATABASE_URL é um pool, e DATABASE_DIRECT_URL passa ao lado dele", "", ""),
    },
    "postgres": {
        _EN: ("PostgreSQL", "version {seen}", "DATABASE_URL is not set", "set DATABASE_URL, or run `zaptrix up`"),
        _PT: (
            "PostgreSQL",
            "versão {seen}",
            "DATABASE_URL não está definida",
            "defina DATABASE_URL, ou execute `zaptrix up`",
        ),
    },
    "durability": {
        _EN: (
            "durability",
            "{seen}",
            "{seen}",
            "set fsync and synchronous_commit to on: a webhook is answered when it is safe, and this makes it safe",
        ),
        _PT: (
            "durabilidade",
            "{seen}",
            "{seen}",
            "ligue fsync e synchronous_commit: um webhook é respondido quando está seguro, e isto o torna seguro",
        ),
    },
    "schema": {
        _EN: ("schema", "{seen}", "never migrated", "run `zaptrix migrate`"),
        _PT: ("esquema", "{seen}", "nunca migrado", "execute `zaptrix migrate`"),
    },
    "clock": {
        _EN: (
            "clock",
            "{seen} s from PostgreSQL's",
            "{seen} s from PostgreSQL's",
            "let both machines follow a time server (chrony, systemd-timesyncd)",
        ),
        _PT: (
            "relógio",
            "a {seen} s do relógio do PostgreSQL",
            "a {seen} s do relógio do PostgreSQL",
            "sincronize as duas máquinas com um servidor de hora (chrony, systemd-timesyncd)",
        ),
    },
    "redis": {
        _EN: ("Redis", "{seen}", "REDIS_URL is not set", "set REDIS_URL, or run `zaptrix up`"),
        _PT: ("Redis", "{seen}", "REDIS_URL não está definida", "defina REDIS_URL, ou execute `zaptrix up`"),
    },
    "redis_age": {
        _EN: (
            "Redis' release",
            "its known holes are closed",
            "{seen} has known holes (CVE-2025-49844)",
            "use a newer release, unless your distribution has mended this one",
        ),
        _PT: (
            "versão do Redis",
            "sem falhas conhecidas",
            "{seen} tem falhas conhecidas (CVE-2025-49844)",
            "use uma versão mais nova, a não ser que a sua distribuição já tenha corrigido esta",
        ),
    },
    "eviction": {
        _EN: (
            "eviction",
            "noeviction",
            "{seen}",
            "set maxmemory-policy to noeviction: evicted keys are bells that nobody hears",
        ),
        _PT: (
            "descarte de chaves",
            "noeviction",
            "{seen}",
            "ponha maxmemory-policy em noeviction: chaves descartadas são avisos que ninguém ouve",
        ),
    },
    "append_only": {
        _EN: (
            "append-only file",
            "on",
            "off",
            "set appendonly to yes: without it a restart of Redis waits for the next sweep",
        ),
        _PT: (
            "arquivo append-only",
            "ligado",
            "desligado",
            "ponha appendonly em yes: sem ele, um reinício do Redis espera pela próxima varredura",
        ),
    },
    "workers": {
        _EN: ("workers", "each queue has one", "no worker runs for {seen}", "start `zaptrix worker`"),
        _PT: ("workers", "há um para cada fila", "nenhum worker roda para {seen}", "inicie `zaptrix worker`"),
    },
    "gateway": {
        _EN: ("gateway", "it runs", "no gateway runs", "start `zaptrix serve`"),
        _PT: ("gateway", "está no ar", "nenhum gateway está no ar", "inicie `zaptrix serve`"),
    },
    "media": {
        _EN: ("media store", "one for all hosts", "", ""),
        _PT: ("arquivos", "um só lugar para todos os hosts", "", ""),
    },
    "secrets": {
        _EN: (
            "stored secrets",
            "by key, the first one first: {seen}",
            "no key of ENCRYPTION_KEYS opens: {seen}",
            "put the key that they were stored with back into ENCRYPTION_KEYS, or give them anew by the API",
        ),
        _PT: (
            "segredos guardados",
            "por chave, a primeira antes: {seen}",
            "nenhuma chave de ENCRYPTION_KEYS abre: {seen}",
            "ponha de volta em ENCRYPTION_KEYS a chave com que foram guardados, ou informe-os de novo pela API",
        ),
    },
    "old_key": {
        _EN: ("old keys", "", "{seen} secrets are under older keys", "run `zaptrix keys rotate`, then drop those keys"),
        _PT: (
            "chaves antigas",
            "",
            "{seen} segredos estão sob chaves antigas",
            "execute `zaptrix keys rotate` e depois retire essas chaves",
        ),
    },
    "folder": {
        _EN: (
            "data folder",
            "closed to other accounts",
            "other accounts may read {seen}",
            "chmod -R go= on it (chown it first, where it is another account's)",
        ),
        _PT: (
            "pasta de dados",
            "fechada a outras contas",
            "outras contas podem ler {seen}",
            "aplique chmod -R go= (e antes chown, onde for de outra conta)",
        ),
    },
    "disk": {
        _EN: ("disk", "{seen} MB free", "{seen} MB free", "make room where DATA_DIR is: the spool and files need it"),
        _PT: (
            "disco",
            "{seen} MB livres",
            "{seen} MB livres",
            "libere espaço onde está DATA_DIR: spool e arquivos precisam dele",
        ),
    },
    "history": {
        _EN: (
            "history",
            "",
            "{seen}",
            "let the application's user see all conversations of its open lines; lost replies cannot be found",
        ),
        _PT: (
            "histórico",
            "",
            "{seen}",
            "deixe o usuário do app ver todas as conversas dos canais abertos; respostas perdidas não são achadas",
        ),
    },
    "unreached": {
        _EN: (
            "",
            "answers",
            "{seen}",
            "can this machine reach it? If so, is its address right (META_GRAPH_URL, the portal's portal_url)?",
        ),
        _PT: (
            "",
            "responde",
            "{seen}",
            "esta máquina o alcança? Se sim, o endereço está certo (META_GRAPH_URL, o portal_url do portal)?",
        ),
    },
    "token": {
        _EN: ("", "answers", "{seen}", "give it a valid token by the API"),
        _PT: ("", "responde", "{seen}", "informe um token válido pela API"),
    },
    "subscription": {
        _EN: (
            "",
            "subscribed",
            "its WhatsApp account is not subscribed to the app ({seen}): no message of it arrives",
            "PUT /api/channels/{id} with {} subscribes it again; see who took it away in Meta's Business settings",
        ),
        _PT: (
            "",
            "inscrita",
            "a conta do WhatsApp não está inscrita no app ({seen}): nenhuma mensagem dela chega",
            "PUT /api/channels/{id} com {} a inscreve de novo; veja na Meta quem a retirou",
        ),
    },
}
