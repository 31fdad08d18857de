/* Putting binary logs into the store as they are written: the server sends them all the time, and
 * each is stored when the next one has been begun. */
#include "binlog.h"

#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS   1000
#define RETRY_MS  5000
#define RETRY_MAX 60000

struct follow {
    struct my_source *src;
    struct bake_ctx *ctx;
    const char *spool;
    char *stream, *tool;
    char *next; /* the log that is not in the store yet */
    bool moved; /* since it was begun */
};

static char *path_of(const struct follow *f, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", f->spool, name) < 0 ? NULL : path;
}

/* The server has thrown the log away that is not stored yet, so nothing says how long it is: begun
 * anew with the oldest that there is. */
static int is_lost(struct follow *f)
{
    bake_report(f->ctx, BAKE_WARNING, f->next,
                "the server has removed this binary log before it was stored: restore --at cannot "
                "get past it from older backups");
    return BAKE_E_UNAVAILABLE;
}

/* Stores those logs that are closed: another one has been begun after each. */
static int keep_closed(struct follow *f, const struct my_binlog_list *logs)
{
    if (logs->n > 0 && my_binlog_compare(logs->items[0].name, f->next) > 0)
        return is_lost(f);
    for (size_t i = 0; i + 1 < logs->n; i++) {
        const struct my_binlog *log = &logs->items[i];
        if (my_binlog_compare(log->name, f->next) != 0)
            continue;
        char *path = path_of(f, log->name), *after = path_of(f, logs->items[i + 1].name);
        int rc = path && after ? BAKE_OK : my_nomem(f->ctx);
        bool there = rc == BAKE_OK && access(after, F_OK) == 0;
        if (there)
            rc = my_binlog_check(f->ctx, path, log->name, log->size);
        if (there && rc == BAKE_OK)
            rc = my_binlog_keep(f->ctx, f->stream, log->name, path);
        if (there && rc == BAKE_OK) {
            (void)unlink(path);
            free(f->next);
            f->next = strdup(logs->items[i + 1].name);
            f->moved = true;
            rc = f->next ? BAKE_OK : my_nomem(f->ctx);
        }
        free(path);
        free(after);
        if (rc != BAKE_OK || !there)
            return rc;
    }
    return BAKE_OK;
}

static void drop_spooled(const struct follow *f, const char *name)
{
    char *path = path_of(f, name);
    if (path)
        (void)unlink(path);
    free(path);
}

/* Where to begin: behind what is stored, else with what is written to now. */
static int find_next(struct follow *f, const struct my_binlog_list *logs)
{
    struct my_stored stored;
    if (logs->n == 0)
        return bake_fail(f->ctx, BAKE_E_UNSUPPORTED,
                         "the server writes no binary logs\n"
                         "HINT: set log_bin in the server's configuration");
    int rc = my_stored_list(f->ctx, f->stream, &stored);
    if (rc != BAKE_OK)
        return rc;
    const char *next = logs->items[logs->n - 1].name;
    for (size_t i = logs->n; stored.least && i-- > 0;)
        if (my_binlog_compare(logs->items[i].name, stored.least) > 0 &&
            !my_stored_has(&stored, logs->items[i].name))
            next = logs->items[i].name;
    for (size_t i = 0; i < stored.n; i++) /* left by one that was killed in between */
        drop_spooled(f, stored.names[i]);
    /* What comes again: a log that is there says that the one before it is whole. */
    for (size_t i = 0; i < logs->n; i++)
        if (my_binlog_compare(logs->items[i].name, next) >= 0)
            drop_spooled(f, logs->items[i].name);
    if (stored.most && my_binlog_compare(logs->items[0].name, stored.most) > 0)
        bake_report(f->ctx, BAKE_WARNING, logs->items[0].name,
                    "what the store has ends with '%s': logs in between may be lost", stored.most);
    free(f->next);
    f->next = strdup(next);
    my_stored_release(&stored);
    return f->next ? BAKE_OK : my_nomem(f->ctx);
}

