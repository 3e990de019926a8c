#!/usr/bin/env bash
# How fast dbferry writes an SQLite file into a Redis server, beside
#   pipe      redis-cli --pipe with the same commands from a ready file
#   postgres  dbferry moving the same rows from a Postgres database
#   verify    (only where WITH names it) dbferry verify of what dbferry has written
# One hash with a time to live for each row of one table, one member of a sorted set for each row of
# another. Every measurement has a server of its own that keeps nothing on disk; what it holds
# afterwards is compared. dbferry should take at most 1.25 times as long as pipe, and 150 MB.
# Called by scripts/bench.sh, which says what the variables mean.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$repository/scripts/bench/measure.sh"
project=$repository/benches/redis
rows=${ROWS:-1000000}
with=${WITH:-dbferry postgres pipe}
port=${DBFERRY_BENCH_REDIS_PORT:-56390}
need sqlite3=sqlite3
# One at a time: the port is the same, and so is what is measured by the clock.
exec 8>"$scratch/redis.lock"
flock 8

# --- data: made once for each number of rows, and again when what makes it changes -------------

source=$scratch/redis_${rows}_$(sha256sum "$project/database.sql" | cut -c1-12).db
commands=$scratch/redis_${rows}_$(cat "$project/database.sql" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-12).resp
if [ ! -f "$source" ]; then
    say "making $rows profiles and as many places on a leaderboard"
    rm -f "$scratch/making.db"*
    sqlite3 -bail -cmd ".parameter set :rows $rows" "$scratch/making.db" <"$project/database.sql" >/dev/null
    mv "$scratch/making.db" "$source"
fi
if [ ! -f "$commands" ]; then
    say "writing their commands into a file"
    rm -f "$scratch"/redis_*.resp
    # Lengths are bytes: the locale is C, and the data ASCII.
    sqlite3 -bail -separator $'\t' "$source" \
        "select * from profiles order by id; select user_id, season, score from leaderboard order by user_id" |
        LC_ALL=C awk -F '\t' '
            function words(count) { printf "*%d\r\n", count }
            function word(text) { printf "$%d\r\n%s\r\n", length(text), text }
            NF == 6 {
                key = "user:" $1 ":profile"
                words(12); word("HSET"); word(key)
                word("username"); word($2); word("level"); word($3); word("xp"); word($4)
                word("rating"); word($5); word("region"); word($6)
                words(3); word("PEXPIRE"); word(key); word("3600000")
            }
            # Members go as many at once as dbferry sends them.
            function members() {
                if (!waiting) return
                words(2 + waiting * 2); word("ZADD"); word(key)
                for (n = 1; n <= waiting; n++) { word(score[n]); word(member[n]) }
                waiting = 0
            }
            NF == 3 { key = "leaderboard:" $2 ":top"; score[++waiting] = $3; member[waiting] = $1 }
            waiting == 500 { members() }
            END { members(); words(3); word("PEXPIRE"); word(key); word("3600000") }' >"$scratch/making.resp"
    mv "$scratch/making.resp" "$commands"
fi
sample=$(sqlite3 "$source" "select 'user:' || id || ':profile' from profiles where abs(random()) % 1000 = 0 limit 1000")

# --- the server ------------------------------------------------------------------------------

pid=
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid"; } || true; pid=; }

ask() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }

fresh_server() {
    stop
    redis-server --port "$port" --bind 127.0.0.1 --dir "$scratch" --save '' --appendonly no \
        --enable-debug-command local >"$scratch/redis.log" 2>&1 </dev/null 8>&- &
    pid=$!
    # A measurement is a shell of its own, and so is its end.
    trap stop EXIT
    local _
    for _ in $(seq 1 100); do
        [ "$(ask ping 2>/dev/null)" = PONG ] && [ "$(ask info server 2>/dev/null | tr -d '\r' | grep '^process_id:')" = "process_id:$pid" ] && return 0
        sleep 0.1
    done
    say "no server of our own on port $port: $(tail -n 3 "$scratch/redis.log")"
    exit 1
}

# What the server itself has worked: it says more than the clock where the machine is shared.
tell_server() {
    ask info cpu | tr -d '\r' | awk -F : -v what="$1" '
        /^used_cpu_(user|sys):/ { seconds += $2 }
        END { printf "bench: the server worked %.2f seconds for %s\n", seconds, what }' >&2
    ask info commandstats | tr -d '\r' >"$scratch/redis_$1.commands"
}

