#!/usr/bin/env bash
# How time and memory grow: with rows, columns, streams, the share of rejects, and the share of rows that
# differ when they are verified. All from Postgres into Postgres, on one server without fsync: what is looked
# at is the shape, not the height. Prints a table, draws docs/performance/CURVE.svg, and says of every curve
# whether it is linear or better: the largest size costs at most FACTOR times as much for each unit as a tenth
# of it, in time and in memory beyond the program's own.
#
#   ROWS="10000 100000 1000000"     rows of one table (up to 30000000, say)
#   COLUMNS="10 30 100 300 1000"    columns of it, COLUMN_ROWS=20000 rows
#   STREAMS="1 5 20 50 100 200"     tables, STREAM_ROWS=1000 rows in each
#   REJECTS="0 1 10 50 100"         percent of SHARE_ROWS=300000 rows that a rule refuses
#   DIFFERENCES="0 1 10 50 100"     percent of them that are not the same on both sides
#   WITH="rows columns streams rejects differences"   which curves
#   FACTOR=1.3  SLACK=0.5  SLACK_BYTES=8000000   and the seconds and bytes that are no matter
#   PICTURES=docs/performance       folder of the pictures
# Called by scripts/bench.sh, which says what the other variables mean (RUNS is 1 here).
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RUNS=${RUNS:-1}
. "$repository/scripts/bench/measure.sh"
with=${WITH:-rows columns streams rejects differences}
share_rows=${SHARE_ROWS:-300000}
column_rows=${COLUMN_ROWS:-20000}
stream_rows=${STREAM_ROWS:-1000}
factor=${FACTOR:-1.3}
slack=${SLACK:-0.5}
slack_bytes=${SLACK_BYTES:-8000000}
pictures=${PICTURES:-$repository/docs/performance}
declare -A sizes=(
    [rows]=${ROWS:-10000 100000 1000000}
    [columns]=${COLUMNS:-10 30 100 300 1000}
    [streams]=${STREAMS:-1 5 20 50 100 200}
    [rejects]=${REJECTS:-0 1 10 50 100}
    [differences]=${DIFFERENCES:-0 1 10 50 100}
)
declare -A units=(
    [rows]='rows' [columns]='columns' [streams]='streams' [rejects]='rejected rows, %' [differences]='differing rows, %'
)
unset COLUMNS
results=$scratch/curves.txt
: >"$results"
project=$scratch/curves
source=dbferry_curves_source
target=dbferry_curves_target
trap 'sql postgres "drop database if exists $source"; sql postgres "drop database if exists $target"' EXIT

# --- one measurement: prints "seconds bytes" --------------------------------------------------

# project RULES TABLE…: a stream for each table.
project() {
    local rules=$1 table
    shift
    mkdir -p "$project/config"
    printf 'name = "curves"\nsources = ["source"]\nsinks = ["target"]\n' >"$project/project.toml"
    printf '[connection.%s]\nkind = "postgres"\nurl = { env = "CURVES_%s" }\n' \
        source SOURCE target TARGET >"$project/config/bench.toml"
    for table in "$@"; do
        printf '[[stream]]\nname = "%s"\nfrom = "source.%s"\nto = "target.%s"\nkey = ["id"]\nsame_name_columns = true\n%s\n' \
            "$table" "$table" "$table" "$rules"
    done >"$project/streams.toml"
}

# Time, and the most anonymous memory that the program has while it runs. A run with rejects ends with 4, a
# verification that finds differences with 5.
watched() {
    local began=$EPOCHREALTIME peak=0 pid code=0 key value rest log=$scratch/curves.log
    (cd "$project" && CURVES_SOURCE="$server/$source?sslmode=disable" CURVES_TARGET="$server/$target?sslmode=disable" \
        XDG_STATE_HOME=$scratch/state exec "$DBFERRY" "$@" >"$log" 2>&1 </dev/null) &
    pid=$!
    while [ -r "/proc/$pid/status" ]; do
        while read -r key value rest; do
            # While a program takes the place of the shell it has no memory to tell of, and is no less there.
            case $key in
            State:) [ "$value" != Z ] || break 2 ;;
            RssAnon:)
                [ "$value" -le "$peak" ] || peak=$value
                break
                ;;
            esac
        done <"/proc/$pid/status" 2>/dev/null || break
        read -rt 0.02 <> <(:) || true
    done
    wait "$pid" || code=$?
    case $code in
    0 | 4 | 5) ;;
    *)
        say "failed with $code: $*"
        tail -n 20 "$log" >&2
        exit 1
        ;;
    esac
    awk -v began="$began" -v ended="$EPOCHREALTIME" -v peak="$peak" 'BEGIN { printf "%.3f %d\n", ended - began, peak * 1024 }'
}

