#!/usr/bin/env bash
# Benchmarks on this machine: scripts/bench.sh [sqlite|postgres|cosmos|redis|scylla|verify|undo|start|curves|reach]; without a name all
# but the last, which measures what the others do and prints one table of ratios.
# Everything runs against the same server (Postgres checkpoints before each measurement), into an empty
# database, with the source in memory; the order changes from run to run, and medians are printed.
#
#   ROWS=…        users; there are twice as many rows in the other table (default: 500000 from
#                 SQLite, 1000000 from Postgres); documents (default: 100000 from Cosmos DB); profiles
#                 (default: 1000000 into Redis); messages (default: 1000000 into ScyllaDB); users on each side (default: 1000000 for verify)
#   RUNS=3        measurements of each
#   WITH=…        which to measure (default: "dbferry keyless copy pgloader sling" from SQLite, where
#                 keyless and copy need dbferry; "dbferry copy two splits copies dump dumps over upsert" from Postgres; "bare pinned reader
#                 fields documents" from Cosmos DB; "dbferry postgres pipe" into Redis; "dbferry bare" into ScyllaDB; "dbferry differ copies
#                 reladiff reladiff_differ" for verify; "plain logged back over over_logged over_back" for undo)
#   DBFERRY=…     the program to measure (default: built with --release)
#   BARE=1        (sqlite, postgres) also a dbferry built with `--features bench-bare`, which keeps no checkpoints and
#                 validates nothing: what both cost
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bench
for name in "${@:-sqlite postgres cosmos redis scylla verify undo start curves}"; do
    for which in $name; do
        case $which in
        sqlite | postgres | cosmos | redis | scylla | verify | undo | start | curves | reach) "$folder/$which.sh" ;;
        *) echo "bench.sh: there is no benchmark $which; there are sqlite, postgres, cosmos, redis, scylla, verify, undo, start, curves and reach" >&2; exit 2 ;;
        esac
    done
done
