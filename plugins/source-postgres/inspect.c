/* Looking whether a dump is sound, without a server. */
#include "restore.h"

#include "scan.h"
#include "tools.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct inspector {
    struct pg_writer ops; /* first */
    struct bake_ctx *ctx;
    char *subject;
    json_t *facts;
    bool globals;
    struct pg_scan *scan;
    char *tool; /* pg_restore, for its --list; or NULL */
    struct bkc_child *child;
};

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- pg_restore --list ----------------------------------------------------------------------- */

/* It reads the list of contents and ends. What it says then counts. */
static int list_end(struct inspector *w)
{
    int status = 0, rc = bkc_child_wait(w->child, &status);
    if (rc == BAKE_OK && status != 0)
        rc = bake_fail(w->ctx, BAKE_E_CORRUPT,
                       "'pg_restore --list' cannot read the dump of '%s': %s", w->subject,
                       bkc_child_said(w->child));
    bkc_child_free(w->child);
    w->child = NULL;
    return rc;
}

static int list_feed(struct inspector *w, const void *data, size_t n)
{
    if (!w->child)
        return BAKE_OK;
    int rc = bkc_child_write(w->child, data, n);
    return rc == BAKE_E_CHILD ? list_end(w) : rc;
}

/* Without the tool, or with one that is older than what has made the dump, we look alone. */
static int list_start(struct inspector *w, const struct pg_config *cfg)
{
    const char *client = json_string_value(json_object_get(w->facts, "client_version"));
    struct pg_hush h;
    int major = 0;
    for (const char *p = client ? client : ""; *p >= '0' && *p <= '9' && major < 1000; p++)
        major = major * 10 + (*p - '0');
    pg_hush(&h, w->ctx);
    if (major == 0 || pg_tool(&h.ctx, cfg, "pg_restore", major * 10000, &w->tool, NULL) != BAKE_OK)
        return h.rc == BAKE_E_CANCELLED ? h.rc : BAKE_OK;
    const char *argv[] = {w->tool, "--list", NULL};
    struct bkc_child_spec spec = {.argv = argv, .in = true};
    return bkc_child_start(w->ctx, &spec, &w->child);
}

/* ---- the writer ------------------------------------------------------------------------------ */

static int inspect_write(void *writer, struct bake_in *in)
{
    struct inspector *w = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;
    if (pg_scan_feed(w->scan, data, n) != BAKE_OK)
        return nomem(w->ctx);
    in->pos = in->size;
    return list_feed(w, data, n);
}

static int inspect_commit(void *writer)
{
    struct inspector *w = writer;
    const char *why = "";
    int rc = w->child ? list_end(w) : BAKE_OK;
    if (rc != BAKE_OK && rc != BAKE_E_CORRUPT)
        return rc;
    int whole = pg_scan_end(w->scan, &why);
    if (whole == BAKE_E_CORRUPT)
        return bake_fail(w->ctx, whole, "the dump of '%s' is not whole: %s", w->subject, why);
    if (whole != BAKE_OK)
        return nomem(w->ctx);
    if (rc != BAKE_OK || w->globals)
        return rc;
    return pg_scan_compare(w->ctx, w->scan, w->facts, w->subject);
}

static void inspect_close(void *writer)
{
    struct inspector *w = writer;
    bkc_child_free(w->child);
    pg_scan_free(w->scan);
    json_decref(w->facts);
    free(w->subject);
    free(w->tool);
    free(w);
}

static bool is_custom(const struct inspector *w, const char *name)
{
    const char *format = json_string_value(json_object_get(w->facts, "format"));
    size_t n = strlen(name);
    return format ? strcmp(format, "custom") == 0 : n > 5 && strcmp(name + n - 5, ".dump") == 0;
}

int pg_inspect_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                    struct pg_writer **ret)
{
    struct inspector *w = calloc(1, sizeof(*w));
    if (!w)
        return nomem(ctx);
    w->ops = (struct pg_writer){
        .write = inspect_write, .commit = inspect_commit, .close = inspect_close};
    w->ctx = ctx;
    w->globals = strcmp(c->name, PG_GLOBALS) == 0;
    w->facts = c->facts ? json_loads(c->facts, 0, NULL) : json_object();
    const char *name = json_string_value(json_object_get(w->facts, "database"));
    w->subject = strdup(name ? name : c->name);
    bool custom = !w->globals && is_custom(w, c->name);
    int rc =
        w->facts && w->subject && pg_scan_new(custom ? PG_CUSTOM : PG_PLAIN, &w->scan) == BAKE_OK
            ? BAKE_OK
            : nomem(ctx);
    if (rc == BAKE_OK && custom)
        rc = list_start(w, src->cfg);
    if (rc == BAKE_OK)
        *ret = &w->ops;
    else
        inspect_close(w);
    return rc;
}
