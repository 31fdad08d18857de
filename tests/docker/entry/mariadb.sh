#!/bin/sh
# Does what the official mariadb image's entry point is documented to do: initialises an empty data
# directory with MARIADB_ or MYSQL_ROOT_PASSWORD(_FILE), _DATABASE, _USER, _PASSWORD and the files of
# /docker-entrypoint-initdb.d, with a server that listens on its socket only; then runs the server.
set -eu

setting() { # setting NAME: MARIADB_NAME, MYSQL_NAME, or what the file of either _FILE holds
    for prefix in MARIADB MYSQL; do
        eval "value=\${${prefix}_$1:-} file=\${${prefix}_$1_FILE:-}"
        [ -z "$file" ] || value=$(cat "$file")
        [ -z "$value" ] || break
    done
    eval "$1=\$value"
}

quoted() { printf '%s' "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g"; }

client() { mariadb --no-defaults --socket=/run/mysqld/mysqld.sock -uroot "$@"; }

system_tables() { # system_tables DIR: nothing of them depends on the environment
    {
        printf 'create database mysql;\nuse mysql;\nset @auth_root_socket=null;\n'
        cat $share/mysql_system_tables.sql $share/mysql_performance_tables.sql \
            $share/mysql_system_tables_data.sql $share/maria_add_gis_sp_bootstrap.sql \
            $share/mysql_sys_schema.sql
    } | mariadbd --no-defaults --bootstrap --datadir="$1" --lc-messages-dir=$share --basedir=/usr \
        --skip-networking --log-warnings=0 --enforce-storage-engine= \
        --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0
}

data=/var/lib/mysql share=/usr/share/mysql template=/usr/share/bake/data
if [ "${1:-}" = template ]; then # when the image is made
    system_tables "$2"
    exit
fi
[ "${1:-}" = mariadbd ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p $data /run/mysqld
    chown -R mysql: $data /run/mysqld
    exec gosu mysql "$0" "$@"
fi
if [ ! -d $data/mysql ]; then
    for name in ROOT_PASSWORD ROOT_HOST DATABASE USER PASSWORD; do setting $name; done
    empty=${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-${MYSQL_ALLOW_EMPTY_PASSWORD:-}}
    random=${MARIADB_RANDOM_ROOT_PASSWORD:-${MYSQL_RANDOM_ROOT_PASSWORD:-}}
    [ -z "$random" ] || ROOT_PASSWORD=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
    if [ -z "$ROOT_PASSWORD$empty" ]; then
        echo "no root password is given" >&2
        exit 1
    fi
    cp -R $template/. $data
    chmod -R u=rwX,go= $data
    "$@" --skip-networking --expire-logs-days=0 &
    server=$!
    i=0
    until client -e 'select 1' >/dev/null 2>&1; do
        i=$((i + 1))
        [ $i -lt 600 ] || exit 1
        sleep 0.05
    done
    {
        echo "set @@session.sql_log_bin=0;"
        echo "delete from mysql.global_priv where not (user='root' and host='localhost') and user <> 'mariadb.sys';"
        echo "flush privileges;"
        printf "alter user root@localhost identified by '%s';\n" "$(quoted "$ROOT_PASSWORD")"
        if [ "${ROOT_HOST:-%}" != localhost ]; then
            printf "create user root@'%s' identified by '%s'; grant all on *.* to root@'%s' with grant option;\n" \
                "${ROOT_HOST:-%}" "$(quoted "$ROOT_PASSWORD")" "${ROOT_HOST:-%}"
        fi
        # shellcheck disable=SC2016 # the backquotes are SQL's
        [ -z "$DATABASE" ] || printf 'create database `%s`;\n' "$DATABASE"
        if [ -n "$USER" ]; then
            printf "create user '%s'@'%%' identified by '%s';\n" "$USER" "$(quoted "$PASSWORD")"
            # shellcheck disable=SC2016
            [ -z "$DATABASE" ] || printf 'grant all on `%s`.* to '"'%s'@'%%';\n" "$DATABASE" "$USER"
        fi
        echo "flush privileges;"
    } | client
    for f in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$f" ] || MYSQL_PWD=$ROOT_PASSWORD client ${DATABASE:+-D "$DATABASE"} <"$f"
    done
    sleep "${BAKE_INIT_SLEEP:-0}"
    kill $server
    wait $server || :
fi
exec "$@"
