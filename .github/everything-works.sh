#!/usr/bin/env bash
# everything-works.sh: on the servers of DATABASE_URL and REDIS_URL the schema is made, and a gateway and a worker start and
# say at /health that everything works. Settings come from the environment; what is missing is made for the occasion.
set -euo pipefail
cd "$(dirname "$0")/.."
zaptrix=.venv/bin/zaptrix
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
[ -n "${ENCRYPTION_KEYS:-}${ENCRYPTION_KEYS_FILE:-}" ] || ENCRYPTION_KEYS=$($zaptrix new-encryption-key)
export ENCRYPTION_KEYS="${ENCRYPTION_KEYS:-}" DATA_DIR="${DATA_DIR:-$folder}" METRICS_PORT="${METRICS_PORT:-0}" SHUTDOWN_DELAY_S=0
$zaptrix migrate
$zaptrix serve &
$zaptrix worker &
for _ in $(seq 90); do
    health=$(curl --silent --max-time 5 "http://127.0.0.1:${PORT:-3000}/health" || true)
    case $health in
        *"Everything works."*)
            echo "$health"
            exit 0
            ;;
    esac
    sleep 1
done
echo "not in time: $health" >&2
exit 1
