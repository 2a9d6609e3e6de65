"""The dashboard's rows beside the brief's six panels: what decides in this house, in the order in which one looks."""

from __future__ import annotations

from observe.panels import Panel, Query, Row, Step

RATE = "[$__rate_interval]"
_OK, _LOOK, _BAD = "green", "orange", "red"
_NONE_IS_GOOD = (Step(None, _OK), Step(1, _BAD))
_UP = (Step(None, _BAD), Step(1, _OK))


def _p95(metric: str, label: str) -> Query:
    return Query(
        f"histogram_quantile(0.95, sum by (le, {label}) (rate({metric}_bucket{RATE})))", f"{{{{{label}}}}} p95"
    )


LATENESS = Row(
    title="Atrasos",
    panels=(
        Panel(
            title="Idade da mensagem mais antiga",
            pt="Do que nada segura. Alarme: 2 min; grave: 15 min.",
            en="Of what nothing holds. Alarm: 2 min; grave: 15.",
            queries=(Query("max by (queue) (zaptrix_queue_oldest_age_seconds)", "{{queue}}"),),
            unit="s",
            steps=(Step(None, _OK), Step(120, _LOOK), Step(900, _BAD)),
        ),
        Panel(
            title="Entrega por sentido (p95)",
            pt="Do webhook até a outra plataforma aceitar.",
            en="From the webhook until the other platform took it.",
            queries=(_p95("zaptrix_delivery_seconds", "direction"),),
            unit="s",
        ),
        Panel(
            title="Duração dos jobs (p95)",
            pt="De roteamento, até 5 s; de entrega, só um olhar: as chamadas correm ao lado.",
            en="Of routing, up to 5 s; of delivery a look, as calls go beside it.",
            queries=(_p95("zaptrix_queue_job_duration_seconds", "queue"),),
            unit="s",
        ),
        Panel(
            title="Jobs por estado (BullMQ)",
            pt="Sinos no Redis; o conteúdo está no PostgreSQL.",
            en="Bells in Redis; what they are about is in PostgreSQL.",
            queries=(
                Query(
                    'max by (queue, state) (zaptrix_queue_bells{state=~"waiting|active|delayed"})',
                    "{{queue}} {{state}}",
                ),
            ),
        ),
        Panel(
            title="Jobs terminados por segundo",
            pt="`failed` é defeito nosso.",
            en="`failed` is a bug of ours.",
            queries=(Query(f"sum by (queue, status) (rate(zaptrix_queue_job_status{RATE}))", "{{queue}} {{status}}"),),
            unit="reqps",
        ),
        Panel(
            title="Filas com worker",
            pt="1: alguém atende. 0: nada sai desta fila.",
            en="1: somebody answers. 0: nothing leaves this queue.",
            queries=(Query("max by (queue) (zaptrix_queue_worked)", "{{queue}}"),),
            kind="stat",
            steps=_UP,
        ),
    ),
)

VERDICTS = Row(
    title="Vereditos e falhas",
    panels=(
        Panel(
            title="Vereditos por plataforma",
            pt="O que se decidiu sobre cada chamada.",
            en="What was decided about each call.",
            queries=(
                Query(f"sum by (side, verdict) (rate(zaptrix_verdicts_total{RATE})) > 0", "{{side}} {{verdict}}"),
            ),
            unit="reqps",
        ),
        Panel(
            title="Chamadas sem sucesso por causa",
            pt="too_fast: ritmo, não custa tentativa. refused: nunca será aceita. unauthorized: chave ruim.",
            en="too_fast: pace, costs no attempt. refused: will never be taken. unauthorized: a bad key.",
            queries=(
                Query(f"sum by (side, cause) (rate(zaptrix_call_failures_total{RATE})) > 0", "{{side}} {{cause}}"),
            ),
            unit="reqps",
        ),
        Panel(
            title="Mensagens abandonadas e eventos sem rota",
            pt="O que está agora em /api/dead-letters e em unroutable.",
            en="What stands in /api/dead-letters and in unroutable now.",
            queries=(Query('max by (queue) (zaptrix_queue_size{state="failed"})', "{{queue}}"),),
        ),
        Panel(
            title="Pedidos de atenção por hora",
            pt='Linhas de log com "alarm": true.',
            en='Log lines with "alarm": true.',
            queries=(Query("sum by (kind) (increase(zaptrix_alarms_total[1h])) > 0", "{{kind}}"),),
        ),
        Panel(
            title="Respostas HTTP por classe",
            pt="4xx é de quem chama, 5xx é nosso.",
            en="4xx is the caller's, 5xx is ours.",
            queries=(
                *(
                    Query(f'sum(rate(zaptrix_http_requests_total{{status=~"{digit}.."}}{RATE}))', f"{digit}xx")
                    for digit in "2345"
                ),
            ),
            unit="reqps",
        ),
        Panel(
            title="Respostas recuperadas por hora",
            pt="Respostas de operadores achadas no histórico do portal.",
            en="Operators' replies found in a portal's history.",
            queries=(Query("sum by (fate) (increase(zaptrix_recovered_messages_total[1h]))", "{{fate}}"),),
        ),
    ),
)

