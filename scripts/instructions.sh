#!/usr/bin/env bash
# Instructions per row of each step that every row goes through, counted by valgrind and compared with
# benches/instructions.txt: more than 10 % above it is a failure. Seconds vary with what else the
# machine does; instructions hardly do.
#
#   scripts/instructions.sh             compares
#   scripts/instructions.sh --update    writes the file anew
#
# What a step takes is the difference between carrying it out three times and once: what is before
# and after cancels out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stored=benches/instructions.txt
more_max=10

if ! command -v valgrind >/dev/null; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq -y install --no-install-recommends valgrind </dev/null >&2
fi
built=$(cargo build --release --locked --bench instructions --message-format=json-render-diagnostics |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$built" ] || { echo "instructions.sh: the benchmark was not built" >&2; exit 1; }

# count NAME TIMES
count() {
    local counted
    counted=$(valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$built" "$1" "$2" 2>&1 |
        sed -n 's/.*I *refs: *\([0-9,]*\).*/\1/p' | tr -d ,)
    [ -n "$counted" ] || { echo "instructions.sh: $1 was not carried out; try $built $1" >&2; exit 1; }
    echo "$counted"
}

failed=0
found=$(mktemp)
trap 'rm -f "$found"' EXIT
steps=$("$built")
printf '%-20s %12s %12s %8s\n' step stored now change
while read -r name rows; do
    once=$(count "$name" 1)
    thrice=$(count "$name" 3)
    now=$(((thrice - once) / 2 / rows))
    echo "$name $now" >>"$found"
    before=$(awk -v name="$name" '$1 == name { print $2 }' "$stored" 2>/dev/null || true)
    if [ -z "$before" ]; then
        printf '%-20s %12s %12d %8s\n' "$name" - "$now" -
        failed=1
        continue
    fi
    verdict=""
    if [ $((now * 100)) -gt $((before * (100 + more_max))) ]; then
        verdict="  more than $more_max % more"
        failed=1
    fi
    printf '%-20s %12d %12d %+7d%%%s\n' "$name" "$before" "$now" $(((now - before) * 100 / before)) "$verdict"
done <<<"$steps"

if [ "${1:-}" = --update ]; then
    { echo "# Instructions per row of each step; scripts/instructions.sh --update writes them."; cat "$found"; } >"$stored"
elif [ "$failed" != 0 ]; then
    echo "instructions.sh: a step takes more instructions than $stored says: find out why, or say with --update that it has to be" >&2
    exit 1
fi
