/* Reading a whole server: mariadb-backup's stream, looked into as it goes by. */
#include "calls.h"
#include "ops.h"
#include "scratch/scratch.h"
#include "tools.h"
#include "xb.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DONE "completed OK!"

struct base {
    struct my_reader reader; /* first */
    struct my_source *src;
    struct bake_ctx *ctx;
    struct my_conn conn;
    struct bkc_scratch *room; /* for what the tool writes beside its stream */
    struct bkc_child *child;
    struct my_xb *xb;
    char *tool, *version, *facts;
    bool added, done; /* done: it said so */
};

/* ---- starting -------------------------------------------------------------------------------- */

static void hear(void *arg, const char *line)
{
    struct base *b = arg;
    size_t n = strlen(line), m = strlen(DONE);
    b->done = n >= m && strcmp(line + n - m, DONE) == 0;
}

/* Of another host's server the tool would take what stands here under the same name. */
static int check_host(struct base *b)
{
    char here[256] = "", *there = NULL;
    const char *how = mysql_get_host_info(b->conn.my);
    if (!how || !strstr(how, "TCP/IP") || gethostname(here, sizeof(here) - 1) != 0)
        return BAKE_OK;
    int rc = my_value(&b->conn, &there, "cannot ask for the server's host", "SELECT @@hostname");
    if (rc == BAKE_OK && strcmp(there, here) != 0)
        rc = bake_fail(b->ctx, BAKE_E_CONFIG,
                       "the server runs on '%s', this is '%s': its files cannot be read from here\n"
                       "HINT: 'mode: physical' must run on the server's host; if it does, name the "
                       "server by 'socket'",
                       there, here);
    free(there);
    return rc;
}

/* The tool reads the server's files: it has to run where they are. */
static int check_files(struct base *b)
{
    char *path = NULL;
    int rc = check_host(b);
    if (rc == BAKE_OK)
        rc = my_value(&b->conn, &path, "cannot ask for the data directory", "SELECT @@datadir");
    if (rc == BAKE_OK && access(path, R_OK | X_OK) != 0)
        rc = bake_fail(b->ctx, errno == ENOENT ? BAKE_E_NOTFOUND : BAKE_E_AUTH,
                       "the server's data directory '%s' cannot be read here: %s\n"
                       "HINT: 'mode: physical' must run on the server's host, as root or as the "
                       "server's user",
                       path, strerror(errno));
    free(path);
    return rc;
}

