/* The engine as a plugin sees it, for tests: keeps what was reported, logged and failed.
 * Thread-safe where the real one is. */
#ifndef FAKEHOST_H
#define FAKEHOST_H

#include <bakengine/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define FAKEHOST_DUTIES 64

struct fakehost_report {
    int severity;
    char *subject, *text;
};

struct fakehost {
    struct bake_ctx ctx; /* first: what the plugin is given */
    pthread_mutex_t lock;
    struct fakehost_report *reports;
    size_t n_reports, cap;
    size_t n_logs;
    int failed;      /* rc of the last failure, 0: none yet */
    char fail[1500]; /* and its text */
    uint64_t last_duty;
    char *duties[FAKEHOST_DUTIES]; /* what id i + 1 promises; NULL: redeemed */
    atomic_int cancelled;
    int cancel_pipe[2];
};

void fakehost_init(struct fakehost *f);
void fakehost_free(struct fakehost *f);
void fakehost_clear(struct fakehost *f); /* forgets reports and failures */
void fakehost_cancel(struct fakehost *f);

/* How many reports of this severity (0: any) have these texts in subject and text (NULL: any)? */
size_t fakehost_count(struct fakehost *f, int severity, const char *subject, const char *text);
void fakehost_print(struct fakehost *f); /* all of them to standard error, when a test is red */

#endif
