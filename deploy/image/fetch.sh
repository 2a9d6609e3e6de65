#!/bin/sh
# fetch.sh LOCK WHEELS: every package of the lock into the folder WHEELS, each judged by its hash, none built here.
set -eu
umask 022
lock=$1 wheels=$2
python3 -m pip download --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
    --dest "$wheels" --requirement "$lock"
