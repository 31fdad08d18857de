/* Directories whose content is replaced: opening, switching, and undoing by what was noted. */
#include "place.h"

#include "place_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is left of a staging area ---------------------------------------------------------- */

static int remove_holder(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p)
{
    struct dk_fs_order o = {.verb = DK_FS_REMOVE, .a = p->holder};
    struct dk_fs_answer a;
    int rc = dk_ground_do(s, ctx, &p->ground, &o, &a);

    return rc == BAKE_OK && a.error
               ? dk_place_errno(ctx, p->what, &a, "remove what was kept beside")
               : rc;
}

static int remove_named(struct dk_source *s, struct bake_ctx *ctx, const char *kind,
                        const char *nonce)
{
    char *name = dk_text("bakengine-%s-%s", kind, nonce);
    int rc = name ? dk_volume_remove(s, ctx, name) : dk_nomem(ctx);

    free(name);
    return rc;
}

static int remove_stage(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p)
{
    int rc = p->holder ? remove_holder(s, ctx, p) : BAKE_OK;

    return rc == BAKE_OK && p->stage ? dk_volume_remove(s, ctx, p->stage) : rc;
}

/* Everything but the place itself. The marks go last: they say that the rest may hold data. */
static int remove_all(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p)
{
    int rc = remove_stage(s, ctx, p);

    if (rc == BAKE_OK && p->way == DK_WAY_COPY)
        rc = remove_named(s, ctx, "saved", p->nonce);
    if (rc == BAKE_OK && p->stage)
        rc = remove_named(s, ctx, "keep", p->nonce);
    return rc;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void discard(struct dk_place *p)
{
    dk_stage_end(p);
    if (p->stage_fd >= 0)
        (void)close(p->stage_fd);
    free(p->carrier);
    free(p->base);
    free(p->backup);
    dk_plan_release(&p->plan);
    free(p);
}

void dk_place_close(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_calm calm;

    if (!p)
        return;
    dk_calm(&calm, ctx);
    dk_stage_end(p);
    if (p->carrier)
        (void)dk_remove_container(p->s->api, &calm.ctx, p->carrier, true);
    if (!p->switched)
        (void)remove_stage(p->s, &calm.ctx, &p->plan);
    discard(p);
}

static int promise(const struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec)
{
    json_t *j = spec->promise ? dk_plan_json(&p->plan) : NULL;
    int rc = j ? spec->promise(spec->arg, ctx, j) : dk_nomem(ctx);

    json_decref(j);
    return rc;
}

int dk_place_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  uint64_t bytes, struct dk_place **ret)
{
    struct dk_place *p = calloc(1, sizeof(*p));
    struct dk_fs_answer old;
    int rc;

    if (!p)
        return dk_nomem(ctx);
    p->s = s;
    p->stage_fd = -1;
    p->plan.ground.fd = -1;
    p->empty = spec->empty;
    p->backup = strdup(spec->backup ? spec->backup : "");
    rc = p->backup ? dk_place_find(p, ctx, spec, &old) : dk_nomem(ctx);
    if (rc == BAKE_OK)
        rc = dk_stage_name(p, ctx);
    if (rc == BAKE_OK && spec->promise)
        rc = promise(p, ctx, spec);
    if (rc == BAKE_OK)
        rc = dk_stage_make(p, ctx, spec, &old, bytes);
    if (rc < 0) {
        dk_place_close(p, ctx);
        return rc;
    }
    bake_log(ctx, BAKE_LOG_DEBUG, "%s will be replaced by %s", p->plan.what, dk_place_way(p));
    *ret = p;
    return BAKE_OK;
}

const char *dk_place_way(const struct dk_place *p)
{
    if (p->plan.way == DK_WAY_COPY)
        return "copy";
    return p->plan.ground.fd >= 0 ? "exchange" : "exchange by a helper container";
}

json_t *dk_place_json(const struct dk_place *p) { return dk_plan_json(&p->plan); }

/* ---- there ----------------------------------------------------------------------------------- */

/* a is to be the directory with ino_b, b the one with ino_a. */
static int exchange(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p, bool back)
{
    struct dk_fs_order o = {.verb = DK_FS_EXCHANGE,
                            .a = p->target,
                            .b = p->staged,
                            .ino_a = back ? p->ino_new : p->ino_old,
                            .ino_b = back ? p->ino_old : p->ino_new};
    struct dk_fs_answer a;
    int rc = dk_ground_do(s, ctx, &p->ground, &o, &a);

    return rc == BAKE_OK && a.error
               ? dk_place_errno(ctx, p->what, &a, back ? "put back" : "replace")
               : rc;
}

int dk_place_switch(struct dk_place *p, struct bake_ctx *ctx)
{
    char *mark;
    int rc;

    if (p->spoiled || (p->began_put && !p->staged) || p->switched)
        return bake_fail(ctx, BAKE_E_INTERNAL, "%s is not staged", p->plan.what);
    rc = dk_place_unused(p->s, ctx, &p->plan);
    if (rc < 0)
        return rc;
    p->switched = true;
    if (p->plan.way == DK_WAY_COPY)
        return dk_copy_switch(p, ctx);
    if (p->plan.stage) { /* from now on its volume may hold what was there before */
        mark = dk_text("bakengine-keep-%s", p->plan.nonce);
        rc = mark ? dk_volume_make(p->s, ctx, mark,
                                   json_pack("{s:s, s:s}", DK_LABEL_KEEP, p->plan.nonce,
                                             "bakengine.place", p->plan.what))
                  : dk_nomem(ctx);
        free(mark);
    }
    return rc == BAKE_OK ? exchange(p->s, ctx, &p->plan, false) : rc;
}

/* ---- and back -------------------------------------------------------------------------------- */

/* What is at the place now? */
static int now_there(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                     uint64_t *ret)
{
    struct dk_fs_order o = {.verb = DK_FS_STAT, .a = p->target};
    struct dk_fs_answer a;
    int rc = dk_ground_do(s, ctx, &p->ground, &o, &a);

    *ret = a.ino;
    return rc == BAKE_OK && a.error ? dk_place_errno(ctx, p->what, &a, "look at") : rc;
}

static int exchange_back(struct dk_source *s, struct bake_ctx *ctx, struct dk_plan *p)
{
    uint64_t ino = 0;
    int rc;

    dk_ground_reach(p);
    rc = now_there(s, ctx, p, &ino);
    /* Not done yet, or undone; or the new one had not even been made. */
    if (rc < 0 || ino == p->ino_old || !p->ino_new)
        return rc;
    rc = dk_place_unused(s, ctx, p);
    return rc == BAKE_OK ? exchange(s, ctx, p, true) : rc;
}

int dk_place_undo(struct dk_source *s, struct bake_ctx *ctx, const json_t *place)
{
    struct dk_plan p;
    int rc = dk_plan_parse(ctx, place, &p);

    if (rc < 0)
        return rc;
    rc = p.way == DK_WAY_COPY ? dk_copy_undo(s, ctx, &p) : exchange_back(s, ctx, &p);
    if (rc == BAKE_OK)
        rc = remove_all(s, ctx, &p);
    dk_plan_release(&p);
    return rc;
}

int dk_place_drop(struct dk_source *s, struct bake_ctx *ctx, const json_t *place)
{
    struct dk_plan p;
    int rc = dk_plan_parse(ctx, place, &p);

    if (rc < 0)
        return rc;
    if (p.holder)
        dk_ground_reach(&p);
    rc = remove_all(s, ctx, &p);
    dk_plan_release(&p);
    return rc;
}
