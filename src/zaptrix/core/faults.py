"""Why a server that the gateway stands on cannot be used as it is, each with its remedy, in both languages.

The commands refuse to start with these sentences, the doctor lists them, and `/health` tells them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from zaptrix.core import media_faults
from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN


class FaultKind(StrEnum):
    """What is wrong. A kind in `PASSING` may end by itself."""

    POSTGRES_AWAY = "postgres_away"
    POSTGRES_URL = "postgres_url"
    POSTGRES_LOGIN = "postgres_login"
    POSTGRES_NO_DATABASE = "postgres_no_database"
    POSTGRES_TLS = "postgres_tls"
    POSTGRES_TLS_FILE = "postgres_tls_file"
    POSTGRES_POOLER = "postgres_pooler"
    POSTGRES_POOLER_MODE = "postgres_pooler_mode"
    POSTGRES_ROLE = "postgres_role"
    POSTGRES_OTHER = "postgres_other"
    POSTGRES_OLD = "postgres_old"
    POSTGRES_READ_ONLY = "postgres_read_only"
    POSTGRES_ENCODING = "postgres_encoding"
    POSTGRES_UNMIGRATED = "postgres_unmigrated"
    POSTGRES_LATER = "postgres_later"
    POSTGRES_RIGHTS = "postgres_rights"
    POSTGRES_REFUSED = "postgres_refused"
    REDIS_AWAY = "redis_away"
    REDIS_URL = "redis_url"
    REDIS_LOGIN = "redis_login"
    REDIS_TLS = "redis_tls"
    REDIS_RIGHTS = "redis_rights"
    REDIS_DB = "redis_db"
    REDIS_CLUSTER = "redis_cluster"
    REDIS_NO_CLUSTER = "redis_no_cluster"
    REDIS_SENTINEL = "redis_sentinel"
    REDIS_NO_SENTINEL = "redis_no_sentinel"
    REDIS_SERVICE = "redis_service"
    REDIS_SENTINEL_LOGIN = "redis_sentinel_login"
    REDIS_REPLICA = "redis_replica"
    REDIS_OLD = "redis_old"
    REDIS_FULL = "redis_full"
    REDIS_REFUSED = "redis_refused"
    MEDIA_OTHER = "media_other"
    MEDIA_AWAY = "media_away"
    MEDIA_URL = "media_url"
    MEDIA_BUCKET = "media_bucket"
    MEDIA_KEYLESS = "media_keyless"
    MEDIA_LOGIN = "media_login"
    MEDIA_RIGHTS = "media_rights"
    MEDIA_CLOCK = "media_clock"
    MEDIA_REGION = "media_region"
    MEDIA_TLS = "media_tls"
    MEDIA_CA_FILE = "media_ca_file"


PASSING = frozenset({FaultKind.POSTGRES_AWAY, FaultKind.REDIS_AWAY, FaultKind.REDIS_FULL, FaultKind.MEDIA_AWAY})


class Words(NamedTuple):
    """What is wrong, and what to do."""

    told: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.told}; {self.remedy}"


class Fault(NamedTuple):
    """One kind, with what was seen: a version, the names of tables. Never a value of an address."""

    kind: FaultKind
    seen: str = ""
    url: str = "DATABASE_URL"
    """The variable that names a PostgreSQL."""

    @property
    def may_pass(self) -> bool:
        return self.kind in PASSING

    def words(self, locale: Locale) -> Words:
        told, remedy = WORDS[self.kind][locale]
        return Words(*(text.format(seen=self.seen, url=self.url) for text in (told, remedy)))


class Unfit(Exception):
    """A server cannot be used as it is. The text is in English, for logs."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.words(_EN)))
        self.fault = fault


# A cluster's keys begin with a brace. INFO and CLIENT LIST are counted as dangerous, which the rest of it need not be.
REDIS_RIGHTS = (
    "~bull:* ~zx:* ~{* +@read +@write +@scripting +@transaction +@connection -@dangerous "
    "+info +time +client|list +cluster|slots"
)

_RIGHTS = REDIS_RIGHTS.replace("{", "{{")  # as it stands in words that are filled in
_ESCAPES_EN = "write @ : / ? # [ ] % inside a password as %40 %3A %2F %3F %23 %5B %5D %25"
_ESCAPES_PT = "escreva @ : / ? # [ ] % dentro de uma senha como %40 %3A %2F %3F %23 %5B %5D %25"

