/* The way back of a copy of the whole server: unpacked by mbstream, prepared by mariadb-backup. */
#include "physical_restore.h"

#include "calls.h"
#include "tools.h"
#include "xb.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DONE "completed OK!"

void my_way_free(struct my_way *w)
{
    if (!w)
        return;
    free(w->stage);
    free(w->aside);
    free(w->target);
    json_decref(w->facts);
    free(w);
}

static const char *user_of(const struct my_restore *r)
{
    return r->way->as_user ? r->cfg->owner : NULL;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int check_how(struct bake_ctx *ctx, const struct bake_restore *how, size_t n)
{
    if (n != 1)
        return bake_fail(ctx, BAKE_E_INTERNAL, "there is more than one copy of the whole server");
    if (how->as_name || (how->parts && *how->parts))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "of a copy of the whole server neither a database nor a table can be "
                         "restored by itself\nHINT: restore it all to another 'data_directory', "
                         "and dump from there");
    return BAKE_OK;
}

static int check_tools(struct my_restore *r)
{
    const char *series = json_string_value(json_object_get(r->way->facts, "server_version"));
    static const char *const names[] = {"mbstream", "mariadb-backup"};
    int rc = BAKE_OK;
    for (size_t i = 0; i < 2 && rc == BAKE_OK; i++) {
        char *path = NULL, *version = NULL;
        rc = my_tool(r->ctx, r->cfg, names[i], 0, &path, &version);
        size_t n = series && strchr(series, '.') ? strcspn(strchr(series, '.') + 1, ".") +
                                                       (size_t)(strchr(series, '.') + 1 - series)
                                                 : 0;
        /* files of one release are not to be worked on by another's tools */
        if (rc == BAKE_OK && *version && n && strncmp(version, series, n + 1) != 0)
            rc = bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                           "this backup needs %s of MariaDB %.*s; here is %s\n"
                           "HINT: install it, or name its directory by 'bin'",
                           names[i], (int)n, series, version);
        free(path);
        free(version);
    }
    return rc;
}

static int check_logs(struct my_restore *r)
{
    if (!r->at_ns || json_object_get(r->way->facts, "binlog"))
        return BAKE_OK;
    return bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                     "this was backed up without the position of the binary log: it can only be "
                     "restored as it was then\nHINT: leave --at away");
}

static const char *version_of(const struct my_restore *r)
{
    return json_string_value(json_object_get(r->way->facts, "server_version"));
}

static int make_server(struct my_restore *r, uint64_t needs)
{
    char *version = NULL;
    int rc = my_server_new(r, r->drill ? "drill" : "logs", version_of(r), false, needs, &r->server);
    if (rc == BAKE_OK) {
        free(r->tool);
        r->tool = NULL;
        rc = my_tool(r->ctx, r->cfg, "mariadb", 0, &r->tool, &version);
    }
    free(version);
    return rc;
}

static int prepare(struct my_restore *r, uint64_t bytes, bool look_only)
{
    struct my_way *w = r->way;
    uint64_t needs = bytes + bytes / 4 + ((uint64_t)64 << 20);
    int rc = my_way_owner(r);
    if (rc == BAKE_OK)
        rc = check_tools(r);
    if (rc == BAKE_OK)
        rc = check_logs(r);
    if (rc == BAKE_OK && !r->drill)
        rc = my_way_place(r, needs);
    if (rc != BAKE_OK || look_only)
        return rc;
    if (r->drill || r->at_ns)
        rc = make_server(r, r->drill ? needs : 0);
    if (rc == BAKE_OK && r->drill && !(w->stage = strdup(r->server->data)))
        rc = my_nomem(r->ctx);
    return rc == BAKE_OK ? my_way_make(r) : rc;
}

static int give_up(struct my_restore *r, struct bake_ctx *ctx)
{
    struct my_calm calm;
    my_calm(&calm, ctx);
    struct bake_ctx *was = r->ctx;
    r->ctx = &calm.ctx;
    int rc = my_server_end(r->server, &calm.ctx);
    int rc2 = r->drill ? BAKE_OK : my_way_undo(r);
    r->server = NULL;
    r->ctx = was;
    return rc == BAKE_OK ? rc2 : rc;
}

