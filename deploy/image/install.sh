#!/bin/sh
# install.sh SOURCE WHEELS TARGET: an environment in TARGET with zaptrix in it, from the folder WHEELS alone: no network.
#
# All but zaptrix is installed by the lock with its hashes; the wheel of zaptrix is made here and stays in WHEELS. What
# only installs or builds is taken out again: the image runs, it does not build.
set -eu
umask 022
source=$1 wheels=$2 target=$3
python3 -m venv "$target"
pip() {
    "$target/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"
}
pip install --no-index --find-links "$wheels" --require-hashes --requirement "$source/requirements/runtime.txt"
pip wheel --no-index --no-deps --no-build-isolation --wheel-dir "$wheels" "$source/."
pip install --no-index --no-deps "$wheels"/zaptrix-*.whl
pip uninstall --yes setuptools pip
"$target/bin/zaptrix" version