# Whatever wrote it: as many keys, and the same values in those that are looked at.
check_values() {
    local found places digest
    found=$(ask eval "local at, found = '0', 0
        repeat
            local page = redis.call('scan', at, 'match', 'user:*:profile', 'count', 10000)
            at, found = page[1], found + #page[2]
        until at == '0'
        return found" 0)
    places=$(ask zcard leaderboard:S1:top)
    [ "$found $places" = "$1 $1" ] || { say "the server holds $found profiles and $places places, not $1"; exit 1; }
    # shellcheck disable=SC2086
    digest=$(ask debug digest-value leaderboard:S1:top $sample | sha256sum | cut -c1-16)
    if [ ! -f "$scratch/redis.digest" ]; then
        echo "$digest" >"$scratch/redis.digest"
    elif [ "$digest" != "$(cat "$scratch/redis.digest")" ]; then
        say "two measurements have left different values"
        exit 1
    fi
}

# --- one measurement: prints "seconds kilobytes" ---------------------------------------------

measure_dbferry() {
    fresh_server
    cat "$source" >/dev/null
    (cd "$project" && BENCH_SOURCE=$source BENCH_TARGET_URL="redis://127.0.0.1:$port/0" \
        timed redis_dbferry "$DBFERRY" run . --env bench) || exit 1
    tell_server dbferry
    check_values "$1"
    stop
}

# The tables of the SQLite file in a Postgres database.
postgres_source() {
    local stamp
    stamp=$(basename "$source")
    [ "$(sql dbferry_bench_redis "select obj_description('profiles'::regclass)" 2>/dev/null)" != "$stamp" ] || return 0
    say "filling the tables of the Postgres source"
    fresh_database dbferry_bench_redis
    sql dbferry_bench_redis "create table profiles (id text primary key, username text not null, level integer not null,
            xp integer not null, rating integer not null, region text not null);
        create table leaderboard (user_id text primary key, season text not null, score integer not null)"
    local table
    for table in profiles leaderboard; do
        sqlite3 -csv "$source" "select * from $table" | "$psql" -Xq -v ON_ERROR_STOP=1 "$server/dbferry_bench_redis" -c "copy $table from stdin (format csv)"
    done
    sql dbferry_bench_redis "vacuum analyze"
    sql dbferry_bench_redis "comment on table profiles is '$stamp'"
}

measure_postgres() {
    postgres_source
    fresh_server
    sql dbferry_bench_redis "select count(username) from profiles; select count(season) from leaderboard" >/dev/null
    (cd "$project" && BENCH_SOURCE_URL="$server/dbferry_bench_redis?sslmode=disable" BENCH_TARGET_URL="redis://127.0.0.1:$port/0" \
        timed redis_postgres "$DBFERRY" run . --env postgres) || exit 1
    tell_server postgres
    check_values "$1"
    stop
}

measure_verify() {
    fresh_server
    cat "$source" >/dev/null
    (
        cd "$project"
        export BENCH_SOURCE=$source BENCH_TARGET_URL="redis://127.0.0.1:$port/0"
        "$DBFERRY" run . --env bench >"$scratch/redis_moved.log" 2>&1
        timed redis_verify "$DBFERRY" verify . --env bench
    ) || exit 1
    tell_server verify
    stop
}

measure_pipe() {
    fresh_server
    cat "$commands" >/dev/null
    timed redis_pipe bash -c "redis-cli -h 127.0.0.1 -p $port --pipe <'$commands'" || exit 1
    grep -q '^errors: 0, ' "$scratch/redis_pipe.log" || { say "pipe: $(tail -n 1 "$scratch/redis_pipe.log")"; exit 1; }
    tell_server pipe
    check_values "$1"
    stop
}

# --- the measurements ------------------------------------------------------------------------

rm -f "$scratch/redis.digest"
results=$scratch/results_redis.txt
: >"$results"
say "server: $(redis-server --version | cut -d' ' -f3), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
read -ra names <<<"$with"
measure_all "$rows" "${names[@]}"

printf '\nSQLite to Redis: %d hashes and %d members of a sorted set, median of %d\n\n' "$rows" "$rows" "$runs"
table $((rows * 2)) pipe "${names[@]}"
