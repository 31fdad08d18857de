/* Handing a component to its source for inspection: a writer that writes nothing. */
#include "run/inspect.h"

#include "run/target.h"

#include <stdlib.h>

struct bk_inspect {
    struct bk_restore_env env;
    struct bk_restore_opts opts;
    const struct bk_mcomp *comp;
    struct bk_target *target; /* NULL: off */
};

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    const struct bk_inspect *i = arg;

    bk_event_note(i->env.session->reporter, severity, i->comp->name, subject, text);
}

void bk_inspect_off(struct bk_inspect *i)
{
    if (!i)
        return;
    bk_target_close(i->target);
    i->target = NULL;
}

bool bk_inspect_on(const struct bk_inspect *i) { return i && i->target; }

/* Of the data, of everything, or of the source alone? */
static int settle(struct bk_inspect *i, int rc, struct bk_err *err)
{
    if (rc >= 0)
        return rc;
    bk_inspect_off(i);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_CORRUPT)
        return rc;
    (void)bk_prefix(err, "its inside could not be inspected");
    bk_event_note(i->env.session->reporter, BAKE_WARNING, i->comp->name, NULL, err->text);
    bk_err_clear(err);
    return BAKE_OK;
}

static int open_target(struct bk_inspect *i, struct bk_err *err)
{
    struct bk_target_opts t = {.env = &i->env, .report = on_report, .report_arg = i};
    bool gone = false;
    int rc = bk_target_open(i->comp, &t, &i->target, &gone, err);

    if (rc < 0)
        i->target = NULL;
    /* Nothing was looked at yet: this says nothing of the data. */
    if (rc == BAKE_E_CORRUPT)
        rc = err->rc = BAKE_E_IO;
    return settle(i, rc, err);
}

int bk_inspect_open(struct bk_session *s, struct bk_rsources *sources, const struct bk_manifest *m,
                    const struct bk_mcomp *c, struct bk_inspect **ret, struct bk_err *err)
{
    const struct bk_part *part = sources ? bk_restore_part(s->pipeline, c) : NULL;
    struct bk_inspect *i;
    int rc;

    *ret = NULL;
    if (!part || !(part->plugin->source.traits & BAKE_INSPECTS))
        return BAKE_OK;
    i = calloc(1, sizeof(*i));
    if (!i)
        return bk_nomem(err);
    i->comp = c;
    i->env = (struct bk_restore_env){.session = s,
                                     .opts = &i->opts,
                                     .manifest = m,
                                     .purpose = BAKE_INSPECT,
                                     .sources = sources,
                                     .cancel = s->cancel};
    rc = open_target(i, err);
    if (rc < 0 || !i->target) {
        bk_inspect_free(i);
        return rc;
    }
    *ret = i;
    return BAKE_OK;
}

int bk_inspect_entry(struct bk_inspect *i, const struct bake_entry *e, struct bk_err *err)
{
    int rc = bk_inspect_on(i) ? bk_target_put(i->target, e, err) : BAKE_END;

    if (rc == BAKE_E_EXISTS)
        rc = BAKE_END;
    rc = settle(i, rc, err);
    return rc == BAKE_OK && !i->target ? BAKE_END : rc;
}

int bk_inspect_data(struct bk_inspect *i, const void *data, size_t n, struct bk_err *err)
{
    if (!bk_inspect_on(i) || n == 0)
        return BAKE_OK;
    return settle(i, bk_target_write(i->target, data, n, err), err);
}

int bk_inspect_entry_end(struct bk_inspect *i, struct bk_err *err)
{
    return bk_inspect_on(i) ? settle(i, bk_target_entry_end(i->target, 1, err), err) : BAKE_OK;
}

int bk_inspect_commit(struct bk_inspect *i, struct bk_err *err)
{
    return bk_inspect_on(i) ? settle(i, bk_target_commit(i->target, err), err) : BAKE_OK;
}

void bk_inspect_free(struct bk_inspect *i)
{
    bk_inspect_off(i);
    free(i);
}
