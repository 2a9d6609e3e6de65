#!/usr/bin/env bash
# everything-works.sh: on the servers of DATABASE_URL and REDIS_URL, the schema is made, and a gateway and a worker start
# and say at /health that everything works.
set -euo pipefail
cd "$(dirname "$0")/.."
zaptrix=.venv/bin/zaptrix
port=${PORT:-3000}
data=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$data"' EXIT
ENCRYPTION_KEYS=$($zaptrix new-encryption-key)
export ENCRYPTION_KEYS DATA_DIR="$data" METRICS_PORT=0 SHUTDOWN_DELAY_S=0
$zaptrix migrate
$zaptrix serve &
$zaptrix worker &
for _ in $(seq 60); do
    health=$(curl --silent --max-time 5 "http://127.0.0.1:$port/health" || true)
    case $health in
        *"Everything works."*)
            echo "$health"
            exit 0
            ;;
    esac
    sleep 1
done
echo "not in a minute: $health" >&2
exit 1
