/* Connections of a restore, and statements with names in them. */
#include "restore.h"

#include "text.h"
#include "wait.h"
#include <stdlib.h>
#include <string.h>

#define GONE_MS 20000 /* that a session may take to end */
#define PACE_MS 50

const struct pg_place *pg_restore_place(const struct pg_restore *r)
{
    return r->drill ? &r->own : NULL;
}

/* ---- statements ------------------------------------------------------------------------------ */

struct sql {
    char *text;
    size_t n, cap;
    bool failed;
};

static void put(struct sql *s, const char *text, size_t n)
{
    if (s->failed)
        return;
    if (s->n + n + 1 > s->cap) {
        size_t cap = 2 * (s->n + n + 1);
        char *more = realloc(s->text, cap);
        if (!more) {
            s->failed = true;
            return;
        }
        s->text = more;
        s->cap = cap;
    }
    memcpy(s->text + s->n, text, n);
    s->n += n;
    s->text[s->n] = '\0';
}

static void put_quoted(struct sql *s, struct pg_conn *c, char kind, const char *value)
{
    if (!value) {
        put(s, "NULL", 4);
        return;
    }
    char *quoted = kind == 'I' ? PQescapeIdentifier(c->pg, value, strlen(value))
                               : PQescapeLiteral(c->pg, value, strlen(value));
    if (quoted)
        put(s, quoted, strlen(quoted));
    else
        s->failed = true;
    PQfreemem(quoted);
}

int pg_run(struct pg_conn *c, const char *what, const char *fmt, ...)
{
    struct sql s = {0};
    va_list ap;
    va_start(ap, fmt);
    for (const char *p = fmt; *p;) {
        if (p[0] == '%' && (p[1] == 'I' || p[1] == 'L')) {
            put_quoted(&s, c, p[1], va_arg(ap, const char *));
            p += 2;
            continue;
        }
        size_t n = 1 + strcspn(p + 1, "%");
        put(&s, p, n);
        p += n;
    }
    va_end(ap);
    int rc = s.failed || !s.text ? bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory")
                                 : pg_exec(c, what, s.text);
    free(s.text);
    return rc;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Settings of the database or the role must not get in the way. */
static int settle(struct pg_conn *c, const char *app)
{
    return pg_run(c, "cannot set up the connection",
                  "SET application_name = %L; SET default_transaction_read_only = off; "
                  "SET row_security = off",
                  app);
}

static int open_one(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                    const char *app, const char *database, struct pg_conn *ret)
{
    struct pg_conn c = {0};
    int rc = pg_conn_open(ctx, cfg, place, database, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = settle(&c, app);
    if (rc == BAKE_OK)
        *ret = c;
    else
        pg_conn_close(&c);
    return rc;
}

/* One of them may be away just now: in the middle of a change of names. */
int pg_home_open(struct bake_ctx *ctx, const struct pg_config *cfg, const char *app,
                 const char *avoid, struct pg_conn *ret)
{
    const char *const homes[] = {cfg->database ? cfg->database : "postgres", "postgres",
                                 "template1"};
    int rc = BAKE_E_NOTFOUND;
    for (size_t i = 0; i < 3 && rc == BAKE_E_NOTFOUND; i++)
        if (!avoid || strcmp(homes[i], avoid) != 0)
            rc = open_one(ctx, cfg, NULL, app, homes[i], ret);
    return rc;
}

int pg_restore_home(const struct pg_restore *r, struct bake_ctx *ctx, const char *avoid,
                    struct pg_conn *ret)
{
    return r->drill ? pg_restore_conn(r, ctx, r->home, ret)
                    : pg_home_open(ctx, r->cfg, r->app, avoid, ret);
}

int pg_restore_conn(const struct pg_restore *r, struct bake_ctx *ctx, const char *database,
                    struct pg_conn *ret)
{
    return open_one(ctx, r->cfg, pg_restore_place(r), r->app, database, ret);
}

/* ---- databases ------------------------------------------------------------------------------- */

int pg_database_oid(struct pg_conn *c, const char *name, char **ret_oid)
{
    const char *params[] = {name};
    char *oid = NULL;
    int rc = pg_value(c, &oid, "cannot look for a database",
                      "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", 1, params);
    if (rc != BAKE_OK)
        return rc;
    if (!*oid) {
        free(oid);
        oid = NULL;
    }
    *ret_oid = oid;
    return BAKE_OK;
}

/* Workers of autovacuum are left to the server: it ends them itself when a name changes, and only
 * superusers may. */
int pg_clear_out(struct pg_conn *c, const char *oid, const char *name)
{
    const char *params[] = {oid};
    int64_t end = pg_now_ms() + GONE_MS;
    for (;;) {
        char *left = NULL;
        int rc = pg_value(c, &left, "cannot end the sessions of a database",
                          "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid))"
                          " FROM pg_catalog.pg_stat_activity"
                          " WHERE datid = $1::oid AND pid <> pg_catalog.pg_backend_pid()"
                          " AND backend_type <> 'autovacuum worker'",
                          1, params);
        if (rc != BAKE_OK)
            return rc;
        bool none = pg_number(left) == 0;
        free(left);
        if (none)
            return BAKE_OK;
        if (pg_now_ms() > end)
            return bake_fail(c->ctx, BAKE_E_TIMEOUT, "sessions of database '%s' do not end", name);
        rc = c->ctx->host->sleep_ms(c->ctx, PACE_MS);
        if (rc != BAKE_OK)
            return rc;
    }
}
