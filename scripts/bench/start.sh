#!/usr/bin/env bash
# How long it takes from the start of the program to the first committed row of a small project, and to its
# end: one table of ten rows from SQLite into Postgres, migrated before. Fifty runs; medians.
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
times=${TIMES:-50}
need sqlite3=sqlite3
project=$scratch/start
rm -rf "$project"
mkdir -p "$project/config"
sqlite3 "$project/small.db" "create table users (id text primary key not null, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 10) insert into users select 'u' || i, 'name ' || i from n"
cat >"$project/project.toml" <<'TOML'
name = "small"
sources = ["source"]
sinks = ["target"]
TOML
cat >"$project/streams.toml" <<'TOML'
[[stream]]
name = "users"
from = "source.users"
to = "target.users"
key = ["id"]
same_name_columns = true
TOML
cat >"$project/config/bench.toml" <<TOML
[connection.source]
kind = "sqlite"
path = { value = "$project/small.db" }

[connection.target]
kind = "postgres"
url = { env = "BENCH_TARGET_URL" }
TOML
make_durable
# The server notes when the first row is there; the clock is the machine's, as the shell's is.
fresh_database dbferry_bench
sql dbferry_bench "create table users (id text primary key, name text); create table first (at timestamptz);
    create function note() returns trigger language plpgsql as 'begin insert into first values (clock_timestamp()); return null; end';
    create trigger note after insert on users for each statement execute function note()"
sed -i 's/^key = .*/&\ntriggers = "on"/' "$project/streams.toml"
results=$scratch/results_start.txt
: >"$results"
for _ in $(seq 1 "$times"); do
    sql dbferry_bench "truncate users, first; drop schema if exists dbferry cascade" 2>/dev/null
    began=$(date +%s%N)
    (cd "$project" && BENCH_TARGET_URL="$server/dbferry_bench?sslmode=disable" "$DBFERRY" run . --env bench >"$scratch/start.log" 2>&1) ||
        { tail -n 20 "$scratch/start.log" >&2; exit 1; }
    ended=$(date +%s%N)
    first=$(sql dbferry_bench "select (extract(epoch from min(at)) * 1000000)::bigint from first")
    echo "first $((first / 1000 - began / 1000000))" >>"$results"
    echo "end $(((ended - began) / 1000000))" >>"$results"
done
sql postgres "drop database dbferry_bench"
printf '\nA small project, SQLite to Postgres, median of %d, in milliseconds\n\n' "$times"
printf 'first row  %s\nend        %s\n' "$(median first 2)" "$(median end 2)"