WORDS: dict[str, dict[Locale, tuple[str, str]]] = {
    **media_faults.WORDS,
    FaultKind.POSTGRES_AWAY: {
        _EN: ("PostgreSQL does not answer ({seen})", "is the address in {url} right, and is PostgreSQL up?"),
        _PT: (
            "o PostgreSQL não responde ({seen})",
            "o endereço em {url} está certo, e o PostgreSQL está no ar?",
        ),
    },
    FaultKind.POSTGRES_URL: {
        _EN: ("{url} cannot be read as an address ({seen})", f"mend it; {_ESCAPES_EN}"),
        _PT: ("{url} não pode ser lida como endereço ({seen})", f"corrija-a; {_ESCAPES_PT}"),
    },
    FaultKind.POSTGRES_LOGIN: {
        _EN: ("PostgreSQL refuses the role in {url}, or its password", f"set the right ones; {_ESCAPES_EN}"),
        _PT: ("o PostgreSQL recusa o usuário de {url}, ou a senha", f"informe os certos; {_ESCAPES_PT}"),
    },
    FaultKind.POSTGRES_NO_DATABASE: {
        _EN: (
            "PostgreSQL has no database of the name in {url}",
            "create it (CREATE DATABASE … ENCODING 'UTF8'), or name the right one",
        ),
        _PT: (
            "o PostgreSQL não tem um banco com o nome que está em {url}",
            "crie-o (CREATE DATABASE … ENCODING 'UTF8') ou informe o certo",
        ),
    },
    FaultKind.POSTGRES_TLS: {
        _EN: (
            "no trusted TLS connection to PostgreSQL comes about ({seen})",
            "give the right host and the CA's file: ?sslmode=verify-full&sslrootcert=/path/ca.pem in {url}",
        ),
        _PT: (
            "não se estabelece uma conexão TLS confiável com o PostgreSQL ({seen})",
            "informe o host certo e o arquivo da CA: ?sslmode=verify-full&sslrootcert=/caminho/ca.pem em {url}",
        ),
    },
    FaultKind.POSTGRES_TLS_FILE: {
        _EN: (
            "a certificate file that {url} names cannot be read",
            "put the CA's file where sslrootcert says (without it: ~/.postgresql/root.crt), readable by this account",
        ),
        _PT: (
            "um arquivo de certificado indicado em {url} não pode ser lido",
            "ponha o arquivo da CA onde sslrootcert diz (sem ele: ~/.postgresql/root.crt), legível por esta conta",
        ),
    },
    FaultKind.POSTGRES_POOLER: {
        _EN: (
            "a pooler before PostgreSQL does not keep what belongs to a session, as pgbouncer in transaction mode",
            "give PostgreSQL's own address as DATABASE_DIRECT_URL; then DATABASE_URL may be the pooler's",
        ),
        _PT: (
            "à frente do PostgreSQL há um pool que não guarda o que é da sessão, como o pgbouncer em modo transação",
            "ponha em DATABASE_DIRECT_URL o endereço do próprio PostgreSQL; DATABASE_URL pode então ser o do pool",
        ),
    },
    FaultKind.POSTGRES_POOLER_MODE: {
        _EN: (
            "the pooler before PostgreSQL takes no transactions, or not a parameter of {url}",
            "set pool_mode = transaction in it, and leave parameters that it does not know out of the address",
        ),
        _PT: (
            "o pool à frente do PostgreSQL não aceita transações, ou não aceita um parâmetro de {url}",
            "configure nele pool_mode = transaction e tire do endereço os parâmetros que ele não conhece",
        ),
    },
    FaultKind.POSTGRES_ROLE: {
        _EN: (
            "sessions behind the pooler do not have the settings that `zaptrix migrate` gives to their role",
            "run `zaptrix migrate`, then RECONNECT in the pooler's console (or restart it)",
        ),
        _PT: (
            "as sessões atrás do pool não têm as configurações que o `zaptrix migrate` dá ao usuário delas",
            "execute `zaptrix migrate` e depois RECONNECT no console do pool (ou reinicie-o)",
        ),
    },
    FaultKind.POSTGRES_OTHER: {
        _EN: (
            "DATABASE_URL and DATABASE_DIRECT_URL lead to different databases",
            "give both the address of the same one, once through the pooler and once past it",
        ),
        _PT: (
            "DATABASE_URL e DATABASE_DIRECT_URL levam a bancos diferentes",
            "informe nas duas o mesmo banco, uma vez pelo pool e uma vez sem ele",
        ),
    },
    FaultKind.POSTGRES_OLD: {
        _EN: ("PostgreSQL is of version {seen}", "use version 14 or later"),
        _PT: ("o PostgreSQL é da versão {seen}", "use a versão 14 ou mais nova"),
    },
    FaultKind.POSTGRES_READ_ONLY: {
        _EN: (
            "this PostgreSQL only reads: it is a standby, or set to read only",
            "give {url} the primary's address",
        ),
        _PT: (
            "este PostgreSQL só lê: é uma réplica, ou está em modo somente leitura",
            "ponha em {url} o endereço do primário",
        ),
    },
    FaultKind.POSTGRES_ENCODING: {
        _EN: (
            "the database has the encoding {seen}, which cannot hold every message",
            "create another one with ENCODING 'UTF8' TEMPLATE template0, and name it in {url}",
        ),
        _PT: (
            "o banco usa a codificação {seen}, na qual nem toda mensagem cabe",
            "crie outro com ENCODING 'UTF8' TEMPLATE template0 e informe-o em {url}",
        ),
    },
    FaultKind.POSTGRES_UNMIGRATED: {
        _EN: ("the database does not have the schema of this version ({seen})", "run `zaptrix migrate`"),
        _PT: ("o banco não tem o esquema desta versão ({seen})", "execute `zaptrix migrate`"),
    },
    FaultKind.POSTGRES_LATER: {
        _EN: ("the database has the schema of a later version ({seen})", "run that version of Zaptrix here, too"),
        _PT: ("o banco tem o esquema de uma versão mais nova ({seen})", "execute essa versão do Zaptrix aqui também"),
    },
    FaultKind.POSTGRES_RIGHTS: {
        _EN: (
            "the role in {url} lacks rights on {seen}",
            "let it own the database and what is in it (ALTER DATABASE … OWNER TO …, REASSIGN OWNED BY … TO …)",
        ),
        _PT: (
            "o usuário de {url} não tem direitos sobre {seen}",
            "torne-o dono do banco e do que há nele (ALTER DATABASE … OWNER TO …, REASSIGN OWNED BY … TO …)",
        ),
    },
    FaultKind.POSTGRES_REFUSED: {
        _EN: ("PostgreSQL refuses what it is asked ({seen})", "`zaptrix doctor` and PostgreSQL's own log tell more"),
        _PT: ("o PostgreSQL recusa o que se pede ({seen})", "o `zaptrix doctor` e o log do PostgreSQL dizem mais"),
    },
    FaultKind.REDIS_AWAY: {
        _EN: ("Redis does not answer ({seen})", "is the address in REDIS_URL right, and is Redis up?"),
        _PT: ("o Redis não responde ({seen})", "o endereço em REDIS_URL está certo, e o Redis está no ar?"),
    },
    FaultKind.REDIS_URL: {
        _EN: ("REDIS_URL cannot be read as an address ({seen})", f"mend it; {_ESCAPES_EN}"),
        _PT: ("REDIS_URL não pode ser lida como endereço ({seen})", f"corrija-a; {_ESCAPES_PT}"),
    },
    FaultKind.REDIS_LOGIN: {
        _EN: (
            "Redis refuses the user or the password in REDIS_URL",
            f"set the right ones, as redis://user:password@host; {_ESCAPES_EN}",
        ),
        _PT: (
            "o Redis recusa o usuário ou a senha de REDIS_URL",
            f"informe os certos, como redis://usuario:senha@host; {_ESCAPES_PT}",
        ),
    },
    FaultKind.REDIS_TLS: {
        _EN: (
            "no trusted TLS connection to Redis comes about ({seen})",
            "use rediss:// only where Redis speaks TLS, and give its CA's file as ?ssl_ca_certs=/path/ca.pem",
        ),
        _PT: (
            "não se estabelece uma conexão TLS confiável com o Redis ({seen})",
            "use rediss:// só onde o Redis fala TLS, e informe o arquivo da CA como ?ssl_ca_certs=/caminho/ca.pem",
        ),
    },
    FaultKind.REDIS_RIGHTS: {
        _EN: (
            "the Redis user in REDIS_URL may not do all that the queues need ({seen})",
            f"give it these rights: ACL SETUSER name {_RIGHTS}",
        ),
        _PT: (
            "o usuário do Redis em REDIS_URL não pode fazer tudo de que as filas precisam ({seen})",
            f"dê-lhe estes direitos: ACL SETUSER nome {_RIGHTS}",
        ),
    },
    FaultKind.REDIS_DB: {
        _EN: ("Redis does not have the database number in REDIS_URL", "use one that it has, for example 0"),
        _PT: ("o Redis não tem o banco de número informado em REDIS_URL", "use um que ele tenha, por exemplo 0"),
    },
    FaultKind.REDIS_CLUSTER: {
        _EN: (
            "this Redis is a node of a cluster, and REDIS_URL names a single one",
            "write redis+cluster://host1:6379,host2:6379 (over TLS: rediss+cluster://)",
        ),
        _PT: (
            "este Redis é um nó de um cluster, e REDIS_URL indica um só servidor",
            "escreva redis+cluster://host1:6379,host2:6379 (com TLS: rediss+cluster://)",
        ),
    },
    FaultKind.REDIS_NO_CLUSTER: {
        _EN: (
            "REDIS_URL names a cluster, and this Redis is no node of one",
            "write redis://host:6379/0 for a single Redis, redis+sentinel:// for Sentinels",
        ),
        _PT: (
            "REDIS_URL indica um cluster, e este Redis não é nó de nenhum",
            "escreva redis://host:6379/0 para um só Redis, redis+sentinel:// para Sentinels",
        ),
    },
    FaultKind.REDIS_SENTINEL: {
        _EN: (
            "REDIS_URL names a Redis Sentinel as if it were the Redis itself",
            "write redis+sentinel://host1:26379,host2:26379/service/0 with the name of the service that they watch",
        ),
        _PT: (
            "REDIS_URL indica um Redis Sentinel como se fosse o próprio Redis",
            "escreva redis+sentinel://host1:26379,host2:26379/servico/0 com o nome do serviço que eles vigiam",
        ),
    },
    FaultKind.REDIS_NO_SENTINEL: {
        _EN: (
            "REDIS_URL names Sentinels, and what answers there is none",
            "give the Sentinels' own port (26379, as a rule), or write redis://host:6379/0 for a single Redis",
        ),
        _PT: (
            "REDIS_URL indica Sentinels, e o que responde ali não é um",
            "informe a porta dos Sentinels (em geral 26379), ou escreva redis://host:6379/0 para um só Redis",
        ),
    },
    FaultKind.REDIS_SERVICE: {
        _EN: (
            "the Sentinels in REDIS_URL watch no service of that name",
            "give the name in their `sentinel monitor` line: redis+sentinel://host1:26379,host2:26379/service/0",
        ),
        _PT: (
            "os Sentinels de REDIS_URL não vigiam um serviço com esse nome",
            "informe o nome da linha `sentinel monitor` deles: redis+sentinel://host1:26379,host2:26379/servico/0",
        ),
    },
    FaultKind.REDIS_SENTINEL_LOGIN: {
        _EN: (
            "the Sentinels refuse us",
            f"give their own login in REDIS_URL: ?sentinel_username=…&sentinel_password=…; {_ESCAPES_EN}",
        ),
        _PT: (
            "os Sentinels nos recusam",
            f"informe o login deles em REDIS_URL: ?sentinel_username=…&sentinel_password=…; {_ESCAPES_PT}",
        ),
    },
    FaultKind.REDIS_REPLICA: {
        _EN: ("this Redis is a replica, which only reads", "give REDIS_URL the primary's address"),
        _PT: ("este Redis é uma réplica, que só lê", "ponha em REDIS_URL o endereço do primário"),
    },
    FaultKind.REDIS_OLD: {
        _EN: ("Redis is of version {seen}", "use Redis 6.2 or later, or Valkey"),
        _PT: ("o Redis é da versão {seen}", "use o Redis 6.2 ou mais novo, ou o Valkey"),
    },
    FaultKind.REDIS_FULL: {
        _EN: (
            "Redis takes no writes ({seen})",
            "give it memory (maxmemory), room on its disk and the replicas that it waits for (min-replicas-to-write)",
        ),
        _PT: (
            "o Redis não aceita escritas ({seen})",
            "dê-lhe memória (maxmemory), espaço em disco e as réplicas que ele espera (min-replicas-to-write)",
        ),
    },
    FaultKind.REDIS_REFUSED: {
        _EN: (
            "Redis refuses what it is asked ({seen})",
            "is it a Redis 6.2 or later, or a Valkey, without a proxy before it?",
        ),
        _PT: (
            "o Redis recusa o que se pede ({seen})",
            "é um Redis 6.2 ou mais novo, ou um Valkey, sem proxy na frente?",
        ),
    },
}
