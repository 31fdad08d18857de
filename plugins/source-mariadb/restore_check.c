/* What is restored where, and whether it may be. */
#include "restore.h"
#include "rights.h"
#include "tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NAME_MAX_CHARS 64
#define MARK_CHARS     21 /* "_bakengine_old_123abc" */

/* ---- what ------------------------------------------------------------------------------------ */

static bool is_servers_own(const char *name)
{
    static const char *const own[] = {"information_schema", "performance_schema", "mysql", "sys"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcasecmp(own[i], name) == 0)
            return true;
    return false;
}

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static int check_name(struct my_restore *r, const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || characters(name) > NAME_MAX_CHARS || name[n - 1] == ' ')
        return bake_fail(r->ctx, BAKE_E_CONFIG, "'%s' can be no database's name", name);
    if (is_servers_own(name))
        return bake_fail(r->ctx, BAKE_E_CONFIG, "'%s' is the server's own and not restored", name);
    return BAKE_OK;
}

/* As much of it as leaves room for more. */
static char *start_of(const char *name)
{
    size_t n = 0, seen = 0;
    for (; name[n]; n++)
        if (((unsigned char)name[n] & 0xC0) != 0x80 && ++seen > NAME_MAX_CHARS - MARK_CHARS)
            break;
    return strndup(name, n);
}

static int name_places(struct my_restore *r, struct my_rdb *db, const char *as, const char *mark)
{
    const char *target = as ? as : db->name;
    char *start = start_of(target);
    int rc = check_name(r, target);
    db->swap.target = strdup(target);
    db->swap.fresh = start ? my_text("%s_bakengine_%s", start, mark) : NULL;
    db->swap.old = start ? my_text("%s_bakengine_old_%s", start, mark) : NULL;
    free(start);
    if (rc == BAKE_OK && (!db->swap.target || !db->swap.fresh || !db->swap.old))
        rc = my_nomem(r->ctx);
    return rc;
}

static int choose_one(struct my_restore *r, const struct bake_component *c, const char *as,
                      const char *mark)
{
    struct my_rdb *db = &r->dbs[r->n++];
    db->facts = json_loads(c->facts ? c->facts : "{}", 0, NULL);
    const char *name = json_string_value(json_object_get(db->facts, "database"));
    db->component = strdup(c->name);
    db->name = name ? strdup(name) : my_true_name(c->name);
    db->bytes = c->size_hint;
    if (!db->name)
        return bake_fail(r->ctx, BAKE_E_CORRUPT, "'%s' does not say of which database it is",
                         c->name);
    int rc = db->component ? name_places(r, db, as, mark) : my_nomem(r->ctx);
    for (size_t i = 0; i + 1 < r->n && rc == BAKE_OK; i++)
        if (strcmp(r->dbs[i].swap.target, db->swap.target) == 0)
            rc = bake_fail(r->ctx, BAKE_E_CORRUPT, "'%s' and '%s' are of the same database '%s'",
                           r->dbs[i].component, c->name, db->swap.target);
    return rc;
}

static int copy_parts(struct my_restore *r, const char *const *parts)
{
    size_t n = 0;
    for (; parts && parts[n]; n++)
        continue;
    if (n == 0)
        return BAKE_OK;
    r->parts = calloc(n + 1, sizeof(char *));
    for (size_t i = 0; r->parts && i < n; i++)
        if (!(r->parts[i] = strdup(parts[i])))
            return my_nomem(r->ctx);
    return r->parts ? BAKE_OK : my_nomem(r->ctx);
}

int my_restore_choose(struct my_restore *r, const struct bake_restore *how,
                      const struct bake_component *const *chosen, size_t n)
{
    unsigned char bytes[3];
    char mark[8];
    size_t databases = 0;
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return bake_fail(r->ctx, BAKE_E_IO, "cannot get random bytes: %s", strerror(errno));
    (void)snprintf(mark, sizeof(mark), "%02x%02x%02x", bytes[0], bytes[1], bytes[2]);
    for (size_t i = 0; i < n; i++)
        databases += strcmp(chosen[i]->name, MY_USERS) != 0;
    if (how->as_name && databases != 1)
        return bake_fail(r->ctx, BAKE_E_CONFIG,
                         "one name is given for %zu databases\nHINT: choose one by --component",
                         databases);
    r->dbs = calloc(n + 1, sizeof(*r->dbs));
    int rc = r->dbs ? copy_parts(r, how->parts) : my_nomem(r->ctx);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        if (strcmp(chosen[i]->name, MY_USERS) == 0)
            r->has_users = true;
        else
            rc = choose_one(r, chosen[i], how->as_name, mark);
    }
    return rc;
}

/* ---- may it ---------------------------------------------------------------------------------- */

static unsigned long series_of(const char *version)
{
    unsigned long parts[2] = {0};
    for (size_t i = 0; version && i < 2; i++) {
        for (; *version >= '0' && *version <= '9' && parts[i] < 1000; version++)
            parts[i] = parts[i] * 10 + (unsigned long)(*version - '0');
        version += *version == '.';
    }
    return parts[0] * 100 + parts[1];
}

static int check_version(struct my_restore *r, const struct my_conn *c, const struct my_rdb *db)
{
    const char *was = json_string_value(json_object_get(db->facts, "server_version"));
    if (!was || series_of(was) <= c->version / 100)
        return BAKE_OK;
    if (r->force) {
        bake_report(r->ctx, BAKE_WARNING, db->name, "it is of MariaDB %s, the server is of %s", was,
                    mysql_get_server_info(c->my));
        return BAKE_OK;
    }
    return bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                     "'%s' is of MariaDB %s, the server is of %s\n"
                     "HINT: restore into a server of at least that release, or try it by --force",
                     db->name, was, mysql_get_server_info(c->my));
}

