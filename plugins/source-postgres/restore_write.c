/* The writers of a restore of dumps: one for the globals, one for each database. */
#include "restore.h"

#include "scan.h"
#include <stdlib.h>
#include <string.h>

#define GLOBALS_MOST (64 << 20) /* bytes of globals.sql: it is held as a whole */

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

struct writer {
    struct pg_writer ops; /* first */
    struct bake_ctx *ctx;
    struct pg_restore *r;
    struct pg_target *t; /* NULL: the globals */
    struct pg_scan *scan;
    struct pg_load *load;
    char *text; /* of the globals */
    size_t n, cap;
};

/* ---- globals --------------------------------------------------------------------------------- */

static int keep(struct writer *w, const void *data, size_t n)
{
    if (w->n + n > GLOBALS_MOST)
        return bake_fail(w->ctx, BAKE_E_UNSUPPORTED, "'%s' is longer than %d MiB", PG_GLOBALS,
                         GLOBALS_MOST >> 20);
    if (w->n + n > w->cap) {
        size_t cap = 2 * (w->n + n);
        char *more = malloc(cap);
        if (!more)
            return nomem(w->ctx);
        if (w->text) { /* no copy stays: there are passwords in it */
            memcpy(more, w->text, w->n);
            explicit_bzero(w->text, w->n);
        }
        free(w->text);
        w->text = more;
        w->cap = cap;
    }
    memcpy(w->text + w->n, data, n);
    w->n += n;
    return BAKE_OK;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int write_data(void *writer, struct bake_in *in)
{
    struct writer *w = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;
    if (pg_scan_feed(w->scan, data, n) != BAKE_OK)
        return nomem(w->ctx);
    if (pg_scan_commands(w->scan)) /* it could run anything here, as whoever restores */
        return bake_fail(w->ctx, BAKE_E_CORRUPT,
                         "the dump of '%s' holds a command of psql's own, which pg_dump never "
                         "writes: it is not run",
                         w->t ? w->t->subject : "globals");
    int rc = w->t ? pg_load_write(w->load, data, n) : keep(w, data, n);
    if (rc == BAKE_OK)
        in->pos = in->size;
    return rc;
}

static int check_whole(struct writer *w, const char *subject)
{
    const char *why = "";
    int rc = pg_scan_end(w->scan, &why);
    if (rc == BAKE_E_CORRUPT)
        return bake_fail(w->ctx, rc, "the dump of '%s' is not whole: %s", subject, why);
    if (rc != BAKE_OK)
        return nomem(w->ctx);
    return w->t ? pg_scan_compare(w->ctx, w->scan, w->t->facts, subject) : BAKE_OK;
}

static int commit_database(struct writer *w)
{
    struct pg_target *t = w->t;
    size_t lenient = 0;
    int rc = pg_load_end(w->load, &lenient);
    if (rc == BAKE_OK)
        rc = check_whole(w, t->subject);
    if (rc == BAKE_OK && lenient > 0)
        bake_report(w->ctx, BAKE_NOTICE, t->subject,
                    "%zu statements name roles that are not there, as '%s' was not restored",
                    lenient, PG_GLOBALS);
    if (rc == BAKE_OK)
        rc = pg_target_count(w->r, w->ctx, t);
    /* in a drill without roles there is nobody to give it to; of a table's way nothing stays */
    if (rc == BAKE_OK && !w->r->parts && (!w->r->drill || w->r->globals))
        rc = pg_target_dress(w->r, w->ctx, t);
    t->committed = rc == BAKE_OK;
    return rc;
}

static int commit(void *writer)
{
    struct writer *w = writer;
    if (w->t)
        return commit_database(w);
    int rc = check_whole(w, "globals");
    return rc == BAKE_OK ? pg_roles_apply(w->r, w->ctx, w->text ? w->text : "", w->n) : rc;
}

static void writer_close(void *writer)
{
    struct writer *w = writer;
    pg_load_free(w->load);
    pg_scan_free(w->scan);
    if (w->text)
        explicit_bzero(w->text, w->n);
    free(w->text);
    free(w);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_database(struct writer *w)
{
    bool custom = w->t->format == PG_CUSTOM;
    int rc = pg_target_make(w->r, w->ctx, w->t);
    if (rc != BAKE_OK)
        return rc;
    return pg_load_start(w->r, w->ctx, custom, w->r->drill && !w->r->globals, w->t->fresh,
                         w->t->subject, &w->load);
}

int pg_restore_writer(struct pg_restore *r, struct bake_ctx *ctx, const struct bake_component *c,
                      struct pg_writer **ret)
{
    bool globals = strcmp(c->name, PG_GLOBALS) == 0;
    struct pg_target *t = globals ? NULL : pg_restore_find(r, c->name);
    if (!globals && !t)
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is not being restored", c->name);
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return nomem(ctx);
    w->ops = (struct pg_writer){.write = write_data, .commit = commit, .close = writer_close};
    w->ctx = ctx;
    w->r = r;
    w->t = t;
    int rc = pg_scan_new(t ? t->format : PG_PLAIN, &w->scan) == BAKE_OK ? BAKE_OK : nomem(ctx);
    if (rc == BAKE_OK && t)
        rc = open_database(w);
    if (rc == BAKE_OK)
        *ret = &w->ops;
    else
        writer_close(w);
    return rc;
}
