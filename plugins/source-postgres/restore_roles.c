/* The globals: roles and tablespaces. What is there is kept as it is, unless --force is given; the
 * role that we are is always kept. All roles come in one transaction. */
#include "restore.h"

#include "text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORD 512

enum kind { OTHER, ROLE_NEW, ROLE, SPACE_NEW, SPACE, MEMBER };

struct statement {
    const char *text;
    size_t n;
    enum kind kind;
    char name[WORD], with[WORD]; /* what it is about; of MEMBER: who becomes one */
};

struct globals {
    struct pg_restore *r;
    struct bake_ctx *ctx;
    struct pg_conn c;
    json_t *there, *spaces; /* names that were there before, as keys of objects */
    bool open;              /* a transaction */
    size_t made;            /* tablespaces */
    size_t promised;        /* roles that the obligation names */
    size_t kept;
};

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- what a statement is about --------------------------------------------------------------- */

static bool is(const char *word, const char *key) { return strcasecmp(word, key) == 0; }

/* Goes on behind the next of these two words. */
static bool find(struct pg_words *w, const char *one, const char *two)
{
    char word[WORD], before[WORD] = "";
    while (pg_words_next(w, word, sizeof(word))) {
        if (is(word, two) && is(before, one))
            return true;
        memcpy(before, word, sizeof(before));
    }
    return false;
}

static void of_grant(struct statement *s, struct pg_words *w)
{
    struct pg_words from = *w;
    char word[WORD];
    if (find(w, "ON", "TABLESPACE")) {
        s->kind = pg_words_next(w, s->name, sizeof(s->name)) ? SPACE : OTHER;
        return;
    }
    *w = from;
    if (find(w, "ON", "PARAMETER")) { /* since 15; it is a matter of who is granted it */
        while (pg_words_next(w, word, sizeof(word)) && !is(word, "TO") && !is(word, "FROM")) {
        }
        s->kind = pg_words_next(w, s->name, sizeof(s->name)) ? ROLE : OTHER;
        return;
    }
    *w = from;
    if (pg_words_next(w, s->name, sizeof(s->name)) && pg_words_next(w, word, sizeof(word)) &&
        is(word, "TO") && pg_words_next(w, s->with, sizeof(s->with)))
        s->kind = MEMBER;
}

/* "COMMENT ON ROLE x", "SECURITY LABEL FOR y ON ROLE x" */
static void of_remark(struct statement *s, struct pg_words *w)
{
    struct pg_words from = *w;
    if (find(w, "ON", "ROLE")) {
        s->kind = pg_words_next(w, s->name, sizeof(s->name)) ? ROLE : OTHER;
        return;
    }
    *w = from;
    if (find(w, "ON", "TABLESPACE") && pg_words_next(w, s->name, sizeof(s->name)))
        s->kind = SPACE;
}

static void classify(struct statement *s)
{
    struct pg_words w = {s->text, s->text + s->n};
    char verb[WORD] = "", what[WORD] = "";
    s->kind = OTHER;
    if (!pg_words_next(&w, verb, sizeof(verb)))
        return;
    struct pg_words from = w;
    bool named = pg_words_next(&w, what, sizeof(what)) &&
                 (is(what, "ROLE") || is(what, "USER") || is(what, "TABLESPACE"));
    bool role = !is(what, "TABLESPACE");
    if (is(verb, "CREATE") && named)
        s->kind = role ? ROLE_NEW : SPACE_NEW;
    else if (is(verb, "ALTER") && named)
        s->kind = role ? ROLE : SPACE;
    if (s->kind != OTHER && !pg_words_next(&w, s->name, sizeof(s->name)))
        s->kind = OTHER;
    if (is(verb, "GRANT") || is(verb, "REVOKE"))
        of_grant(s, &from);
    else if (is(verb, "COMMENT") || is(verb, "SECURITY"))
        of_remark(s, &from);
}

static bool known(const json_t *names, const char *name)
{
    return json_object_get(names, name) != NULL;
}

