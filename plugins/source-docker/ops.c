/* The operations: opening, listing, and which part of the source reads and writes a component. */
#include "ops.h"

#include "api.h"
#include "definition.h"
#include "dump.h"
#include "hold.h"
#include "match/gitignore.h"
#include "restore.h"
#include "tree.h"
#include <stdlib.h>
#include <string.h>

/* ---- one source ------------------------------------------------------------------------------ */

void dk_source_free(struct dk_source *s)
{
    if (!s)
        return;
    dk_restores_free(s);
    dk_held_free(s);
    dk_world_free(s->world);
    dk_where_release(&s->where);
    bkc_ignore_free(s->ignore);
    dk_api_close(s->api);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static int make_ignore(struct dk_source *s)
{
    size_t bad = 0;
    if (!s->cfg->exclude || !s->cfg->exclude[0] ||
        bkc_ignore_new(s->cfg->exclude, &s->ignore, &bad) == 0)
        return BAKE_OK;
    return bad == BKC_IGNORE_NOMEM
               ? dk_nomem(s->ctx)
               : bake_fail(s->ctx, BAKE_E_CONFIG, "'exclude': '%s' can never match",
                           s->cfg->exclude[bad]);
}

int dk_source_new(struct bake_ctx *ctx, const void *cfg, const char *host, struct dk_source **ret)
{
    struct dk_source *s = calloc(1, sizeof(*s));
    if (!s)
        return dk_nomem(ctx);
    s->ctx = ctx;
    s->cfg = cfg;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return dk_nomem(ctx);
    }
    struct dk_api_opts opts = {.host = host ? host : s->cfg->host,
                               .ca = s->cfg->ca,
                               .cert = s->cfg->cert,
                               .key = s->cfg->key,
                               .timeout_ms = s->cfg->timeout};
    int rc = make_ignore(s);
    if (rc == BAKE_OK)
        rc = dk_api_open(ctx, &opts, &s->api);
    if (rc == BAKE_OK)
        rc = dk_where_am_i(s, ctx);
    if (rc != BAKE_OK) {
        dk_source_free(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

static int source_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct dk_source *s = NULL;
    int rc = dk_source_new(ctx, cfg, NULL, &s);
    if (rc == BAKE_OK)
        *ret_self = s;
    return rc;
}

static void source_close(void *self) { dk_source_free(self); }

static bool is_tree(enum dk_kind kind)
{
    return kind == DK_PATH || kind == DK_VOLUME || kind == DK_CONFIG;
}

static int source_plan(void *self, struct bake_component *ret)
{
    struct dk_source *s = self;
    if (s->planned == 0) {
        struct dk_world *w = NULL;
        int rc = dk_discover(s, s->ctx, &w);
        if (rc != BAKE_OK)
            return rc;
        dk_where_check_name(s, s->ctx);
        dk_world_free(s->world);
        s->world = w;
    }
    if (s->planned == s->world->n_items) {
        s->planned = 0;
        return BAKE_END;
    }
    const struct dk_item *item = &s->world->items[s->planned++];
    ret->name = item->name;
    ret->group = item->group;
    ret->kind = is_tree(item->kind) ? BAKE_TREE : BAKE_BLOB;
    ret->facts = item->facts;
    return BAKE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    struct bake_ctx *ctx;
    struct dk_tree *tree; /* one of these three */
    struct dk_dump *dump;
    struct dk_define *define;
};

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       void **ret_reader)
{
    struct dk_source *s = self;
    const struct dk_item *item = dk_world_item(s->world, c->name);
    if (!item)
        return bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was never planned", c->name);
    struct reader *r = calloc(1, sizeof(*r));
    if (!r)
        return dk_nomem(ctx);
    r->ctx = ctx;
    int rc = is_tree(item->kind)           ? dk_tree_open(s, ctx, item, &r->tree)
             : item->kind == DK_DEFINITION ? dk_define_open(s, ctx, item, &r->define)
                                           : dk_dump_open(s, ctx, item, &r->dump);
    if (rc != BAKE_OK) {
        free(r);
        return rc;
    }
    *ret_reader = r;
    return BAKE_OK;
}

static int no_tree(struct reader *r)
{
    return bake_fail(r->ctx, BAKE_E_INTERNAL, "entries were asked of a component without any");
}

static int reader_next(void *reader, struct bake_entry *ret)
{
    struct reader *r = reader;
    return r->tree ? dk_tree_next(r->tree, ret) : no_tree(r);
}

static int reader_open_entry(void *reader, struct bake_entry *entry)
{
    struct reader *r = reader;
    return r->tree ? dk_tree_open_entry(r->tree, entry) : no_tree(r);
}

static int reader_read(void *reader, struct bake_out *out)
{
    struct reader *r = reader;
    return r->tree   ? dk_tree_read(r->tree, out)
           : r->dump ? dk_dump_read(r->dump, out)
                     : dk_define_read(r->define, out);
}

static int reader_finish(void *reader, struct bake_result *ret)
{
    struct reader *r = reader;
    return r->tree   ? dk_tree_finish(r->tree, ret)
           : r->dump ? dk_dump_finish(r->dump, ret)
                     : dk_define_finish(r->define, ret);
}

static void reader_close(void *reader)
{
    struct reader *r = reader;
    if (r->tree)
        dk_tree_close(r->tree);
    if (r->dump)
        dk_dump_close(r->dump);
    if (r->define)
        dk_define_close(r->define);
    free(r);
}

const struct bake_source_ops dk_source_ops = {
    .struct_size = sizeof(dk_source_ops),
    .open = source_open,
    .plan = source_plan,
    .reader_open = reader_open,
    .next = reader_next,
    .open_entry = reader_open_entry,
    .read = reader_read,
    .finish = reader_finish,
    .reader_close = reader_close,
    .writer_open = dk_writer_open,
    .put_entry = dk_put_entry,
    .write = dk_write,
    .entry_end = dk_entry_end,
    .commit = dk_commit,
    .writer_close = dk_writer_close,
    .close = source_close,
    .hold = dk_hold,
    .release = dk_release,
    .redeem = dk_redeem,
    .tidy = dk_tidy,
    .restore_begin = dk_restore_begin,
    .switch_group = dk_switch_group,
    .restore_end = dk_restore_end,
    .undo_group = dk_undo_group,
};
