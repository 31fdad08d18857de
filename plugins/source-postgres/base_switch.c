/* A restored base backup takes its place, in steps that can be taken back at any moment: by this
 * process, or from the obligation by another one. */
#include "base_files.h"
#include "base_way.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIND "base"

static const char *const phases[] = {"staging", "switching", "done"};

/* ---- the obligation -------------------------------------------------------------------------- */

static json_t *object_of(const struct pg_way *w, enum pg_phase phase)
{
    json_t *all = json_array();
    for (size_t i = 0; i < w->n_stages; i++) {
        const struct pg_stage *s = &w->stages[i];
        json_t *one = json_pack("{s:s, s:s, s:s*, s:s*, s:b, s:I, s:I, s:I}", "stage", s->stage,
                                "aside", s->aside, "target", s->target, "root", s->root,
                                "made_root", s->made_root, "device", (json_int_t)s->device, "inode",
                                (json_int_t)s->inode, "born", (json_int_t)s->born);
        if (json_array_append_new(all, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:o}", "kind", KIND, "phase", phases[phase], "stages", all);
}

int pg_way_oblige(struct pg_way *w, enum pg_phase phase)
{
    json_t *object = object_of(w, phase);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int rc = text ? w->ctx->host->oblige(w->ctx, text, &w->duty)
                  : bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory");
    json_decref(object);
    free(text);
    return rc;
}

static int redeemed(struct pg_way *w)
{
    if (w->duty == 0)
        return BAKE_OK;
    int rc = w->ctx->host->redeemed(w->ctx, w->duty);
    w->duty = 0;
    return rc;
}

/* ---- back ------------------------------------------------------------------------------------ */

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

void pg_stage_mark(const char *path, uint64_t *ret_device, uint64_t *ret_inode, int64_t *ret_born)
{
    struct statx st = {0};
    *ret_device = *ret_inode = 0;
    *ret_born = 0;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) != 0)
        return;
    *ret_device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
    *ret_inode = st.stx_ino;
    if (st.stx_mask & STATX_BTIME)
        *ret_born = (int64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

static bool is_ours(const char *path, const struct pg_stage *s)
{
    uint64_t device, inode;
    int64_t born;
    pg_stage_mark(path, &device, &inode, &born);
    return inode != 0 && device == s->device && inode == s->inode && born == s->born;
}

static int move(struct bake_ctx *ctx, const char *from, const char *to)
{
    if (rename(from, to) == 0)
        return BAKE_OK;
    int e = errno;
    return bake_fail(ctx, e == ENOSPC ? BAKE_E_NOSPACE : BAKE_E_IO,
                     "cannot rename '%s' to '%s': %s", from, to, strerror(e));
}

/* However far it got: what was there stands there again, what we made is gone. */
static int back_one(struct bake_ctx *ctx, struct pg_stage *s)
{
    int rc = BAKE_OK;
    if (s->target && !exists(s->stage) && is_ours(s->target, s))
        rc = move(ctx, s->target, s->stage);
    if (rc == BAKE_OK && s->target && exists(s->aside) && !exists(s->target))
        rc = move(ctx, s->aside, s->target);
    if (rc == BAKE_OK)
        rc = pg_remove_tree(ctx, s->stage);
    if (rc == BAKE_OK && s->made_root && rmdir(s->root) != 0 && errno != ENOENT &&
        errno != ENOTEMPTY)
        rc = bake_fail(ctx, BAKE_E_IO, "cannot remove '%s': %s", s->root, strerror(errno));
    return rc;
}

static int back_all(struct bake_ctx *ctx, struct pg_stage *stages, size_t n)
{
    int first = BAKE_OK;
    while (n-- > 0) {
        int rc = back_one(ctx, &stages[n]);
        if (first == BAKE_OK)
            first = rc;
    }
    return first;
}

static int forget_old(struct bake_ctx *ctx, const struct pg_stage *stages, size_t n)
{
    int first = BAKE_OK;
    for (size_t i = 0; i < n; i++) {
        int rc = pg_remove_tree(ctx, stages[i].aside);
        if (rc == BAKE_OK)
            rc = pg_remove_tree(ctx, stages[i].stage);
        if (first == BAKE_OK)
            first = rc;
    }
    return first;
}

int pg_way_undo(struct pg_way *w)
{
    if (w->duty == 0)
        return BAKE_OK;
    int rc = back_all(w->ctx, w->stages, w->n_stages);
    return rc == BAKE_OK ? redeemed(w) : rc; /* else it stands, for a later try */
}

/* ---- forth ----------------------------------------------------------------------------------- */

static int sync_above(struct pg_way *w, const struct pg_stage *s)
{
    char *parent = pg_parent_of(s->target);
    int rc =
        parent ? pg_sync_dir(w->ctx, parent) : bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory");
    free(parent);
    return rc;
}

static int forth(struct pg_way *w, struct pg_stage *s)
{
    int rc = BAKE_OK;
    if (!s->target) /* a tablespace with nothing in it */
        return BAKE_OK;
    if (exists(s->target))
        rc = move(w->ctx, s->target, s->aside);
    if (rc == BAKE_OK)
        rc = move(w->ctx, s->stage, s->target);
    return rc == BAKE_OK ? sync_above(w, s) : rc;
}

/* Tablespaces first: a data directory that is in its place has all it needs. */
int pg_way_switch(struct pg_way *w)
{
    int rc = pg_way_places_again(w);
    if (rc == BAKE_OK)
        rc = pg_way_oblige(w, PG_SWITCHING);
    for (size_t i = w->n_stages; rc == BAKE_OK && i-- > 0;)
        rc = forth(w, &w->stages[i]);
    if (rc == BAKE_OK)
        rc = pg_way_oblige(w, PG_DONE);
    if (rc != BAKE_OK)
        return rc;
    if (forget_old(w->ctx, w->stages, w->n_stages) != BAKE_OK) {
        bake_report(w->ctx, BAKE_WARNING, w->stages[0].aside,
                    "what was replaced could not be removed; it is tried again later");
        w->duty = 0; /* the obligation stands */
        return BAKE_OK;
    }
    return redeemed(w);
}

/* ---- from the obligation --------------------------------------------------------------------- */

static char *copy_of(const json_t *one, const char *key)
{
    const char *text = json_string_value(json_object_get(one, key));
    return text ? strdup(text) : NULL;
}

static void free_stage(struct pg_stage *s)
{
    free(s->stage);
    free(s->aside);
    free(s->target);
    free(s->root);
}

/* Only what is named as we name things is ever removed. */
static bool sane(const struct pg_stage *s)
{
    return s->stage && s->aside && s->stage[0] == '/' && s->aside[0] == '/' &&
           strstr(s->stage, "bakengine-new-") && strstr(s->aside, "bakengine-old-") &&
           (!s->made_root || s->root);
}

static int take(struct bake_ctx *ctx, const json_t *list, const char *phase)
{
    size_t n = json_array_size(list);
    struct pg_stage *stages = calloc(n + 1, sizeof(*stages));
    int rc = stages ? BAKE_OK : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    for (size_t i = 0; rc == BAKE_OK && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        stages[i] = (struct pg_stage){
            .stage = copy_of(one, "stage"),
            .aside = copy_of(one, "aside"),
            .target = copy_of(one, "target"),
            .root = copy_of(one, "root"),
            .made_root = json_is_true(json_object_get(one, "made_root")),
            .device = (uint64_t)json_integer_value(json_object_get(one, "device")),
            .inode = (uint64_t)json_integer_value(json_object_get(one, "inode")),
            .born = (int64_t)json_integer_value(json_object_get(one, "born")),
        };
        if (!sane(&stages[i]))
            rc = bake_fail(ctx, BAKE_E_CORRUPT, "an obligation of a restore is not understood");
    }
    if (rc == BAKE_OK)
        rc = strcmp(phase, phases[PG_DONE]) == 0 ? forget_old(ctx, stages, n)
                                                 : back_all(ctx, stages, n);
    for (size_t i = 0; stages && i < n; i++)
        free_stage(&stages[i]);
    free(stages);
    return rc;
}

int pg_way_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine)
{
    json_t *object = json_loads(what, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *phase = json_string_value(json_object_get(object, "phase"));
    int rc = BAKE_OK;
    *ret_mine = kind && strcmp(kind, KIND) == 0;
    if (*ret_mine)
        rc = take(ctx, json_object_get(object, "stages"), phase ? phase : "");
    json_decref(object);
    return rc;
}
