#!/usr/bin/env bash
# What an undo log costs a run, and how long the way back takes: the tables of the benchmark sqlite,
#   plain, logged        into empty tables, without and with --undo
#   over, over_logged    over full tables of which every row differs (on_conflict = "update")
#   back, over_back      `dbferry rollback` of such a run
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/sqlite
rows=${ROWS:-500000}
with=${WITH:-plain logged back over over_logged over_back}
need sqlite3=sqlite3

source=$scratch/undo_$rows.db
if [ ! -f "$source" ]; then
    say "making $rows users and $((rows * 2)) matches"
    rm -f "$scratch/making.db"*
    sqlite3 -bail -cmd ".parameter set :rows $rows" "$scratch/making.db" <"$project/database.sql" >/dev/null
    mv "$scratch/making.db" "$source"
fi
# The same project, over what is there.
over=$scratch/undo_over
rm -rf "$over"
cp -r "$project" "$over"
sed -i 's/^on_conflict = .*/on_conflict = "update"/' "$over/streams.toml"

check_counts() {
    local found
    found=$(sql dbferry_bench "select (select count(*) from users) || ' ' || (select count(*) from matches)")
    [ "$found" = "$1" ] || { say "the target holds $found rows, not $1"; exit 1; }
}

# moves FOLDER ARGUMENTS…
moves() {
    local folder=$1
    shift
    (cd "$folder" && BENCH_SOURCE=$source BENCH_TARGET_URL="$server/dbferry_bench?sslmode=disable" "$@")
}

full="$rows $((rows * 2))"

measure_plain() {
    fresh_database dbferry_bench "$project/target.sql"
    moves "$project" timed plain "$DBFERRY" run . --env bench
    check_counts "$full"
}

measure_logged() {
    fresh_database dbferry_bench "$project/target.sql"
    moves "$project" timed logged "$DBFERRY" run . --env bench --undo
    check_counts "$full"
}

last_run() { sql dbferry_bench "select run from dbferry.run order by started_at desc limit 1"; }

measure_back() {
    measure_logged >/dev/null
    moves "$project" timed back "$DBFERRY" rollback "$(last_run)" . --env bench --yes
    check_counts "0 0"
}

# Full tables in which no row is as the source has it.
differing() {
    fresh_database dbferry_bench "$project/target.sql"
    moves "$over" "$DBFERRY" run . --env bench >/dev/null 2>&1
    sql dbferry_bench "update users set updated_at = updated_at + interval '1 second'"
    sql dbferry_bench "update matches set updated_at = updated_at + interval '1 second'"
    sql dbferry_bench "vacuum analyze"
}

measure_over() {
    differing
    moves "$over" timed over "$DBFERRY" run . --env bench --restart
}

measure_over_logged() {
    differing
    moves "$over" timed over_logged "$DBFERRY" run . --env bench --restart --undo
}

measure_over_back() {
    measure_over_logged >/dev/null
    moves "$over" timed over_back "$DBFERRY" rollback "$(last_run)" . --env bench --yes
    check_counts "$full"
}

make_durable
results=$scratch/results.txt
: >"$results"
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"
sql postgres "drop database if exists dbferry_bench"

printf '\nUndo logs in Postgres: %d users and %d matches, median of %d\n\n' "$rows" "$((rows * 2))" "$runs"
table $((rows * 3)) plain "${names[@]}"
