/* Databases while their dumps are loaded: they alone are started, and asked until they answer. */
#include "restore_flow.h"
#include "restore_impl.h"

#include <stdio.h>

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

/* A program that it ran may be seen to be gone a moment before the container is. */
static bool has_ended(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                      struct rs_state *ret)
{
    for (int tries = 0; tries < 30; tries++) {
        struct rs_hush h;
        rs_hush(&h, ctx);
        if (rs_state(r->s, &h.ctx, p->container->id, ret) != BAKE_OK)
            return false;
        if (!ret->running || ret->restarting || ret->restarts > 0)
            return true;
        if (ctx->host->sleep_ms(ctx, 100) != BAKE_OK)
            return false;
    }
    return false;
}

/* What it wrote may hold passwords, so it is left where it is. */
static int not_ready(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                     const struct rs_hush *why, int rc)
{
    const char *name = p->container->name;
    struct rs_state state;
    char how[40] = "";
    bool may = rc == BAKE_E_CHILD || rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_IO;
    if (!may || !has_ended(r, ctx, p, &state))
        return bake_fail(ctx, rc, "%s", why->text);
    if (state.exit_code != 0) /* 0 once it runs again */
        (void)snprintf(how, sizeof(how), " with exit status %lld", (long long)state.exit_code);
    return bake_fail(ctx, BAKE_E_CHILD,
                     "container '%s' ended%s before its database was ready\n"
                     "HINT: 'docker logs %s' says why",
                     name, how, name);
}

static int await_one(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    uint64_t patience = r->s->cfg->health_timeout;
    struct rs_hush h;
    if (patience < FIRST_START_MS)
        patience = FIRST_START_MS;
    bake_log(ctx, BAKE_LOG_INFO, "waiting for database '%s'", p->container->name);
    rs_hush(&h, ctx);
    int rc = dk_database_ready(r->s, &h.ctx, p->container, p->kind, patience);
    if (rc == BAKE_OK)
        return rs_check_server(r, ctx, p);
    return rc == BAKE_E_CANCELLED ? rc : not_ready(r, ctx, p, &h, rc);
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
