/* A database as it was: how it is created, and what is its own beside what is in it. */
#include "restore.h"

#include "text.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- the comment that tells whose it is ------------------------------------------------------ */

static void one_word(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");
    out[0] = '\0';
    if (f && fgets(out, (int)cap, f))
        out[strcspn(out, "\n ")] = '\0';
    if (f)
        (void)fclose(f);
}

char *pg_our_comment(bool replaced)
{
    char host[256] = "", boot[64];
    (void)gethostname(host, sizeof(host) - 1);
    one_word("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    return pg_text("bakengine %s %s %s %ld", replaced ? "replaced" : "restore", host, boot,
                   (long)getpid());
}

/* ---- creating -------------------------------------------------------------------------------- */

/* " KEY 'value'" for each that is known; to be freed. */
struct clauses {
    char *text;
    bool failed;
};

static void clause(struct clauses *cl, struct pg_conn *c, const char *key, bool name,
                   const char *value)
{
    if (!value || cl->failed)
        return;
    char *quoted = name ? PQescapeIdentifier(c->pg, value, strlen(value))
                        : PQescapeLiteral(c->pg, value, strlen(value));
    char *all = quoted ? pg_text("%s %s %s", cl->text ? cl->text : "", key, quoted) : NULL;
    PQfreemem(quoted);
    free(cl->text);
    cl->text = all;
    cl->failed = !all;
}

static void locale_clauses(struct clauses *cl, struct pg_conn *c, const struct pg_target *t)
{
    const char *provider = pg_fact(t, "locale_provider"), *locale = pg_fact(t, "locale");
    clause(cl, c, "ENCODING", false, pg_fact(t, "encoding"));
    clause(cl, c, "LC_COLLATE", false, pg_fact(t, "collate"));
    clause(cl, c, "LC_CTYPE", false, pg_fact(t, "ctype"));
    if (!provider || c->version < 150000)
        return;
    if (*provider == 'i') {
        clause(cl, c, "LOCALE_PROVIDER", true, "icu");
        clause(cl, c, "ICU_LOCALE", false, locale);
        if (c->version >= 160000)
            clause(cl, c, "ICU_RULES", false, pg_fact(t, "icu_rules"));
    } else if (*provider == 'b') {
        clause(cl, c, "LOCALE_PROVIDER", true, "builtin");
        clause(cl, c, "BUILTIN_LOCALE", false, locale);
    } else {
        clause(cl, c, "LOCALE_PROVIDER", true, "libc");
    }
}

static int exists(struct pg_conn *c, const char *sql, const char *name, bool *ret)
{
    const char *params[] = {name};
    char *there = NULL;
    int rc = pg_value(c, &there, "cannot look into the catalog", sql, 1, params);
    if (rc == BAKE_OK)
        *ret = *there != '\0';
    free(there);
    return rc;
}

static int tablespace_clause(const struct pg_restore *r, struct pg_conn *c,
                             const struct pg_target *t, struct clauses *cl)
{
    const char *space = pg_fact(t, "tablespace");
    bool there = false;
    if (!space || strcmp(space, "pg_default") == 0)
        return BAKE_OK;
    int rc = exists(c, "SELECT 1 FROM pg_catalog.pg_tablespace WHERE spcname = $1", space, &there);
    if (rc == BAKE_OK && there)
        clause(cl, c, "TABLESPACE", true, space);
    else if (rc == BAKE_OK && !r->drill)
        bake_report(c->ctx, BAKE_WARNING, t->name,
                    "there is no tablespace '%s', so the database goes to the default one", space);
    return rc;
}