PACE = Row(
    title="Ritmo das plataformas",
    panels=(
        Panel(
            title="Chamadas por segundo, por limite",
            pt="Fichas tiradas dos baldes.",
            en="Tokens taken from the buckets.",
            queries=(Query(f"sum by (bucket) (rate(zaptrix_pace_wait_seconds_count{RATE}))", "{{bucket}}"),),
            unit="reqps",
            width=6,
        ),
        Panel(
            title="Parte que teve de esperar",
            pt="Perto de 1: o limite está todo em uso.",
            en="Near 1: all of the limit is used.",
            queries=(
                Query(
                    f'1 - sum by (bucket) (rate(zaptrix_pace_wait_seconds_bucket{{le="0.0"}}{RATE})) '
                    f"/ (sum by (bucket) (rate(zaptrix_pace_wait_seconds_count{RATE})) > 0)",
                    "{{bucket}}",
                ),
            ),
            unit="percentunit",
            top=1,
            width=6,
        ),
        Panel(
            title="Espera pelo ritmo (p95)",
            pt="Quanto uma chamada espera por sua vez.",
            en="How long a call waits for its turn.",
            queries=(_p95("zaptrix_pace_wait_seconds", "bucket"),),
            unit="s",
            width=6,
        ),
        Panel(
            title="Recusas por ritmo, por hora",
            pt="Deve ser zero: a plataforma recusou uma chamada por ser cedo demais.",
            en="Has to be zero: a platform refused a call for coming too soon.",
            queries=(Query("sum by (bucket) (increase(zaptrix_pace_refusals_total[1h]))", "{{bucket}}"),),
            width=6,
            steps=_NONE_IS_GOOD,
        ),
    ),
)

TENANTS = Row(
    title="Portais, canais e tokens",
    panels=(
        Panel(
            title="Em pausa",
            pt="Portais e canais parados por uma chave ruim.",
            en="Portals and channels that stand still behind a bad key.",
            queries=(Query("max by (kind) (zaptrix_paused)", "{{kind}}"),),
            kind="stat",
            width=6,
            steps=_NONE_IS_GOOD,
        ),
        Panel(
            title="Números",
            pt="connected: cadastrados. busy: movimentados nestas horas há uma semana. "
            "silent: movimentados então, mudos agora.",
            en="connected: registered. busy: many wrote in these hours a week ago. silent: busy then, mute now.",
            queries=(Query("max by (state) (zaptrix_channels)", "{{state}}"),),
            width=6,
        ),
        Panel(
            title="Renovações de token por hora",
            pt="Do OAuth do Bitrix24: cerca de uma por portal em uso e hora.",
            en="Of Bitrix24's OAuth: about one an hour for a portal in use.",
            queries=(Query("sum by (result) (increase(zaptrix_token_refreshes_total[1h]))", "{{result}}"),),
            width=6,
        ),
        Panel(
            title="Portais em recuperação",
            pt="Seus históricos são lidos depois de uma queda.",
            en="Their histories are read after an outage.",
            queries=(Query("max(zaptrix_recovery_running)", "portais"),),
            width=6,
        ),
    ),
)

