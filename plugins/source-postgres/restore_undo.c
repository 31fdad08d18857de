/* How the obligation of a restore is redeemed: by the names and numbers that stand in it and what
 * the server has of them. Here, or in another process after this one has died. */
#include "restore.h"

#include "text.h"
#include "wait.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define GONE_MS 30000 /* that our own sessions may take to end */

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- what the server has --------------------------------------------------------------------- */

struct undo {
    struct bake_ctx *ctx;
    const struct pg_config *cfg;
    const json_t *doc;
    struct pg_conn c;
};

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

/* The name that a database has now; "" when there is none of that number. To be freed. */
static int name_now(struct undo *u, const char *oid, char **ret)
{
    const char *params[] = {*oid ? oid : "0"};
    return pg_value(&u->c, ret, "cannot look for a database",
                    "SELECT datname FROM pg_catalog.pg_database WHERE oid = $1::oid", 1, params);
}

static int is_named(struct undo *u, const json_t *db, const char *oid_key, const char *name_key,
                    bool *ret)
{
    char *now = NULL;
    int rc = name_now(u, text_of(db, oid_key), &now);
    if (rc == BAKE_OK)
        *ret = *now && strcmp(now, text_of(db, name_key)) == 0;
    free(now);
    return rc;
}

/* What a session of the dead process has begun may come about even now, as long as it lives. */
static int end_sessions(struct undo *u)
{
    char *app = pg_text("bakengine %s", text_of(u->doc, "mark"));
    const char *params[] = {app};
    int64_t end = pg_now_ms() + GONE_MS;
    int rc = app ? BAKE_OK : nomem(u->ctx);
    for (bool none = false; rc == BAKE_OK && !none;) {
        char *left = NULL;
        rc = pg_value(&u->c, &left, "cannot end the sessions of a restore",
                      "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid))"
                      " FROM pg_catalog.pg_stat_activity"
                      " WHERE application_name = $1 AND pid <> pg_catalog.pg_backend_pid()",
                      1, params);
        none = rc == BAKE_OK && pg_number(left) == 0;
        free(left);
        if (rc == BAKE_OK && !none && pg_now_ms() > end)
            rc = bake_fail(u->ctx, BAKE_E_TIMEOUT, "the sessions of a restore do not end");
        if (rc == BAKE_OK && !none)
            rc = u->ctx->host->sleep_ms(u->ctx, 50);
    }
    free(app);
    return rc;
}

/* Another server may answer there by now. */
static int same_server(struct undo *u, bool *ret)
{
    char *id = NULL;
    int rc = pg_value(&u->c, &id, "cannot ask which server it is",
                      "SELECT system_identifier FROM pg_catalog.pg_control_system()", 0, NULL);
    if (rc == BAKE_OK)
        *ret = strcmp(id, text_of(u->doc, "system")) == 0;
    free(id);
    return rc;
}

/* ---- undoing --------------------------------------------------------------------------------- */

int pg_drop_database(struct pg_conn *c, const char *name)
{
    const char *params[] = {name};
    char *is = NULL;
    int rc =
        pg_value(c, &is, "cannot look for a database",
                 "SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = $1", 1, params);
    bool there = rc == BAKE_OK && *is, template = there && *is == 't';
    free(is);
    if (rc != BAKE_OK || !there)
        return rc;
    if (template)
        rc = pg_run(c, "cannot drop a database", "ALTER DATABASE %I IS_TEMPLATE false", name);
    if (rc == BAKE_OK && c->version >= 130000)
        return pg_run(c, "cannot drop a database", "DROP DATABASE IF EXISTS %I WITH (FORCE)", name);
    char *oid = NULL;
    if (rc == BAKE_OK)
        rc = pg_database_oid(c, name, &oid);
    if (rc == BAKE_OK && oid)
        rc = pg_clear_out(c, oid, name);
    free(oid);
    return rc == BAKE_OK ? pg_run(c, "cannot drop a database", "DROP DATABASE IF EXISTS %I", name)
                         : rc;
}

/* Our own session must not be in a database that is about to be cleared. */
static int step_out(struct undo *u, const char *name)
{
    struct pg_conn other = {0};
    if (strcmp(PQdb(u->c.pg), name) != 0)
        return BAKE_OK;
    int rc = pg_home_open(u->ctx, u->cfg, "bakengine", name, &other);
    if (rc != BAKE_OK)
        return rc;
    pg_conn_close(&u->c);
    u->c = other;
    return BAKE_OK;
}

