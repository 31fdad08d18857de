#!/bin/sh
# Does what the official postgres image's entry point is documented to do: initialises an empty
# data directory with POSTGRES_USER, _PASSWORD(_FILE), _DB, _INITDB_ARGS and the files of
# /docker-entrypoint-initdb.d, with a server that listens on its socket only; then runs the server.
set -eu

# shellcheck disable=SC2034 # value is used by eval
setting() { # setting NAME DEFAULT: $NAME, or what the file $NAME_FILE holds
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    [ -z "$file" ] || value=$(cat "$file")
    eval "$1=\${value:-\$2}"
}

quoted() { printf '%s' "$1" | sed "s/'/''/g"; }

# A copy of the cluster that the image was made with, as initdb would have made it: its superuser has
# this name and password. Fails if there are arguments of initdb that it has not regarded.
copy_template() {
    on_socket=trust on_host=trust
    for word in ${POSTGRES_INITDB_ARGS:-}; do
        case $word in
        --auth-local=*) on_socket=${word#*=} ;;
        --auth-host=*) on_host=${word#*=} ;;
        *) return 1 ;;
        esac
    done
    cp -R $template/. "$PGDATA" || exit 1
    chmod -R u=rwX,go= "$PGDATA" || exit 1
    sed -i "s/^\(local .*\)trust\$/\1$on_socket/; s/^\(host .*\)trust\$/\1$on_host/" \
        "$PGDATA/pg_hba.conf" || exit 1
    {
        [ "$POSTGRES_USER" = postgres ] ||
            printf "update pg_authid set rolname = '%s' where oid = 10\n" "$(quoted "$POSTGRES_USER")"
        [ -z "$POSTGRES_PASSWORD" ] ||
            printf "alter role \"%s\" password '%s'\n" \
                "$(printf '%s' "$POSTGRES_USER" | sed 's/"/""/g')" "$(quoted "$POSTGRES_PASSWORD")"
    } >/tmp/sql
    postgres --single -F -D "$PGDATA" postgres </tmp/sql >/tmp/single 2>&1 || exit 1
    if grep ERROR /tmp/single >&2; then
        exit 1
    fi
    rm /tmp/sql /tmp/single
}

template=/usr/share/bake/data
if [ "${1:-}" = template ]; then # when the image is made
    exec initdb -U postgres --auth=trust --no-sync --wal-segsize=1 -D "$2"
fi
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    chown -R postgres: "$PGDATA" /run/postgresql
    exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    setting POSTGRES_PASSWORD ""
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_HOST_AUTH_METHOD scram-sha-256
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        echo "no superuser password is given" >&2
        exit 1
    fi
    set -f
    if ! copy_template; then
        printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/pw
        # shellcheck disable=SC2086 # a list of arguments
        initdb -U "$POSTGRES_USER" --pwfile=/tmp/pw --no-sync ${POSTGRES_INITDB_ARGS:-}
        rm /tmp/pw
    fi
    set +f
    printf 'host all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    export PGPASSWORD="$POSTGRES_PASSWORD" PGUSER="$POSTGRES_USER"
    own=$*
    pg_ctl -w -o "${own#postgres} -c listen_addresses=''" start
    [ "$POSTGRES_DB" = postgres ] || createdb=$(printf 'CREATE DATABASE "%s"' "$POSTGRES_DB")
    [ -z "${createdb:-}" ] || psql -d postgres -qc "$createdb"
    for f in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$f" ] || psql -v ON_ERROR_STOP=1 -q -d "$POSTGRES_DB" -f "$f"
    done
    # A server that is still initialising must not be taken for a ready one: tests may ask for more
    # time for that.
    sleep "${BAKE_INIT_SLEEP:-0}"
    pg_ctl -w -m fast stop
    unset PGPASSWORD PGUSER
fi
exec "$@"
