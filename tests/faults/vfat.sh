#!/usr/bin/env bash
# The kills on a vfat disk, for a machine whose own kernel knows none: `tests/faults/vfat.sh [ROUNDS]`.
#
# Debian's user-mode-linux is a kernel as a program; it has vfat, and this machine's files as its own. As root, with dosfstools.
# The server is target/debug/number8, or the one that NUMBER8_BIN names.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-100}
command -v linux.uml >/dev/null || {
    echo "vfat.sh: linux.uml is missing (Debian: user-mode-linux)" >&2
    exit 1
}
server=$(realpath "${NUMBER8_BIN:-target/debug/number8}")
modules=$(ls -d /usr/lib/uml/modules/*)
start=$(mktemp) log=$(mktemp)
trap 'rm -f "$start" "$log"' EXIT

cat >"$start" <<START
#!/bin/bash
export PATH=$PATH HOME=$HOME NUMBER8_BIN=$server TMPDIR=/mnt
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o size=700m tmp /mnt
ip link set lo up
for module in fat/fat fat/vfat nls/nls_cp437 nls/nls_ascii nls/nls_iso8859-1; do insmod $modules/kernel/fs/\$module.ko 2>/dev/null; done
insmod $modules/kernel/drivers/block/loop.ko 2>/dev/null
cd "$PWD"
tests/faults/run.py --rounds $rounds test_kills.Kills.test_f9_files_are_whole_after_kill_9_on_vfat && echo "vfat: good"
echo o >/proc/sysrq-trigger
sleep 60
START
chmod +x "$start"
linux.uml mem=1500M rootfstype=hostfs rootflags=/ rw "init=$start" con=null con0=fd:0,fd:1 quiet </dev/null | tee "$log"
# A test that was skipped is no kill.
grep -q "^vfat: good" "$log" && grep -q " kills, " "$log"
