/* The way back of dumps: the operations that the engine calls, in their order. Databases are made
 * beside what is there; only when all of them are whole do they take its place. */
#include "restore.h"

#include "wait.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Failures of undoing must not take the place of what it is undone for. */
static int give_up(struct pg_restore *r, struct bake_ctx *ctx, int rc)
{
    struct pg_hush h;
    pg_calm(&h, ctx);
    int undone = r->drill ? pg_drill_end(r, &h.ctx) : pg_restore_undo(r, &h.ctx);
    if (undone == BAKE_OK)
        return rc;
    if (rc == BAKE_OK)
        return bake_fail(ctx, undone, "%s", h.text);
    bake_report(ctx, BAKE_PARTIAL, "undo", "%s", h.text);
    return rc;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int begin_drill(struct pg_restore *r, struct bake_ctx *ctx,
                       const struct bake_component *const *chosen, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += chosen[i]->size_hint;
    int rc = pg_drill_begin(r, ctx, bytes);
    if (rc == BAKE_OK)
        rc = pg_restore_check(r, ctx);
    return rc == BAKE_OK ? rc : give_up(r, ctx, rc);
}

static int begin(struct pg_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    struct pg_restore *r = NULL;
    (void)group;
    int rc = pg_restore_plan(src, ctx, how, chosen, n, &r);
    if (rc != BAKE_OK)
        return rc;
    if (r->drill)
        rc = begin_drill(r, ctx, chosen, n);
    else
        rc = pg_restore_check(r, ctx);
    if (rc == BAKE_OK && !r->drill && !r->look_only)
        rc = pg_restore_oblige(r, ctx);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++)
        ret_stage[i] = r->globals && strcmp(chosen[i]->name, PG_GLOBALS) != 0;
    if (rc != BAKE_OK || r->look_only) {
        pg_restore_free(r);
        return rc;
    }
    pg_restore_free(src->restore);
    src->restore = r;
    return BAKE_OK;
}

static int writer_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, struct pg_writer **ret)
{
    (void)how;
    if (!src->restore)
        return bake_fail(ctx, BAKE_E_INTERNAL, "the restore has not begun");
    return pg_restore_writer(src->restore, ctx, c, ret);
}

static int switch_group(struct pg_source *src, struct bake_ctx *ctx, const char *group)
{
    (void)src;
    (void)ctx;
    (void)group;
    return BAKE_OK; /* the globals have been run when they committed */
}

/* ---- the end --------------------------------------------------------------------------------- */

static int all_there(const struct pg_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->targets[i].committed)
            return bake_fail(ctx, BAKE_E_INTERNAL, "database '%s' was never written",
                             r->targets[i].subject);
    return BAKE_OK;
}

/* Roles alone, or tables that were moved: what is beside them goes. */
static int end_parts(struct pg_restore *r, struct bake_ctx *ctx)
{
    struct pg_hush h;
    int rc = r->n > 0 && r->parts ? pg_parts_move(r, ctx, &r->targets[0]) : BAKE_OK;
    if (rc != BAKE_OK)
        return rc;
    json_array_clear(r->roles); /* they are in use now */
    json_array_clear(r->spaces);
    r->altered = false;
    pg_calm(&h, ctx);
    if (pg_restore_oblige(r, &h.ctx) != BAKE_OK || pg_restore_undo(r, &h.ctx) != BAKE_OK)
        bake_report(ctx, BAKE_WARNING, r->n > 0 ? r->targets[0].fresh : "globals",
                    "could not be dropped yet: %s", h.text);
    return BAKE_OK;
}

static int say_facts(struct pg_restore *r, struct bake_ctx *ctx)
{
    json_t *list = json_array();
    uint64_t tables = 0, rows = 0;
    for (size_t i = 0; i < r->n; i++) {
        tables += r->targets[i].tables;
        rows += r->targets[i].rows;
        json_array_append_new(list, json_string(r->targets[i].name));
    }
    json_t *facts =
        json_pack("{s:o, s:I, s:I, s:f}", "databases", list, "tables", (json_int_t)tables, "rows",
                  (json_int_t)rows, "seconds", (double)(pg_now_ms() - r->began_ms) / 1000.0);
    r->facts = facts ? json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(facts);
    return r->facts ? BAKE_OK : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
}

static int end_good(struct pg_restore *r, struct bake_ctx *ctx)
{
    int rc = all_there(r, ctx);
    if (rc == BAKE_OK && r->drill)
        rc = pg_drill_prove(r, ctx);
    else if (rc == BAKE_OK)
        rc = r->parts || r->n == 0 ? end_parts(r, ctx) : pg_restore_swap(r, ctx);
    if (rc == BAKE_OK && !r->drill)
        return say_facts(r, ctx);
    return give_up(r, ctx, rc);
}

static int end(struct pg_source *src, struct bake_ctx *ctx, const char *group, int good,
               struct bake_result *ret)
{
    struct pg_restore *r = src->restore;
    (void)group;
    if (!r)
        return BAKE_OK;
    int rc = good ? end_good(r, ctx) : give_up(r, ctx, BAKE_OK);
    ret->facts = r->facts; /* freed when the next restore begins, or with the source */
    return rc;
}

static int redeem(struct bake_ctx *ctx, const struct pg_config *cfg, const char *what,
                  bool *ret_mine)
{
    return pg_restore_redeem(ctx, cfg, what, ret_mine);
}

static int tidy(struct pg_source *src, struct bake_ctx *ctx)
{
    return src->cfg->mode == PG_LOGICAL ? pg_restore_tidy(ctx, src->cfg) : BAKE_OK;
}

const struct pg_back pg_logical_back = {.begin = begin,
                                        .writer_open = writer_open,
                                        .switch_group = switch_group,
                                        .end = end,
                                        .redeem = redeem,
                                        .tidy = tidy};
