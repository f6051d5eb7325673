#!/usr/bin/env bash
# Debian's slowhttptest in its four ways of being slow, against the built command: the service has to be available
# throughout. `tests/faults/slowhttptest.sh [SECONDS [CONNECTIONS]]`, 60 of 1000 unless said otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60} connections=${2:-1000}
server=${NUMBER8_BIN:-target/debug/number8}
command -v slowhttptest >/dev/null || { echo "slowhttptest is missing (Debian's package of that name)" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)"

here=$(mktemp -d)
pid=
finish() { [ -z "$pid" ] || kill "$pid"; rm -rf "$here"; }
trap finish EXIT
mkdir "$here/root"
head -c 4000000 /dev/urandom >"$here/root/big.bin"
head -c 100000 /dev/urandom >"$here/root/some.bin"
echo hello >"$here/root/index.html"
"$server" --bind 127.0.0.1 --port 0 -A --log off "$here/root" 2>"$here/said" &
pid=$!
for _ in $(seq 600); do
    url=$(grep -om1 'http://127[0-9.:]*' "$here/said") && break
    sleep 0.1
done

failed=0
attack() {
    local name=$1
    shift
    slowhttptest "$@" -c "$connections" -r 200 -l "$seconds" -p 5 >"$here/log" 2>&1 || true
    # One line for each second that it has looked.
    local available=$(grep -c 'service available: *.*YES' "$here/log" || true)
    local away=$(grep -c 'service available: *.*NO' "$here/log" || true)
    echo "$name: available $available times, not available $away times"
    ((available && !away)) || { failed=1; tail -20 "$here/log"; }
}
attack "-H slow heads" -H -u "$url/" -i 5
attack "-B slow bodies" -B -u "$url/in/slow" -t PUT -s 100000 -i 5
attack "-R ranges that overlap" -R -u "$url/some.bin" -t GET
attack "-X slow readers" -X -u "$url/big.bin" -w 512 -y 1024 -n 5 -z 32 -k 3
exit "$failed"
