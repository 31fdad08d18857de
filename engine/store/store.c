/* Opening a store in all its sinks, and small writes to all of them. */
#include "store/store.h"

#include "base/log.h"
#include "base/str.h"
#include "store/foreign.h"
#include "store/lag.h"
#include "store/repo.h"
#include "store/store_info.h"

#include <stdlib.h>

/* One step with a sink: its failure is kept with it. What is returned ends everything: a cancel,
 * or that store and pipeline disagree (s->disagrees). A sink that cannot be used need not. */
static int settle(struct bk_store *s, size_t i, int rc, const struct bk_err *why,
                  struct bk_err *err)
{
    if (rc >= 0)
        return BAKE_OK;
    bk_store_sink_failed(s, i, why);
    if (rc != BAKE_E_CANCELLED && !s->disagrees)
        return BAKE_OK;
    if (err)
        *err = *why;
    return rc;
}

static int open_all(struct bk_store *s, const char *from, struct bk_err *err)
{
    const struct bk_pipeline *p = s->pipeline;

    for (size_t i = 0; i < p->n_sinks; i++) {
        struct bk_err why = {0};
        struct bk_sink *sink = &s->sinks[s->n_sinks];
        int rc;

        if (from && !bk_streq(from, p->sinks[i].name))
            continue;
        rc = bk_sink_open(&p->sinks[i], s->cancel, sink, &why);
        s->n_sinks++;
        if (rc >= 0)
            rc = bk_store_read_info(s, sink, &why);
        if ((rc = settle(s, s->n_sinks - 1, rc, &why, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

/* Only once all sinks were looked at: an empty one becomes a mirror of the store that there is,
 * wherever it stands in the list. */
static int create_missing(struct bk_store *s, struct bk_err *err)
{
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (s->failed[i].rc != BK_E_NOSTORE)
            continue;
        bk_err_clear(&s->failed[i]);
        rc = bk_store_make_info(s, &s->sinks[i], &why);
        if ((rc = settle(s, i, rc, &why, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

/* For reading, archives that other programs put into a place are as good as a store. Only where no
 * sink has one: else it would be a mirror that has lost all. */
static int take_foreign(struct bk_store *s, struct bk_err *err)
{
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        bool any = false;
        int rc;

        if (s->failed[i].rc != BK_E_NOSTORE)
            continue;
        rc = bk_foreign_any(&s->sinks[i], &any, &why);
        if (rc >= 0 && !any)
            continue;
        bk_err_clear(&s->failed[i]);
        s->format = BK_FORMAT_ARCHIVE;
        if ((rc = settle(s, i, rc, &why, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

int bk_store_none_usable(struct bk_store *s, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = s->n_sinks > 0 ? s->failed[0].rc : 0;
    if (rc < 0 && err)
        *err = s->failed[0];
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? rc : bk_fail(err, BAKE_E_INTERNAL, "the store was opened without its sinks");
}

static int open_sinks(struct bk_store *s, enum bk_store_mode mode, const char *from,
                      struct bk_err *err)
{
    int rc = open_all(s, from, err);

    if (rc >= 0 && s->n_sinks == 0)
        return bk_fail(err, BK_E_USAGE, "'%s' is not the name of a sink of this pipeline", from);
    if (rc >= 0 && mode == BK_STORE_WRITE)
        rc = create_missing(s, err);
    if (rc >= 0 && mode == BK_STORE_READ && bk_store_sinks_ok(s) == 0)
        rc = take_foreign(s, err);
    if (rc >= 0 && bk_store_sinks_ok(s) == 0)
        rc = bk_store_none_usable(s, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < s->n_sinks; i++)
        if (s->failed[i].rc)
            bk_log(BAKE_LOG_WARN, "%s", s->failed[i].text);
    return BAKE_OK;
}

int bk_store_open_nothing(const struct bk_pipeline *p, struct bk_registry *reg,
                          struct bk_cancel *cancel, struct bk_store **ret, struct bk_err *err)
{
    struct bk_store *s = calloc(1, sizeof(*s));

    if (!s)
        return bk_nomem(err);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->defaults_lock, NULL);
    s->pipeline = p;
    s->format = p->format;
    s->registry = reg;
    s->cancel = cancel;
    s->sinks = calloc(p->n_sinks + 1, sizeof(*s->sinks));
    s->failed = calloc(p->n_sinks + 1, sizeof(*s->failed));
    s->transforms = calloc(p->n_transforms + 1, sizeof(*s->transforms));
    if (!s->sinks || !s->failed || !s->transforms) {
        bk_store_close(s);
        return bk_nomem(err);
    }
    for (size_t i = 0; i < p->n_transforms; i++) {
        s->transforms[i].plugin = p->transforms[i].plugin;
        s->transforms[i].cfg = p->transforms[i].cfg;
    }
    s->n_transforms = p->n_transforms;
    if (bk_repo_new(s, err) < 0) {
        bk_store_close(s);
        return BAKE_E_NOMEM;
    }
    *ret = s;
    return BAKE_OK;
}

int bk_store_open(const struct bk_pipeline *p, struct bk_registry *reg, struct bk_cancel *cancel,
                  enum bk_store_mode mode, const char *from, struct bk_store **ret,
                  struct bk_err *err)
{
    struct bk_store *s;
    int rc = bk_store_open_nothing(p, reg, cancel, &s, err);

    if (rc < 0)
        return rc;
    rc = open_sinks(s, mode, from, err);
    if (rc < 0) {
        bk_store_close(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

void bk_store_close(struct bk_store *s)
{
    if (!s)
        return;
    bk_repo_free(s);
    for (size_t i = 0; i < s->n_sinks; i++)
        bk_sink_close(&s->sinks[i]);
    bk_store_free_defaults(s);
    bk_lag_free(s);
    pthread_mutex_destroy(&s->defaults_lock);
    free(s->sinks);
    free(s->failed);
    free(s->transforms);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void bk_store_sink_failed(struct bk_store *s, size_t sink, const struct bk_err *why)
{
    pthread_mutex_lock(&s->lock);
    if (s->failed[sink].rc == 0)
        s->failed[sink] = *why;
    pthread_mutex_unlock(&s->lock);
}

bool bk_store_sink_ok(struct bk_store *s, size_t sink)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    ok = s->failed[sink].rc == 0;
    pthread_mutex_unlock(&s->lock);
    return ok;
}

size_t bk_store_sinks_ok(struct bk_store *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_sinks; i++)
        n += bk_store_sink_ok(s, i);
    return n;
}

struct bk_sink *bk_store_base(struct bk_store *s)
{
    for (size_t i = 0; i < s->n_sinks; i++)
        if (bk_store_sink_ok(s, i))
            return &s->sinks[i];
    return NULL;
}

int bk_store_put(struct bk_store *s, const char *name, const void *data, size_t n, uint32_t flags,
                 struct bk_err *err)
{
    struct bk_err last = {0};

    for (size_t i = 0; i < s->n_sinks; i++) {
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        rc = bk_sink_put(&s->sinks[i], name, data, n, flags, &last);
        if (rc == BAKE_E_CANCELLED || (rc < 0 && s->n_sinks == 1)) {
            if (err)
                *err = last;
            return rc;
        }
        if (rc < 0)
            bk_store_sink_failed(s, i, &last);
    }
    if (bk_store_sinks_ok(s) > 0)
        return BAKE_OK;
    if (last.rc == 0) /* all had failed before: nothing was put, so this is no success */
        return bk_store_none_usable(s, err);
    if (err)
        *err = last;
    return last.rc;
}

int bk_store_remove(struct bk_store *s, const char *name, struct bk_err *err)
{
    int worst = BAKE_OK;

    bk_lag_forget(s, name);
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        rc = bk_sink_remove(&s->sinks[i], name, &why);
        if (rc >= 0 || rc == BAKE_E_NOTFOUND)
            continue;
        worst = rc;
        if (err)
            *err = why;
    }
    return worst;
}
