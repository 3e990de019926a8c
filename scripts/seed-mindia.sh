#!/usr/bin/env bash
# Fills the tables of the mindia project: as many media as asked, their users and folders, and the traps
# of mappings/mindia/sample/README.md. Metadata is still text of the old application, to be filled in.
#
#   scripts/seed-mindia.sh MEDIA [--users N] [--replace]
#
#   MEDIA               1 or more; the same sizes give the same rows
#   --users N           users that they belong to (one for 50 media)
#   --replace           empty the tables first; without it they are left alone
#   MINDIA_DATABASE_URL where to: postgres://user:password@host:5432/mindia
#
# The tables are made by `dbferry schema apply mappings/mindia`. Either all of it is there afterwards or
# nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

project=mindia variable=MINDIA_DATABASE_URL example=postgres://user:password@host:5432/mindia
. "$here/seed/source.sh"

usage() {
    sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

media='' users='' replace=no
number() { [[ ${1:-} =~ ^[0-9]{1,8}$ ]] || usage; echo $((10#$1)); }
while [ $# -gt 0 ]; do
    case "$1" in
        --replace) replace=yes ;;
        --users) users=$(number "${2:-}") || exit 2; shift ;;
        [1-9]*) [ -z "$media" ] || usage; media=$(number "$1") || exit 2 ;;
        *) usage ;;
    esac
    shift
done
[ -n "$media" ] || usage
[ -n "$users" ] || users=$(((media + 49) / 50))
[ "$users" -gt 0 ] || usage

open_database
there=$(sql "$url" <<<"select count(*) from (values ('users'), ('folders'), ('media'), ('media_events')) as t (name)
    where to_regclass('public.' || name) is not null;")
[ "$there" = 4 ] || fail "database $database has no tables of mindia" "dbferry schema apply mappings/mindia"
filled=$(sql "$url" <<<"select exists (select from users) or exists (select from media);")
first=()
if [ "$filled" = t ]; then
    [ "$replace" = yes ] || fail "database $database has users and media already; nothing was changed" \
        "--replace removes them with all that belongs to them, and fills the tables anew"
    first=(-f "$here/$project/remove.sql")
fi

# --- rows ------------------------------------------------------------------------------------

say "filling $database with $media media of $users users"
counts=$(
    export PGOPTIONS="$PGOPTIONS -c search_path=public -c synchronous_commit=off"
    # Moments are written and made in UTC.
    export PGTZ=UTC
    cd "$here/$project"
    sql "$url" --single-transaction -v users="$users" -v media="$media" "${first[@]}" \
        -f rows.sql -f counts.sql -f traps.sql -f counts.sql
) || fail "not filled: everything of this call was taken back"

tell_counts 12 <<<"$counts"
