#!/usr/bin/env bash
# How fast dbferry moves two Postgres tables into another database of the same server, beside
#   copy      psql COPY TO STDOUT (binary) | psql COPY FROM STDIN (binary), table after table, into
#             the same tables with the same indexes in place: one connection on each side
#   copies    the same with both tables side by side: two connections on each side
#   dump      pg_dump -Fc -Z0 | pg_restore, which makes the tables, and the indexes afterwards
#   dumps     pg_dump -Fd -j2, then pg_restore -j2, as they are: the dump is compressed
#   plain     the same without compression (-Z0), which is faster on one machine
#   upsert    psql loading a temporary table by COPY, then INSERT … ON CONFLICT DO UPDATE … WHERE a
#             row differs, into tables that hold all of it: nothing changes
# dbferry runs with one connection on each side (jobs = 1, no splits), as `two` with two, as `splits` with
# every table cut into key ranges that move side by side, and as `over` with `on_conflict = "update"`
# into tables that hold all of it.
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/postgres
rows=${ROWS:-1000000}
with=${WITH:-dbferry copy two splits copies dump dumps plain over upsert}
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

measure_two() { dbferry "$DBFERRY" two "$1"; }

# What a move pipes through for a table.
piped() { echo "'$psql' -Xq -v ON_ERROR_STOP=1 '$from' -c \"copy $1 to stdout (format binary)\" | '$psql' -Xq -v ON_ERROR_STOP=1 '$to'"; }

measure_copies() {
    fresh_database dbferry_bench "$project/target.sql"
    warm
    timed copies bash -c "set -euo pipefail
        $(piped users) -c 'copy users from stdin (format binary)' &
        $(piped posts) -c 'copy posts from stdin (format binary)'
        wait \$!"
    check_counts "$1"
}

# dumps ROWS [OPTION]
dumps() {
    fresh_database dbferry_bench
    warm
    rm -rf "$scratch/dumps"
    timed dumps bash -c "set -euo pipefail
        '$postgres_bin/pg_dump' -Fd -j2 ${2:-} -f '$scratch/dumps' -t users -t posts '$from'
        '$postgres_bin/pg_restore' -j2 --no-owner -d '$to' '$scratch/dumps'"
    check_counts "$1"
    rm -rf "$scratch/dumps"
}

measure_dumps() { dumps "$1"; }
measure_plain() { dumps "$1" -Z0; }

# Tables that hold everything already.
filled() {
    fresh_database dbferry_bench "$project/target.sql"
    local table
    for table in users posts; do
        bash -c "set -euo pipefail; $(piped $table) -c 'copy $table from stdin (format binary)'"
        sql dbferry_bench "vacuum analyze $table"
    done
    warm
}

measure_over() {
    rm -rf "$scratch/over"
    cp -r "$project" "$scratch/over"
    sed -i 's/^key = .*/&\non_conflict = "update"/' "$scratch/over/streams.toml"
    filled
    (cd "$scratch/over" && BENCH_SOURCE_URL="$from?sslmode=disable" BENCH_TARGET_URL="$to?sslmode=disable" \
        timed over "$DBFERRY" run . --env one)
    check_counts "$1"
}

# upsert TABLE: what the server does when it is left alone with it.
upsert() {
    local all changed
    all=$(sql dbferry_bench "select string_agg(quote_ident(attname) || ' = excluded.' || quote_ident(attname), ', ' order by attnum)
        from pg_attribute where attrelid = '$1'::regclass and attnum > 0 and attname <> 'id'")
    changed=$(sql dbferry_bench "select '(' || string_agg('t.' || quote_ident(attname), ', ' order by attnum) || ') is distinct from (' ||
        string_agg('excluded.' || quote_ident(attname), ', ' order by attnum) || ')'
        from pg_attribute where attrelid = '$1'::regclass and attnum > 0")
    echo "$(piped "$1") -c 'create temporary table incoming (like $1)' -c 'copy incoming from stdin (format binary)' \
        -c 'insert into $1 as t select * from incoming on conflict (id) do update set $all where $changed'"
}

measure_upsert() {
    filled
    timed upsert bash -c "set -euo pipefail
        $(upsert users)
        $(upsert posts)"
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
# What is to be compared with what: each with its own limit.
ratio() {
    [[ " $with " == *" $1 "* && " $with " == *" $2 "* ]] || return 0
    awk -v one="$(median "$1" 2)" -v other="$(median "$2" 2)" -v names="$1 / $2" 'BEGIN { printf "%-18s %.2f\n", names, one / other }'
}
echo
ratio two copies
ratio two dumps
ratio two plain
ratio over upsert
