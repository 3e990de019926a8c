#!/usr/bin/env bash
# How fast dbferry moves two Postgres tables into another database of the same server, beside
#   copy      psql COPY TO STDOUT (binary) | psql COPY FROM STDIN (binary), table after table, into
#             the same tables with the same indexes in place: one connection on each side
#   dump      pg_dump -Fc -Z0 | pg_restore, which makes the tables, and the indexes afterwards
# dbferry runs with one connection on each side (jobs = 1, no splits), and as `splits` with every
# table cut into key ranges that move side by side.
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/postgres
rows=${ROWS:-1000000}
with=${WITH:-dbferry splits copy dump}
[ "${BARE:-}" = 1 ] && with="$with bare"
from=$server/dbferry_bench_source
to=$server/dbferry_bench

# --- data: made once for each number of rows, and again when what makes it changes -------------

stamp=$(cat "$project"/{source,target}.sql | sha256sum | cut -c1-12)-$rows
source_is_there() { [ "$(sql dbferry_bench_source "select obj_description('users'::regclass)" 2>/dev/null)" = "$stamp" ]; }
if ! source_is_there; then
    say "making $rows users and $((rows * 2)) posts"
    fresh_database dbferry_bench_source
    "$psql" -Xq -v ON_ERROR_STOP=1 -v rows="$rows" "$from" -f "$project/source.sql"
    sql dbferry_bench_source "vacuum (analyze)"
    sql dbferry_bench_source "comment on table users is '$stamp'"
fi

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

check_counts() {
    local found
    found=$(sql dbferry_bench "select (select count(*) from users) || ' ' || (select count(*) from posts)")
    [ "$found" = "$1 $(($1 * 2))" ] || { say "the target holds $found rows, not $1 $(($1 * 2))"; exit 1; }
}

warm() { sql dbferry_bench_source "select count(*) from users u, lateral (select u.bio) x; select count(content) from posts" >/dev/null; }

dbferry() {
    fresh_database dbferry_bench "$project/target.sql"
    warm
    (cd "$project" && BENCH_SOURCE_URL="$from?sslmode=disable" BENCH_TARGET_URL="$to?sslmode=disable" \
        timed dbferry "$1" run . --env "$2")
    check_counts "$3"
}

measure_dbferry() { dbferry "$DBFERRY" one "$1"; }
measure_splits() { dbferry "$DBFERRY" splits "$1"; }
measure_bare() { dbferry "$bare" one "$1"; }

measure_copy() {
    fresh_database dbferry_bench "$project/target.sql"
    warm
    timed copy bash -c "set -euo pipefail; for table in users posts; do
        '$psql' -Xq -v ON_ERROR_STOP=1 '$from' -c \"copy \$table to stdout (format binary)\" |
            '$psql' -Xq -v ON_ERROR_STOP=1 '$to' -c \"copy \$table from stdin (format binary)\"
    done"
    check_counts "$1"
}

measure_dump() {
    fresh_database dbferry_bench
    warm
    timed dump bash -c "set -euo pipefail
        '$postgres_bin/pg_dump' -Fc -Z0 -t users -t posts '$from' | '$postgres_bin/pg_restore' --no-owner -d '$to'"
    check_counts "$1"
}

# --- the measurements ------------------------------------------------------------------------

make_durable
results=$scratch/results_postgres.txt
: >"$results"
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"
sql postgres "drop database if exists dbferry_bench"

printf '\nPostgres to Postgres: %d users and %d posts, median of %d\n\n' "$rows" "$((rows * 2))" "$runs"
table $((rows * 3)) copy "${names[@]}"
