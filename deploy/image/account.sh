#!/bin/sh
# account.sh: the account under which everything runs, and the only folder in which it writes beside /tmp.
#
# Its number is what USER, fsGroup and volumes go by; its name is there as PostgreSQL's initdb wants one. media and
# backups are made here so that volumes mounted there begin with the right owner.
set -eu
id=10001 home=/var/lib/zaptrix
groupadd --gid "$id" zaptrix
useradd --uid "$id" --gid "$id" --no-create-home --home-dir "$home" --shell /usr/sbin/nologin zaptrix
install -d -o "$id" -g "$id" -m 0700 "$home" "$home/media" "$home/backups"
# A strict umask at the time of the clone would keep that account from the scripts beside this one.
chmod -R a+rX "$(dirname "$0")"