columns='id bigint primary key, name text, mail text, score integer, made timestamptz'
values="i, 'name ' || i, md5(i::text) || '@example.org', i % 1000, timestamptz '2024-01-01Z' + i * interval '1 second'"

filled() { # DATABASE TABLE ROWS
    sql "$1" "create table $2 ($columns); insert into $2 select $values from generate_series(1, $3) i; analyze $2" >/dev/null
}

empty() {
    sql "$target" "drop schema if exists dbferry cascade" 2>/dev/null
    sql "$target" "$1"
}

prepare_rows() {
    fresh_database "$source"
    filled "$source" t "$1"
    project '' t
}
prepare_columns() {
    fresh_database "$source"
    local names
    names=$(seq -f 'c%.0f' -s ' integer, ' 2 "$1")
    sql "$source" "create table t (id bigint primary key, $names integer);
        insert into t select i, $(seq -f 'i + %.0f' -s ', ' 2 "$1") from generate_series(1, $column_rows) i; analyze t" >/dev/null
    project '' t
}
prepare_streams() {
    fresh_database "$source"
    local n
    for n in $(seq "$1"); do
        echo "create table t$n ($columns); insert into t$n select $values from generate_series(1, $stream_rows) i; analyze t$n;"
    done | "$psql" -Xq -v ON_ERROR_STOP=1 "$server/$source"
    # shellcheck disable=SC2046
    project '' $(seq -f 't%.0f' "$1")
}
prepare_rejects() {
    fresh_database "$source"
    filled "$source" t "$share_rows"
    project "rules = { kept = \"id % 100 >= $1\" }" t
}
prepare_differences() {
    prepare_rows "$share_rows"
    fresh_database "$target"
    filled "$target" t "$share_rows"
    sql "$target" "update t set score = score + 1 where id % 100 < $1; vacuum analyze t" 2>/dev/null || {
        sql "$target" "update t set score = score + 1 where id % 100 < $1"
        sql "$target" "vacuum analyze t"
    }
    sql "$source" "vacuum analyze t"
}

move() {
    fresh_database "$target"
    "$postgres_bin/pg_dump" --schema-only "$server/$source" | "$psql" -Xqo /dev/null -v ON_ERROR_STOP=1 "$server/$target"
    sql postgres checkpoint
    watched run . --env bench --max-rejects 1000000000
}
measure_rows() { move; }
measure_columns() { move; }
measure_streams() { move; }
measure_rejects() { move; }
measure_differences() {
    sql postgres checkpoint
    watched verify . --env bench
}

# --- what comes of it -------------------------------------------------------------------------

# points CURVE: size, median seconds, median bytes.
points() {
    awk -v curve="$1" '$1 == curve { print $2 }' "$results" | sort -gu | while read -r size; do
        for field in 3 4; do
            awk -v curve="$1" -v size="$size" -v field="$field" '$1 == curve && $2 == size { print $field }' "$results" |
                sort -g | awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'
        done | paste -sd' ' | sed "s/^/$size /"
    done
}

# The verdict on a curve: the largest size against a tenth of it.
verdict() {
    points "$1" | awk -v curve="$1" -v factor="$factor" -v slack="$slack" -v slack_bytes="$slack_bytes" '
        { x[NR] = $1; t[NR] = $2; m[NR] = $3 }
        END {
            for (i = 1; i < NR; i++) if (x[i] > 0 && x[i] <= x[NR] / 10 * 1.001) tenth = i
            if (!tenth) { printf "%s: no size is a tenth of the largest: not judged\n", curve; exit }
            # What is there without any: the first point, where that is none.
            t0 = x[1] == 0 ? t[1] : 0
            m0 = m[1]
            ratio = (t[NR] - t0) / x[NR] / ((t[tenth] - t0 > 0.001 ? t[tenth] - t0 : 0.001) / x[tenth])
            more = t[tenth] > t0 ? t[tenth] - t0 : 0
            over = (t[NR] - t0) - factor * more / x[tenth] * x[NR]
            grown = m[NR] / m[tenth]
            # Memory may grow as the size does, but never beyond the limit.
            linear = m0 + factor * (m[tenth] - m0) / x[tenth] * x[NR]
            memory = m[NR] <= factor * m[tenth] || m[NR] <= m[tenth] + slack_bytes || (m[NR] <= linear && m[NR] < 256e6)
            good = (ratio <= factor || over <= slack) && memory
            printf "%s: %s; %g against %g: %.2f x the time for each, %.2f x the memory\n", curve,
                (good ? "linear or better" : "NOT LINEAR"), x[NR], x[tenth], ratio, grown
            exit !good
        }'
}

