#!/usr/bin/env bash
# How fast dbferry moves a PocketBase-like database into typed Postgres tables, beside
#   copy      the server's own limit: \copy of the same rows from a ready binary file into the same
#             tables, with the same indexes in place
#   pgloader  Debian's pgloader moving the same SQLite file (it makes the tables itself, with the
#             types it chooses, and afterwards the indexes that it recognises)
# All against the same server, which checkpoints before each measurement, into an empty database,
# with the files in the page cache; the order changes from run to run, and medians are printed.
#
#   ROWS=500000   users; there are twice as many matches
#   RUNS=3        measurements of each
#   WITH=…        which to measure (default: "dbferry copy pgloader"; copy needs dbferry)
#   DBFERRY=…     the program to measure (default: built with --release)
#   BARE=1        also a dbferry built with `--features bench-bare`, which keeps no checkpoints and
#                 validates nothing: what both cost
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

rows=${ROWS:-500000}
runs=${RUNS:-3}
with=${WITH:-dbferry copy pgloader}
[ "${BARE:-}" = 1 ] && with="$with bare"
scratch=$(realpath -m "${DBFERRY_SCRATCH:-${TMPDIR:-/tmp}/dbferry-services}")/bench
project=$repository/benches/move
export LC_ALL=C.UTF-8
mkdir -p "$scratch"

say() { printf 'bench: %s\n' "$*" >&2; }

# --- tools and server ------------------------------------------------------------------------