static int begin(struct my_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    (void)group;
    bool look_only = how->purpose == BAKE_INSPECT;
    int rc = check_how(ctx, how, n);
    struct my_restore *r = rc == BAKE_OK ? calloc(1, sizeof(*r)) : NULL;
    if (rc != BAKE_OK)
        return rc;
    if (r)
        r->way = calloc(1, sizeof(*r->way));
    if (!r || !r->way) {
        free(r);
        return my_nomem(ctx);
    }
    ret_stage[0] = 0;
    r->ctx = ctx;
    r->src = src;
    r->cfg = src->cfg;
    r->drill = how->purpose == BAKE_DRILL;
    r->force = how->force;
    r->at_ns = how->at_ns;
    r->began_ms = my_now_ms();
    r->way->facts = json_loads(chosen[0]->facts ? chosen[0]->facts : "{}", 0, NULL);
    rc = prepare(r, chosen[0]->size_hint, look_only);
    if (rc == BAKE_OK && !look_only) {
        my_restore_free(src->restore);
        src->restore = r;
        return rc;
    }
    if (rc != BAKE_OK) {
        struct my_hush hush;
        my_hush(&hush, ctx);
        (void)give_up(r, &hush.ctx);
    }
    my_restore_free(r);
    return rc;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

struct writer {
    struct my_writer writer; /* first */
    struct bake_ctx *ctx;
    struct my_restore *r;
    struct my_xb *xb;
    struct bkc_child *child;
    bool added;
};

static int write_data(void *writer, struct bake_in *in)
{
    struct writer *w = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;
    int rc = my_xb_feed(w->xb, data, n);
    in->pos = in->size;
    if (rc == BAKE_E_CORRUPT)
        return bake_fail(w->ctx, rc, "'%s' is no sound xbstream: %s", MY_BASE, my_xb_why(w->xb));
    return rc == BAKE_OK ? bkc_child_write(w->child, data, n) : my_nomem(w->ctx);
}

static int commit(void *writer)
{
    struct writer *w = writer;
    if (my_xb_end(w->xb) != BAKE_OK)
        return bake_fail(w->ctx, BAKE_E_CORRUPT, "'%s' is no sound xbstream: %s", MY_BASE,
                         my_xb_why(w->xb));
    const json_t *was = json_object_get(w->r->way->facts, "bytes");
    if (was && json_integer_value(was) != (json_int_t)my_xb_bytes(w->xb))
        return bake_fail(w->ctx, BAKE_E_CORRUPT, "'%s' holds %llu bytes, recorded were %lld",
                         MY_BASE, (unsigned long long)my_xb_bytes(w->xb),
                         (long long)json_integer_value(was));
    return bkc_child_wait(w->child, NULL);
}

static void close_writer(void *writer)
{
    struct writer *w = writer;
    if (w->added)
        my_calls_drop(w->r->src->calls, w->child);
    bkc_child_free(w->child);
    my_xb_free(w->xb);
    free(w);
}

static int unpack(struct writer *w)
{
    struct my_restore *r = w->r;
    char *tool = NULL, *version = NULL;
    int rc = my_tool(w->ctx, r->cfg, "mbstream", 0, &tool, &version);
    const char *argv[] = {tool, "-x", "-C", r->way->stage, NULL};
    struct bkc_child_spec spec = {
        .argv = argv, .in = true, .user = user_of(r), .silence_ms = r->cfg->timeout};
    if (rc == BAKE_OK)
        rc = bkc_child_start(w->ctx, &spec, &w->child);
    free(tool);
    free(version);
    if (rc == BAKE_OK && my_calls_add(r->src->calls, w->child) != BAKE_OK)
        return my_nomem(w->ctx);
    w->added = rc == BAKE_OK;
    return rc;
}

static int writer_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, struct my_writer **ret)
{
    (void)c;
    (void)how;
    if (!src->restore || !src->restore->way)
        return bake_fail(ctx, BAKE_E_INTERNAL, "the restore has not begun");
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return my_nomem(ctx);
    w->writer = (struct my_writer){.write = write_data, .commit = commit, .close = close_writer};
    w->ctx = ctx;
    w->r = src->restore;
    int rc = my_xb_new(true, &w->xb) == BAKE_OK ? unpack(w) : my_nomem(ctx);
    if (rc == BAKE_OK)
        *ret = &w->writer;
    else
        close_writer(w);
    return rc;
}

static int switch_group(struct my_source *src, struct bake_ctx *ctx, const char *group)
{
    (void)src;
    (void)ctx;
    (void)group;
    return BAKE_OK; /* there is one stage only */
}