static bool wanted(const struct globals *g, const struct statement *s)
{
    bool force = g->r->force;
    switch (s->kind) {
    case ROLE_NEW:
        return !known(g->there, s->name);
    case ROLE:
        return !known(g->there, s->name) || (force && strcmp(s->name, g->r->self) != 0);
    case SPACE_NEW:
        return !known(g->spaces, s->name);
    case SPACE:
        return !known(g->spaces, s->name) || force;
    case MEMBER:
        return force || !known(g->there, s->name) || !known(g->there, s->with);
    default:
        return true;
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* Its first words, and nothing of a password. */
static int refused(struct globals *g, const struct statement *s, const struct pg_hush *h)
{
    char *copy = strndup(s->text, s->n < 200 ? s->n : 200);
    char *secret = copy ? strcasestr(copy, "PASSWORD") : NULL;
    if (secret)
        secret[strlen("PASSWORD")] = '\0';
    for (char *p = copy; p && *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    int rc = bake_fail(g->ctx, h->rc, "%s: %s", copy ? copy : "a statement", h->text);
    free(copy);
    return rc;
}

static int run(struct globals *g, const struct statement *s, const char *text)
{
    struct pg_hush h;
    struct pg_conn c = g->c;
    pg_hush(&h, g->ctx);
    c.ctx = &h.ctx;
    int rc = pg_exec(&c, "the server refuses it", text);
    return rc == BAKE_OK || rc == BAKE_E_CANCELLED ? rc : refused(g, s, &h);
}

static int run_copy(struct globals *g, const struct statement *s)
{
    char *text = strndup(s->text, s->n);
    int rc = text ? run(g, s, text) : nomem(g->ctx);
    if (text)
        explicit_bzero(text, s->n);
    free(text);
    return rc;
}

/* Roles that are made now are known by their numbers before they are there for good. */
static int close_transaction(struct globals *g)
{
    if (!g->open)
        return BAKE_OK;
    g->open = false;
    if (!g->r->drill && json_array_size(g->r->roles) > g->promised) {
        int rc = pg_restore_oblige(g->r, g->ctx);
        if (rc != BAKE_OK)
            return rc;
        g->promised = json_array_size(g->r->roles);
    }
    return pg_exec(&g->c, "cannot keep the roles", "COMMIT");
}

/* In a drill it must not reach out to where it is in use: it gets a directory of its own. */
static int drill_space(struct globals *g, const struct statement *s)
{
    const char *above = bkc_scratch_path(g->r->scratch);
    char *where = pg_text("%s/space-%zu", above, g->made++);
    int rc = where ? BAKE_OK : nomem(g->ctx);
    if (rc == BAKE_OK && mkdir(where, 0700) != 0)
        rc = bake_fail(g->ctx, BAKE_E_IO, "cannot make '%s'", where);
    if (rc == BAKE_OK)
        rc = bkc_scratch_own(g->ctx, where, g->r->cfg->owner);
    if (rc == BAKE_OK)
        rc = pg_run(&g->c, "cannot make a tablespace", "CREATE TABLESPACE %I LOCATION %L", s->name,
                    where);
    free(where);
    return rc;
}

static int make_space(struct globals *g, const struct statement *s)
{
    int rc = close_transaction(g); /* a tablespace cannot be made within one */
    if (rc != BAKE_OK)
        return rc;
    if (g->r->drill)
        return drill_space(g, s);
    struct pg_hush h;
    struct globals quiet = *g;
    pg_hush(&h, g->ctx);
    quiet.ctx = &h.ctx;
    rc = run_copy(&quiet, s);
    if (rc == BAKE_OK || rc == BAKE_E_CANCELLED)
        return rc;
    return bake_fail(g->ctx, rc,
                     "%s\nHINT: make its directory on the server's host, or restore without '%s'",
                     h.text, PG_GLOBALS);
}

static int make_role(struct globals *g, const struct statement *s)
{
    const char *params[] = {s->name};
    char *oid = NULL;
    int rc = run_copy(g, s);
    if (rc == BAKE_OK)
        rc = pg_value(&g->c, &oid, "cannot look for a role",
                      "SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1", 1, params);
    if (rc == BAKE_OK && json_array_append_new(g->r->roles, json_pack("{s:s, s:s}", "name", s->name,
                                                                      "oid", oid)) != 0)
        rc = nomem(g->ctx);
    free(oid);
    return rc;
}

static int apply(struct globals *g, const struct statement *s)
{
    if (!wanted(g, s)) {
        g->kept += s->kind == ROLE_NEW;
        return BAKE_OK;
    }
    if (s->kind == SPACE_NEW)
        return make_space(g, s);
    if ((s->kind == ROLE || s->kind == MEMBER) && known(g->there, s->name))
        g->r->altered = true;
    return s->kind == ROLE_NEW ? make_role(g, s) : run_copy(g, s);
}

/* Keeps in mind what will be made outside of a transaction, so that it can be undone. */
static int note(struct globals *g, const struct statement *s)
{
    if (s->kind != SPACE_NEW || !wanted(g, s))
        return BAKE_OK;
    return json_array_append_new(g->r->spaces, json_string(s->name)) == 0 ? BAKE_OK : nomem(g->ctx);
}

static int each(struct globals *g, const char *text, size_t n,
                int (*act)(struct globals *, const struct statement *))
{
    struct pg_words w = {text, text + n};
    struct statement s = {0};
    int more, rc = BAKE_OK;
    while (rc == BAKE_OK && (more = pg_words_statement(&w, &s.text, &s.n)) != 0) {
        if (more < 0)
            return bake_fail(g->ctx, BAKE_E_CORRUPT, "'%s' holds what is no statement, at byte %zu",
                             PG_GLOBALS, (size_t)(w.at - text));
        classify(&s);
        rc = act(g, &s);
    }
    return rc;
}

static int apply_all(struct globals *g, const char *text, size_t n)
{
    int rc = each(g, text, n, note);
    if (rc == BAKE_OK && !g->r->drill)
        rc = pg_restore_oblige(g->r, g->ctx);
    if (rc == BAKE_OK)
        rc = pg_exec(&g->c, "cannot begin", "BEGIN");
    g->open = rc == BAKE_OK;
    if (rc == BAKE_OK)
        rc = each(g, text, n, apply);
    return rc == BAKE_OK ? close_transaction(g) : rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int names(struct globals *g, const char *sql, json_t **ret)
{
    PGresult *res = NULL;
    *ret = json_object();
    int rc =
        *ret ? pg_query(&g->c, &res, "cannot list what is there", sql, 0, NULL) : nomem(g->ctx);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(res); i++)
        if (json_object_set_new(*ret, PQgetvalue(res, i, 0), json_true()) != 0)
            rc = nomem(g->ctx);
    PQclear(res);
    return rc;
}

static void report(const struct globals *g)
{
    if (g->r->drill)
        return;
    if (g->kept > 0 && !g->r->force)
        bake_report(g->ctx, BAKE_NOTICE, "globals",
                    "%zu roles were there already and stay as they are (--force gives them their "
                    "old settings and passwords)",
                    g->kept);
    if (g->r->force && known(g->there, g->r->self))
        bake_report(g->ctx, BAKE_NOTICE, g->r->self,
                    "this role stays as it is: the restore itself is logged in as it");
}

int pg_roles_apply(struct pg_restore *r, struct bake_ctx *ctx, const char *text, size_t n)
{
    struct globals g = {.r = r, .ctx = ctx};
    int rc = pg_restore_home(r, ctx, NULL, &g.c);
    if (rc != BAKE_OK)
        return rc;
    rc = names(&g, "SELECT rolname FROM pg_catalog.pg_roles", &g.there);
    if (rc == BAKE_OK)
        rc = names(&g, "SELECT spcname FROM pg_catalog.pg_tablespace", &g.spaces);
    if (rc == BAKE_OK)
        rc = apply_all(&g, text, n);
    if (rc == BAKE_OK)
        report(&g);
    pg_conn_close(&g.c);
    json_decref(g.there);
    json_decref(g.spaces);
    return rc;
}
