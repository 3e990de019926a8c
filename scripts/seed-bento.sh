#!/usr/bin/env bash
# Makes the source of the bento project: one shared Postgres database with as many users as asked,
# all that they wrote and liked, and the traps of mappings/bento/sample/README.md.
#
#   scripts/seed-bento.sh USERS [--replace]
#
#   USERS             1 or more; each comes with about 19 other rows; the same number, the same rows
#   --replace         drop the nine tables of an earlier call first; without it they are left alone
#   BENTO_SOCIAL_URL  where to: postgres://user:password@host:5432/bento_social
#
# The database is created where it is missing. Either all of it is there afterwards or nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'seed-bento: %s\n' "$1" >&2; }
fail() {
    say "$1"
    shift
    local hint
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}
usage() {
    sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

users='' replace=no
for argument in "$@"; do
    case "$argument" in
        --replace) replace=yes ;;
        [1-9]*) [ -z "$users" ] && [[ $argument =~ ^[0-9]{1,8}$ ]] || usage; users=$argument ;;
        *) usage ;;
    esac
done
[ -n "$users" ] || usage

url=${BENTO_SOCIAL_URL:-}
[ -n "$url" ] || fail "BENTO_SOCIAL_URL is not set" \
    "export BENTO_SOCIAL_URL=postgres://user:password@host:5432/bento_social"
[[ $url =~ ^(postgres|postgresql)://(([^:/@]*)(:([^/@]*))?@)?([^/?]*)/([^/?]+)(\?.*)?$ ]] ||
    fail "BENTO_SOCIAL_URL names no database" "it looks like postgres://user:password@host:5432/bento_social"
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
    fail "the server of BENTO_SOCIAL_URL does not let us in" "start one: scripts/services.sh up"
if [ "$there" = 0 ]; then
    say "creating database $database"
    sql "$start/postgres$options" -v database="$database" <<<"create database :\"database\" template template0 encoding 'UTF8';"
fi

found=$(sql "$url" <<'SQL'
select string_agg(relname, ', ' order by relname) from pg_class
where relnamespace = to_regnamespace('public') and relname in
    ('users', 'topics', 'posts', 'comments', 'comment_likes', 'followers', 'notifications', 'post_likes', 'post_saves');
SQL
)
first=()
if [ -n "$found" ]; then
    [ "$replace" = yes ] || fail "database $database has these tables already: $found; nothing was changed" \
        "--replace drops them with all that is in them, and fills the database anew"
    first=(-f "$here/bento/remove.sql")
fi

# --- rows ------------------------------------------------------------------------------------

topics=$((users / 200 + 10))
say "filling $database with $users users and what belongs to them"
counts=$(
    export PGOPTIONS="$PGOPTIONS -c search_path=public -c synchronous_commit=off -c maintenance_work_mem=256MB"
    cd "$here/bento"
    sql "$url" --single-transaction -v users="$users" -v topics="$topics" "${first[@]}" \
        -f tables.sql -f rows.sql -f counts.sql -f traps.sql -f counts.sql -f indexes.sql
) || fail "not filled: everything of this call was taken back"

awk '
    !($1 in good) { good[$1] = $2; order[++tables] = $1; next }
    { traps[$1] = $2 - good[$1] }
    END {
        printf "%-15s %12s %8s\n", "table", "good rows", "traps"
        for (i = 1; i <= tables; i++) {
            printf "%-15s %12d %8d\n", order[i], good[order[i]], traps[order[i]]
            all += good[order[i]]; odd += traps[order[i]]
        }
        printf "%-15s %12d %8d\n", "total", all, odd
    }
' <<<"$counts"
say "mappings/bento/sample/README.md says what becomes of the traps"