static int owner_clause(const struct pg_restore *r, struct pg_conn *c, const struct pg_target *t,
                        struct clauses *cl)
{
    const char *owner = pg_fact(t, "owner");
    bool there = false;
    if (!owner)
        return BAKE_OK;
    int rc = exists(c, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", owner, &there);
    if (rc != BAKE_OK || there || r->drill) {
        if (there)
            clause(cl, c, "OWNER", true, owner);
        return rc;
    }
    return bake_fail(c->ctx, BAKE_E_NOTFOUND,
                     "there is no role '%s', which database '%s' belongs to\nHINT: create it first",
                     owner, t->subject);
}

static int refused(struct pg_conn *c, const struct pg_target *t, int rc)
{
    const char *said = PQerrorMessage(c->pg);
    if (rc == BAKE_E_CANCELLED || (!strstr(said, "locale") && !strstr(said, "LC_C")))
        return rc;
    char line[600];
    size_t n = strcspn(said, "\n");
    (void)snprintf(line, sizeof(line), "%.*s", (int)(n < 500 ? n : 500), said);
    return bake_fail(c->ctx, BAKE_E_UNSUPPORTED,
                     "cannot create database '%s' with its own locale: %s\nHINT: install the "
                     "locale on the server's host (Debian: dpkg-reconfigure locales)",
                     t->subject, line);
}

static int create(struct pg_conn *c, const struct pg_target *t, const char *clauses)
{
    char *name = pg_quoted(c, t->fresh);
    char *sql = name ? pg_text("CREATE DATABASE %s TEMPLATE template0%s", name, clauses) : NULL;
    char *what = pg_text("cannot create database '%s'", t->fresh);
    int rc = sql && what ? pg_exec(c, what, sql) : nomem(c->ctx);
    if (rc != BAKE_OK && sql)
        rc = refused(c, t, rc);
    free(name);
    free(sql);
    free(what);
    return rc;
}

/* A throw-away server brings some of its own. */
static int make_room(const struct pg_restore *r, struct pg_conn *c, const struct pg_target *t)
{
    bool there = false;
    if (!r->drill)
        return BAKE_OK;
    int rc = exists(c, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", t->name, &there);
    return rc == BAKE_OK && there ? pg_drop_database(c, t->name) : rc;
}

int pg_target_make(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t)
{
    struct pg_conn c = {0};
    struct clauses cl = {0};
    char *comment = pg_our_comment(false);
    int rc = comment ? pg_restore_home(r, ctx, t->name, &c) : nomem(ctx);
    if (rc != BAKE_OK) {
        free(comment);
        return rc;
    }
    rc = make_room(r, &c, t);
    if (rc == BAKE_OK)
        rc = owner_clause(r, &c, t, &cl);
    if (rc == BAKE_OK)
        rc = tablespace_clause(r, &c, t, &cl);
    if (rc == BAKE_OK)
        locale_clauses(&cl, &c, t);
    if (rc == BAKE_OK && cl.failed)
        rc = nomem(ctx);
    if (rc == BAKE_OK)
        rc = create(&c, t, cl.text ? cl.text : "");
    if (rc == BAKE_OK && !r->drill)
        rc = pg_run(&c, "cannot mark the new database", "COMMENT ON DATABASE %I IS %L", t->fresh,
                    comment);
    pg_conn_close(&c);
    free(cl.text);
    free(comment);
    return rc;
}

/* ---- settings -------------------------------------------------------------------------------- */

struct dress {
    const struct pg_restore *r;
    const struct pg_target *t;
    struct pg_conn c;
    struct pg_hush hush; /* what fails here is only reported */
};

static int tell(struct dress *d, int rc, const char *what, const char *name)
{
    if (rc == BAKE_OK)
        return rc;
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || PQstatus(d->c.pg) == CONNECTION_BAD)
        return bake_fail(d->hush.to, rc, "%s", d->hush.text);
    bake_report(d->hush.to, BAKE_WARNING, d->t->name, "%s '%s' could not be given back: %s", what,
                name, d->hush.text);
    return BAKE_OK;
}

/* Lists of names, whose text is kept as it is only this way. */
static bool is_list(const char *name)
{
    static const char *const lists[] = {"search_path", "temp_tablespaces",
                                        "local_preload_libraries", "session_preload_libraries",
                                        NULL};
    for (const char *const *p = lists; *p; p++)
        if (strcmp(name, *p) == 0)
            return true;
    return false;
}

static int set_one(struct dress *d, const char *role, const char *name, const char *value)
{
    static const char what[] = "cannot set it";
    const char *db = d->t->fresh;
    int rc;
    if (is_list(name) && role)
        rc = pg_run(&d->c, what,
                    "BEGIN; SELECT pg_catalog.set_config(%L, %L, true);"
                    " ALTER ROLE %I IN DATABASE %I SET %I FROM CURRENT; COMMIT",
                    name, value, role, db, name);
    else if (is_list(name))
        rc = pg_run(&d->c, what,
                    "BEGIN; SELECT pg_catalog.set_config(%L, %L, true);"
                    " ALTER DATABASE %I SET %I FROM CURRENT; COMMIT",
                    name, value, db, name);
    else if (role)
        rc =
            pg_run(&d->c, what, "ALTER ROLE %I IN DATABASE %I SET %I TO %L", role, db, name, value);
    else
        rc = pg_run(&d->c, what, "ALTER DATABASE %I SET %I TO %L", db, name, value);
    if (rc != BAKE_OK && PQtransactionStatus(d->c.pg) != PQTRANS_IDLE) {
        struct pg_hush h; /* the failure that counts is told below */
        struct pg_conn quiet = d->c;
        pg_hush(&h, &d->hush.ctx);
        quiet.ctx = &h.ctx;
        (void)pg_exec(&quiet, what, "ROLLBACK");
    }
    return tell(d, rc, "its setting", name);
}

static int set_all(struct dress *d, const json_t *of)
{
    const char *role = json_string_value(json_object_get(of, "role"));
    const json_t *list = json_object_get(of, "settings");
    size_t i;
    json_t *one;
    int rc = BAKE_OK;
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(one), *equals = text ? strchr(text, '=') : NULL;
        char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;
        if (name && rc == BAKE_OK)
            rc = set_one(d, role, name, equals + 1);
        free(name);
    }
    return rc;
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* One item of an access list, as the server prints it: "reader=c*T/owner". */
static int grant_item(struct dress *d, const char *item)
{
    const char *params[] = {item};
    PGresult *res = NULL;
    int rc = pg_query(&d->c, &res, "cannot read it",
                      "SELECT privilege_type, is_grantable,"
                      " CASE WHEN grantee <> 0 THEN pg_catalog.pg_get_userbyid(grantee) END,"
                      " pg_catalog.pg_get_userbyid(grantor)"
                      " FROM pg_catalog.aclexplode(ARRAY[$1::pg_catalog.aclitem])",
                      1, params);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(res); i++) {
        const char *grantee = PQgetisnull(res, i, 2) ? NULL : PQgetvalue(res, i, 2);
        const char *right = PQgetvalue(res, i, 0);
        char *to = grantee ? pg_quoted(&d->c, grantee) : strdup("PUBLIC");
        /* right: one of the server's own words */
        char *name = pg_quoted(&d->c, d->t->fresh),
             *grantor = pg_quoted(&d->c, PQgetvalue(res, i, 3));
        char *sql = to && name && grantor
                        ? pg_text("SET ROLE %s; GRANT %s ON DATABASE %s TO %s%s; RESET ROLE",
                                  grantor, right, name, to,
                                  PQgetvalue(res, i, 1)[0] == 't' ? " WITH GRANT OPTION" : "")
                        : NULL;
        rc = sql ? pg_exec(&d->c, "cannot grant it", sql) : nomem(&d->hush.ctx);
        free(to);
        free(name);
        free(grantor);
        free(sql);
    }
    PQclear(res);
    return tell(d, rc, "the privilege", item);
}

