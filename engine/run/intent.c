/* Keeping an intent fresh. */
#include "run/intent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>

struct bk_intent {
    struct bk_store *store;
    struct bk_cancel *ending;
    pthread_t thread;
    char *name;
    struct bk_buf text;
    pthread_mutex_t lock; /* over all that follows */
    uint64_t renewed_ms;  /* boot time */
    bool lost;
};

/* Prune takes away an intent that is older than BK_INTENT_EXPIRE_MS. Long before that it is given
 * up here, since putting it again could bring back one that was taken away (a host that slept). */
static bool too_old(struct bk_intent *i)
{
    bool old;

    pthread_mutex_lock(&i->lock);
    i->lost |= bk_boottime_ms() - i->renewed_ms > BK_INTENT_EXPIRE_MS / 2;
    old = i->lost;
    pthread_mutex_unlock(&i->lock);
    return old;
}

static int taken_away(const struct bk_intent *i, const char *sink, struct bk_err *err)
{
    return bk_fail(err, BAKE_E_UNAVAILABLE,
                   "%s: a prune took this run for dead, as '%s' was not renewed in time\n"
                   "HINT: run again; was this host asleep?",
                   sink, i->name);
}

/* Every usable sink must still have it: one that has not is marked as failed. */
static int look(struct bk_intent *i, struct bk_err *err)
{
    struct bk_store *s = i->store;

    for (size_t k = 0; k < s->n_sinks; k++) {
        struct bk_err why = {0};
        uint64_t size;
        int64_t mtime_ns;
        int rc;

        if (!bk_store_sink_ok(s, k))
            continue;
        rc = bk_sink_stat(&s->sinks[k], i->name, &size, &mtime_ns, &why);
        if (rc == BAKE_E_NOTFOUND)
            rc = taken_away(i, s->sinks[k].label, &why);
        if (rc == BAKE_E_CANCELLED) {
            *err = why;
            return rc;
        }
        if (rc < 0)
            bk_store_sink_failed(s, k, &why);
    }
    return bk_store_sinks_ok(s) > 0 ? BAKE_OK : bk_store_none_usable(s, err);
}

static void *renew(void *arg)
{
    struct bk_intent *i = arg;

    while (bk_cancel_sleep(i->ending, BK_INTENT_RENEW_MS) == 0 && !too_old(i)) {
        uint64_t now = bk_boottime_ms();
        struct bk_err why = {0};
        int rc = look(i, &why);

        if (rc >= 0)
            rc = bk_store_put(i->store, i->name, i->text.data, i->text.len, 0, &why);
        if (rc < 0) {
            bk_log(BAKE_LOG_WARN, "cannot renew '%s', trying again: %s", i->name, why.text);
            continue;
        }
        pthread_mutex_lock(&i->lock);
        i->renewed_ms = now;
        pthread_mutex_unlock(&i->lock);
    }
    return NULL;
}

static int make_text(struct bk_intent *i, const char *host, struct bk_err *err)
{
    json_t *j BK_JSON = json_object();

    bk_json_set_str(j, "host", host);
    bk_json_set_u64(j, "process", (uint64_t)getpid());
    bk_json_set_time(j, "started", bk_now_ns());
    return bk_json_seal(j, &i->text, err);
}

static void intent_free(struct bk_intent *i)
{
    bk_cancel_free(i->ending);
    pthread_mutex_destroy(&i->lock);
    bk_buf_free(&i->text);
    free(i->name);
    free(i);
}

int bk_intent_start(struct bk_store *store, const char *name, const char *host, uint32_t flags,
                    struct bk_intent **ret, struct bk_err *err)
{
    struct bk_intent *i = calloc(1, sizeof(*i));
    int rc, e;

    if (!i)
        return bk_nomem(err);
    pthread_mutex_init(&i->lock, NULL);
    i->renewed_ms = bk_boottime_ms();
    i->store = store;
    i->name = bk_strdup(name);
    rc = i->name ? make_text(i, host, err) : bk_nomem(err);
    if (rc >= 0)
        rc = bk_cancel_new(store->cancel, &i->ending, err);
    if (rc >= 0)
        rc = bk_store_put(store, name, i->text.data, i->text.len, flags, err);
    if (rc >= 0 && (e = pthread_create(&i->thread, NULL, renew, i)) != 0)
        rc = bk_fail_errno(err, e, "cannot start the thread that renews '%s'", name);
    if (rc < 0) {
        intent_free(i);
        return rc;
    }
    *ret = i;
    return BAKE_OK;
}

int bk_intent_check(struct bk_intent *i, struct bk_err *err)
{
    return too_old(i) ? taken_away(i, "the store", err) : look(i, err);
}

void bk_intent_stop(struct bk_intent *i)
{
    struct bk_err why = {0};

    if (!i)
        return;
    bk_cancel_fire(i->ending);
    pthread_join(i->thread, NULL);
    /* One that stays expires; where it was taken away, what has its name is another's. */
    if (!i->lost && bk_store_remove(i->store, i->name, &why) < 0)
        bk_log(BAKE_LOG_WARN, "cannot remove '%s', it will expire: %s", i->name, why.text);
    intent_free(i);
}
