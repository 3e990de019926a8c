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

say() { printf 'seed-vyry: %s\n' "$1" >&2; }
fail() {
    say "$1"
    shift
    local hint
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}
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

url=${VYRY_DATABASE_URL:-}
[ -n "$url" ] || fail "VYRY_DATABASE_URL is not set" \
    "export VYRY_DATABASE_URL=postgres://user:password@host:5432/vyrydb"
[[ $url =~ ^(postgres|postgresql)://(([^:/@]*)(:([^/@]*))?@)?([^/?]*)/([^/?]+)(\?.*)?$ ]] ||
    fail "VYRY_DATABASE_URL names no database" "it looks like postgres://user:password@host:5432/vyrydb"
start=postgres://${BASH_REMATCH[3]}@${BASH_REMATCH[6]} password=${BASH_REMATCH[5]}
database=${BASH_REMATCH[7]} options=${BASH_REMATCH[8]}
url=$start/$database$options
decoded() { printf '%b' "${1//%/\\x}"; }
# Not in the URL, which the list of processes shows.
if [ -n "$password" ]; then PGPASSWORD=$(decoded "$password") && export PGPASSWORD; fi
database=$(decoded "$database")

psql=$(command -v psql || true)
if [ -z "$psql" ] && folder=$("$here/services.sh" pg-bin 2>/dev/null); then psql=$folder/psql; fi
[ -n "$psql" ] || fail "psql, the client of PostgreSQL, is not installed" "as root: apt-get install postgresql-client"

# --- where to --------------------------------------------------------------------------------

# No start-up file, no prompt for a password; the first error ends it.
export PGCLIENTENCODING=UTF8 PGCONNECT_TIMEOUT=10 PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning"
sql() {
    local at=$1
    shift
    "$psql" -XAtqw -F ' ' -v ON_ERROR_STOP=1 "$@" "$at"
}

there=$(sql "$start/postgres$options" -v database="$database" <<<"select count(*) from pg_database where datname = :'database';") ||
    fail "the server of VYRY_DATABASE_URL does not let us in" "start one: scripts/services.sh up"
if [ "$there" = 0 ]; then
    say "creating database $database"
    sql "$start/postgres$options" -v database="$database" <<<"create database :\"database\" template template0 encoding 'UTF8';"
fi

found=$(sql "$url" <<'SQL'
select string_agg(relname, ', ' order by relname) from pg_class
where relnamespace = to_regnamespace('public') and relname in
    ('users', 'devices', 'conversations', 'conv_members', 'one_time_prekeys', 'signal_sessions', 'push_tokens',
        'device_linking_sessions', 'messages', 'message_deliveries');
SQL
)
first=()
if [ -n "$found" ]; then
    [ "$replace" = yes ] || fail "database $database has these tables already: $found; nothing was changed" \
        "--replace drops them with all that is in them, and fills the database anew"
    first=(-f "$here/vyry/remove.sql")
fi

# --- rows ------------------------------------------------------------------------------------

say "filling $database with $users users and what belongs to them"
counts=$(
    export PGOPTIONS="$PGOPTIONS -c search_path=public -c synchronous_commit=off -c maintenance_work_mem=256MB"
    # Moments are written and made in UTC.
    export PGTZ=UTC
    cd "$here/vyry"
    sql "$url" --single-transaction -v users="$users" -v conversations=$((1 + 2 * users)) \
        -v small=$((2 * users * each)) -v each="$each" -v wide="$wide" "${first[@]}" \
        -f tables.sql -f rows.sql -f counts.sql -f traps.sql -f counts.sql -f keys.sql
) || fail "not filled: everything of this call was taken back"

awk '
    !($1 in good) { good[$1] = $2; order[++tables] = $1; next }
    { traps[$1] = $2 - good[$1] }
    END {
        printf "%-23s %12s %8s\n", "table", "good rows", "traps"
        for (i = 1; i <= tables; i++) {
            printf "%-23s %12d %8d\n", order[i], good[order[i]], traps[order[i]]
            all += good[order[i]]; odd += traps[order[i]]
        }
        printf "%-23s %12d %8d\n", "total", all, odd
    }
' <<<"$counts"
say "mappings/vyry/sample/README.md says what becomes of the traps"