static int grant_all(struct dress *d, const json_t *acl)
{
    const char *owner = pg_fact(d->t, "owner");
    size_t i;
    json_t *one;
    if (!json_is_array(acl)) /* nothing was ever granted or revoked */
        return BAKE_OK;
    int rc =
        pg_run(&d->c, "cannot revoke rights", "REVOKE ALL ON DATABASE %I FROM PUBLIC", d->t->fresh);
    if (rc == BAKE_OK && owner)
        rc = pg_run(&d->c, "cannot revoke rights", "REVOKE ALL ON DATABASE %I FROM %I", d->t->fresh,
                    owner);
    rc = tell(d, rc, "the privileges of", d->t->name);
    /* the owner's own grants come first: others' rest on them */
    for (int pass = 0; pass < 2 && rc == BAKE_OK; pass++) {
        json_array_foreach(acl, i, one)
        {
            const char *item = json_string_value(one), *by = item ? strrchr(item, '/') : NULL;
            bool owners = by && owner && strcmp(by + 1, owner) == 0;
            if (item && owners == (pass == 0) && rc == BAKE_OK)
                rc = grant_item(d, item);
        }
    }
    return rc;
}

/* ---- both ------------------------------------------------------------------------------------ */

int pg_target_dress(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t)
{
    struct dress d = {.r = r, .t = t};
    const json_t *settings = json_object_get(t->facts, "settings");
    size_t i;
    json_t *of;
    int rc = pg_restore_home(r, ctx, t->name, &d.c);
    if (rc != BAKE_OK)
        return rc;
    pg_hush(&d.hush, ctx);
    d.c.ctx = &d.hush.ctx;
    json_array_foreach(settings, i, of)
    {
        if (rc == BAKE_OK)
            rc = set_all(&d, of);
    }
    if (rc == BAKE_OK)
        rc = grant_all(&d, json_object_get(t->facts, "acl"));
    pg_conn_close(&d.c);
    return rc;
}
