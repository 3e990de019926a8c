#!/usr/bin/env bash
# How fast dbferry moves a PocketBase-like database into typed Postgres tables, beside
#   keyless   the server's own limit: \copy of the same rows from a ready binary file into the same
#             tables without their primary keys, which are added then
#   copy      the same with the keys in place
#   pgloader  Debian's pgloader moving the same SQLite file (it makes the tables itself, with the
#             types it chooses, and afterwards the indexes that it recognises)
#   sling     sling moving the same file (it makes the tables itself, and no index)
#   kept      dbferry with the keys in place (`defer_indexes = "never"`)
#   bare      the same by a build without checkpoints, ledger, validation and digest (BARE=1), which has nowhere
#             to note what is away
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/sqlite
rows=${ROWS:-500000}
with=${WITH:-dbferry keyless copy pgloader sling}
[ "${BARE:-}" = 1 ] && with="$with kept bare"
need sqlite3=sqlite3
[[ " $with " != *" pgloader "* ]] || need pgloader=pgloader

sling=$scratch/sling/bin/sling-linux-amd64
if [[ " $with " == *" sling "* && ! -x "$sling" ]]; then
    say "fetching sling"
    need python3=python3 pip3=python3-pip
    # The package is the program and little else: no environment is needed for it.
    pip3 download -q --disable-pip-version-check --no-deps -d "$scratch" sling-linux-amd64==1.4.11 >&2
    rm -rf "$scratch/sling.new"
    python3 -m zipfile -e "$scratch"/sling_linux_amd64-1.4.11-*.whl "$scratch/sling.new"
    mv "$scratch/sling.new/sling_linux_amd64" "$scratch/sling"
    chmod +x "$sling"
fi

# --- data ------------------------------------------------------------------------------------

# Made once for each number of rows, and again when the script that makes it changes.
source_database() {
    local count=$1 stamp path
    stamp=$(sha256sum "$project/database.sql" | cut -c1-12)
    path=$scratch/source_${count}_$stamp.db
    if [ ! -f "$path" ]; then
        say "making $count users and $((count * 2)) matches"
        rm -f "$scratch/making.db"*
        sqlite3 -bail -cmd ".parameter set :rows $count" "$scratch/making.db" <"$project/database.sql" >/dev/null || return 1
        mv "$scratch/making.db" "$path"
    fi
    echo "$path"
}

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

check_counts() {
    local found
    found=$(sql "$1" "select (select count(*) from users) || ' ' || (select count(*) from matches)")
    [ "$found" = "$2 $(($2 * 2))" ] || { say "$1 holds $found rows, not $2 $(($2 * 2))"; exit 1; }
}

measure_dbferry() {
    fresh_database dbferry_bench "$project/target.sql"
    cat "$source" >/dev/null
    (cd "${from:-$project}" && BENCH_SOURCE=$source BENCH_TARGET_URL="$server/dbferry_bench?sslmode=disable" \
        timed dbferry "$DBFERRY" run . --env bench)
    check_counts dbferry_bench "$1"
}

