#!/bin/sh
# container.sh: what an engine makes of the image, without one. Run as root in namespaces of mounts and processes.
#
# Reads WORK (a folder with source/ and wheels/), VENV (an environment that has the locked packages), BASE (the prefix of
# its interpreter) and WHOLE (1: install by the lock, as the Dockerfile does; else the wheel alone, over VENV's packages).
# The root is read-only, only /var/lib/zaptrix and /tmp are written in, and zaptrix is process 1 under a numeric account.
set -eu
umask 022
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /mnt
mkdir /mnt/base /mnt/etc /mnt/work /mnt/venv
mount --bind "$BASE" /mnt/base
mount --bind "$WORK" /mnt/work
mount --bind "$VENV" /mnt/venv
cp -a /etc/. /mnt/etc
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=0755 none /opt
mount -t tmpfs -o mode=0755 none /var/lib
mount -t tmpfs -o mode=1777 none /tmp
top=/$(echo "$BASE" | cut -d/ -f2)
if [ "$top" != /usr ]; then # the interpreter may be in a home that is closed to others
    [ "$top" = /opt ] || mount -t tmpfs -o mode=0755 none "$top"
    mkdir -p "$BASE"
    mount --bind /mnt/base "$BASE"
fi

export PATH="$BASE/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
cp -a /mnt/work/source/deploy/image /opt/image
chmod -R go-rwx /opt/image # as from a clone with a strict umask
/opt/image/account.sh
if [ "$WHOLE" = 1 ]; then
    /opt/image/install.sh /mnt/work/source /mnt/work/wheels /opt/zaptrix
else
    python3 -m venv --without-pip /opt/zaptrix
    /mnt/venv/bin/python -m pip --quiet --python /opt/zaptrix/bin/python install \
        --no-index --no-deps /mnt/work/wheels/zaptrix-*.whl
    for site in /mnt/venv/lib/python3.*/site-packages; do
        echo "$site" >"/opt/zaptrix/lib/$(basename "$(dirname "$site")")/site-packages/locked.pth"
    done
fi

for place in / /opt /mnt /mnt/base /mnt/work /mnt/venv /etc "$BASE"; do
    ! mountpoint -q "$place" || mount -o remount,bind,ro "$place"
done
cd /var/lib/zaptrix
# As compose runs it: cap_drop: [ALL], no-new-privileges, the image's ENV.
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all \
    env -i PATH=/opt/zaptrix/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/var/lib/zaptrix \
    DATA_DIR=/var/lib/zaptrix HOST=127.0.0.1 PORT="$PORT" SIM_PORT="$SIM_PORT" /opt/zaptrix/bin/zaptrix up --logs