CACHE = Row(
    title="Cache, arquivos e spool",
    panels=(
        Panel(
            title="Acerto do cache (meta: 85-95 %)",
            pt="Entre as linhas: como deve ser depois de aquecido.",
            en="Between the lines: as it should be once warm.",
            queries=(
                Query(
                    f'sum by (cache) (rate(zaptrix_cache_lookups_total{{result="hit"}}{RATE})) '
                    f"/ (sum by (cache) (rate(zaptrix_cache_lookups_total{RATE})) > 0)",
                    "{{cache}}",
                ),
                Query("max by (cache) (zaptrix_cache_hit_ratio)", "{{cache}}, desde o início"),
            ),
            unit="percentunit",
            top=1,
            steps=(Step(None, _LOOK), Step(0.85, _OK), Step(0.95, "blue")),
        ),
        Panel(
            title="Spool: eventos no disco",
            pt="Deve ser zero: eventos do Bitrix24 que esperam pelo PostgreSQL.",
            en="Has to be zero: events of Bitrix24 that wait for PostgreSQL.",
            queries=(Query("sum by (instance, state) (zaptrix_spool_files)", "{{instance}} {{state}}"),),
            steps=_NONE_IS_GOOD,
        ),
        Panel(
            title="Disco livre",
            pt="Do disco de DATA_DIR.",
            en="Of the disk that holds DATA_DIR.",
            queries=(Query("min by (instance) (zaptrix_disk_free_ratio)", "{{instance}}"),),
            unit="percentunit",
            top=1,
            steps=(Step(None, _BAD), Step(0.1, _OK)),
        ),
        Panel(
            title="Arquivos por segundo",
            pt="Prontos para ir com suas mensagens.",
            en="Ready to go with their messages.",
            queries=(
                Query(f"sum by (direction, kind) (rate(zaptrix_files_total{RATE})) > 0", "{{direction}} {{kind}}"),
            ),
            unit="reqps",
        ),
        Panel(
            title="Arquivos: espera e volume",
            pt="Ainda não prontos; demora até ficarem (p95, em segundos).",
            en="Not ready yet; time until they are (p95, s).",
            queries=(
                Query("max by (direction) (zaptrix_files_waiting)", "{{direction}} à espera"),
                _p95("zaptrix_file_ready_seconds", "direction"),
            ),
        ),
        Panel(
            title="Arquivos abandonados por hora",
            pt="E por quê.",
            en="And why.",
            queries=(
                Query(
                    "sum by (direction, reason) (increase(zaptrix_files_failed_total[1h])) > 0",
                    "{{direction}} {{reason}}",
                ),
            ),
        ),
    ),
)

SERVERS = Row(
    title="Banco, Redis e processos",
    panels=(
        Panel(
            title="PostgreSQL e Redis",
            pt="1: cada gateway consegue usá-lo.",
            en="1: every gateway can use it.",
            queries=(Query("min by (server) (zaptrix_server_up)", "{{server}}"),),
            kind="stat",
            width=6,
            steps=_UP,
        ),
        Panel(
            title="Resposta de PostgreSQL e Redis",
            pt="Uma pergunta simples, de cada gateway.",
            en="A simple question, from each gateway.",
            queries=(Query("max by (server, instance) (zaptrix_server_ping_seconds)", "{{server}} ({{instance}})"),),
            unit="s",
            width=6,
        ),
        Panel(
            title="Conexões do PostgreSQL",
            pt="Em uso, e quantas pode haver.",
            en="In use, and how many there may be.",
            queries=(
                Query("max(zaptrix_database_sessions)", "em uso"),
                Query("max(zaptrix_database_sessions_max)", "máximo"),
            ),
            width=6,
        ),
        Panel(
            title="Tamanho do banco e do Redis",
            pt="Em disco e em memória.",
            en="On disk and in memory.",
            queries=(
                Query("max(zaptrix_database_size_bytes)", "PostgreSQL"),
                Query("max(zaptrix_redis_memory_bytes)", "Redis"),
            ),
            unit="bytes",
            width=6,
        ),
        Panel(
            title="Transação mais longa",
            pt="Deve durar poucos segundos.",
            en="Has to last a few seconds at most.",
            queries=(Query("max(zaptrix_database_oldest_transaction_seconds)", "PostgreSQL"),),
            unit="s",
            width=6,
        ),
        Panel(
            title="Certificado de PUBLIC_URL",
            pt="Tempo até vencer.",
            en="Time until it ends.",
            queries=(Query("max(zaptrix_certificate_expires_timestamp_seconds) - time()", "vence em"),),
            kind="stat",
            unit="s",
            width=6,
            steps=(Step(None, _BAD), Step(3 * 86400, _LOOK), Step(14 * 86400, _OK)),
        ),
        Panel(
            title="Processos que respondem",
            pt="Alvos do Prometheus.",
            en="Targets of Prometheus.",
            queries=(Query('sum by (job) (up{job=~"zaptrix-.+"})', "{{job}}"),),
            kind="stat",
            width=6,
        ),
        Panel(
            title="Versões",
            pt="Mais de uma só durante uma atualização.",
            en="More than one only while upgrading.",
            queries=(Query("count by (version) (zaptrix_build_info)", "{{version}}"),),
            kind="stat",
            width=6,
        ),
    ),
)

ALARMS = Row(
    title="Alarmes",
    panels=(
        Panel(
            title="Alarmes ativos",
            pt="Cada um tem seu capítulo em docs/RUNBOOK.md.",
            en="Each has its chapter in docs/RUNBOOK.md.",
            queries=(
                Query(
                    'sum by (alertname, severity) (ALERTS{alertname=~"Zaptrix.+", alertstate="firing"})',
                    "{{alertname}} ({{severity}})",
                ),
            ),
            width=24,
        ),
    ),
)
