/* Accounts from users.sql: those that are missing are made, what they may do is added. Statements
 * hold passwords' hashes: no message ever quotes one. */
#include "restore.h"
#include "users.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#define USER "CREATE USER IF NOT EXISTS "
#define ROLE "CREATE ROLE IF NOT EXISTS "

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

void my_users_release(struct my_restore *r)
{
    for (size_t i = 0; i < r->users.n; i++) {
        explicit_bzero(r->users.lines[i], strlen(r->users.lines[i]));
        free(r->users.lines[i]);
    }
    free(r->users.lines);
    r->users = (struct my_rusers){0};
}

static int keep(struct my_restore *r, struct bake_ctx *ctx, const char *line, size_t n)
{
    char **lines = realloc(r->users.lines, (r->users.n + 1) * sizeof(char *));
    if (!lines)
        return my_nomem(ctx);
    r->users.lines = lines;
    /* without the ';' */
    lines[r->users.n] = strndup(line, n - 1);
    return lines[r->users.n++] ? BAKE_OK : my_nomem(ctx);
}

int my_users_take(struct my_restore *r, struct bake_ctx *ctx, const char *text, size_t n)
{
    bool ended = false;
    int rc = BAKE_OK;
    my_users_release(r);
    for (size_t at = 0; at < n && rc == BAKE_OK;) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t len = end ? (size_t)(end - line) : n - at;
        at += len + 1;
        if (ended && len > 0)
            return bake_fail(ctx, BAKE_E_CORRUPT, "'%s' goes on behind its end", MY_USERS);
        if (len > 2 && line[0] == '-' && line[1] == '-')
            ended = len == strlen(MY_USERS_END) && memcmp(line, MY_USERS_END, len) == 0;
        else if (len > 1 && line[len - 1] == ';' &&
                 (starts(line, "CREATE ") || starts(line, "GRANT ") || starts(line, "SET ")))
            rc = keep(r, ctx, line, len);
        else if (len > 0)
            return bake_fail(ctx, BAKE_E_CORRUPT,
                             "'%s' holds something else than accounts, roles and grants", MY_USERS);
    }
    if (rc == BAKE_OK && !ended)
        rc = bake_fail(ctx, BAKE_E_CORRUPT, "'%s' ends before its end marker", MY_USERS);
    return rc;
}

/* ---- accounts -------------------------------------------------------------------------------- */

/* The length of "`u`@`h`" or "`role`" at p. */
static size_t name_length(const char *p)
{
    const char *from = p;
    for (;;) {
        if (*p++ != '`')
            return 0;
        while (*p && (*p != '`' || p[1] == '`'))
            p += *p == '`' ? 2 : 1;
        if (!*p)
            return 0;
        if (*++p != '@')
            return (size_t)(p - from);
        p++;
    }
}

/* "`u`@`h`" or "`role`" of a statement that makes it; NULL: it makes none, or no memory. */
static char *account_of(const char *line, bool *role)
{
    *role = starts(line, ROLE);
    if (!*role && !starts(line, USER))
        return NULL;
    const char *name = line + strlen(USER); /* both are as long */
    size_t n = name_length(name);
    return n ? strndup(name, n) : NULL;
}

/* All accounts there are, as account_of() has them. */
static int list_accounts(struct my_conn *c, json_t **ret)
{
    MYSQL_RES *r = NULL;
    json_t *all = json_array();
    int rc = all ? my_query(c, &r, "cannot list the accounts",
                            "SELECT CONCAT('`', REPLACE(user, '`', '``'), IF(is_role = 'Y', '`', "
                            "CONCAT('`@`', REPLACE(host, '`', '``'), '`'))) FROM mysql.user")
                 : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        if (json_array_append_new(all, json_string(row[0])) != 0)
            rc = my_nomem(c->ctx);
    mysql_free_result(r);
    *ret = all;
    return rc;
}

/* The server's own words would quote the statement. */
static int refused(struct my_conn *c, const char *what, const char *name)
{
    unsigned error = mysql_errno(c->my);
    int rc = c->broken ? c->broken : my_rc_of_errno(error);
    const char *why = error == ER_PARSE_ERROR ? "the server does not understand the statement"
                      : error == ER_PLUGIN_IS_NOT_LOADED
                          ? "the server lacks the plugin that it logs in by"
                      : rc == BAKE_E_AUTH       ? "the user may not do that"
                      : error == ER_CANNOT_USER ? "the server refuses it"
                                                : "the statement fails";
    return bake_fail(c->ctx, rc == BAKE_E_NOTFOUND ? BAKE_E_IO : rc,
                     "cannot %s '%s': %s (error %u)", what, name, why, error);
}

