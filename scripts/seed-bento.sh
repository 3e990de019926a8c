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

project=bento variable=BENTO_SOCIAL_URL example=postgres://user:password@host:5432/bento_social
. "$here/seed/source.sh"

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

open_database
check_tables "$replace" users topics posts comments comment_likes followers notifications post_likes \
    post_saves

# --- rows ------------------------------------------------------------------------------------

topics=$((users / 200 + 10))
say "filling $database with $users users and what belongs to them"
counts=$(
    export PGOPTIONS="$PGOPTIONS -c search_path=public -c synchronous_commit=off -c maintenance_work_mem=256MB"
    cd "$here/$project"
    sql "$url" --single-transaction -v users="$users" -v topics="$topics" "${first[@]}" \
        -f tables.sql -f rows.sql -f counts.sql -f traps.sql -f counts.sql -f indexes.sql
) || fail "not filled: everything of this call was taken back"

tell_counts 15 <<<"$counts"
