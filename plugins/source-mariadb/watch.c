/* See watch.h: a thread with a connection of its own, which asks only when no byte comes. */
#include "watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct my_watch {
    struct my_conn conn;
    struct bkc_child *child;
    uint64_t limit;
    char *sql;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    char said[400];              /* by the lock */
    atomic_uint_least64_t since; /* ms; 0: nobody waits */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Asks whether one of our user's sessions in this database waits for a lock. */
static bool waits(struct my_watch *w)
{
    MYSQL_RES *r = NULL;
    bool found = false;
    if (my_try(&w->conn, &r, w->sql) != BAKE_OK)
        return false;
    MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
    if (row) {
        pthread_mutex_lock(&w->lock);
        (void)snprintf(w->said, sizeof(w->said), "%s (%s)", row[0] ? row[0] : "it waits",
                       row[1] ? row[1] : "");
        pthread_mutex_unlock(&w->lock);
        found = true;
    }
    mysql_free_result(r);
    return found;
}

/* Until it is to stop, or ms have passed. */
static bool stopped(struct my_watch *w, uint64_t ms)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(ms / 1000);
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->stop && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &end);
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

static void *watch(void *arg)
{
    struct my_watch *w = arg;
    uint64_t pause = w->limit < 2000 ? 100 : 500;
    while (!stopped(w, pause)) {
        uint64_t since = atomic_load(&w->since);
        if (since && now_ms() - since >= w->limit && waits(w)) {
            bkc_child_interrupt(w->child);
            break;
        }
    }
    return NULL;
}

static int prepare(struct my_watch *w, const char *database)
{
    char *literal = my_literal(&w->conn, database);
    int n = literal ? asprintf(&w->sql,
                               "SELECT state, LEFT(info, 200) FROM information_schema.processlist "
                               "WHERE db = %s AND user = SUBSTRING_INDEX(USER(), '@', 1) "
                               "AND id <> CONNECTION_ID() AND command = 'Query' "
                               "AND state LIKE 'Waiting for %%' AND time_ms >= %llu",
                               literal, (unsigned long long)w->limit)
                    : -1;
    free(literal);
    if (n < 0) {
        w->sql = NULL;
        return my_nomem(w->conn.ctx);
    }
    /* it may be idle for as long as the dump takes */
    return my_query(&w->conn, NULL, "cannot watch over the dump",
                    "SET SESSION wait_timeout = 2147483");
}

static int make_lock(struct my_watch *w)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return BAKE_E_NOMEM;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int bad = pthread_cond_init(&w->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (bad == 0 && (bad = pthread_mutex_init(&w->lock, NULL)) != 0)
        (void)pthread_cond_destroy(&w->wake);
    return bad ? BAKE_E_NOMEM : BAKE_OK;
}

int my_watch_start(struct bake_ctx *ctx, const struct my_config *cfg, const char *database,
                   struct bkc_child *child, struct my_watch **ret)
{
    struct my_watch *w = calloc(1, sizeof(*w));
    if (!w || make_lock(w) != BAKE_OK) {
        free(w);
        return my_nomem(ctx);
    }
    w->child = child;
    w->limit = cfg->lock_timeout ? cfg->lock_timeout : 30000;
    int rc = my_conn_open(ctx, cfg, NULL, NULL, &w->conn);
    if (rc == BAKE_OK)
        rc = prepare(w, database);
    if (rc == BAKE_OK && pthread_create(&w->thread, NULL, watch, w) != 0)
        rc = my_nomem(ctx);
    else if (rc == BAKE_OK)
        w->started = true;
    if (rc == BAKE_OK)
        *ret = w;
    else
        my_watch_stop(w);
    return rc;
}

void my_watch_reading(struct my_watch *w, bool reading)
{
    atomic_store(&w->since, reading ? now_ms() : 0);
}

const char *my_watch_said(struct my_watch *w)
{
    pthread_mutex_lock(&w->lock);
    const char *said = w->said; /* written once, before the child is interrupted */
    pthread_mutex_unlock(&w->lock);
    return said;
}

void my_watch_stop(struct my_watch *w)
{
    if (!w)
        return;
    if (w->started) {
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
    }
    my_conn_close(&w->conn);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->sql);
    free(w);
}
