# What scripts that make the source of a sample project have in common, to be sourced: the database that a
# variable names, created where it is missing, and the table of what was made.
# Given: project, variable, example (of its URL), here (the folder of the scripts). Sets: url, database.

say() { printf 'seed-%s: %s\n' "$project" "$1" >&2; }
fail() {
    say "$1"
    shift
    local hint
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}

# The database of the variable, made where it is missing.
open_database() {
    local start password options there folder
    url=${!variable:-}
    [ -n "$url" ] || fail "$variable is not set" "export $variable=$example"
    [[ $url =~ ^(postgres|postgresql)://(([^:/@]*)(:([^/@]*))?@)?([^/?]*)/([^/?]+)(\?.*)?$ ]] ||
        fail "$variable names no database" "it looks like $example"
    start=postgres://${BASH_REMATCH[3]}@${BASH_REMATCH[6]} password=${BASH_REMATCH[5]}
    database=${BASH_REMATCH[7]} options=${BASH_REMATCH[8]}
    url=$start/$database$options
    # Not in the URL, which the list of processes shows.
    if [ -n "$password" ]; then PGPASSWORD=$(decoded "$password") && export PGPASSWORD; fi
    database=$(decoded "$database")

    psql=$(command -v psql || true)
    if [ -z "$psql" ] && folder=$("$here/services.sh" pg-bin 2>/dev/null); then psql=$folder/psql; fi
    [ -n "$psql" ] || fail "psql, the client of PostgreSQL, is not installed" "as root: apt-get install postgresql-client"
    # No start-up file, no prompt for a password; the first error ends it.
    export PGCLIENTENCODING=UTF8 PGCONNECT_TIMEOUT=10 PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning"
    there=$(sql "$start/postgres$options" -v database="$database" <<<"select count(*) from pg_database where datname = :'database';") ||
        fail "the server of $variable does not let us in" "start one: scripts/services.sh up"
    if [ "$there" = 0 ]; then
        say "creating database $database"
        sql "$start/postgres$options" -v database="$database" <<<"create database :\"database\" template template0 encoding 'UTF8';"
    fi
}

decoded() { printf '%b' "${1//%/\\x}"; }

sql() {
    local at=$1
    shift
    "$psql" -XAtqw -F ' ' -v ON_ERROR_STOP=1 "$@" "$at"
}

# Which of these tables are there; with `--replace` they are dropped first. Sets: first.
check_tables() {
    local replace=$1 names found
    shift
    names=$(printf "'%s'," "$@")
    found=$(sql "$url" <<<"select string_agg(relname, ', ' order by relname) from pg_class
        where relnamespace = to_regnamespace('public') and relname in (${names%,});")
    first=()
    if [ -n "$found" ]; then
        [ "$replace" = yes ] || fail "database $database has these tables already: $found; nothing was changed" \
            "--replace drops them with all that is in them, and fills the database anew"
        first=(-f "$here/$project/remove.sql")
    fi
}

# What standard input tells of each table: its rows before the traps, then all of them. The argument is
# the width of the first column.
tell_counts() {
    awk -v width="$1" '
        BEGIN { name = "%-" width "s" }
        !($1 in good) { good[$1] = $2; order[++tables] = $1; next }
        { traps[$1] = $2 - good[$1] }
        END {
            printf name " %12s %8s\n", "table", "good rows", "traps"
            for (i = 1; i <= tables; i++) {
                printf name " %12d %8d\n", order[i], good[order[i]], traps[order[i]]
                all += good[order[i]]; odd += traps[order[i]]
            }
            printf name " %12d %8d\n", "total", all, odd
        }
    '
    say "mappings/$project/sample/README.md says what becomes of the traps"
}