# The same project with its keys in place.
kept_project() {
    rm -rf "$scratch/kept"
    cp -r "$project" "$scratch/kept"
    sed -i 's/^on_conflict = "error"$/&\ndefer_indexes = "never"/' "$scratch/kept"/*.toml
    echo "$scratch/kept"
}

measure_kept() { from=$(kept_project) measure_dbferry "$1"; }
measure_bare() { from=$(kept_project) DBFERRY=$bare measure_dbferry "$1"; }

measure_copy() {
    if [ ! -f "$scratch/users_$1.copy" ]; then
        say "run dbferry before copy: its tables give the binary files"
        exit 1
    fi
    fresh_database dbferry_bench "$project/target.sql"
    cat "$scratch"/*.copy >/dev/null
    timed copy "$psql" -Xq -v ON_ERROR_STOP=1 "$server/dbferry_bench" \
        -c "\\copy users from '$scratch/users_$1.copy' with (format binary)" \
        -c "\\copy matches from '$scratch/matches_$1.copy' with (format binary)"
    check_counts dbferry_bench "$1"
}

measure_keyless() {
    [ -f "$scratch/users_$1.copy" ] || { say "run dbferry before keyless: its tables give the binary files"; exit 1; }
    sed 's/ primary key/ not null/' "$project/target.sql" >"$scratch/keyless.sql"
    fresh_database dbferry_bench "$scratch/keyless.sql"
    cat "$scratch"/*.copy >/dev/null
    timed keyless "$psql" -Xq -v ON_ERROR_STOP=1 "$server/dbferry_bench" \
        -c "\\copy users from '$scratch/users_$1.copy' with (format binary)" \
        -c "\\copy matches from '$scratch/matches_$1.copy' with (format binary)" \
        -c "alter table users add primary key (id)" -c "alter table matches add primary key (id)"
    check_counts dbferry_bench "$1"
}

measure_sling() {
    fresh_database dbferry_bench
    cat "$source" >/dev/null
    local move="'$sling' run --src-conn BENCH_FROM --tgt-conn BENCH_TO --mode full-refresh"
    HOME=$scratch SLING_DISABLE_TELEMETRY=TRUE BENCH_FROM="sqlite://$source" BENCH_TO="$server/dbferry_bench?sslmode=disable" \
        timed sling bash -c "$move --src-stream main.users --tgt-object public.users &&
            $move --src-stream main.matches --tgt-object public.matches"
    check_counts dbferry_bench "$1"
}

measure_pgloader() {
    fresh_database dbferry_bench
    # With its default of 100000 prefetched rows it runs out of its heap of 1 GB here; its manual's
    # remedy is fewer.
    cat >"$scratch/pgloader.load" <<LOAD
load database from sqlite://$source into pgsql://${server#*://}/dbferry_bench
with include no drop, create tables, create indexes, reset no sequences, prefetch rows = ${PREFETCH:-10000}
including only table names like 'users', 'matches';
LOAD
    cat "$source" >/dev/null
    timed pgloader pgloader --no-ssl-cert-verification "$scratch/pgloader.load"
    # It goes on past errors and ends well nevertheless: the counts tell.
    check_counts dbferry_bench "$1"
}

# --- the measurements ------------------------------------------------------------------------

rm -f "$scratch"/*.copy
make_durable
results=$scratch/results.txt
: >"$results"
source=$(source_database "$rows")
if [[ " $with " == *" copy "* || " $with " == *" keyless "* ]]; then
    say "filling the tables once, for the binary files"
    measure_dbferry "$rows" >/dev/null
    for table in users matches; do
        "$psql" -Xq "$server/dbferry_bench" -c "\\copy $table to '$scratch/${table}_$rows.copy' with (format binary)"
    done
fi
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"
small=$((rows / 10))
if [[ " $with " == *" dbferry "* ]] && [ "$small" -gt 0 ]; then
    source=$(source_database "$small")
    line=$(measure_dbferry "$small")
    say "a tenth of the rows, dbferry: $line"
    echo "tenth $line" >>"$results"
fi
sql postgres "drop database if exists dbferry_bench"

printf '\nSQLite to Postgres: %d users and %d matches, median of %d\n\n' "$rows" "$((rows * 2))" "$runs"
limit=copy
[[ " $with " != *" keyless "* ]] || limit=keyless
table $((rows * 3)) "$limit" "${names[@]}"
if grep -q '^tenth' "$results"; then
    awk -v seconds="$(median tenth 2)" -v peak="$(median tenth 3)" -v rows="$((small * 3))" 'BEGIN {
        printf "%-10s %9.2f %12d %14s %9.1f MB   (a tenth of the rows)\n", "dbferry", seconds, rows / seconds, "-", peak * 1024 / 1e6
    }'
fi
