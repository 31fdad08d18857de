/* The lease object gc/lease. */
#include "run/lease.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_NAME  BK_GC "lease"
#define LEASE_LIMIT (16u << 10)
#define NONCE_BYTES 16

struct bk_lease {
    struct bk_sink *sink;
    char nonce[2 * NONCE_BYTES + 1];
    char *host;
    struct bk_cancel *ending;
    pthread_t thread;
    pthread_mutex_t lock;
    uint64_t renewed_ms; /* monotonic; under lock */
};

int bk_sink_now(struct bk_sink *sink, int64_t *ret_ns, struct bk_err *err)
{
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1], name[64];
    uint64_t size;
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), hex);
    (void)snprintf(name, sizeof(name), BK_GC "clock-%s", hex);
    rc = bk_sink_put(sink, name, "now\n", 4, 0, err);
    if (rc < 0)
        return rc;
    rc = bk_sink_stat(sink, name, &size, ret_ns, err);
    (void)bk_sink_remove(sink, name, NULL);
    return rc;
}

static int put_lease(struct bk_lease *l, uint32_t flags, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    uint64_t now = bk_monotonic_ms();
    int rc;

    bk_json_set_str(j, "host", l->host);
    bk_json_set_u64(j, "process", (uint64_t)getpid());
    bk_json_set_str(j, "nonce", l->nonce);
    bk_json_set_time(j, "renewed", bk_now_ns());
    rc = bk_json_seal(j, &text, err);
    if (rc >= 0)
        rc = bk_sink_put(l->sink, LEASE_NAME, text.data, text.len, flags, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&l->lock);
    l->renewed_ms = now;
    pthread_mutex_unlock(&l->lock);
    return BAKE_OK;
}

/* Who holds it, into host and nonce (empty when it cannot be read). */
static void read_holder(struct bk_sink *sink, char host[256], char nonce[2 * NONCE_BYTES + 1])
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = NULL;
    const char *h = "", *n = "";

    if (bk_sink_get(sink, LEASE_NAME, LEASE_LIMIT, &text, NULL) >= 0 &&
        bk_json_unseal(text.data, text.len, "lease", &j, NULL) >= 0) {
        (void)bk_json_opt_str(j, "lease", "host", &h, NULL);
        (void)bk_json_opt_str(j, "lease", "nonce", &n, NULL);
    }
    (void)snprintf(host, 256, "%s", h);
    (void)snprintf(nonce, 2 * NONCE_BYTES + 1, "%s", n);
}

/* Somebody has it: takes it away only if its holder has not renewed it for long. */
static int take_over(struct bk_sink *sink, struct bk_err *err)
{
    char host[256], nonce[2 * NONCE_BYTES + 1];
    int64_t now, renewed;
    uint64_t size;
    int rc;

    read_holder(sink, host, nonce);
    rc = bk_sink_stat(sink, LEASE_NAME, &size, &renewed, err);
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_OK;
    if (rc < 0 || (rc = bk_sink_now(sink, &now, err)) < 0)
        return rc;
    if (now - renewed < (int64_t)BK_INTENT_EXPIRE_MS * 1000000)
        return bk_fail(err, BK_E_LOCKED,
                       "%s: another prune is running on host '%s'\n"
                       "HINT: wait for it to end; if that host died, its lease ends by itself "
                       "within %u minutes",
                       sink->label, *host ? host : "unknown", BK_INTENT_EXPIRE_MS / 60000);
    bk_log(BAKE_LOG_WARN, "%s: taking over the lease of a prune that died on host '%s'",
           sink->label, *host ? host : "unknown");
    rc = bk_sink_remove(sink, LEASE_NAME, err);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

static void *renew(void *arg)
{
    struct bk_lease *l = arg;

    while (bk_cancel_sleep(l->ending, BK_INTENT_RENEW_MS) == 0) {
        struct bk_err why = {0};

        if (put_lease(l, 0, &why) < 0)
            bk_log(BAKE_LOG_WARN, "cannot renew the lease, trying again: %s", why.text);
    }
    return NULL;
}

static void lease_free(struct bk_lease *l)
{
    bk_cancel_free(l->ending);
    pthread_mutex_destroy(&l->lock);
    free(l->host);
    free(l);
}

static int acquire(struct bk_lease *l, struct bk_err *err)
{
    int rc = put_lease(l, BAKE_PUT_IF_ABSENT, err);

    if (rc != BAKE_E_EXISTS)
        return rc;
    rc = take_over(l->sink, err);
    if (rc < 0)
        return rc;
    rc = put_lease(l, BAKE_PUT_IF_ABSENT, err);
    if (rc == BAKE_E_EXISTS)
        return bk_fail(err, BK_E_LOCKED, "%s: another prune has just started", l->sink->label);
    return rc;
}

int bk_lease_take(struct bk_sink *sink, const char *host, struct bk_lease **ret, struct bk_err *err)
{
    unsigned char random[NONCE_BYTES];
    struct bk_lease *l = calloc(1, sizeof(*l));
    int rc, e;

    if (!l)
        return bk_nomem(err);
    pthread_mutex_init(&l->lock, NULL);
    l->sink = sink;
    l->host = bk_strdup(host);
    rc = l->host ? bk_random(random, sizeof(random), err) : bk_nomem(err);
    if (rc >= 0) {
        bk_hex(random, sizeof(random), l->nonce);
        rc = bk_cancel_new(sink->cancel, &l->ending, err);
    }
    if (rc >= 0)
        rc = acquire(l, err);
    if (rc >= 0 && (e = pthread_create(&l->thread, NULL, renew, l)) != 0)
        rc = bk_fail_errno(err, e, "cannot start the thread that renews the lease");
    if (rc < 0) {
        lease_free(l);
        return rc;
    }
    *ret = l;
    return BAKE_OK;
}

int bk_lease_check(struct bk_lease *l, struct bk_err *err)
{
    char host[256], nonce[2 * NONCE_BYTES + 1];
    uint64_t age;

    pthread_mutex_lock(&l->lock);
    age = bk_monotonic_ms() - l->renewed_ms;
    pthread_mutex_unlock(&l->lock);
    read_holder(l->sink, host, nonce);
    if (age < BK_INTENT_EXPIRE_MS / 2 && bk_streq(nonce, l->nonce))
        return BAKE_OK;
    return bk_fail(err, BK_E_LOCKED, "%s: lost the lease to host '%s', so pruning stops here",
                   l->sink->label, *host ? host : "unknown");
}

void bk_lease_release(struct bk_lease *l)
{
    char host[256], nonce[2 * NONCE_BYTES + 1];

    if (!l)
        return;
    bk_cancel_fire(l->ending);
    pthread_join(l->thread, NULL);
    read_holder(l->sink, host, nonce);
    if (bk_streq(nonce, l->nonce))
        (void)bk_sink_remove(l->sink, LEASE_NAME, NULL);
    lease_free(l);
}
