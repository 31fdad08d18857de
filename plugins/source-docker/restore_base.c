/* Databases while their dumps are loaded: they alone are started, and asked until they answer. */
#include "restore_flow.h"
#include "restore_impl.h"

/* A server that makes its data directory anew takes longer than one that starts. */
#define FIRST_START_MS 300000

static bool is_dump(const struct rs_part *p)
{
    return p->known && (p->kind == DK_PG || p->kind == DK_MARIA) && p->found == RS_HERE;
}

static int start_one(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    struct rs_state state;
    struct rs_box *box = rs_box_of(r, p->container);
    int rc = rs_state(r->s, ctx, p->container->id, &state);
    if (rc == BAKE_END)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "container '%s' was removed meanwhile",
                         p->container->name);
    if (rc == BAKE_OK && !state.running && box)
        rc = rs_start_box(r, ctx, box);
    if (rc == BAKE_OK && state.paused)
        rc = dk_unpause(r->s->api, ctx, p->container->id, NULL);
    return rc;
}

static int await_one(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    uint64_t patience = r->s->cfg->health_timeout;
    if (patience < FIRST_START_MS)
        patience = FIRST_START_MS;
    bake_log(ctx, BAKE_LOG_INFO, "waiting for database '%s'", p->container->name);
    int rc = dk_database_ready(r->s, ctx, p->container, p->kind, patience);
    return rc == BAKE_OK ? rs_check_server(r, ctx, p) : rc;
}

int rs_databases_up(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = rs_promise(r, ctx, "loading");
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        if (is_dump(&r->parts[i]))
            rc = start_one(r, ctx, &r->parts[i]);
    }
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        if (is_dump(&r->parts[i]))
            rc = await_one(r, ctx, &r->parts[i]);
    }
    return rc;
}
