/* Events and the ticker. */
#include "run/report.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

void bk_reporter_init(struct bk_reporter *r,
                      void (*emit)(void *arg, const char *type, const json_t *event), void *arg,
                      uint32_t tick_ms)
{
    memset(r, 0, sizeof(*r));
    r->emit = emit;
    r->arg = arg;
    r->tick_ms = tick_ms;
    r->start_ms = bk_monotonic_ms();
    pthread_mutex_init(&r->lock, NULL);
}

void bk_reporter_release(struct bk_reporter *r)
{
    bk_reporter_stop(r);
    pthread_mutex_destroy(&r->lock);
}

json_t *bk_event(const char *type)
{
    json_t *j = json_object();

    bk_json_set_str(j, "message_type", type);
    return j;
}

void bk_event_send(struct bk_reporter *r, json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "message_type"));

    pthread_mutex_lock(&r->lock);
    if (type && r->emit)
        r->emit(r->arg, type, event);
    pthread_mutex_unlock(&r->lock);
    json_decref(event);
}

/* Texts that quote files or servers may hold a secret. */
static void set_masked(json_t *event, const char *key, const char *text)
{
    char *masked = text ? bk_mask(text) : NULL;

    bk_json_set_str(event, key, masked);
    free(masked);
}

void bk_event_note(struct bk_reporter *r, int severity, const char *component, const char *subject,
                   const char *text)
{
    static const char mark[] = "\nHINT: ";
    const char *hint = text ? strstr(text, mark) : NULL;
    char *first BK_FREE = hint ? strndup(text, (size_t)(hint - text)) : NULL;
    json_t *e = bk_event("warning");

    bk_json_set_str(e, "severity",
                    severity == BAKE_NOTICE    ? "notice"
                    : severity == BAKE_PARTIAL ? "partial"
                                               : "warning");
    bk_json_set_str(e, "component", component);
    set_masked(e, "subject", subject && *subject ? subject : NULL);
    set_masked(e, "text", first ? first : text);
    set_masked(e, "hint", hint && first ? hint + sizeof(mark) - 1 : NULL);
    bk_event_send(r, e);
}

void bk_event_backup_error(struct bk_reporter *r, const char *id, const char *component,
                           const struct bk_err *err)
{
    json_t *e = bk_event("error");

    bk_json_set_str(e, "id", id);
    bk_json_set_str(e, "component", component);
    set_masked(e, "text", err->text);
    set_masked(e, "hint", err->hint[0] ? err->hint : NULL);
    bk_event_send(r, e);
}

void bk_event_error(struct bk_reporter *r, const char *component, const struct bk_err *err)
{
    bk_event_backup_error(r, NULL, component, err);
}

static void send_status(struct bk_reporter *r)
{
    uint64_t elapsed = bk_monotonic_ms() - r->start_ms;
    uint64_t bytes = atomic_load(&r->progress.bytes), total = atomic_load(&r->progress.total);
    json_t *e = bk_event("status");

    bk_json_set_real(e, "seconds_elapsed", (double)elapsed / 1000.0);
    bk_json_set_u64(e, "bytes_done", bytes);
    bk_json_set_u64(e, "entries_done", atomic_load(&r->progress.entries));
    if (total > 0) {
        double part = bytes < total ? (double)bytes / (double)total : 1.0;

        bk_json_set_u64(e, "total_bytes", total);
        bk_json_set_real(e, "percent_done", part);
        if (part > 0.01 && elapsed > 1000)
            bk_json_set_real(e, "seconds_remaining",
                             (double)elapsed / 1000.0 * (1.0 - part) / part);
    }
    bk_event_send(r, e);
}

static void *tick(void *arg)
{
    struct bk_reporter *r = arg;

    while (bk_cancel_sleep(r->ticking, r->tick_ms) == 0)
        send_status(r);
    return NULL;
}

int bk_reporter_start(struct bk_reporter *r, struct bk_err *err)
{
    int rc, e;

    r->start_ms = bk_monotonic_ms();
    if (r->tick_ms == 0)
        return BAKE_OK;
    rc = bk_cancel_new(NULL, &r->ticking, err);
    if (rc < 0)
        return rc;
    e = pthread_create(&r->ticker, NULL, tick, r);
    if (e) {
        bk_cancel_free(r->ticking);
        r->ticking = NULL;
        return bk_fail_errno(err, e, "cannot start the progress thread");
    }
    return BAKE_OK;
}

void bk_reporter_stop(struct bk_reporter *r)
{
    if (!r->ticking)
        return;
    bk_cancel_fire(r->ticking);
    pthread_join(r->ticker, NULL);
    bk_cancel_free(r->ticking);
    r->ticking = NULL;
}