static int check_writable(struct my_restore *r, struct my_conn *c)
{
    char *text = NULL;
    int rc = my_value(c, &text, "cannot ask whether the server may be written to",
                      "SELECT @@global.read_only");
    if (rc == BAKE_OK && strcmp(text, "0") != 0 && strcasecmp(text, "OFF") != 0)
        rc = bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                       "the server is read-only: is it a replica?\n"
                       "HINT: restore into the server that it follows, or into another by --set");
    free(text);
    return rc;
}

static int check_right(struct my_restore *r, MYSQL_RES *grants, const char *right, const char *db)
{
    mysql_data_seek(grants, 0);
    for (MYSQL_ROW row; (row = mysql_fetch_row(grants));)
        if (row[0] && my_grant_covers(row[0], right, db))
            return BAKE_OK;
    return bake_fail(r->ctx, BAKE_E_AUTH,
                     "the user may not %s in database '%s', which a restore needs\n"
                     "HINT: restore as a user with all rights, by --set",
                     right, db);
}

static int check_rights(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    static const char *const rights[] = {"CREATE", "DROP", "ALTER", "INSERT"};
    const char *const names[] = {db->swap.target, db->swap.fresh, db->swap.old};
    MYSQL_RES *grants = NULL;
    int rc = my_query(c, &grants, "cannot ask what the user may do", "SHOW GRANTS");
    for (size_t i = 0; i < 12 && rc == BAKE_OK; i++)
        rc = check_right(r, grants, rights[i % 4], names[i / 4]);
    mysql_free_result(grants);
    return rc;
}

/* Keys of tables that stay would go on naming the tables that are replaced. */
static int check_keys(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    MYSQL_RES *res = NULL;
    char *literal = my_literal(c, db->swap.target);
    int rc = literal ? my_queryf(c, &res, "cannot list the foreign keys",
                                 "SELECT DISTINCT table_schema, table_name, referenced_table_name "
                                 "FROM information_schema.key_column_usage WHERE "
                                 "referenced_table_schema = %s",
                                 literal)
                     : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(res));) {
        bool stays = true;
        for (size_t i = 0; i < r->n; i++)
            if (strcmp(r->dbs[i].swap.target, row[0]) == 0)
                stays = !my_part_wanted(r->parts, r->dbs[i].name, row[1]);
        if (stays && my_part_wanted(r->parts, db->name, row[2]))
            rc = bake_fail(r->ctx, BAKE_E_EXISTS,
                           "a foreign key of table '%s.%s', which is not restored, names '%s.%s'\n"
                           "HINT: restore it as well, drop that key, or restore under another name "
                           "by --as-database",
                           row[0], row[1], db->swap.target, row[2]);
    }
    mysql_free_result(res);
    free(literal);
    return rc;
}

static int count_objects(struct my_conn *c, const char *database, char **ret)
{
    char *l = my_literal(c, database);
    char *sql = l ? my_text("SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE "
                            "table_schema = %s) + (SELECT COUNT(*) FROM "
                            "information_schema.routines WHERE routine_schema = %s) + (SELECT "
                            "COUNT(*) FROM information_schema.events WHERE event_schema = %s)",
                            l, l, l)
                  : NULL;
    int rc = sql ? my_value(c, ret, "cannot ask what the database holds", sql) : my_nomem(c->ctx);
    free(l);
    free(sql);
    return rc;
}

static int exists(struct my_restore *r, const char *what, const char *more)
{
    return bake_fail(r->ctx, BAKE_E_EXISTS,
                     "%s '%s' is there already\nHINT: give --force to replace it, or another name "
                     "by --as-database",
                     what, more);
}

static int check_tables(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    json_t *tables = NULL;
    int rc = my_tables_of(c, db->swap.target, &tables);
    for (size_t i = 0; rc == BAKE_OK && i < json_array_size(tables); i++) {
        const char *name = json_string_value(json_array_get(tables, i));
        if (my_part_wanted(r->parts, db->name, name) && !r->force)
            rc = exists(r, "table", name);
    }
    json_decref(tables);
    return rc;
}

static int check_target(struct my_restore *r, struct my_conn *c, struct my_rdb *db)
{
    char *objects = NULL;
    bool there = false;
    int rc = my_has_database(c, db->swap.target, &there);
    db->swap.made = !there;
    if (rc != BAKE_OK || !there)
        return rc;
    if (r->parts)
        rc = check_tables(r, c, db);
    else
        rc = count_objects(c, db->swap.target, &objects);
    if (rc == BAKE_OK && objects && strcmp(objects, "0") != 0 && !r->force)
        rc = exists(r, "database", db->swap.target);
    free(objects);
    return rc == BAKE_OK ? check_keys(r, c, db) : rc;
}

int my_restore_check(struct my_restore *r)
{
    struct my_conn c = {0};
    int rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    r->version = c.version;
    rc = check_writable(r, &c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++) {
        rc = check_version(r, &c, &r->dbs[i]);
        if (rc == BAKE_OK)
            rc = check_rights(r, &c, &r->dbs[i]);
        if (rc == BAKE_OK)
            rc = check_target(r, &c, &r->dbs[i]);
    }
    my_conn_close(&c);
    return rc;
}
