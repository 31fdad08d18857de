/* Putting closed binary logs into the store at the end of a run. */
#include "binlog.h"

#include "calls.h"
#include "scratch/scratch.h"
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pull {
    struct my_source *src;
    struct bake_ctx *ctx;
    struct my_conn conn;
    struct my_binlog_list logs;
    struct my_stored stored;
    const char *stream;
    char *tool;
};

int my_binlog_call(struct bake_ctx *ctx, const struct my_source *src, const char *tool,
                   const char *result, bool forever, const char *name, struct bkc_child **ret)
{
    struct my_call call;
    struct bkc_child_spec spec = {.silence_ms = forever ? 0 : src->cfg->timeout};
    my_call_begin(&call, src->cfg, NULL, tool);
    my_call_arg(&call, "--read-from-remote-server");
    my_call_arg(&call, "--raw");
    if (forever)
        my_call_arg(&call, "--stop-never");
    my_call_argf(&call, "--result-file=%s", result);
    my_call_arg(&call, name);
    int rc = my_call_spec(ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(ctx, &spec, ret);
    my_call_release(&call);
    return rc;
}

/* ---- once ------------------------------------------------------------------------------------ */

static int fetch(struct pull *p, const char *folder, const struct my_binlog *log)
{
    struct bkc_child *child = NULL;
    char *path = NULL, *prefix = NULL;
    int rc = asprintf(&path, "%s/%s", folder, log->name) < 0 ? my_nomem(p->ctx) : BAKE_OK;
    if (rc == BAKE_OK && asprintf(&prefix, "%s/", folder) < 0) {
        prefix = NULL;
        rc = my_nomem(p->ctx);
    }
    if (rc == BAKE_OK)
        rc = my_binlog_call(p->ctx, p->src, p->tool, prefix, false, log->name, &child);
    if (rc == BAKE_OK && my_calls_add(p->src->calls, child) != BAKE_OK) {
        rc = my_nomem(p->ctx);
    } else if (rc == BAKE_OK) {
        rc = bkc_child_wait(child, NULL);
        my_calls_drop(p->src->calls, child);
    }
    bkc_child_free(child);
    if (rc == BAKE_OK)
        rc = my_binlog_check(p->ctx, path, log->name, log->size);
    if (rc == BAKE_OK)
        rc = my_binlog_keep(p->ctx, p->stream, log->name, path);
    if (path)
        (void)unlink(path);
    free(prefix);
    free(path);
    return rc;
}

/* Is it needed by a backup: this run's, or one that logs are kept for already? */
static bool is_wanted(const struct pull *p, const struct my_binlog *log)
{
    const char *from = p->stored.least ? p->stored.least : p->src->list->binlog;
    return my_binlog_compare(log->name, from) >= 0 && !my_stored_has(&p->stored, log->name);
}

/* Names what the server threw away before it was read. */
static void name_gap(const struct pull *p)
{
    if (p->stored.most && p->logs.n > 0 &&
        my_binlog_compare(p->logs.items[0].name, p->stored.most) > 0) {
        char *last = strdup(p->stored.most);
        const char *first = p->logs.items[0].name, *a = strrchr(first, '.');
        unsigned long long at = 0, want = 0;
        for (const char *d = last ? strrchr(last, '.') + 1 : ""; *d; d++)
            want = want * 10 + (unsigned long long)(*d - '0');
        for (a++; *a; a++)
            at = at * 10 + (unsigned long long)(*a - '0');
        if (last && at > want + 1)
            bake_report(p->ctx, BAKE_WARNING, first,
                        "the server has removed binary logs that are not in the store (it goes up "
                        "to '%s'): restore --at cannot get past them from older backups",
                        last);
        free(last);
    }
}

static int began_anew(const struct pull *p, const char *name)
{
    return bake_fail(p->ctx, BAKE_E_EXISTS,
                     "the server's binary logs began anew: '%s' of '%s' in the store is of before\n"
                     "HINT: after RESET MASTER remove the old logs from the store (wal/%s)",
                     name, p->stream, p->stream);
}

/* After RESET MASTER names come a second time. The smallest log that is here and there is fetched
 * once more: if it is another one, so are all. */
static int check_same(struct pull *p, const struct my_binlog **ret)
{
    const struct my_binlog *least = NULL;
    *ret = NULL;
    if (!p->stored.most || p->logs.n == 0)
        return BAKE_OK;
    if (my_binlog_compare(p->logs.items[p->logs.n - 1].name, p->stored.most) <= 0)
        return began_anew(p, p->stored.most);
    for (size_t i = 0; i + 1 < p->logs.n; i++) {
        const struct my_binlog *log = &p->logs.items[i];
        if (my_stored_has(&p->stored, log->name) && (!least || log->size < least->size))
            least = log;
    }
    *ret = least;
    return BAKE_OK;
}

/* So that what this run saw is in a log that is closed. */
static int close_current(struct pull *p)
{
    bool must = p->src->cfg->binlogs == MY_BINLOGS_TRUE;
    if (must)
        return my_query(&p->conn, NULL, "cannot close the binary log", "FLUSH BINARY LOGS");
    if (my_try(&p->conn, NULL, "FLUSH BINARY LOGS") != BAKE_OK) {
        if (p->conn.broken)
            return bake_fail(p->ctx, p->conn.broken, "closing the binary log was broken off");
        bake_report(p->ctx, BAKE_WARNING, NULL,
                    "the binary log that is written to cannot be closed, and so is not in the "
                    "store: %s (GRANT RELOAD)",
                    mysql_error(p->conn.my));
    }
    return BAKE_OK;
}

static int fetch_all(struct pull *p)
{
    struct bkc_scratch *room = NULL;
    struct bkc_scratch_spec spec = {.above = p->src->cfg->scratch, .what = "binlogs"};
    const struct my_binlog *same = NULL;
    bool any = false;
    int rc = check_same(p, &same);
    for (size_t i = 0; i + 1 < p->logs.n; i++)
        if (is_wanted(p, &p->logs.items[i]) || &p->logs.items[i] == same) {
            any = true;
            if (p->logs.items[i].size > spec.needs)
                spec.needs = p->logs.items[i].size;
        }
    if (rc != BAKE_OK || !any)
        return rc;
    rc = my_tool(p->ctx, p->src->cfg, "mariadb-binlog", 0, &p->tool, NULL);
    if (rc == BAKE_OK)
        rc = bkc_scratch_new(p->ctx, &spec, &room);
    if (rc == BAKE_OK && same)
        rc = fetch(p, bkc_scratch_path(room), same);
    for (size_t i = 0; i + 1 < p->logs.n && rc == BAKE_OK; i++)
        if (is_wanted(p, &p->logs.items[i]))
            rc = fetch(p, bkc_scratch_path(room), &p->logs.items[i]);
    if (room) {
        int ended = bkc_scratch_end(room, p->ctx, 0, 0);
        rc = rc == BAKE_OK ? ended : rc;
    }
    return rc;
}

static void pull_release(struct pull *p)
{
    my_binlogs_release(&p->logs);
    my_stored_release(&p->stored);
    my_conn_close(&p->conn);
    free(p->tool);
}

int my_logs_pull(struct my_source *src, struct bake_ctx *ctx)
{
    struct pull p = {.src = src, .ctx = ctx};
    if (!src->list || !src->list->binlogs)
        return BAKE_OK;
    p.stream = src->list->stream;
    int rc = my_conn_open(ctx, src->cfg, NULL, NULL, &p.conn);
    if (rc == BAKE_OK)
        rc = close_current(&p);
    if (rc == BAKE_OK)
        rc = my_binlogs_list(&p.conn, &p.logs);
    if (rc == BAKE_OK)
        rc = my_stored_list(ctx, p.stream, &p.stored);
    if (rc == BAKE_OK) {
        name_gap(&p);
        rc = fetch_all(&p);
    }
    pull_release(&p);
    return rc;
}
