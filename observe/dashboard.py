"""The dashboard: the brief's six panels under its names, then what decides in this house.

`python -m observe dashboard` writes `grafana/dashboards/zaptrix-dashboard.json`; a test holds both equal. Counters are
added up over all processes; what each gateway looks up in the same stores is told several times, so the largest counts.
"""

from __future__ import annotations

import json
from pathlib import Path

from observe.panels import SOURCE, Json, Panel, Query, Row, laid_out
from observe.rows import ALARMS, CACHE, LATENESS, PACE, RATE, SERVERS, TENANTS, VERDICTS

FILE = Path(__file__).parents[1] / "grafana" / "dashboards" / "zaptrix-dashboard.json"
SCHEMA_VERSION = 39  # Grafana 11's: every later one takes it in

_MONITORS = "/health|/metrics|/metrics/json|/cache/stats|/queues/stats"


def _quantiles(metric: str, legend: str, only: str = "") -> tuple[Query, ...]:
    return tuple(
        Query(f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{only}{RATE})))", f"{legend} {name}")
        for share, name in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))
    )


THE_SIX = (
    Panel(
        title="Taxa de mensagens (req/s)",
        pt="Mensagens entregues por segundo, por sentido.",
        en="Messages delivered a second, by direction.",
        queries=(
            Query(
                f'sum by (direction) (rate(zaptrix_messages_processed_total{{result="success"}}{RATE}))',
                "{{direction}}",
            ),
        ),
        unit="reqps",
    ),
    Panel(
        title="Latência (p50, p95, p99)",
        pt="HTTP: quanto demora uma resposta, sem as páginas de monitoramento. "
        "Entrega: do webhook até a outra plataforma aceitar.",
        en="HTTP: how long an answer takes, monitoring pages left out. "
        "Delivery: from the webhook until the other platform took the message.",
        queries=(
            *_quantiles("zaptrix_http_request_duration_seconds", "HTTP", f'{{route=~"$route", route!~"{_MONITORS}"}}'),
            *_quantiles("zaptrix_delivery_seconds", "entrega"),
        ),
        unit="s",
    ),
    Panel(
        title="Tamanho das filas em tempo real",
        pt="O que espera ou está em andamento, segundo o PostgreSQL. O alarme é a idade, não o tamanho.",
        en="What waits or is under way, by PostgreSQL. The alarm is the age, not the length.",
        queries=(
            Query('sum by (queue) (max by (queue, state) (zaptrix_queue_size{state=~"waiting|active"}))', "{{queue}}"),
        ),
    ),
    Panel(
        title="Webhooks por origem (Meta vs Bitrix24)",
        pt="Webhooks aceitos por segundo.",
        en="Webhooks taken a second.",
        queries=(Query(f"sum by (source) (rate(zaptrix_webhooks_received_total{RATE}))", "{{source}}"),),
        unit="reqps",
    ),
    Panel(
        title="Taxa de sucesso vs erro",
        pt="Mensagens por segundo cujo trabalho terminou: levadas, ou abandonadas.",
        en="Messages a second whose work ended: carried, or given up.",
        queries=(Query(f"sum by (result) (rate(zaptrix_messages_processed_total{RATE}))", "{{result}}"),),
        unit="reqps",
    ),
    Panel(
        title="Throughput por fila",
        pt="O que cada fila levou até o fim, por segundo: eventos nas duas de entrada, mensagens nas duas de entrega.",
        en="What each queue saw through a second: events in the two that route, messages in the two that deliver.",
        queries=(Query(f"sum by (queue) (rate(zaptrix_queue_messages_total{RATE}))", "{{queue}}"),),
        unit="reqps",
    ),
)

ROWS = (
    Row(title="Visão geral", panels=THE_SIX),
    ALARMS,
    LATENESS,
    VERDICTS,
    PACE,
    TENANTS,
    CACHE,
    SERVERS,
)


def dashboard() -> Json:
    """The whole dashboard."""
    return {
        "id": None,
        "uid": "zaptrix",
        "title": "Zaptrix",
        "description": "WhatsApp <-> Bitrix24: o que passa, o que espera e o que falha. What passes, waits and fails.",
        "tags": ["zaptrix"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": [_source_variable(), _route_variable()]},
        "panels": laid_out(ROWS),
    }


def written() -> str:
    """The dashboard as the file holds it."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=2) + "\n"


def _source_variable() -> Json:
    return {
        "name": "DS",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "skipUrlSync": False,
        "current": {},
        "options": [],
    }


def _route_variable() -> Json:
    query = "label_values(zaptrix_http_requests_total, route)"
    return {
        "name": "route",
        "label": "Rota HTTP",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "route"},
        "definition": query,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "skipUrlSync": False,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }
