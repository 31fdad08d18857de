/* restore --undo: back to what a good restore of a group replaced. */
#include "run/restore_group.h"

#include "run/names.h"

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_session *s = arg;

    bk_event_note(s->reporter, severity, NULL, subject, text);
}

static void group_event(const struct bk_restore_env *env, const struct bk_part *part, int rc)
{
    json_t *e = bk_event("group");

    bk_json_set_str(e, "name", env->opts->stack);
    bk_json_set_str(e, "source", part->name);
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : "failed");
    bk_json_set_bool(e, "undo", true);
    bk_event_send(env->session->reporter, e);
}

/* BAKE_END: it keeps nothing of that group. */
static int undo_in(const struct bk_restore_env *env, const struct bk_part *part, struct bk_err *err)
{
    const char *group = bk_group_to_source(part, env->opts->stack);
    struct bk_rsource *src;
    struct bk_ctx ctx;
    int rc;

    if (!group) {
        (void)bk_fail(err, BAKE_E_NOTFOUND, "no source has a group '%s'", env->opts->stack);
        return BAKE_END;
    }
    rc = bk_rsource_get(env->sources, part, &src, err);

    if (rc < 0)
        return rc;
    bk_rsource_ctx(src, env->session->cancel, &ctx, "group '%s'", env->opts->stack);
    ctx.report = on_report;
    ctx.report_arg = env->session;
    rc = src->ops->undo_group(src->self, &ctx.base, group);
    if (rc < 0)
        (void)bk_ctx_fail(&ctx, rc, err);
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_END;
    group_event(env, part, rc);
    return rc;
}

int bk_restore_undo(const struct bk_restore_env *env, struct bk_err *err)
{
    const struct bk_pipeline *p = env->session->pipeline;
    size_t asked = 0;

    for (size_t i = 0; i < p->n_sources; i++) {
        int rc;

        if (!p->sources[i].plugin->source.undo_group)
            continue;
        asked++;
        rc = undo_in(env, &p->sources[i], err);
        if (rc != BAKE_END)
            return rc;
    }
    if (asked == 0)
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "no source of this pipeline keeps what a restore replaces");
    return BAKE_E_NOTFOUND; /* err says what the last one said */
}