static int note_missing(struct my_restore *r, const json_t *there)
{
    int rc = BAKE_OK;
    if (!r->accounts && !(r->accounts = json_array()))
        return my_nomem(r->ctx);
    for (size_t i = 0; i < r->users.n && rc == BAKE_OK; i++) {
        bool role = false;
        char *name = account_of(r->users.lines[i], &role);
        if (name && !my_in_list(there, name) &&
            json_array_append_new(r->accounts, json_sprintf("DROP %s IF EXISTS %s",
                                                            role ? "ROLE" : "USER", name)) != 0)
            rc = my_nomem(r->ctx);
        free(name);
    }
    return rc;
}

static int make_one(struct my_restore *r, struct my_conn *c, const char *line)
{
    bool role = false;
    char *name = account_of(line, &role);
    int rc = BAKE_OK;
    if (name && my_try(c, NULL, line) != BAKE_OK) {
        if (r->drill && !c->broken && mysql_errno(c->my) == ER_PLUGIN_IS_NOT_LOADED)
            bake_report(c->ctx, BAKE_WARNING, name,
                        "the drill's server lacks the plugin that this account logs in by");
        else
            rc = refused(c, role ? "make role" : "make account", name);
    }
    free(name);
    return rc;
}

int my_users_make(struct my_restore *r, struct my_conn *c)
{
    json_t *there = NULL;
    if (r->users.n == 0)
        return BAKE_OK;
    int rc = list_accounts(c, &there);
    if (rc == BAKE_OK)
        rc = note_missing(r, there);
    if (rc == BAKE_OK && !r->drill)
        rc = my_oblige(r, r->ctx, MY_STAGING);
    for (size_t i = 0; i < r->users.n && rc == BAKE_OK; i++)
        rc = make_one(r, c, r->users.lines[i]);
    json_decref(there);
    return rc;
}

/* ---- what they may do ------------------------------------------------------------------------ */

static bool is_new(const struct my_restore *r, const char *name)
{
    for (size_t i = 0; i < json_array_size(r->accounts); i++) {
        const char *text = json_string_value(json_array_get(r->accounts, i));
        const char *at = text ? strchr(text, '`') : NULL;
        if (at && strcmp(at, name) == 0)
            return true;
    }
    return false;
}

/* An account that was there becomes as it was recorded; not the one that we are. */
static int alter_one(struct my_restore *r, struct my_conn *c, const char *line, const char *self)
{
    bool role = false;
    char *name = account_of(line, &role), *sql = NULL;
    int rc = BAKE_OK;
    if (!name || role || is_new(r, name)) {
        free(name);
        return BAKE_OK;
    }
    if (strcmp(name, self) == 0) {
        bake_report(c->ctx, BAKE_NOTICE, name,
                    "this is the account that the restore works as: it stays as it is");
    } else {
        sql = my_text("ALTER USER %s", line + strlen(USER));
        rc = !sql                              ? my_nomem(c->ctx)
             : my_try(c, NULL, sql) != BAKE_OK ? refused(c, "change account", name)
                                               : BAKE_OK;
    }
    if (sql)
        explicit_bzero(sql, strlen(sql));
    free(sql);
    free(name);
    return rc;
}

static bool is_of_missing(unsigned error)
{
    return error == ER_NO_SUCH_TABLE || error == ER_SP_DOES_NOT_EXIST || error == ER_BAD_DB_ERROR ||
           error == ER_NONEXISTING_PROC_GRANT;
}

static int grant_one(struct my_restore *r, struct my_conn *c, const char *line)
{
    if (starts(line, "CREATE ") || my_try(c, NULL, line) == BAKE_OK)
        return BAKE_OK;
    unsigned error = mysql_errno(c->my);
    if (!c->broken && is_of_missing(error)) {
        bake_report(c->ctx, BAKE_WARNING, MY_USERS,
                    "a grant names what is not there and is left out: %s", mysql_error(c->my));
        return BAKE_OK;
    }
    if (r->drill && !c->broken) {
        bake_report(c->ctx, BAKE_WARNING, MY_USERS, "a grant is refused: error %u", error);
        return BAKE_OK;
    }
    const char *to = strstr(line, " TO ");
    return refused(c, "carry out a grant to", to ? to + 4 : "an account");
}

int my_users_grant_all(struct my_restore *r, struct my_conn *c)
{
    char *self = NULL;
    int rc = r->users.n ? my_value(c, &self, "cannot ask who we are",
                                   "SELECT CONCAT('`', REPLACE(SUBSTRING_INDEX(CURRENT_USER(), "
                                   "'@', LENGTH(CURRENT_USER()) - LENGTH(REPLACE(CURRENT_USER(), "
                                   "'@', ''))), '`', '``'), '`@`', "
                                   "SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '`')")
                        : BAKE_OK;
    for (size_t i = 0; i < r->users.n && rc == BAKE_OK; i++)
        rc = grant_one(r, c, r->users.lines[i]);
    for (size_t i = 0; i < r->users.n && rc == BAKE_OK && r->force; i++)
        rc = alter_one(r, c, r->users.lines[i], self);
    free(self);
    return rc;
}
