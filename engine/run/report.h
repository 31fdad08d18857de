/* What a verb tells while it works and at its end. Every event is one JSON object; `--json` prints
 * it as a line, for people it is put into words (cli). Thread-safe. */
#ifndef BK_REPORT_H
#define BK_REPORT_H

#include "base/cancel.h"
#include "base/json.h"

#include <pthread.h>
#include <stdatomic.h>

/* Counters that the working threads add to and the ticker shows. */
struct bk_progress {
    atomic_uint_fast64_t bytes, entries, stored;
    atomic_uint_fast64_t total; /* bytes expected; 0: not known */
};

struct bk_reporter {
    /* event: "message_type" first; borrowed. Called under the reporter's lock. */
    void (*emit)(void *arg, const char *type, const json_t *event);
    void *arg;
    uint32_t tick_ms; /* how often a "status" is wanted; 0: never */
    struct bk_progress progress;
    uint64_t start_ms;
    pthread_mutex_t lock;
    struct bk_cancel *ticking; /* fired to end the ticker */
    pthread_t ticker;
};

void bk_reporter_init(struct bk_reporter *r,
                      void (*emit)(void *arg, const char *type, const json_t *event), void *arg,
                      uint32_t tick_ms);
/* Starts and ends the thread that emits "status". Stopping without having started is fine. */
int bk_reporter_start(struct bk_reporter *r, struct bk_err *err);
void bk_reporter_stop(struct bk_reporter *r);
void bk_reporter_release(struct bk_reporter *r);

/* An event with its message_type: fill it, then bk_event_send() takes it over. */
json_t *bk_event(const char *type);
void bk_event_send(struct bk_reporter *r, json_t *event);
/* "warning" and "error" events: component and subject may be NULL. */
void bk_event_note(struct bk_reporter *r, int severity, const char *component, const char *subject,
                   const char *text);
void bk_event_error(struct bk_reporter *r, const char *component, const struct bk_err *err);
/* The same about a backup (id may be NULL). */
void bk_event_backup_error(struct bk_reporter *r, const char *id, const char *component,
                           const struct bk_err *err);

#endif
