#!/usr/bin/env bash
# How fast dbferry compares a Postgres table with its copy in another database of the same server,
# beside
#   copies    two COPY (SELECT …) TO STDOUT (binary) of all columns, one from each side, at once, to
#             /dev/null: the least that reading both sides takes
#   reladiff  reladiff, which compares checksums that the server makes of ranges
# dbferry and reladiff compare equal tables, and as `differ` and `reladiff_differ` such that differ in 100
# rows. dbferry should take at most 2.5 times as long as copies, at most 1.3 times as long where rows
# differ, and 150 MB.
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/postgres
rows=${ROWS:-1000000}
with=${WITH:-dbferry differ copies reladiff reladiff_differ}
from=$server/dbferry_bench_verify_source
to=$server/dbferry_bench_verify

# --- tools: reladiff in an environment of its own ------------------------------------------------

reladiff=$scratch/reladiff/bin/reladiff
case " $with " in *" reladiff"*)
    if [ ! -x "$reladiff" ]; then
        say "installing reladiff"
        need python3=python3-venv
        python3 -m venv "$scratch/reladiff" || { need ensurepip=python3-venv; python3 -m venv "$scratch/reladiff"; }
        "$scratch/reladiff/bin/pip" install -q --disable-pip-version-check 'reladiff[postgresql]==0.6.0' >&2
    fi ;;
esac

# --- data: made once for each number of rows, and again when what makes it changes -------------

stamp=$(cat "$project"/{source,target}.sql | sha256sum | cut -c1-12)-$rows
is_there() { [ "$(sql "$1" "select obj_description('users'::regclass)" 2>/dev/null)" = "$stamp" ]; }
if ! is_there dbferry_bench_verify_source || ! is_there dbferry_bench_verify; then
    say "making $rows users, twice"
    for database in dbferry_bench_verify_source dbferry_bench_verify; do
        fresh_database "$database"
        "$psql" -Xq -v ON_ERROR_STOP=1 -v rows="$rows" "$server/$database" -f "$project/source.sql"
        sql "$database" "drop table posts"
        sql "$database" "vacuum (analyze)"
        sql "$database" "comment on table users is '$stamp'"
    done
fi

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

warm() {
    local database
    for database in dbferry_bench_verify_source dbferry_bench_verify; do
        sql "$database" "select count(*) from users u, lateral (select u.bio) x" >/dev/null
    done
}

# A hundred rows, spread over the table, are changed, one in four is missing; and back.
step=$((rows / 100))
differ() {
    sql dbferry_bench_verify "update users set level = level + 1 where id % $step = 1 and id % 4 <> 0;
        create table kept as select * from users where id % $step = 1 and id % 4 = 0;
        delete from users where id % $step = 1 and id % 4 = 0"
    trap agree EXIT
    warm
}
agree() {
    sql dbferry_bench_verify "insert into users select * from kept; drop table kept;
        update users set level = level - 1 where id % $step = 1 and id % 4 <> 0;"
    sql dbferry_bench_verify "vacuum users"
    trap - EXIT
}

verify() {
    (cd "$project" && BENCH_SOURCE_URL="$from?sslmode=disable" BENCH_TARGET_URL="$to?sslmode=disable" \
        timed "$1" bash -c "code=0; '$DBFERRY' verify . --env one --only users --output json || code=\$?; [ \$code = $2 ]") || exit 1
}

measure_dbferry() {
    warm
    verify verify 0
}

measure_differ() {
    differ
    verify verify_differ 5
    local found
    found=$(python3 -c "import json, sys
text = open(sys.argv[1]).read()
stream = json.loads(text[text.index('{'):text.rindex('}') + 1])['streams'][0]
print(stream['missing'] + stream['different'], stream['extra'])" "$scratch/verify_differ.log")
    agree
    [ "$found" = "100 0" ] || { say "dbferry has found '$found' differences, not 100"; exit 1; }
}

measure_copies() {
    warm
    timed copies bash -c "set -euo pipefail
        '$psql' -Xq -v ON_ERROR_STOP=1 '$from' -c 'copy (select * from users) to stdout (format binary)' >/dev/null &
        '$psql' -Xq -v ON_ERROR_STOP=1 '$to' -c 'copy (select * from users) to stdout (format binary)' >/dev/null
        wait \$!"
}

# It knows the scheme by its long name alone, and ends with 0 whatever happens.
compare() {
    timed "$1" "$reladiff" "${from/#postgres:/postgresql:}" users "${to/#postgres:/postgresql:}" users -k id -c % -s || exit 1
    grep -q ERROR "$scratch/$1.log" && { say "reladiff: $(tail -n 1 "$scratch/$1.log")"; exit 1; }
    return 0
}

measure_reladiff() {
    warm
    compare reladiff
}

measure_reladiff_differ() {
    differ
    compare reladiff_differ
    agree
}

# --- the measurements ------------------------------------------------------------------------

results=$scratch/results_verify.txt
: >"$results"
say "server: $(sql postgres 'show server_version'), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"

printf '\nPostgres against Postgres: %d users, median of %d\n\n' "$rows" "$runs"
table $((rows * 2)) copies "${names[@]}"