static int look(struct follow *f, bool first)
{
    struct my_conn c;
    struct my_binlog_list logs = {0};
    int rc = my_conn_open(f->ctx, f->src->cfg, NULL, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = my_binlogs_list(&c, &logs);
    if (rc == BAKE_OK)
        rc = first ? find_next(f, &logs) : keep_closed(f, &logs);
    my_binlogs_release(&logs);
    my_conn_close(&c);
    return rc;
}

/* Is there a file after the one that is not stored yet? Only then is the server asked. */
static bool has_grown(const struct follow *f)
{
    const char *dot = strrchr(f->next, '.');
    unsigned long long n = 0;
    char *name = NULL, *path = NULL;
    for (const char *d = dot + 1; *d; d++)
        n = n * 10 + (unsigned long long)(*d - '0');
    if (asprintf(&name, "%.*s.%0*llu", (int)(dot - f->next), f->next, (int)strlen(dot + 1), n + 1) <
        0)
        return true;
    path = path_of(f, name);
    bool grown = !path || access(path, F_OK) == 0;
    free(path);
    free(name);
    return grown;
}

static bool has_ended(const struct bkc_child *child)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    return waitid(P_PID, (id_t)bkc_child_pid(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

static int child_over(struct follow *f, struct bkc_child *child)
{
    int status = 0;
    int rc = bkc_child_wait(child, &status);
    if (rc != BAKE_OK)
        return rc;
    bake_log(f->ctx, BAKE_LOG_WARN, "the connection for binary logs ended: %s",
             bkc_child_said(child));
    return BAKE_E_UNAVAILABLE;
}

/* One connection, for as long as it lasts. */
static int follow_once(struct follow *f)
{
    struct bkc_child *child = NULL;
    char *prefix = NULL;
    int rc = look(f, true);
    if (rc == BAKE_OK && asprintf(&prefix, "%s/", f->spool) < 0)
        return my_nomem(f->ctx);
    if (rc == BAKE_OK)
        rc = my_binlog_call(f->ctx, f->src, f->tool, prefix, true, f->next, &child);
    while (rc == BAKE_OK) {
        rc = f->ctx->host->sleep_ms(f->ctx, LOOK_MS);
        if (rc == BAKE_OK && has_grown(f))
            rc = look(f, false);
        if (rc == BAKE_OK && has_ended(child))
            rc = child_over(f, child);
    }
    bkc_child_free(child);
    free(prefix);
    return rc;
}

static bool is_passing(int rc)
{
    return rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT || rc == BAKE_E_CHILD;
}

/* Goes on after the server was down, for as long as it takes. */
static int follow_on(struct follow *f)
{
    uint32_t pause = RETRY_MS;
    for (;;) {
        f->moved = false;
        int rc = follow_once(f);
        if (!is_passing(rc) || f->ctx->host->cancelled(f->ctx))
            return rc;
        bake_report(f->ctx, BAKE_NOTICE, f->next,
                    "the server does not send its binary logs: trying again");
        pause = f->moved ? RETRY_MS : pause < RETRY_MAX ? pause * 2 : RETRY_MAX;
        if ((rc = f->ctx->host->sleep_ms(f->ctx, pause)) != BAKE_OK)
            return rc;
    }
}

int my_logs_follow(struct my_source *src, struct bake_ctx *ctx, const char *spool)
{
    struct follow f = {.src = src, .ctx = ctx, .spool = spool};
    struct my_list *list = NULL;
    int rc = my_list_make(ctx, src->cfg, &list);
    if (rc == BAKE_OK)
        rc = my_tool(ctx, src->cfg, "mariadb-binlog", 0, &f.tool, NULL);
    if (rc == BAKE_OK && !(f.stream = strdup(list->stream)))
        rc = my_nomem(ctx);
    my_list_free(list);
    if (rc == BAKE_OK)
        rc = follow_on(&f);
    free(f.stream);
    free(f.tool);
    free(f.next);
    return rc;
}