/* Its names go back, from a connection to another database. */
static int rename_back(struct undo *u, const json_t *db)
{
    struct pg_conn c = {0};
    const char *name = text_of(db, "name"), *fresh = text_of(db, "fresh"),
               *aside = text_of(db, "aside"), *new_oid = text_of(db, "new_oid");
    bool is_new = false, is_old = false;
    int rc = is_named(u, db, "new_oid", "name", &is_new);
    if (rc == BAKE_OK)
        rc = is_named(u, db, "old_oid", "aside", &is_old);
    if (rc != BAKE_OK || !is_new)
        return rc;
    rc = step_out(u, name);
    if (rc == BAKE_OK)
        rc = pg_home_open(u->ctx, u->cfg, "bakengine", name, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_run(&c, "cannot close a database",
                "ALTER DATABASE %I WITH ALLOW_CONNECTIONS false IS_TEMPLATE false", name);
    if (rc == BAKE_OK)
        rc = pg_clear_out(&c, new_oid, name);
    if (rc == BAKE_OK)
        rc = pg_exec(&c, "cannot begin", "BEGIN");
    if (rc == BAKE_OK)
        rc = pg_run(&c, "cannot rename a database", "ALTER DATABASE %I RENAME TO %I", name, fresh);
    if (rc == BAKE_OK && is_old)
        rc = pg_run(&c, "cannot rename a database", "ALTER DATABASE %I RENAME TO %I", aside, name);
    if (rc == BAKE_OK)
        rc = pg_exec(&c, "cannot rename databases", "COMMIT");
    pg_conn_close(&c);
    return rc;
}

static int put_back(struct undo *u, const json_t *db)
{
    bool old = false;
    int rc = rename_back(u, db);
    if (rc == BAKE_OK)
        rc = is_named(u, db, "old_oid", "name", &old);
    if (rc == BAKE_OK && old && json_is_true(json_object_get(db, "allowed")))
        rc = pg_run(&u->c, "cannot open the old database",
                    "ALTER DATABASE %I WITH ALLOW_CONNECTIONS true", text_of(db, "name"));
    return rc;
}

/* All new ones have taken their places: then it is done, but for the old ones. */
static int all_done(struct undo *u, const json_t *list, bool *ret)
{
    size_t i;
    json_t *db;
    bool all = strcmp(text_of(u->doc, "phase"), "switching") == 0;
    int rc = BAKE_OK;
    json_array_foreach(list, i, db)
    {
        bool is = false;
        if (rc == BAKE_OK && all)
            rc = is_named(u, db, "new_oid", "name", &is);
        all = all && is;
    }
    *ret = all;
    return rc;
}

/* "": it is not the one that was made, or gone already. To be freed. */
static int made_name(struct undo *u, const json_t *one, char **ret)
{
    const char *name = text_of(one, "name"), *params[] = {text_of(one, "oid"), name};
    if (json_is_string(one)) { /* a tablespace: it is known by its name alone */
        *ret = strdup(json_string_value(one));
        return *ret ? BAKE_OK : nomem(u->ctx);
    }
    return pg_value(&u->c, ret, "cannot look for a role",
                    "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = $1::oid AND rolname = $2",
                    2, params);
}

/* What others use by now stays. */
static int drop_made(struct undo *u, const char *key, const char *statement)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(u->doc, key), i, one)
    {
        struct pg_hush h;
        struct pg_conn c = u->c;
        pg_hush(&h, u->ctx);
        c.ctx = &h.ctx;
        char *name = NULL;
        int rc = made_name(u, one, &name);
        if (rc != BAKE_OK)
            return rc;
        rc = *name ? pg_run(&c, "it stays", statement, name) : BAKE_OK;
        bool lost = rc != BAKE_OK && PQstatus(c.pg) == CONNECTION_BAD;
        if (rc != BAKE_OK && !lost)
            bake_report(u->ctx, BAKE_WARNING, name, "made by a restore that is undone: %s", h.text);
        free(name);
        if (lost)
            return bake_fail(u->ctx, rc, "%s", h.text);
    }
    return BAKE_OK;
}

/* First every name goes back to where it was, then what is not wanted is dropped. */
static int take_back(struct undo *u, const json_t *list)
{
    size_t i;
    json_t *db;
    int rc = BAKE_OK;
    json_array_foreach(list, i, db)
    {
        if (rc == BAKE_OK)
            rc = put_back(u, db);
    }
    json_array_foreach(list, i, db)
    {
        if (rc == BAKE_OK)
            rc = pg_drop_database(&u->c, text_of(db, "fresh"));
    }
    if (rc == BAKE_OK)
        rc = drop_made(u, "roles", "DROP ROLE IF EXISTS %I");
    return rc == BAKE_OK ? drop_made(u, "tablespaces", "DROP TABLESPACE IF EXISTS %I") : rc;
}

