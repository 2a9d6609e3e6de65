#!/bin/sh
# backup-daily.sh: a backup now if there is none of the last day, then one each day at BACKUP_HOUR (UTC, 0 to 23).
#
# BACKUP_TO is a folder or an object store (s3://bucket/prefix), BACKUP_KEEP how many stay there. A backup that failed is
# tried again after ten minutes; the container is unhealthy while the last good one is older than 26 hours.
set -u
: "${BACKUP_TO:=${DATA_DIR:=/var/lib/zaptrix}/backups}" "${BACKUP_KEEP:=14}" "${BACKUP_HOUR:=3}"
case $BACKUP_HOUR in
    [0-9] | 1[0-9] | 2[0-3]) ;;
    *) echo "BACKUP_HOUR: '$BACKUP_HOUR' is not an hour from 0 to 23" >&2; exit 2 ;;
esac
good="$DATA_DIR/last-backup"
until_s() { # seconds until the next BACKUP_HOUR
    now=$(date -u +%s)
    next=$((now - now % 86400 + BACKUP_HOUR * 3600))
    [ "$next" -gt "$now" ] || next=$((next + 86400))
    echo $((next - now))
}
busy=
attend() { # in the background, so that a signal is taken at once and handed on
    busy=yes
    "$@" &
    wait $!
    ended=$?
    busy=
    return "$ended"
}
stop() { # a backup that runs removes what it has begun, and is waited for
    trap '' TERM INT
    [ -z "$busy" ] || { kill "${!:-}" 2>/dev/null; wait; }
    exit 0
}
pause() { attend sleep "$1"; }
trap stop TERM INT
[ -n "$(find "$good" -mmin -1440 2>/dev/null)" ] && pause "$(until_s)"
while :; do
    if attend zaptrix backup --to "$BACKUP_TO" --keep "$BACKUP_KEEP"; then
        touch "$good"
        pause "$(until_s)"
    else
        echo "the backup failed; it is tried again in ten minutes" >&2
        pause 600
    fi
done