missing=()
[ -x /usr/bin/time ] || missing+=(time)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
[[ " $with " != *" pgloader "* ]] || command -v pgloader >/dev/null || missing+=(pgloader)
if [ "${#missing[@]}" -gt 0 ]; then
    say "installing ${missing[*]}"
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq -y install --no-install-recommends "${missing[@]}" </dev/null >&2
fi
variables=$(scripts/services.sh up)
eval "$variables"
server=${DBFERRY_TEST_POSTGRES_URL%/*}
psql=$(scripts/services.sh pg-bin)/psql

bare=$scratch/dbferry-bare
if [ "${BARE:-}" = 1 ]; then
    say "building dbferry without checkpoints and validation (release)"
    cargo build --release --locked --features bench-bare >&2
    cp "${CARGO_TARGET_DIR:-$repository/target}/release/dbferry" "$bare"
fi
if [ -z "${DBFERRY:-}" ]; then
    say "building dbferry (release)"
    cargo build --release --locked >&2
    DBFERRY=${CARGO_TARGET_DIR:-$repository/target}/release/dbferry
fi
DBFERRY=$(realpath "$DBFERRY")

sql() { "$psql" -XAtq -v ON_ERROR_STOP=1 "$server/$1" -c "$2"; }

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

fresh_database() {
    sql postgres "drop database if exists $1"
    sql postgres "create database $1 template template0"
    [ "$2" = empty ] || "$psql" -Xq -v ON_ERROR_STOP=1 "$server/$1" -f "$project/target.sql"
}

timed() {
    local report=$scratch/time.txt log=$scratch/$1.log
    shift
    cat "$source" "$scratch"/*.copy >/dev/null 2>&1 || true
    sql postgres checkpoint
    if ! /usr/bin/time -o "$report" -f '%e %M' "$@" >"$log" 2>&1 </dev/null; then
        say "failed: $*"
        tail -n 20 "$log" >&2
        exit 1
    fi
    tail -n 1 "$report"
}

check_counts() {
    local found
    found=$(sql "$1" "select (select count(*) from users) || ' ' || (select count(*) from matches)")
    [ "$found" = "$2 $(($2 * 2))" ] || { say "$1 holds $found rows, not $2 $(($2 * 2))"; exit 1; }
}

measure_dbferry() {
    fresh_database dbferry_bench typed
    (cd "$project" && BENCH_SOURCE=$source BENCH_TARGET_URL="$server/dbferry_bench?sslmode=disable" \
        timed dbferry "$DBFERRY" run . --env bench)
    check_counts dbferry_bench "$1"
}

measure_bare() { DBFERRY=$bare measure_dbferry "$1"; }

measure_copy() {
    if [ ! -f "$scratch/users_$1.copy" ]; then
        say "run dbferry before copy: its tables give the binary files"
        exit 1
    fi
    fresh_database dbferry_bench typed
    timed copy "$psql" -Xq -v ON_ERROR_STOP=1 "$server/dbferry_bench" \
        -c "\\copy users from '$scratch/users_$1.copy' with (format binary)" \
        -c "\\copy matches from '$scratch/matches_$1.copy' with (format binary)"
    check_counts dbferry_bench "$1"
}

measure_pgloader() {
    fresh_database dbferry_bench empty
    # With its default of 100000 prefetched rows it runs out of its heap of 1 GB here; its manual's
    # remedy is fewer.
    cat >"$scratch/pgloader.load" <<LOAD
load database from sqlite://$source into pgsql://${server#*://}/dbferry_bench
with include no drop, create tables, create indexes, reset no sequences, prefetch rows = ${PREFETCH:-10000}
including only table names like 'users', 'matches';
LOAD
    timed pgloader pgloader --no-ssl-cert-verification "$scratch/pgloader.load"
    # It goes on past errors and ends well nevertheless: the counts tell.
    check_counts dbferry_bench "$1"
}

# --- the measurements ------------------------------------------------------------------------

rm -f "$scratch"/*.copy
# The tests' server does without; what is measured here is durable.
sql postgres "alter system set fsync = on"
sql postgres "select pg_reload_conf()" >/dev/null
trap 'sql postgres "alter system reset fsync"; sql postgres "select pg_reload_conf()" >/dev/null' EXIT
for _ in $(seq 1 50); do
    [ "$(sql postgres 'show fsync')" = on ] && break
    sleep 0.1
done
[ "$(sql postgres 'show fsync')" = on ] || { say "the server does not switch fsync on"; exit 1; }
results=$scratch/results.txt
: >"$results"
say "server: $(sql postgres 'show server_version'), fsync $(sql postgres 'show fsync'), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"

source=$(source_database "$rows")
if [[ " $with " == *" copy "* ]]; then
    say "filling the tables once, for the binary files"
    measure_dbferry "$rows" >/dev/null
    for table in users matches; do
        "$psql" -Xq "$server/dbferry_bench" -c "\\copy $table to '$scratch/${table}_$rows.copy' with (format binary)"
    done
fi

read -ra order <<<"$with"
for run in $(seq 1 "$runs"); do
    for what in "${order[@]}"; do
        if ! line=$("measure_$what" "$rows"); then
            # Another program's failure is a result; ours and the server's end the benchmark.
            [ "$what" = pgloader ] || exit 1
            continue
        fi
        say "run $run $what: $line (seconds, KiB)"
        echo "$what $line" >>"$results"
    done
    # The next run starts with another one.
    order=("${order[@]:1}" "${order[0]}")
done

small=$((rows / 10))
if [[ " $with " == *" dbferry "* ]] && [ "$small" -gt 0 ]; then
    source=$(source_database "$small")
    line=$(measure_dbferry "$small")
    say "a tenth of the rows, dbferry: $line"
    echo "tenth $line" >>"$results"
fi
sql postgres "drop database if exists dbferry_bench"

# --- the table -------------------------------------------------------------------------------

median() { awk -v what="$1" -v field="$2" '$1 == what { print $field }' "$results" | sort -n | awk '{ a[NR] = $1 } END { if (NR) print (NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2) }'; }

printf '\n%d users and %d matches, median of %d\n\n' "$rows" "$((rows * 2))" "$runs"
printf '%-10s %9s %12s %14s %12s\n' '' seconds rows/s 'time / copy' 'peak memory'
limit=$(median copy 2)
for what in $with; do
    awk -v what="$what" -v seconds="$(median "$what" 2)" -v peak="$(median "$what" 3)" -v rows="$((rows * 3))" -v limit="$limit" 'BEGIN {
        if (!seconds) { printf "%-10s %9s\n", what, "failed"; exit }
        printf "%-10s %9.2f %12d %14s %9.1f MB\n", what, seconds, rows / seconds, (limit ? sprintf("%.2f", seconds / limit) : "-"), peak * 1024 / 1e6
    }'
done
if grep -q '^tenth' "$results"; then
    awk -v seconds="$(median tenth 2)" -v peak="$(median tenth 3)" -v rows="$((small * 3))" 'BEGIN {
        printf "%-10s %9.2f %12d %14s %9.1f MB   (a tenth of the rows)\n", "dbferry", seconds, rows / seconds, "-", peak * 1024 / 1e6
    }'
fi
