/* The log archive as sources see it, and what a run does with it. */
#include "run/wal.h"

#include "run/wal_name.h"
#include "store/wal.h"

#include <string.h>

/* ---- the host's functions -------------------------------------------------------------------- */

struct use { /* of a store, for one call */
    struct bk_store *store;
    bool own;
};

/* Plugins know BAKE_* alone. */
static int for_plugin(int rc, struct bk_err *err)
{
    if (rc >= BAKE_E_KEY)
        return rc;
    rc = rc == BK_E_NOSTORE ? BAKE_E_UNAVAILABLE : rc == BK_E_USAGE ? BAKE_E_CONFIG : BAKE_E_IO;
    if (err)
        err->rc = rc;
    return rc;
}

static int use_begin(struct bk_session *s, enum bk_store_mode mode, struct use *ret,
                     struct bk_err *err)
{
    ret->store = s->store;
    ret->own = !s->store;
    if (!ret->own)
        return BAKE_OK;
    return bk_store_open(s->pipeline, s->registry, s->cancel, mode, NULL, &ret->store, err);
}

static void use_end(struct use *u)
{
    if (u->own)
        bk_store_close(u->store);
}

/* What calls itself a segment of PostgreSQL must be that one, of that cluster. */
static int check_segment(const char *stream, const char *name, const char *path, struct bk_err *err)
{
    struct bk_pg_name n;
    char system_id[24];
    uint64_t system;
    int rc;

    if (!bk_pg_archived_parse(name, &n))
        return BAKE_OK;
    rc = bk_pg_check(path, &n, &system, err);
    if (rc < 0 || system == 0)
        return rc;
    (void)snprintf(system_id, sizeof(system_id), "%llu", (unsigned long long)system);
    if (bk_streq(system_id, stream))
        return BAKE_OK;
    return bk_fail(err, BAKE_E_CORRUPT, "'%s' is of cluster %s, not of %s", path, system_id,
                   stream);
}

static int log_put(void *arg, const char *stream, const char *name, const char *path,
                   struct bk_err *err)
{
    struct use u;
    int rc = check_segment(stream, name, path, err);

    if (rc >= 0)
        rc = use_begin(arg, BK_STORE_WRITE, &u, err);
    if (rc < 0)
        return for_plugin(rc, err);
    rc = bk_wal_put(u.store, stream, name, path, err);
    use_end(&u);
    return for_plugin(rc, err);
}

static int log_get(void *arg, const char *stream, const char *name, const char *path,
                   struct bk_err *err)
{
    struct use u;
    int rc = use_begin(arg, BK_STORE_READ, &u, err);

    if (rc < 0)
        return for_plugin(rc, err);
    rc = bk_wal_get(u.store, stream, name, path, err);
    use_end(&u);
    return for_plugin(rc, err);
}

static int log_list(void *arg, const char *stream,
                    int (*each)(void *each_arg, const char *name, uint64_t size), void *each_arg,
                    struct bk_err *err)
{
    struct bk_wal_list list;
    struct use u;
    int rc = use_begin(arg, BK_STORE_READ, &u, err);

    if (rc < 0)
        return for_plugin(rc, err);
    rc = bk_wal_list_store(u.store, stream, &list, err);
    use_end(&u);
    if (rc < 0)
        return for_plugin(rc, err);
    for (size_t i = 0; i < list.n && rc == 0; i++)
        rc = each(each_arg, list.logs[i].name, list.logs[i].size);
    bk_wal_list_release(&list);
    return rc;
}

void bk_wal_init(struct bk_session *s)
{
    s->logs = (struct bk_ctx_logs){log_put, log_get, log_list, s};
}

void bk_wal_attach(struct bk_session *s, struct bk_ctx *ctx)
{
    ctx->logs = s->logs.put ? &s->logs : NULL;
}

/* ---- a run ----------------------------------------------------------------------------------- */

struct pull {
    struct bk_session *session;
    size_t lacking;
};

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct pull *p = arg;

    p->lacking += severity == BAKE_PARTIAL;
    bk_event_note(p->session->reporter, severity, NULL, subject, text);
}

static bool takes_part(const struct bk_plan *plan, const struct bk_source *src)
{
    if (!src->self || src->failed.rc < 0 || !src->ops->logs_pull)
        return false;
    for (size_t i = 0; i < plan->n_items; i++)
        if (plan->items[i].source == src)
            return true;
    return false;
}

static int pull_one(struct bk_session *s, struct bk_source *src, struct bk_duty *duty,
                    size_t *ret_failed, struct bk_err *err)
{
    struct pull p = {.session = s};
    struct bk_err why = {0};
    struct bk_ctx ctx;
    int rc;

    bk_ctx_init(&ctx, s->cancel, "source '%s'", src->part->name);
    ctx.report = on_report;
    ctx.report_arg = &p;
    bk_duty_attach(duty, &ctx, src->part);
    bk_wal_attach(s, &ctx);
    rc = src->ops->logs_pull(src->self, &ctx.base);
    *ret_failed += p.lacking;
    if (rc >= 0)
        return BAKE_OK;
    rc = bk_ctx_fail(&ctx, rc, &why);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    ++*ret_failed;
    (void)bk_prefix(&why, "its logs could not be stored");
    bk_event_error(s->reporter, NULL, &why);
    return BAKE_OK;
}

int bk_wal_pull(struct bk_session *s, struct bk_plan *plan, struct bk_duty *duty,
                size_t *ret_failed, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < plan->n_sources && rc >= 0; i++)
        if (takes_part(plan, &plan->sources[i]))
            rc = pull_one(s, &plan->sources[i], duty, ret_failed, err);
    return rc;
}