static int start(struct base *b)
{
    struct my_call call;
    struct bkc_child_spec spec = {
        .out = true, .said = hear, .arg = b, .silence_ms = b->src->cfg->timeout};
    const char *room = bkc_scratch_path(b->room);
    my_call_begin(&call, b->src->cfg, NULL, b->tool);
    my_call_arg(&call, "--backup");
    my_call_arg(&call, "--stream=xbstream");
    my_call_argf(&call, "--target-dir=%s/target", room);
    my_call_argf(&call, "--extra-lsndir=%s/info", room);
    my_call_argf(&call, "--tmpdir=%s", room);
    int rc = my_call_spec(b->ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(b->ctx, &spec, &b->child);
    my_call_release(&call);
    if (rc == BAKE_OK && my_calls_add(b->src->calls, b->child) != BAKE_OK)
        rc = my_nomem(b->ctx);
    else if (rc == BAKE_OK)
        b->added = true;
    return rc;
}

static int prepare(struct base *b)
{
    const struct bkc_scratch_spec spec = {.above = b->src->cfg->scratch, .what = "mariadb-backup"};
    int rc = my_conn_open(b->ctx, b->src->cfg, NULL, NULL, &b->conn);
    if (rc == BAKE_OK) /* it is idle while the stream is read */
        rc = my_query(&b->conn, NULL, "cannot prepare the copy",
                      "SET SESSION wait_timeout = 2147483");
    if (rc == BAKE_OK)
        rc = check_files(b);
    if (rc == BAKE_OK)
        rc = my_tool(b->ctx, b->src->cfg, "mariadb-backup", b->conn.version, &b->tool, &b->version);
    if (rc == BAKE_OK && my_xb_new(false, &b->xb) != BAKE_OK)
        rc = my_nomem(b->ctx);
    if (rc == BAKE_OK)
        rc = bkc_scratch_new(b->ctx, &spec, &b->room);
    return rc == BAKE_OK ? start(b) : rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int bad_stream(struct base *b, int rc)
{
    return rc == BAKE_E_NOMEM
               ? my_nomem(b->ctx)
               : bake_fail(b->ctx, BAKE_E_CHILD,
                           "what mariadb-backup writes is no whole xbstream: %s", my_xb_why(b->xb));
}

static int base_read(void *reader, struct bake_out *out)
{
    struct base *b = reader;
    size_t from = out->pos;
    int rc = bkc_child_read(b->child, out);
    int seen = my_xb_feed(b->xb, (const char *)out->data + from, out->pos - from);
    return rc >= 0 && seen != BAKE_OK ? bad_stream(b, seen) : rc;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* The text of a little file; "" when there is none. To be freed. */
static char *text_of(const char *folder, const char *name)
{
    char *path = NULL, *text = calloc(1, 8192);
    int fd = text && asprintf(&path, "%s/info/%s", folder, name) >= 0
                 ? open(path, O_RDONLY | O_CLOEXEC)
                 : -1;
    for (size_t n = 0; fd >= 0 && n < 8191;) {
        ssize_t got = read(fd, text + n, 8191 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (fd >= 0)
        (void)close(fd);
    free(path);
    return text;
}

/* What stands between `key` (at a line's start or within it) and `end`; "" when nothing does. */
static char *between(const char *text, const char *key, char end)
{
    const char *from = strstr(text, key);
    if (!from)
        return strdup("");
    from += strlen(key);
    size_t n = 0;
    while (from[n] && from[n] != end && from[n] != '\n')
        n++;
    return strndup(from, n);
}

static json_int_t number(const char *text)
{
    json_int_t v = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        v = v * 10 + (*text - '0');
    return v;
}

/* Newer releases call their files mariadb_backup_*. */
static char *info_of(struct base *b, const char *older, const char *newer)
{
    char *text = text_of(bkc_scratch_path(b->room), older);
    if (!text || *text)
        return text;
    free(text);
    return text_of(bkc_scratch_path(b->room), newer);
}

static bool binlog_facts(struct base *b, json_t *o, const char *info, const char *now)
{
    char *file = between(info, "binlog_pos = filename '", '\''),
         *position = between(info, "', position '", '\''),
         *gtid = between(info, "GTID of the last change '", '\'');
    bool good = file && position && gtid;
    if (good && *file && b->src->list->binlogs)
        good = json_object_set_new(o, "binlog",
                                   json_pack("{s:s, s:I, s:s}", "file", file, "position",
                                             number(position), "gtid", gtid)) == 0 &&
               json_object_set_new(o, "wal",
                                   json_pack("{s:s, s:s, s:s}", "stream", b->src->list->stream,
                                             "from", file, "end", now)) == 0;
    free(file);
    free(position);
    free(gtid);
    return good;
}

static int make_facts(struct base *b, const char *now)
{
    char *info = info_of(b, "xtrabackup_info", "mariadb_backup_info"),
         *points = info_of(b, "xtrabackup_checkpoints", "mariadb_backup_checkpoints");
    char *lsn = points ? between(points, "last_lsn = ", '\n') : NULL;
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "format", "xbstream", "server_version",
                          b->src->list->server_version, "client_version", b->version, "files",
                          (json_int_t)my_xb_files(b->xb), "bytes", (json_int_t)my_xb_bytes(b->xb),
                          "lsn", lsn ? lsn : "");
    bool good = info && lsn && o && binlog_facts(b, o, info, now);
    b->facts = good ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    free(info);
    free(points);
    free(lsn);
    return b->facts ? BAKE_OK : my_nomem(b->ctx);
}

static int base_finish(void *reader, struct bake_result *ret)
{
    struct base *b = reader;
    char *now = NULL;
    int rc = bkc_child_wait(b->child, NULL);
    const char *said = bkc_child_said(b->child), *last = strrchr(said, '\n');
    if (rc == BAKE_OK && !b->done)
        rc = bake_fail(b->ctx, BAKE_E_CHILD, "mariadb-backup ended without '" DONE "': %s",
                       last ? last + 1 : said);
    if (rc == BAKE_OK && (rc = my_xb_end(b->xb)) != BAKE_OK)
        rc = bad_stream(b, rc);
    if (rc == BAKE_OK)
        rc = my_value(&b->conn, &now, "cannot ask for the time", MY_NOW_SQL);
    if (rc == BAKE_OK)
        rc = make_facts(b, now);
    free(now);
    ret->facts = b->facts;
    return rc;
}

static void base_close(void *reader)
{
    struct base *b = reader;
    if (b->added)
        my_calls_drop(b->src->calls, b->child);
    bkc_child_free(b->child);
    my_conn_close(&b->conn);
    (void)bkc_scratch_end(b->room, b->ctx, SIGTERM, 0); /* what fails stays promised */
    my_xb_free(b->xb);
    free(b->tool);
    free(b->version);
    free(b->facts);
    free(b);
}

int my_base_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct my_reader **ret)
{
    (void)c;
    if (!src->list)
        return bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was never planned", MY_BASE);
    struct base *b = calloc(1, sizeof(*b));
    if (!b)
        return my_nomem(ctx);
    b->reader = (struct my_reader){.read = base_read, .finish = base_finish, .close = base_close};
    b->src = src;
    b->ctx = ctx;
    int rc = prepare(b);
    if (rc == BAKE_OK)
        *ret = &b->reader;
    else
        base_close(b);
    return rc;
}
