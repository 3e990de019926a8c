#!/usr/bin/env bash
# The one table of ratios: what dbferry has to reach, each move beside what it is measured against, in the
# same run on the same machine. Called by scripts/bench.sh, which says what the variables mean; the single
# benchmarks say what is measured, and print their own tables meanwhile (to standard error).
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
export DBFERRY
folder=$repository/scripts/bench
bare_too=${BARE-1}

# bench NAME WITH: as much of one benchmark as the table needs.
bench() { BARE=$bare_too WITH=$2 "$folder/$1.sh" >&2; }

bench sqlite "dbferry keyless pgloader sling"
bare_too=
bench postgres "two copies dumps plain over upsert"
bench redis "postgres pipe"
bench verify "dbferry copies"
bench start ""

# row RESULTS MOVE ONE AGAINST OTHER LIMIT
row() {
    local results=$scratch/results$1.txt one other
    one=$(median "$3" 2)
    other=$(median "$5" 2)
    awk -v move="$2" -v against="$4" -v one="${one:-0}" -v other="${other:-0}" -v limit="$6" 'BEGIN {
        if (!one || !other) { printf "| %s | %s | - | %s | not measured |\n", move, against, limit; exit }
        ratio = one / other
        printf "| %s | %s | %.2f s / %.2f s = %.2f | %s | %s |\n", move, against, one, other, ratio, limit, limit == "-" ? "-" : ratio <= limit ? "yes" : "no"
    }'
}

printf '\nMedians of %d, Postgres %s, %s processors\n\n' "$runs" "$(sql postgres 'show server_version' | cut -d' ' -f1)" "$(nproc)"
echo "| move | measured against | ratio | at most | reached |"
echo "|---|---|---|---|---|"
row "" "SQLite to Postgres" dbferry "COPY of ready files without keys, then the keys" keyless 1.15
row "" "the same" dbferry "pgloader" pgloader 0.5
row "" "the same" dbferry "sling" sling 0.4
row _postgres "Postgres to Postgres, two connections" two "two COPY TO, each piped into COPY FROM, binary" copies 1.10
row _postgres "the same" two "pg_dump -Fd -j2, pg_restore -j2" dumps 0.8
row _postgres "the same" two "the same with -Z0: nothing is compressed" plain -
row _postgres "the same over equal rows" over "temporary tables by COPY, INSERT ... ON CONFLICT DO UPDATE ... WHERE" upsert 1.15
row _redis "Postgres to Redis" postgres "redis-cli --pipe of ready commands" pipe 1.15
row _verify "verify, all equal" dbferry "two COPY TO /dev/null side by side" copies 2
row "" "SQLite to Postgres, keys in place: checkpoints, ledger, validation, digest" kept "the same without them" bare 1.05
results=$scratch/results_start.txt
awk -v first="$(median first 2)" 'BEGIN { printf "| start to the first row of a small project | | %.3f s | 0.2 s | %s |\n", first / 1000, first <= 200 ? "yes" : "no" }'
