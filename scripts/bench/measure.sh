# What both benchmarks share, to be sourced: tools, server, one measurement, the table.
# Sets: repository, runs, scratch, server, psql; DBFERRY is built where it is not given.
cd "$repository"
runs=${RUNS:-3}
scratch=$(realpath -m "${DBFERRY_SCRATCH:-${TMPDIR:-/tmp}/dbferry-services}")/bench
export LC_ALL=C.UTF-8
mkdir -p "$scratch"

say() { printf 'bench: %s\n' "$*" >&2; }

# Installs Debian packages, given as command=package.
need() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq -y install --no-install-recommends "${missing[@]}" </dev/null >&2
}

need /usr/bin/time=time
variables=$(scripts/services.sh up)
eval "$variables"
server=${DBFERRY_TEST_POSTGRES_URL%/*}
postgres_bin=$(scripts/services.sh pg-bin)
psql=$postgres_bin/psql

sql() { "$psql" -XAtq -v ON_ERROR_STOP=1 "$server/$1" -c "$2"; }

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

# fresh_database NAME [FILE WITH TABLES]
fresh_database() {
    sql postgres "drop database if exists $1"
    sql postgres "create database $1 template template0"
    [ -z "${2:-}" ] || "$psql" -Xq -v ON_ERROR_STOP=1 "$server/$1" -f "$2"
}

# Runs a command after a checkpoint of the server; prints "seconds kilobytes".
timed() {
    local report=$scratch/time.txt log=$scratch/$1.log
    shift
    sql postgres checkpoint
    if ! /usr/bin/time -o "$report" -f '%e %M %U %S' "$@" >"$log" 2>&1 </dev/null; then
        say "failed: $*"
        tail -n 20 "$log" >&2
        exit 1
    fi
    tail -n 1 "$report"
}

# The tests' server does without fsync; what is measured here is durable.
make_durable() {
    sql postgres "alter system set fsync = on"
    sql postgres "select pg_reload_conf()" >/dev/null
    trap 'sql postgres "alter system reset fsync"; sql postgres "select pg_reload_conf()" >/dev/null' EXIT
    for _ in $(seq 1 50); do
        [ "$(sql postgres 'show fsync')" = on ] && break
        sleep 0.1
    done
    [ "$(sql postgres 'show fsync')" = on ] || { say "the server does not switch fsync on"; exit 1; }
    say "server: $(sql postgres 'show server_version'), fsync $(sql postgres 'show fsync'), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
}

# measure_all ARGUMENT NAME…: each of measure_NAME as often as RUNS says, into $results; the next
# run starts with another one.
measure_all() {
    local argument=$1 run what line order
    shift
    order=("$@")
    for run in $(seq 1 "$runs"); do
        for what in "${order[@]}"; do
            if ! line=$("measure_$what" "$argument"); then
                # Another program's failure is a result; ours and the server's end the benchmark.
                [[ "$what" = pgloader || "$what" = sling ]] || exit 1
                continue
            fi
            say "run $run $what: $line (seconds, KiB)"
            echo "$what $line" >>"$results"
        done
        order=("${order[@]:1}" "${order[0]}")
    done
}

median() { awk -v what="$1" -v field="$2" '$1 == what { print $field }' "$results" | sort -n | awk '{ a[NR] = $1 } END { if (NR) print (NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2) }'; }

# table ROWS LIMIT NAME…: medians, and ratios to LIMIT's.
table() {
    local rows=$1 of=$2 limit what
    shift 2
    limit=$(median "$of" 2)
    printf '%-10s %9s %12s %14s %12s\n' '' seconds rows/s "time / $of" 'peak memory'
    for what in "$@"; do
        awk -v what="$what" -v seconds="$(median "$what" 2)" -v peak="$(median "$what" 3)" -v rows="$rows" -v limit="$limit" 'BEGIN {
            if (!seconds) { printf "%-10s %9s\n", what, "failed"; exit }
            printf "%-10s %9.2f %12d %14s %9.1f MB\n", what, seconds, rows / seconds, (limit ? sprintf("%.2f", seconds / limit) : "-"), peak * 1024 / 1e6
        }'
    done
}
