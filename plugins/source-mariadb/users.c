/* See users.h. All is read when it is opened: it is small. One statement per line, roles first. */
#include "users.h"

#include <jansson.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *data;
    size_t n, cap;
    bool failed;
};

struct users {
    struct my_reader reader; /* first */
    struct bake_ctx *ctx;
    struct text text;
    size_t at;
    char *facts;
};

struct account {
    char *name, *grantee; /* "`u`@`h`", "`role`" or "PUBLIC" */
    bool role, public;
    bool ignored; /* by the server: it stands in the table, but counts for nothing */
};

struct accounts {
    struct account *items;
    size_t n, users, roles;
};

static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);
    if (t->n + n + 1 > t->cap) {
        size_t cap = (t->n + n + 1) * 2;
        char *data = realloc(t->data, cap);
        if (!data) {
            t->failed = true;
            return;
        }
        t->data = data;
        t->cap = cap;
    }
    memcpy(t->data + t->n, s, n + 1);
    t->n += n;
}

/* One statement; what would end the line within it is a blank, which no statement here minds. */
static void put_statement(struct text *t, const char *s)
{
    size_t from = t->n;
    put(t, s);
    for (size_t i = from; i < t->n; i++)
        if (t->data[i] == '\n' || t->data[i] == '\r')
            t->data[i] = ' ';
    put(t, ";\n");
}

/* ---- grants ---------------------------------------------------------------------------------- */

/* Where `what` stands outside of quotes; NULL: nowhere. */
static const char *outside(const char *text, const char *what)
{
    char quote = '\0';
    for (const char *p = text; *p; p++) {
        if (quote && *p == '\\' && quote != '`' && p[1])
            p++;
        else if (quote)
            quote = *p == quote ? '\0' : quote;
        else if (strncmp(p, what, strlen(what)) == 0)
            return p;
        else if (*p == '`' || *p == '\'' || *p == '"')
            quote = *p;
    }
    return NULL;
}

char *my_users_grant(const char *line, const char *grantee)
{
    const char *to = outside(line, " TO "), *target = to ? to + 4 : NULL;
    size_t n = strlen(grantee);
    if (strncmp(line, "GRANT ", 6) != 0)
        return strdup(strncmp(line, "SET DEFAULT ROLE ", 17) == 0 ? line : "");
    if (!target || strncmp(target, grantee, n) != 0 || (target[n] && target[n] != ' '))
        return strdup("");
    const char *tail = target + n;
    const char *more = outside(tail, " GRANT OPTION")   ? " WITH GRANT OPTION"
                       : outside(tail, " ADMIN OPTION") ? " WITH ADMIN OPTION"
                                                        : "";
    char *out = NULL;
    return asprintf(&out, "%.*s%s", (int)(tail - line), line, more) < 0 ? NULL : out;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static bool is_systems(const char *user, const char *host)
{
    return strcmp(host, "localhost") == 0 &&
           (strcmp(user, "root") == 0 || strcmp(user, "mariadb.sys") == 0 ||
            strcmp(user, "mysql") == 0);
}

static int keep(struct bake_ctx *ctx, struct accounts *all, MYSQL_ROW row)
{
    struct account *items = realloc(all->items, (all->n + 1) * sizeof(*items));
    if (!items)
        return my_nomem(ctx);
    all->items = items;
    struct account *a = &items[all->n++];
    *a = (struct account){.role = strcmp(row[2], "Y") == 0};
    a->public = a->role && strcmp(row[0], "PUBLIC") == 0;
    char *user = my_quoted(row[0]), *host = my_quoted(row[1]);
    a->name = strdup(row[0]);
    if (!user || !host ||
        (a->public ? asprintf(&a->grantee, "PUBLIC")
         : a->role ? asprintf(&a->grantee, "%s", user)
                   : asprintf(&a->grantee, "%s@%s", user, host)) < 0)
        a->grantee = NULL;
    free(user);
    free(host);
    all->users += !a->role;
    all->roles += a->role && !a->public;
    return a->name && a->grantee ? BAKE_OK : my_nomem(ctx);
}

static int list_accounts(struct my_conn *c, struct accounts *all)
{
    MYSQL_RES *r = NULL;
    if (my_try(c, &r,
               "SELECT user, host, is_role FROM mysql.user ORDER BY is_role DESC, user, host") !=
        BAKE_OK)
        return bake_fail(c->ctx, c->broken ? c->broken : my_rc_of_errno(mysql_errno(c->my)),
                         "cannot list the accounts: %s\n"
                         "HINT: GRANT SELECT ON mysql.* to the user, or set 'users: false'",
                         mysql_error(c->my));
    int rc = BAKE_OK;
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        if (!is_systems(row[0], row[1]))
            rc = keep(c->ctx, all, row);
    mysql_free_result(r);
    return rc;
}

static void release(struct accounts *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->items[i].name);
        free(all->items[i].grantee);
    }
    free(all->items);
}

/* ---- statements ------------------------------------------------------------------------------ */