static int drop_replaced(struct undo *u, const json_t *list)
{
    size_t i;
    json_t *db;
    int rc = BAKE_OK;
    json_array_foreach(list, i, db)
    {
        bool old = false;
        if (rc == BAKE_OK && *text_of(db, "old_oid"))
            rc = is_named(u, db, "old_oid", "aside", &old);
        if (rc == BAKE_OK && old)
            rc = pg_drop_database(&u->c, text_of(db, "aside"));
    }
    return rc;
}

static int undo_all(struct undo *u)
{
    const json_t *list = json_object_get(u->doc, "databases");
    bool done = false;
    int rc = end_sessions(u);
    if (rc == BAKE_OK)
        rc = all_done(u, list, &done);
    if (rc != BAKE_OK)
        return rc;
    return done ? drop_replaced(u, list) : take_back(u, list);
}

static int undo(struct bake_ctx *ctx, const struct pg_config *cfg, const json_t *doc)
{
    struct undo u = {.ctx = ctx, .cfg = cfg, .doc = doc};
    bool same = false;
    int rc = pg_home_open(ctx, cfg, "bakengine", NULL, &u.c);
    if (rc != BAKE_OK)
        return rc;
    rc = same_server(&u, &same);
    if (rc == BAKE_OK && !same)
        rc = bake_fail(ctx, BAKE_E_NOTFOUND,
                       "a restore is to be undone in the server with the system identifier %s, and "
                       "another one answers",
                       text_of(doc, "system"));
    if (rc == BAKE_OK)
        rc = undo_all(&u);
    pg_conn_close(&u.c);
    return rc;
}

int pg_restore_switched(const struct pg_restore *r, struct bake_ctx *ctx, bool *ret)
{
    json_t *doc = pg_restore_document(r);
    struct undo u = {.ctx = ctx, .cfg = r->cfg, .doc = doc};
    int rc = doc ? pg_home_open(ctx, r->cfg, "bakengine", NULL, &u.c) : nomem(ctx);
    if (rc == BAKE_OK) {
        rc = end_sessions(&u);
        if (rc == BAKE_OK)
            rc = all_done(&u, json_object_get(doc, "databases"), ret);
        pg_conn_close(&u.c);
    }
    json_decref(doc);
    return rc;
}

/* ---- by whom --------------------------------------------------------------------------------- */

int pg_restore_undo(struct pg_restore *r, struct bake_ctx *ctx)
{
    if (r->duty == 0)
        return BAKE_OK; /* nothing was made */
    json_t *doc = pg_restore_document(r);
    int rc = doc ? undo(ctx, r->cfg, doc) : nomem(ctx);
    json_decref(doc);
    if (rc != BAKE_OK)
        return rc;
    if (r->altered)
        bake_report(ctx, BAKE_WARNING, "globals",
                    "roles that were there before were changed by --force and stay so");
    rc = ctx->host->redeemed(ctx, r->duty);
    if (rc == BAKE_OK)
        r->duty = 0;
    return rc;
}

/* The pipeline's file may be gone, and the options with it. */
static void fill(struct pg_config *cfg, const json_t *server)
{
    const struct {
        const char *key, **to;
    } texts[] = {{"host", &cfg->host},         {"user", &cfg->user},
                 {"database", &cfg->database}, {"service", &cfg->service},
                 {"sslmode", &cfg->sslmode},   {"sslrootcert", &cfg->sslrootcert},
                 {"sslcert", &cfg->sslcert},   {"sslkey", &cfg->sslkey}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i].to = json_string_value(json_object_get(server, texts[i].key));
    cfg->port = json_integer_value(json_object_get(server, "port"));
}

int pg_restore_redeem(struct bake_ctx *ctx, const struct pg_config *cfg, const char *what,
                      bool *ret_mine)
{
    json_t *doc = json_loads(what, 0, NULL);
    if (strcmp(text_of(doc, "kind"), PG_RESTORE_KIND) != 0) {
        json_decref(doc);
        *ret_mine = false;
        return BAKE_OK;
    }
    *ret_mine = true;
    struct pg_config there = *cfg;
    fill(&there, json_object_get(doc, "server"));
    int rc = undo(ctx, &there, doc);
    json_decref(doc);
    return rc;
}
