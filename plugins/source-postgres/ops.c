/* The operations: opening, listing, and which part of the source reads and writes a component. */
#include "ops.h"

#include "base_way.h"
#include "restore.h"
#include "scratch/scratch.h"
#include <stdlib.h>
#include <string.h>

/* ---- one source ------------------------------------------------------------------------------ */

static int source_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct pg_source *src = calloc(1, sizeof(*src));
    if (!src)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    src->ctx = ctx;
    src->cfg = cfg;
    *ret_self = src;
    return BAKE_OK;
}

static void source_close(void *self)
{
    struct pg_source *src = self;
    pg_list_free(src->list);
    pg_way_free(src->way);
    pg_restore_free(src->restore);
    free(src);
}

static bool is_base(const char *name) { return strcmp(name, PG_BASE) == 0; }

static void fill_globals(const struct pg_list *l, struct bake_component *ret)
{
    ret->name = PG_GLOBALS;
    ret->group = ".";
    ret->kind = BAKE_BLOB;
    ret->facts = l->globals_facts;
}

static void fill_base(const struct pg_list *l, struct bake_component *ret)
{
    ret->name = PG_BASE;
    ret->group = ".";
    ret->kind = BAKE_TREE;
    ret->flags = BAKE_UNORDERED;
    ret->facts = l->base_facts;
    for (size_t i = 0; i < l->n; i++)
        ret->size_hint += l->items[i].bytes;
}

static void fill_database(const struct pg_database *d, struct bake_component *ret)
{
    ret->name = d->component;
    ret->group = ".";
    ret->kind = BAKE_BLOB;
    ret->size_hint = d->bytes;
    ret->fingerprint = d->fingerprint;
    /* Facts of the plan would take the place of what the parent counted, if this is unchanged. */
    ret->facts = d->fingerprint ? NULL : d->facts;
}

static int source_plan(void *self, struct bake_component *ret)
{
    struct pg_source *src = self;
    const struct pg_config *cfg = src->cfg;
    if (!src->list || src->list->ended) {
        pg_list_free(src->list);
        src->list = NULL;
        int rc = pg_list_make(src->ctx, cfg, &src->list);
        if (rc != BAKE_OK)
            return rc;
    }
    struct pg_list *l = src->list;
    size_t at = l->next++, before = cfg->mode == PG_PHYSICAL || cfg->globals ? 1 : 0;
    if (at < before) {
        if (cfg->mode == PG_PHYSICAL)
            fill_base(l, ret);
        else
            fill_globals(l, ret);
        return BAKE_OK;
    }
    if (cfg->mode == PG_LOGICAL && at - before < l->n) {
        fill_database(&l->items[at - before], ret);
        return BAKE_OK;
    }
    l->ended = true;
    return BAKE_END;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       void **ret_reader)
{
    struct pg_source *src = self;
    struct pg_reader *r = NULL;
    int rc = is_base(c->name) ? pg_base_open(src, ctx, c, &r) : pg_dump_open(src, ctx, c, &r);
    if (rc == BAKE_OK)
        *ret_reader = r;
    return rc;
}

static int reader_next(void *reader, struct bake_entry *ret)
{
    struct pg_reader *r = reader;
    return r->next ? r->next(r, ret) : BAKE_E_INTERNAL;
}

static int reader_open_entry(void *reader, struct bake_entry *entry)
{
    struct pg_reader *r = reader;
    return r->open_entry ? r->open_entry(r, entry) : BAKE_E_INTERNAL;
}

static int reader_read(void *reader, struct bake_out *out)
{
    struct pg_reader *r = reader;
    return r->read(r, out);
}

static int reader_finish(void *reader, struct bake_result *ret)
{
    struct pg_reader *r = reader;
    return r->finish(r, ret);
}

static void reader_close(void *reader)
{
    struct pg_reader *r = reader;
    r->close(r);
}

/* ---- the way back ---------------------------------------------------------------------------- */

