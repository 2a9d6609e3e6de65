#!/bin/sh
# setup.sh [--embedded] gateway.example.com: what `docker compose` needs beside compose.yaml: .env and secrets/.
#
# It asks for the one secret that it cannot make, the app's at Meta (or takes META_APP_SECRET), and makes all others.
# What is there already stays as it is: it may be run again. SMTP_PASSWORD is Alertmanager's, for alarms by mail, and may be
# given later. SECRETS=/etc/zaptrix/secrets writes them elsewhere, for
# hosts without containers, and then no .env; DATABASE_HOST and REDIS_HOST name other servers than compose's.
set -eu
umask 077
cd "$(dirname "$0")"

profile=full
if [ "${1:-}" = --embedded ]; then
    profile=embedded
    shift
fi
usage() {
    echo "usage: $0 [--embedded] gateway.example.com (the name under which the platforms reach this host)" >&2
    exit 2
}
[ $# = 1 ] || usage
host=$1
case $host in
    *[!A-Za-z0-9.-]* | .* | -* | *. | *..* | *.-* | *-.* | *-) usage ;;
    *.*[A-Za-z]*) ;;
    *) usage ;; # an address, or a name that nobody else knows
esac

folder=${SECRETS:-secrets}
mkdir -p "$folder"
# Files are open to all, as the accounts inside of containers have to read them; the folder lets nobody in.
chmod 0700 "$folder"

random() { # BYTES: by chance, in letters and digits
    od -An -vtx1 -N "$1" /dev/urandom | tr -d ' \n'
}
keep() { # NAME VALUE: unless it is there
    [ -s "$folder/$1" ] || {
        rm -f "$folder/$1"
        (umask 0222 && printf '%s\n' "$2" >"$folder/$1.new")
        mv "$folder/$1.new" "$folder/$1"
    }
}

if [ ! -s "$folder/meta_app_secret" ]; then
    if [ -z "${META_APP_SECRET:-}" ] && [ -t 0 ]; then
        printf 'App secret (Meta for Developers, your app, App settings, Basic): '
        stty -echo
        IFS= read -r META_APP_SECRET || true
        stty echo
        echo
    fi
    if [ -z "${META_APP_SECRET:-}" ]; then
        echo "the app's secret is not given: run this in a terminal, or with META_APP_SECRET=..." >&2
        exit 2
    fi
    META_APP_SECRET=$(printf %s "$META_APP_SECRET" | tr -d '[:space:]')
    if [ ${#META_APP_SECRET} -lt 16 ]; then
        echo "that is not the app's secret: it has 32 letters and digits (App settings, Basic, Show)" >&2
        exit 2
    fi
    keep meta_app_secret "$META_APP_SECRET"
fi
keep meta_verify_token "$(random 16)"
keep metrics_token "$(random 24)"
# A Fernet key: 32 bytes in url-safe base64.
keep encryption_keys "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
if [ "$profile" = full ]; then
    keep postgres_password "$(random 24)"
    keep database_url "postgresql://zaptrix:$(cat "$folder/postgres_password")@${DATABASE_HOST:-postgres}/zaptrix"
    keep redis_password "$(random 24)"
    keep redis_url "redis://:$(cat "$folder/redis_password")@${REDIS_HOST:-valkey}:6379/0"
    keep grafana_password "$(random 12)"
    # Empty until it is given: compose wants a file.
    [ -z "${SMTP_PASSWORD:-}" ] || rm -f "$folder/smtp_password"
    [ -e "$folder/smtp_password" ] || keep smtp_password "${SMTP_PASSWORD:-}"
fi

if [ -z "${SECRETS:-}" ]; then
    # A strict umask at the time of the clone would keep the containers' accounts from their configuration.
    chmod -R a+rX caddy valkey prometheus alertmanager grafana ../grafana
    if [ -e .env ]; then
        if ! grep -qx "DOMAIN=$host" .env || ! grep -qx "COMPOSE_PROFILES=$profile" .env; then
            echo ".env stays as it is, and says another name or profile: change DOMAIN and COMPOSE_PROFILES there" >&2
            exit 2
        fi
        echo ".env is there and stays as it is"
    else
        sed -e "s/^COMPOSE_PROFILES=.*/COMPOSE_PROFILES=$profile/" -e "s/^DOMAIN=.*/DOMAIN=$host/" compose.env.example >.env
    fi
fi
cat <<END
The secrets are in $folder/. Keep a copy of $folder/encryption_keys away from this host: without it no stored token can be read.
Callback URL for Meta's webhook: https://$host/webhooks/meta, its verify token: cat $folder/meta_verify_token
END