/* ---- preparing ------------------------------------------------------------------------------- */

static void hear(void *arg, const char *line)
{
    size_t n = strlen(line), m = strlen(DONE);
    *(bool *)arg = n >= m && strcmp(line + n - m, DONE) == 0;
}

/* Its log is applied to its files: from now on a server can start on them. */
static int make_ready(struct my_restore *r)
{
    char *tool = NULL, *version = NULL, *target = my_text("--target-dir=%s", r->way->stage),
         *tmp = my_text("--tmpdir=%s", r->way->stage);
    bool done = false;
    int rc = target && tmp ? my_way_unlink(r) : my_nomem(r->ctx);
    if (rc == BAKE_OK)
        rc = my_tool(r->ctx, r->cfg, "mariadb-backup", 0, &tool, &version);
    const char *argv[] = {tool, "--no-defaults", "--prepare", target, tmp, NULL};
    struct bkc_child_spec spec = {.argv = argv,
                                  .user = user_of(r),
                                  .directory = r->way->stage,
                                  .said = hear,
                                  .arg = &done,
                                  .silence_ms = r->cfg->timeout};
    if (rc == BAKE_OK)
        rc = bkc_child_run(r->ctx, &spec, NULL, 0, NULL);
    if (rc == BAKE_OK && !done)
        rc = bake_fail(r->ctx, BAKE_E_CHILD, "mariadb-backup --prepare ended without '" DONE "'");
    r->way->prepared = rc == BAKE_OK;
    free(tool);
    free(version);
    free(target);
    free(tmp);
    return rc;
}

static int apply_logs(struct my_restore *r)
{
    int rc = my_server_start(r, r->server, r->drill ? NULL : r->way->stage);
    if (rc == BAKE_OK)
        rc = my_at_apply(r, r->way->facts, NULL);
    return rc == BAKE_OK ? my_server_stop(r, r->server) : rc;
}

static int end_drill(struct my_restore *r)
{
    int rc = make_ready(r);
    if (rc == BAKE_OK && r->at_ns)
        rc = apply_logs(r);
    return rc == BAKE_OK ? my_base_drill(r, r->way->stage) : rc;
}

static int end_restore(struct my_restore *r)
{
    int rc = make_ready(r);
    if (rc == BAKE_OK && r->at_ns)
        rc = apply_logs(r);
    if (rc == BAKE_OK)
        rc = bkc_scratch_own(r->ctx, r->way->stage, user_of(r));
    json_t *o = rc == BAKE_OK ? json_pack("{s:s, s:b}", "data_directory", r->way->target,
                                          "recovery", r->at_ns > 0)
                              : NULL;
    if (rc == BAKE_OK && !(r->facts = o ? json_dumps(o, JSON_COMPACT) : NULL))
        rc = my_nomem(r->ctx);
    json_decref(o);
    return rc == BAKE_OK ? my_way_switch(r) : rc;
}

static int end(struct my_source *src, struct bake_ctx *ctx, const char *group, int good,
               struct bake_result *ret)
{
    struct my_restore *r = src->restore;
    (void)group;
    if (!r)
        return BAKE_OK;
    r->ctx = ctx;
    if (!good)
        return give_up(r, ctx);
    int rc = r->drill ? end_drill(r) : end_restore(r);
    ret->facts = r->facts;
    if (rc != BAKE_OK) {
        struct my_hush hush;
        my_hush(&hush, ctx);
        if (give_up(r, &hush.ctx) != BAKE_OK)
            bake_report(ctx, BAKE_PARTIAL, r->way->target,
                        "it could not be put back as it was, and is tried again later: %s",
                        hush.text);
        return rc;
    }
    struct my_calm calm;
    my_calm(&calm, ctx);
    rc = my_server_end(r->server, &calm.ctx);
    r->server = NULL;
    return rc;
}

static int redeem(struct bake_ctx *ctx, const struct my_config *cfg, const char *what,
                  bool *ret_mine)
{
    (void)cfg;
    return my_way_redeem(ctx, what, ret_mine);
}

static int tidy(struct my_source *src, struct bake_ctx *ctx)
{
    (void)src;
    (void)ctx;
    return BAKE_OK; /* what is made is promised to the engine, and nothing else is kept */
}

const struct my_back my_base_back = {.begin = begin,
                                     .writer_open = writer_open,
                                     .switch_group = switch_group,
                                     .end = end,
                                     .redeem = redeem,
                                     .tidy = tidy};