/* An account of a host's name where the server resolves none (skip_name_resolve) is not there. */
static int show(struct my_conn *c, struct account *a, MYSQL_RES **ret)
{
    char *sql = NULL;
    if (asprintf(&sql, "SHOW CREATE USER %s", a->grantee) < 0)
        return my_nomem(c->ctx);
    int rc = my_try(c, ret, sql);
    free(sql);
    a->ignored = rc != BAKE_OK && !c->broken && mysql_errno(c->my) == ER_PASSWORD_NO_MATCH;
    if (a->ignored)
        bake_report(c->ctx, BAKE_NOTICE, a->grantee,
                    "the server ignores this account: it is not backed up");
    else if (rc != BAKE_OK)
        return bake_fail(c->ctx, rc, "cannot read account '%s': %s", a->grantee,
                         mysql_error(c->my));
    return BAKE_OK;
}

static int create(struct my_conn *c, struct text *t, struct account *a)
{
    static const char head[] = "CREATE USER ";
    MYSQL_RES *r = NULL;
    char *text = NULL;
    if (a->public)
        return BAKE_OK;
    int rc = a->role ? BAKE_OK : show(c, a, &r);
    if (rc != BAKE_OK || a->ignored)
        return rc;
    MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
    const char *as = row && row[0] ? row[0] : "";
    if (a->role)
        rc = asprintf(&text, "CREATE ROLE IF NOT EXISTS %s", a->grantee) < 0 ? BAKE_E_NOMEM : rc;
    else if (strncmp(as, head, sizeof(head) - 1) != 0)
        rc = bake_fail(c->ctx, BAKE_E_IO, "the server does not say what account '%s' is", a->name);
    else
        rc = asprintf(&text, "%sIF NOT EXISTS %s", head, as + sizeof(head) - 1) < 0 ? BAKE_E_NOMEM
                                                                                    : rc;
    if (rc == BAKE_OK)
        put_statement(t, text);
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    mysql_free_result(r);
    return rc == BAKE_E_NOMEM ? my_nomem(c->ctx) : rc;
}

static int grants(struct my_conn *c, struct text *t, const struct account *a)
{
    MYSQL_RES *r = NULL;
    if (a->ignored)
        return BAKE_OK;
    int rc =
        my_queryf(c, &r, "cannot read what an account may do", "SHOW GRANTS FOR %s", a->grantee);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));) {
        char *text = my_users_grant(row[0], a->grantee);
        if (!text)
            rc = my_nomem(c->ctx);
        else if (*text)
            put_statement(t, text);
        free(text);
    }
    mysql_free_result(r);
    return rc;
}

static int statements(struct my_conn *c, struct text *t, const struct accounts *all)
{
    int rc = BAKE_OK;
    put(t, "-- bakengine: accounts of MariaDB ");
    put(t, mysql_get_server_info(c->my));
    put(t, "\n");
    for (size_t i = 0; i < all->n && rc == BAKE_OK; i++)
        rc = create(c, t, &all->items[i]);
    for (size_t i = 0; i < all->n && rc == BAKE_OK; i++)
        rc = grants(c, t, &all->items[i]);
    put(t, MY_USERS_END "\n");
    return rc == BAKE_OK && t->failed ? my_nomem(c->ctx) : rc;
}

/* ---- the reader ------------------------------------------------------------------------------ */

static int users_read(void *reader, struct bake_out *out)
{
    struct users *u = reader;
    size_t n = u->text.n - u->at, room = out->size - out->pos;
    if (n == 0)
        return BAKE_END;
    n = n < room ? n : room;
    memcpy((char *)out->data + out->pos, u->text.data + u->at, n);
    out->pos += n;
    u->at += n;
    return BAKE_OK;
}

static int users_finish(void *reader, struct bake_result *ret)
{
    struct users *u = reader;
    ret->facts = u->facts;
    return BAKE_OK;
}

static void users_close(void *reader)
{
    struct users *u = reader;
    if (u->text.data)
        explicit_bzero(u->text.data, u->text.cap);
    free(u->text.data);
    free(u->facts);
    free(u);
}

static int fill(struct users *u, const struct my_source *src, struct my_conn *c)
{
    struct accounts all = {0};
    int rc = list_accounts(c, &all);
    if (rc == BAKE_OK)
        rc = statements(c, &u->text, &all);
    json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "format", "sql", "server_version",
                          src->list->server_version, "users", (json_int_t)all.users, "roles",
                          (json_int_t)all.roles);
    u->facts = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    release(&all);
    return rc != BAKE_OK || u->facts ? rc : my_nomem(u->ctx);
}

int my_users_open(struct my_source *src, struct bake_ctx *ctx, struct my_reader **ret)
{
    struct my_conn c;
    struct users *u = calloc(1, sizeof(*u));
    if (!u)
        return my_nomem(ctx);
    u->reader =
        (struct my_reader){.read = users_read, .finish = users_finish, .close = users_close};
    u->ctx = ctx;
    int rc = my_conn_open(ctx, src->cfg, NULL, NULL, &c);
    if (rc == BAKE_OK) {
        rc = fill(u, src, &c);
        my_conn_close(&c);
    }
    if (rc == BAKE_OK)
        *ret = &u->reader;
    else
        users_close(u);
    return rc;
}
