#!/usr/bin/env bash
# How fast dbferry writes an SQLite file into a CQL table of a Cassandra node, beside
#   bare      a loop of the same driver that writes the same rows, ready in memory, one request each,
#             as many on their way at once; what it takes to read them before is not counted
# The rows are messages, a quarter of them in one conversation. The node is the benchmark's own, made
# afresh and warmed up; every measurement has a keyspace of its own. dbferry should take at most 1.2 times as long as bare, and
# 150 MB. Called by scripts/bench.sh, which says what the variables mean. Of its own:
#   CQL_BARE=…         the loop (default: the example, built with --release)
set -euo pipefail
shopt -s inherit_errexit
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/scylla
rows=${ROWS:-1000000}
with=${WITH:-dbferry bare}
in_flight=256
need sqlite3=sqlite3
exec 8>"$scratch/scylla.lock"
flock 8

if [ -z "${CQL_BARE:-}" ]; then
    say "building the bare loop (release)"
    # What dbferry was built as stays as it is: examples have features that it has not.
    if [ "$DBFERRY" = "$(realpath "${CARGO_TARGET_DIR:-$repository/target}")/release/dbferry" ]; then
        cp "$DBFERRY" "$scratch/dbferry"
        DBFERRY=$scratch/dbferry
    fi
    cargo build --release --locked --example cql-bare >&2
    CQL_BARE=$(realpath "${CARGO_TARGET_DIR:-$repository/target}")/release/examples/cql-bare
fi

# --- data: made once for each number of rows, and again when what makes it changes -------------

made() {
    local file
    file=$scratch/scylla_$1_$(sha256sum "$project/database.sql" | cut -c1-12).db
    if [ ! -f "$file" ]; then
        say "making $1 messages"
        rm -f "$scratch/making.db"*
        sqlite3 -bail -cmd ".parameter set :rows $1" "$scratch/making.db" <"$project/database.sql" >/dev/null
        mv "$scratch/making.db" "$file"
    fi
    echo "$file"
}
source=$(made "$rows")
warm=$(made 100000)

# --- the node: it ends with this script ------------------------------------------------------

port=${DBFERRY_BENCH_CASSANDRA_PORT:-59142}
node=127.0.0.1:$port
server_url=scylla://nobody:none@$node
folder=$scratch/cassandra
rm -rf "$folder"
mkdir -p "$folder"
DBFERRY_CASSANDRA_HEAP=${DBFERRY_CASSANDRA_HEAP:-1G} scripts/services/cassandra-node.sh "$DBFERRY_TEST_CASSANDRA" "$folder" \
    127.0.0.1 "$port" $((port + 100)) >"$scratch/cassandra.log" 2>&1 </dev/null 8>&- &
pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 1 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$pid" 2>/dev/null || { say "the node does not start: $(tail -n 3 "$scratch/cassandra.log")"; exit 1; }
    sleep 0.2
done
number=0

# A keyspace with the table; the one before is not looked at again.
fresh_keyspace() {
    number=$((number + 1))
    keyspace=bench_$$_${BASHPID}_$number
    export BENCH_TARGET_URL=$server_url/$keyspace
    (cd "$project" && BENCH_SOURCE=$source "$DBFERRY" schema apply . --env bench >"$scratch/scylla_schema.log" 2>&1) ||
        { say "no keyspace: $(tail -n 3 "$scratch/scylla_schema.log")"; exit 1; }
}

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

measure_dbferry() {
    fresh_keyspace
    cat "$source" >/dev/null
    (cd "$project" && BENCH_SOURCE=$source timed scylla_dbferry "$DBFERRY" run . --env bench) || exit 1
}

measure_bare() {
    fresh_keyspace
    local line seconds
    line=$(timed scylla_bare "$CQL_BARE" "$node" nobody none "$keyspace" "$source" "$in_flight") || exit 1
    seconds=$(sed -n 's/^[0-9]* rows in \([0-9.]*\) seconds$/\1/p' "$scratch/scylla_bare.log")
    grep -q "^$1 rows in " "$scratch/scylla_bare.log" || { say "bare: $(tail -n 1 "$scratch/scylla_bare.log")"; exit 1; }
    # Seconds of the loop alone; the rest of the line is the whole program's.
    read -r _ rest <<<"$line"
    echo "$seconds $rest"
}

# --- the measurements ------------------------------------------------------------------------

results=$scratch/results_scylla.txt
: >"$results"
say "server: Cassandra, $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
say "warming the server up"
source_of_all=$source
source=$warm
for _ in 1 2 3; do measure_dbferry 100000 >/dev/null && measure_bare 100000 >/dev/null; done
source=$source_of_all
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"

printf '\nSQLite to CQL: %d messages, median of %d\n\n' "$rows" "$runs"
table "$rows" bare "${names[@]}"
