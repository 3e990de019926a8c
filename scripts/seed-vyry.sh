#!/usr/bin/env bash
# Makes the source of the vyry project: a Postgres database with as many users as asked, their devices,
# conversations and messages, and the traps of mappings/vyry/sample/README.md.
#
#   scripts/seed-vyry.sh USERS [--wide N] [--each N] [--replace]
#
#   USERS              1 or more; the same sizes give the same rows
#   --wide N           messages of the one conversation that is much longer than all others (200)
#   --each N           messages of each of the small ones, of which a user has two (5)
#   --replace          drop the tables of an earlier call first; without it they are left alone
#   VYRY_DATABASE_URL  where to: postgres://user:password@host:5432/vyrydb
#
# A wide conversation with a million messages beside a hundred thousand small ones is
# `scripts/seed-vyry.sh 50000 --wide 1000000`. The database is created where it is missing. Either all
# of it is there afterwards or nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

project=vyry variable=VYRY_DATABASE_URL example=postgres://user:password@host:5432/vyrydb
. "$here/seed/source.sh"

usage() {
    sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

users='' wide=200 each=5 replace=no
number() { [[ ${1:-} =~ ^[0-9]{1,8}$ ]] || usage; echo $((10#$1)); }
while [ $# -gt 0 ]; do
    case "$1" in
        --replace) replace=yes ;;
        --wide) wide=$(number "${2:-}") || exit 2; shift ;;
        --each) each=$(number "${2:-}") || exit 2; shift ;;
        [1-9]*) [ -z "$users" ] || usage; users=$(number "$1") || exit 2 ;;
        *) usage ;;
    esac
    shift
done
[ "$each" -gt 0 ] || usage
[ -n "$users" ] || usage

open_database
check_tables "$replace" users devices conversations conv_members one_time_prekeys signal_sessions \
    push_tokens device_linking_sessions messages message_deliveries

# --- rows ------------------------------------------------------------------------------------

say "filling $database with $users users and what belongs to them"
counts=$(
    export PGOPTIONS="$PGOPTIONS -c search_path=public -c synchronous_commit=off -c maintenance_work_mem=256MB"
    # Moments are written and made in UTC.
    export PGTZ=UTC
    cd "$here/$project"
    sql "$url" --single-transaction -v users="$users" -v conversations=$((1 + 2 * users)) \
        -v small=$((2 * users * each)) -v each="$each" -v wide="$wide" "${first[@]}" \
        -f tables.sql -f rows.sql -f counts.sql -f traps.sql -f counts.sql -f keys.sql
) || fail "not filled: everything of this call was taken back"

tell_counts 23 <<<"$counts"
