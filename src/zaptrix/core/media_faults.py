"""What is wrong with a media store, and what to do, in both languages: by the kinds of `core/faults.py`."""

from __future__ import annotations

from zaptrix.core.portal import Locale

_PT, _EN = Locale.PT_BR, Locale.EN

WORDS: dict[str, dict[Locale, tuple[str, str]]] = {
    "media_other": {
        _EN: (
            "other processes keep files in another media store than this one, so that neither would find the other's",
            (
                "give all hosts the same MEDIA_URL (s3://, gs://, az://), or a shared DATA_DIR/media; to change the "
                "store, stop all gateways and workers first"
            ),
        ),
        _PT: (
            "outros processos guardam arquivos em outro lugar que este, e um não acharia os do outro",
            (
                "dê a todos os hosts a mesma MEDIA_URL (s3://, gs://, az://), ou uma DATA_DIR/media comum; para "
                "mudar de lugar, pare antes todos os gateways e workers"
            ),
        ),
    },
    "media_away": {
        _EN: (
            "the media store cannot be used ({seen})",
            "are MEDIA_URL and its credentials right, and may this account write to it (without it: DATA_DIR/media)?",
        ),
        _PT: (
            "o lugar dos arquivos não pode ser usado ({seen})",
            "MEDIA_URL e suas credenciais estão certas, e esta conta pode escrever nele (sem ela: DATA_DIR/media)?",
        ),
    },
    "media_url": {
        _EN: (
            "the media store's address cannot be used ({seen})",
            "write MEDIA_URL=s3://bucket/prefix, and the store's own address as AWS_ENDPOINT_URL=https://host:port",
        ),
        _PT: (
            "o endereço do lugar dos arquivos não pode ser usado ({seen})",
            "escreva MEDIA_URL=s3://bucket/prefixo, e o endereço do servidor em AWS_ENDPOINT_URL=https://host:porta",
        ),
    },
    "media_bucket": {
        _EN: ("the media store has no bucket of the name in MEDIA_URL ({seen})", "create it, or name the right one"),
        _PT: ("o bucket indicado em MEDIA_URL não existe ({seen})", "crie-o ou informe o certo"),
    },
    "media_keyless": {
        _EN: (
            "no credentials for the media store are given, and this machine has no role of its own",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or their _FILE)",
        ),
        _PT: (
            "não há credenciais para o lugar dos arquivos, e esta máquina não tem um papel (role) próprio",
            "informe AWS_ACCESS_KEY_ID e AWS_SECRET_ACCESS_KEY (ou os mesmos nomes com _FILE)",
        ),
    },
    "media_login": {
        _EN: (
            "the media store refuses the access key or its secret ({seen})",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that it knows",
        ),
        _PT: (
            "o lugar dos arquivos recusa a chave de acesso ou o segredo dela ({seen})",
            "ponha em AWS_ACCESS_KEY_ID e AWS_SECRET_ACCESS_KEY um par que ele conheça",
        ),
    },
    "media_rights": {
        _EN: (
            "the media store's key may not do all that files need ({seen})",
            "allow it s3:ListBucket on the bucket; s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it",
        ),
        _PT: (
            "a chave do lugar dos arquivos não pode fazer tudo de que os arquivos precisam ({seen})",
            "permita-lhe s3:ListBucket no bucket; s3:GetObject, s3:PutObject e s3:DeleteObject no que está nele",
        ),
    },
    "media_clock": {
        _EN: (
            "the media store refuses what is signed by this machine's clock ({seen})",
            "let this machine follow a time server (chrony, systemd-timesyncd): 15 minutes are too much",
        ),
        _PT: (
            "o lugar dos arquivos recusa o que é assinado pelo relógio desta máquina ({seen})",
            "sincronize esta máquina com um servidor de hora (chrony, systemd-timesyncd): 15 minutos são demais",
        ),
    },
    "media_region": {
        _EN: ("the bucket in MEDIA_URL is in another region ({seen})", "set AWS_REGION to the bucket's region"),
        _PT: ("o bucket de MEDIA_URL está em outra região ({seen})", "ponha em AWS_REGION a região do bucket"),
    },
    "media_tls": {
        _EN: (
            "no trusted TLS connection to the media store comes about ({seen})",
            "give the right host in AWS_ENDPOINT_URL (https:// where there is TLS), and its CA's file in AWS_CA_BUNDLE",
        ),
        _PT: (
            "não se estabelece uma conexão TLS confiável com o lugar dos arquivos ({seen})",
            "informe o host certo em AWS_ENDPOINT_URL (https:// onde há TLS) e o arquivo da CA em AWS_CA_BUNDLE",
        ),
    },
    "media_ca_file": {
        _EN: (
            "the file in AWS_CA_BUNDLE cannot be read ({seen})",
            "put the CA's certificate there, as PEM, readable by this account",
        ),
        _PT: (
            "o arquivo de AWS_CA_BUNDLE não pode ser lido ({seen})",
            "ponha ali o certificado da CA, em PEM, legível por esta conta",
        ),
    },
}