static const struct pg_back *back_of(bool base) { return base ? &pg_base_back : &pg_logical_back; }

static int writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, void **ret_writer)
{
    struct pg_source *src = self;
    struct pg_writer *w = NULL;
    bool base = is_base(c->name);
    int rc;
    if (how->purpose == BAKE_INSPECT)
        rc = base ? pg_base_inspect_open(src, ctx, c, &w) : pg_inspect_open(src, ctx, c, &w);
    else
        rc = back_of(base)->writer_open(src, ctx, c, how, &w);
    if (rc == BAKE_OK)
        *ret_writer = w;
    return rc;
}

static int put_entry(void *writer, const struct bake_entry *entry)
{
    struct pg_writer *w = writer;
    return w->put_entry ? w->put_entry(w, entry) : BAKE_E_INTERNAL;
}

static int write_data(void *writer, struct bake_in *in)
{
    struct pg_writer *w = writer;
    return w->write(w, in);
}

static int entry_end(void *writer, int good)
{
    struct pg_writer *w = writer;
    return w->entry_end ? w->entry_end(w, good) : BAKE_E_INTERNAL;
}

static int commit(void *writer)
{
    struct pg_writer *w = writer;
    return w->commit(w);
}

static void writer_close(void *writer)
{
    struct pg_writer *w = writer;
    w->close(w);
}

static int restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                         const char *group, const struct bake_component *const *chosen, size_t n,
                         uint32_t *ret_stage)
{
    struct pg_source *src = self;
    size_t bases = 0;
    for (size_t i = 0; i < n; i++)
        bases += is_base(chosen[i]->name);
    if (bases && bases != n)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "a base backup and dumps cannot be restored at once\n"
                         "HINT: choose by --component");
    src->back = back_of(bases > 0);
    return src->back->begin(src, ctx, how, group, chosen, n, ret_stage);
}

static int switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct pg_source *src = self;
    return src->back->switch_group(src, ctx, group);
}

static int restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                       struct bake_result *ret)
{
    struct pg_source *src = self;
    return src->back->end(src, ctx, group, good, ret);
}

static int redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    bool mine = false;
    int rc = bkc_scratch_redeem(ctx, what, &mine);
    if (!mine)
        rc = pg_logical_back.redeem(ctx, cfg, what, &mine);
    if (!mine)
        rc = pg_base_back.redeem(ctx, cfg, what, &mine);
    return mine ? rc
                : bake_fail(ctx, BAKE_E_UNSUPPORTED,
                            "an obligation of a kind that this version does not know");
}

static int tidy(void *self, struct bake_ctx *ctx)
{
    struct pg_source *src = self;
    int rc = pg_logical_back.tidy(src, ctx);
    int rc2 = pg_base_back.tidy(src, ctx);
    return rc != BAKE_OK ? rc : rc2;
}

static int logs_follow(void *self, struct bake_ctx *ctx, const char *spool)
{
    return pg_follow(self, ctx, spool);
}

/* No interrupt(): whatever blocks here waits for the context's cancel_fd as well, and an interrupt
 * says nothing of which component is meant. */
const struct bake_source_ops pg_source_ops = {
    .struct_size = sizeof(pg_source_ops),
    .open = source_open,
    .plan = source_plan,
    .reader_open = reader_open,
    .next = reader_next,
    .open_entry = reader_open_entry,
    .read = reader_read,
    .finish = reader_finish,
    .reader_close = reader_close,
    .writer_open = writer_open,
    .put_entry = put_entry,
    .write = write_data,
    .entry_end = entry_end,
    .commit = commit,
    .writer_close = writer_close,
    .close = source_close,
    .redeem = redeem,
    .tidy = tidy,
    .restore_begin = restore_begin,
    .switch_group = switch_group,
    .restore_end = restore_end,
    .traits = BAKE_NAMES_BELOW | BAKE_INSPECTS | BAKE_DRILLS | BAKE_HAS_PARTS | BAKE_HAS_LOGS,
    .logs_follow = logs_follow,
};
