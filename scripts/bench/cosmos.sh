#!/usr/bin/env bash
# How fast dbferry reads a Cosmos DB container, served on this machine by the emulator of the tests,
# beside
#   bare      a loop of the SDK that reads the same pages of the same ranges, as many side by side,
#             and discards them
#   pinned    the same loop, which also asks each range once what has changed, as dbferry does to
#             remember where changes begin: one more request for each range, next to nothing for the
#             service, but as much as a page for the emulator
# dbferry reads and decodes all documents and leaves every row out (reader), or moves a few declared
# fields of each document into Postgres (fields), or each document as jsonb (documents). Emulator,
# Postgres and dbferry share the machine, and the emulator alone keeps two cores busy. The last lines
# are the time of the stream alone, from its first page to its last commit: reading keeps up where that
# of `reader` is at most 1.2 times as long as `bare`. Nothing may take more than 150 MB.
# Called by scripts/bench.sh, which says what the variables mean. Of its own:
#   PARTITIONS=20      physical partitions: the emulator copies all of one for every page
#   BYTES=1000         size of a document
#   COSMOS_EMULATOR=…  the two examples (default: built with --release)
#   COSMOS_BARE=…
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/cosmos
rows=${ROWS:-100000}
partitions=${PARTITIONS:-20}
with=${WITH:-bare pinned reader fields documents}
to=$server/dbferry_bench
page=$(sed -n 's/^portion_rows_max = //p' "$project/config/ranges.toml")
side_by_side=$(sed -n 's/^pages_in_flight_max = //p' "$project/config/ranges.toml")
export BENCH_ACCOUNT_KEY=ZGJmZXJyeSBiZW5jaG1hcms=

if [ -z "${COSMOS_EMULATOR:-}" ] || [ -z "${COSMOS_BARE:-}" ]; then
    say "building the emulator and the bare reader (release)"
    # What dbferry was built as stays as it is: examples have features that it has not.
    if [ "$DBFERRY" = "$(realpath "${CARGO_TARGET_DIR:-$repository/target}")/release/dbferry" ]; then
        cp "$DBFERRY" "$scratch/dbferry"
        DBFERRY=$scratch/dbferry
    fi
    cargo build --release --locked --example cosmos-emulator --example cosmos-bare >&2
    examples=$(realpath "${CARGO_TARGET_DIR:-$repository/target}")/release/examples
    COSMOS_EMULATOR=${COSMOS_EMULATOR:-$examples/cosmos-emulator}
    COSMOS_BARE=${COSMOS_BARE:-$examples/cosmos-bare}
fi
COSMOS_EMULATOR=$(realpath "$COSMOS_EMULATOR")
COSMOS_BARE=$(realpath "$COSMOS_BARE")

# --- the account: it ends with this script, which holds its standard input ----------------------

say "filling a container of $partitions partitions with $rows documents of ${BYTES:-1000} bytes"
coproc ACCOUNT {
    exec "$COSMOS_EMULATOR" --key "$BENCH_ACCOUNT_KEY" --fill "Bench/Documents=${rows}x${BYTES:-1000}" \
        "Bench/Documents:/pubkey:$partitions"
}
read -r BENCH_ACCOUNT_URL <&"${ACCOUNT[0]}" || { say "the emulator has ended"; exit 1; }
export BENCH_ACCOUNT_URL

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

bare() {
    local name=$1 count=$2
    shift 2
    COSMOS_KEY=$BENCH_ACCOUNT_KEY timed "$name" "$COSMOS_BARE" "$BENCH_ACCOUNT_URL" Bench/Documents "$page" "$side_by_side" "$@"
    grep -q "^$count documents, " "$scratch/$name.log" || { say "$name: $(cat "$scratch/$name.log")"; exit 1; }
}

measure_bare() { bare bare "$1"; }
measure_pinned() { bare pinned "$1" changes; }

dbferry() {
    local found
    fresh_database dbferry_bench "$project/target.sql"
    (cd "$project" && BENCH_TARGET_URL="$to?sslmode=disable" timed "$1" "$DBFERRY" run . --env ranges --only "$1" --output json) || exit 1
    # The run's own time comes first, then that of its one stream.
    echo "$1-stream $(grep -o '"seconds": [0-9.]*' "$scratch/$1.log" | sed -n 's/.* //;2p')" >>"$results"
    found=$(sql dbferry_bench "select sum(rows_read) from dbferry.checkpoint")
    [ "$found" = "$2" ] || { say "$found rows were read, not $2"; exit 1; }
    found=$(sql dbferry_bench "select count(*) from $1")
    [ "$found" = "$3" ] || { say "the target holds $found rows, not $3"; exit 1; }
}

measure_reader() { dbferry reader "$1" 0; }
measure_fields() { dbferry fields "$1" "$1"; }
measure_documents() { dbferry documents "$1" "$1"; }

# --- the measurements ------------------------------------------------------------------------

make_durable
results=$scratch/results_cosmos.txt
: >"$results"
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"
sql postgres "drop database if exists dbferry_bench"

printf '\nCosmos DB (emulator) to Postgres: %d documents of %d bytes in %d partitions, median of %d\n\n' \
    "$rows" "${BYTES:-1000}" "$partitions" "$runs"
table "$rows" bare "${names[@]}"
for name in "${names[@]}"; do
    seconds=$(median "$name-stream" 2)
    [ -z "$seconds" ] || awk -v name="$name" -v seconds="$seconds" -v limit="$(median bare 2)" 'BEGIN {
        printf "stream of %-10s %9.2f seconds, %s of bare\n", name, seconds, (limit ? sprintf("%.2f", seconds / limit) : "-")
    }'
done