# A picture of a curve: time at the left, memory at the right.
picture() {
    points "$1" | awk -v title="$1" -v unit="$2" '
        function log10(v) { return log(v) / log(10) }
        function nice(v,   e) {
            e = 10 ^ (int(log10(v) + 100) - 100)
            return v / e <= 1 ? e : v / e <= 2 ? 2 * e : v / e <= 5 ? 5 * e : 10 * e
        }
        function short(v) { return v >= 1e6 ? sprintf("%g M", v / 1e6) : v >= 1e4 ? sprintf("%g k", v / 1e3) : sprintf("%g", v) }
        function px(v) { return wide ? 300 * (log10(v) - log10(x[1])) / (log10(x[NR]) - log10(x[1])) : 300 * v / x[NR] }
        function py(v, top) { return 200 - 200 * v / top }
        function panel(left, name, values, scale, kind,   i, top, path, max, step) {
            max = 0
            for (i = 1; i <= NR; i++) if (values[i] / scale > max) max = values[i] / scale
            top = nice(max > 0 ? max : 1)
            printf "<g transform=\"translate(%d 60)\">\n<text class=\"name\" x=\"0\" y=\"-12\">%s</text>\n", left, name
            for (i = 0; i <= 4; i++) {
                step = top * i / 4
                printf "<line class=\"grid\" x1=\"0\" x2=\"300\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"y\" x=\"-8\" y=\"%.1f\">%g</text>\n",
                    py(step, top), py(step, top), py(step, top) + 4, step
            }
            path = ""
            for (i = 1; i <= NR; i++) path = path sprintf("%s%.1f %.1f", i == 1 ? "M" : " L", px(x[i]), py(values[i] / scale, top))
            printf "<path class=\"%s\" d=\"%s\"/>\n", kind, path
            last = -100
            for (i = 1; i <= NR; i++) {
                printf "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", kind, px(x[i]), py(values[i] / scale, top)
                if (px(x[i]) - last >= 36) {
                    printf "<text class=\"x\" x=\"%.1f\" y=\"218\">%s</text>", px(x[i]), short(x[i])
                    last = px(x[i])
                }
                print ""
            }
            printf "<text class=\"x\" x=\"150\" y=\"240\">%s</text>\n</g>\n", unit
        }
        { x[NR] = $1; t[NR] = $2; m[NR] = $3 }
        END {
            wide = x[1] > 0 && x[NR] / x[1] > 200
            print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 320\" role=\"img\" aria-label=\"Time and memory by " title "\">"
            print "<style>text{font:13px sans-serif;fill:#24292f}.title{font-size:16px;font-weight:bold}.name{font-weight:bold}.y{text-anchor:end}.x{text-anchor:middle}"
            print ".grid{stroke:#8c959f;stroke-opacity:.4}path{fill:none;stroke-width:2}path.time{stroke:#0969da}circle.time{fill:#0969da}path.memory{stroke:#bc4c00}circle.memory{fill:#bc4c00}"
            print "@media (prefers-color-scheme:dark){text{fill:#e6edf3}path.time{stroke:#58a6ff}circle.time{fill:#58a6ff}path.memory{stroke:#f0883e}circle.memory{fill:#f0883e}}</style>"
            printf "<text class=\"title\" x=\"60\" y=\"24\">Time and memory by %s%s</text>\n", title, wide ? " (logarithmic)" : ""
            panel(60, "seconds", t, 1, "time")
            panel(460, "peak memory, MB", m, 1e6, "memory")
            print "</svg>"
        }' >"$pictures/$1.svg"
}

mkdir -p "$pictures"
bad=0
for curve in $with; do
    for size in ${sizes[$curve]}; do
        "prepare_$curve" "$size"
        for run in $(seq "$runs"); do
            line=$("measure_$curve" "$size")
            say "$curve $size, run $run: $line (seconds, bytes)"
            echo "$curve $size $line" >>"$results"
        done
    done
    picture "$curve" "${units[$curve]}"
done
echo
printf '%-20s %10s %10s %14s\n' curve size seconds 'peak memory'
for curve in $with; do
    points "$curve" | awk -v curve="$curve" '{ printf "%-20s %10s %10.2f %11.1f MB\n", curve, $1, $2, $3 / 1e6 }'
done
echo
for curve in $with; do
    verdict "$curve" || bad=1
done
exit "$bad"
