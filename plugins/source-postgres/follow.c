/* logs_follow(): the log as the server writes it, by pg_receivewal into a spool, and from there
 * into the store. With a slot the server keeps what was not received; what was received is in the
 * spool, durably, until it is stored. */
#include "follow.h"

#include "text.h"
#include "tools.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_PAUSE_MS 1000u
#define PAUSE_MOST_MS  30000u

struct follow {
    struct pg_source *src;
    struct bake_ctx *ctx;
    struct pg_spool spool;
    char *system_id, *tool;
    int version;
    struct bkc_child *child;
    int failed;       /* to store something: ends it all */
    bool gone, alive; /* the server has removed what comes next; something came */
    bool down;        /* that the connection is lost has been said */
    bool anew;        /* what the store has is not what comes next */
    uint32_t pause;
    char why[200]; /* the tool's last word about what is wrong */
};

static int no_memory(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- one run of pg_receivewal ---------------------------------------------------------------- */

/* It speaks when a segment is finished, and when something is wrong. While the store is being
 * waited for it goes on writing into the spool. */
static void said(void *arg, const char *line)
{
    struct follow *f = arg;
    const char *error = strstr(line, "error: ");
    if (error)
        (void)snprintf(f->why, sizeof(f->why), "%s", error + strlen("error: "));
    if (strstr(line, "has already been removed"))
        f->gone = true;
    if (strstr(line, "starting log streaming") || strstr(line, "finished segment"))
        f->alive = true;
    if (f->failed == BAKE_OK)
        f->failed = pg_spool_put(&f->spool);
    if (f->failed != BAKE_OK && f->child)
        bkc_child_interrupt(f->child);
}

static int wait_for(struct follow *f)
{
    char buffer[512];
    int rc;
    do {
        struct bake_out out = {buffer, sizeof(buffer), 0};
        rc = bkc_child_read(f->child, &out);
    } while (rc == BAKE_OK);
    return rc == BAKE_END ? bkc_child_wait(f->child, NULL) : rc;
}

static int spawn(struct follow *f, struct pg_call *call)
{
    struct bkc_child_spec spec = {.out = true, .said = said, .arg = f};
    int rc = pg_call_spec(f->ctx, call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(f->ctx, &spec, &f->child);
    if (rc == BAKE_OK)
        rc = wait_for(f);
    bkc_child_free(f->child);
    f->child = NULL;
    return f->failed != BAKE_OK ? f->failed : rc;
}

static int receive(struct follow *f)
{
    struct pg_call call;
    pg_call_begin(&call, f->src->cfg, NULL, f->tool, NULL);
    pg_call_arg(&call, "--no-password");
    pg_call_arg(&call, "--verbose");
    pg_call_arg(&call, "--no-loop");
    pg_call_argf(&call, "--directory=%s", f->spool.directory);
    if (f->src->cfg->slot)
        pg_call_argf(&call, "--slot=%s", f->src->cfg->slot);
    int rc = spawn(f, &call);
    pg_call_release(&call);
    return rc;
}

static int make_slot(struct follow *f)
{
    struct pg_call call;
    if (!f->src->cfg->slot)
        return BAKE_OK;
    pg_call_begin(&call, f->src->cfg, NULL, f->tool, NULL);
    pg_call_arg(&call, "--no-password");
    pg_call_argf(&call, "--slot=%s", f->src->cfg->slot);
    pg_call_arg(&call, "--create-slot");
    pg_call_arg(&call, "--if-not-exists");
    int rc = spawn(f, &call);
    pg_call_release(&call);
    return rc;
}

/* ---- who it is ------------------------------------------------------------------------------- */

static int identify(struct follow *f)
{
    struct pg_conn conn = {0};
    char *id = NULL;
    int rc = pg_conn_open_replication(f->ctx, f->src->cfg, &conn);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_value(&conn, &id, "ask the server who it is", "IDENTIFY_SYSTEM", 0, NULL);
    f->version = conn.version;
    pg_conn_close(&conn);
    if (rc == BAKE_OK && (!*id || strspn(id, "0123456789") != strlen(id)))
        rc = bake_fail(f->ctx, BAKE_E_IO, "the server does not say who it is");
    if (rc == BAKE_OK && f->system_id && strcmp(f->system_id, id) != 0)
        rc = bake_fail(f->ctx, BAKE_E_CONFIG,
                       "the server is not the one it was: its system identifier is %s, not %s", id,
                       f->system_id);
    if (rc != BAKE_OK || f->system_id) {
        free(id);
        return rc;
    }
    f->system_id = id;
    return BAKE_OK;
}

static int make_spool(struct follow *f, const char *spool)
{
    f->spool.ctx = f->ctx;
    f->spool.stream = f->system_id;
    f->spool.directory = pg_text("%s/%s", spool, f->system_id);
    if (!f->spool.directory)
        return no_memory(f->ctx);
    if (mkdir(f->spool.directory, 0700) != 0 && errno != EEXIST)
        return bake_fail(f->ctx, BAKE_E_IO, "cannot make '%s': %s", f->spool.directory,
                         strerror(errno));
    return BAKE_OK;
}

/* What an earlier run has left, of whatever server. */
static int put_left(struct bake_ctx *ctx, const char *spool)
{
    DIR *dir = opendir(spool);
    int rc = BAKE_OK;
    if (!dir)
        return bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", spool, strerror(errno));
    for (const struct dirent *e; rc == BAKE_OK && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || strspn(e->d_name, "0123456789") != strlen(e->d_name))
            continue;
        struct pg_spool one = {
            .ctx = ctx, .directory = pg_text("%s/%s", spool, e->d_name), .stream = e->d_name};
        rc = one.directory ? pg_spool_put(&one) : no_memory(ctx);
        free(one.directory);
    }
    (void)closedir(dir);
    return rc;
}

/* ---- going on -------------------------------------------------------------------------------- */

/* Failures that time may heal: the server is away, or starts. */
static bool passes(int rc)
{
    return rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT || rc == BAKE_E_CHILD ||
           rc == BAKE_E_IO;
}

static int pause_for(struct follow *f)
{
    if (f->alive) {
        f->alive = f->down = false;
        f->pause = FIRST_PAUSE_MS;
    }
    if (!f->down)
        bake_report(f->ctx, BAKE_WARNING, f->system_id ? f->system_id : "log",
                    "the server does not send its log; trying again until it does%s%s",
                    *f->why ? ": " : "", f->why);
    f->down = true;
    f->why[0] = '\0';
    int rc = f->ctx->host->sleep_ms(f->ctx, f->pause);
    f->pause = f->pause < PAUSE_MOST_MS / 2 ? 2 * f->pause : PAUSE_MOST_MS;
    return rc;
}

/* Without a slot the server may have removed what was not received: better a gap that is known of
 * than no log at all. */
static int begin_anew(struct follow *f)
{
    int rc = pg_spool_put(&f->spool);
    if (rc != BAKE_OK)
        return rc;
    f->gone = false;
    f->anew = true;
    bake_report(f->ctx, BAKE_WARNING, *f->spool.kept ? f->spool.kept : "log",
                "the server has removed the log behind this segment: it is missing, and no moment "
                "after it can be restored until there is a new base backup; going on with what the "
                "server has%s",
                f->src->cfg->slot ? "" : " (a 'slot' prevents this)");
    return pg_spool_clear(&f->spool);
}

/* Until the connection is lost. */
static int session(struct follow *f, const char *spool)
{
    int rc = identify(f);
    if (rc == BAKE_OK && !f->spool.directory)
        rc = make_spool(f, spool);
    if (rc == BAKE_OK && !f->tool)
        rc = pg_tool(f->ctx, f->src->cfg, "pg_receivewal", f->version, &f->tool, NULL);
    if (rc == BAKE_OK)
        rc = make_slot(f);
    if (rc == BAKE_OK)
        rc = pg_spool_put(&f->spool);
    if (rc == BAKE_OK && !f->anew)
        rc = pg_spool_seed(&f->spool);
    if (rc == BAKE_OK)
        rc = receive(f);
    if (f->failed == BAKE_OK && f->spool.directory && f->ctx->host->cancelled(f->ctx) == 0) {
        int rc2 = pg_spool_put(&f->spool);
        rc = rc2 != BAKE_OK ? rc2 : rc;
    }
    return rc;
}

static int follow(struct follow *f, const char *spool)
{
    int rc = put_left(f->ctx, spool);
    while (rc == BAKE_OK) {
        rc = session(f, spool);
        if (f->ctx->host->cancelled(f->ctx))
            return BAKE_E_CANCELLED;
        if (f->failed != BAKE_OK || (rc != BAKE_OK && !passes(rc)))
            return rc;
        rc = f->gone ? begin_anew(f) : pause_for(f);
    }
    return rc;
}

int pg_follow(struct pg_source *src, struct bake_ctx *ctx, const char *spool)
{
    struct follow f = {.src = src, .ctx = ctx, .pause = FIRST_PAUSE_MS};
    if (ctx->host->abi_minor < 2 || !ctx->host->log_put)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "this engine has no archive for logs");
    int rc = follow(&f, spool);
    free(f.spool.directory);
    free(f.system_id);
    free(f.tool);
    return rc;
}
