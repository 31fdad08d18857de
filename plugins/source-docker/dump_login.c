/* Who to be in a database server: decided by the names in the container's environment, read by a
 * script inside of it, so that no password passes through here. */
#include "dump_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arguments $1 and $2: variables of user and password, "" for none; the _FILE variants too. What
 * else is in the environment must not lead to another server. */
#define VALUE                                                                                      \
    "v() { eval \"f=\\${$1_FILE:-}\"; if [ -n \"$f\" ]; then cat \"$f\"; "                         \
    "else eval \"printf %s \\\"\\${$1:-}\\\"\"; fi; }; "

const char dk_pg_login[] = VALUE
    "u=; [ -z \"$1\" ] || u=$(v \"$1\"); [ -n \"$u\" ] || u=postgres; "
    "p=; [ -z \"$2\" ] || p=$(v \"$2\"); [ -z \"$p\" ] || { PGPASSWORD=$p; export PGPASSWORD; }; "
    "unset PGHOST PGHOSTADDR PGUSER PGDATABASE PGOPTIONS PGSERVICE; "
    "LC_ALL=C; export LC_ALL; shift 2; ";

const char dk_maria_login[] =
    VALUE "u=; [ -z \"$1\" ] || u=$(v \"$1\"); [ -n \"$u\" ] || u=root; "
          "MYSQL_PWD=; [ -z \"$2\" ] || MYSQL_PWD=$(v \"$2\"); export MYSQL_PWD; "
          "unset MYSQL_HOST MARIADB_HOST; shift 2; ";

char *dk_script(enum dk_kind kind, const char *rest)
{
    char *text = NULL;
    return asprintf(&text, "%s%s", kind == DK_PG ? dk_pg_login : dk_maria_login, rest) < 0 ? NULL
                                                                                           : text;
}

/* Is it, or its _FILE, set to something? */
static bool has(const struct dk_container *c, const char *name)
{
    char file[64];
    const char *value = dk_env(c, name);
    if (value && value[0])
        return true;
    (void)snprintf(file, sizeof(file), "%s_FILE", name);
    value = dk_env(c, file);
    return value && value[0];
}

/* The first of these that is set; NULL: none. */
static const char *first_of(const struct dk_container *c, const char *a, const char *b)
{
    return has(c, a) ? a : has(c, b) ? b : NULL;
}

static bool set(const struct dk_container *c, const char *a, const char *b)
{
    const char *x = dk_env(c, a), *y = dk_env(c, b);
    return (x && x[0]) || (y && y[0]);
}

static struct dk_login pg_login(const struct dk_container *c)
{
    struct dk_login l = {.user = first_of(c, "POSTGRES_USER", "POSTGRES_USER"),
                         .password = first_of(c, "POSTGRES_PASSWORD", "POSTGRES_PASSWORD")};
    if (!l.password)
        l.why = "the server wants a password, and the container's environment has neither "
                "POSTGRES_PASSWORD nor POSTGRES_PASSWORD_FILE";
    return l;
}

static struct dk_login maria_login(const struct dk_container *c)
{
    struct dk_login l = {.password = first_of(c, "MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")};
    bool empty = set(c, "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "MYSQL_ALLOW_EMPTY_PASSWORD") ||
                 set(c, "MARIADB_ALLOW_EMPTY_PASSWORD", "MYSQL_ALLOW_EMPTY_ROOT_PASSWORD");
    bool random = set(c, "MARIADB_RANDOM_ROOT_PASSWORD", "MYSQL_RANDOM_ROOT_PASSWORD");
    if (l.password)
        return l;
    const char *user = first_of(c, "MARIADB_USER", "MYSQL_USER");
    const char *password = first_of(c, "MARIADB_PASSWORD", "MYSQL_PASSWORD");
    if (empty) {
        l.why = "the server wants a password of root, and the container's environment says that "
                "there is none (ALLOW_EMPTY_PASSWORD)";
    } else if (user && password) {
        l = (struct dk_login){.user = user, .password = password, .own_only = true};
    } else if (random) {
        l.why = "root's password was made at random when the database was first made "
                "(RANDOM_ROOT_PASSWORD) and is not in the container's environment";
    } else {
        l.why = "the container's environment has no password of root (MARIADB_ROOT_PASSWORD, "
                "MYSQL_ROOT_PASSWORD or their _FILE) and none of a user (MARIADB_USER and "
                "MARIADB_PASSWORD), and the server wants one";
    }
    return l;
}

struct dk_login dk_login_of(const struct dk_container *c, enum dk_kind kind)
{
    return kind == DK_PG ? pg_login(c) : maria_login(c);
}

const char *dk_database_dir(const struct dk_container *c, enum dk_kind kind)
{
    static const char option[] = "--datadir=";
    const json_t *args = json_object_get(c->inspect, "Args"), *arg;
    size_t i;
    if (kind == DK_PG) {
        const char *dir = dk_env(c, "PGDATA");
        return dir && dir[0] == '/' ? dir : "/var/lib/postgresql/data";
    }
    json_array_foreach(args, i, arg)
    {
        const char *text = json_string_value(arg);
        if (text && strncmp(text, option, sizeof(option) - 1) == 0 &&
            text[sizeof(option) - 1] == '/')
            return text + sizeof(option) - 1;
    }
    return "/var/lib/mysql";
}
