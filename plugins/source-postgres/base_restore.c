/* The way back of a base backup: into a data directory, or into a throw-away server. */
#include "base_files.h"
#include "base_way.h"
#include "text.h"
#include "tree/extract.h"
#include "wait.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 10000 /* that a throw-away server may take to stop */

static int no_memory(struct pg_way *w) { return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- beginning ------------------------------------------------------------------------------- */

void pg_way_free(struct pg_way *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_stages; i++) {
        struct pg_stage *s = &w->stages[i];
        bkc_extract_close(s->extract);
        free(s->stage);
        free(s->aside);
        free(s->target);
        free(s->root);
        free(s->oid);
        free(s->version);
    }
    free(w->stages);
    pg_base_known_release(&w->known);
    free(w->backup);
    free(w->program);
    free(w->pipeline);
    free(w->facts);
    free(w);
}

static char *copy(const char *text) { return text ? strdup(text) : NULL; }

static int new_way(struct pg_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                   const struct bake_component *c, struct pg_way **ret)
{
    struct pg_way *w = calloc(1, sizeof(*w));
    if (!w)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    w->ctx = ctx;
    w->cfg = src->cfg;
    w->drill = how->purpose == BAKE_DRILL;
    w->force = how->force;
    w->at_ns = how->at_ns;
    w->began_ms = pg_now_ms();
    w->backup = copy(how->backup);
    w->program = copy(how->program);
    w->pipeline = copy(how->pipeline);
    int rc = BAKE_OK;
    if ((how->backup && !w->backup) || (how->program && !w->program) ||
        (how->pipeline && !w->pipeline))
        rc = no_memory(w);
    if (rc == BAKE_OK)
        rc = pg_base_known(ctx, c->facts, &w->known);
    if (rc == BAKE_OK)
        *ret = w;
    else
        pg_way_free(w);
    return rc;
}

static int check_how(struct bake_ctx *ctx, const struct bake_restore *how, size_t n)
{
    if (n != 1)
        return bake_fail(ctx, BAKE_E_INTERNAL, "there is more than one base backup");
    if (how->as_name || (how->parts && *how->parts))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "of a base backup neither a database nor a table can be restored by "
                         "itself\nHINT: restore it all to another 'data_directory', and dump from "
                         "there");
    if (how->at_ns > 0 && how->purpose != BAKE_DRILL && (!how->program || !how->pipeline))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "to restore a point in time, the server must be able to fetch its log by "
                         "a pipeline's file");
    return BAKE_OK;
}

/* "2026-11-21T20:10:55.713397Z". 0: it is none. */
static int64_t moment_of(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ns = 0, unit = 100000000;
    if (!rest || (*rest != '.' && *rest != 'Z'))
        return 0;
    for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
        ns += (*rest - '0') * unit;
    return (int64_t)timegm(&tm) * 1000000000 + ns;
}

/* A backup is of no use for a moment when it was still being made. */
static int check_moment(struct pg_way *w)
{
    if (w->at_ns == 0 || w->drill || w->at_ns >= moment_of(w->known.end))
        return BAKE_OK;
    return bake_fail(w->ctx, BAKE_E_NOTFOUND,
                     "this backup ended at %s, after the moment that is asked for\nHINT: leave the "
                     "backup's name away, so that an older one is chosen",
                     w->known.end);
}

/* A drill has all in one directory, tablespaces too. */
static int make_scratch(struct pg_way *w, uint64_t bytes)
{
    struct bkc_scratch_spec spec = {
        .above = w->cfg->scratch, .what = "drill", .user = w->cfg->owner, .needs = bytes};
    w->stages = calloc(1, sizeof(*w->stages));
    if (!w->stages)
        return no_memory(w);
    w->n_stages = 1;
    int rc = pg_way_owner(w);
    if (rc == BAKE_OK)
        rc = bkc_scratch_new(w->ctx, &spec, &w->scratch);
    if (rc != BAKE_OK)
        return rc;
    w->stages[0].stage = pg_text("%s/data", bkc_scratch_path(w->scratch));
    return w->stages[0].stage ? pg_make_dir(w->ctx, w->stages[0].stage, w->as_user, w->uid, w->gid)
                              : no_memory(w);
}

static int prepare(struct pg_way *w, const struct bake_component *c, bool look_only)
{
    int rc = w->drill ? pg_way_can_drill(w) : check_moment(w);
    if (rc != BAKE_OK || w->drill)
        return rc == BAKE_OK ? make_scratch(w, c->size_hint) : rc;
    rc = pg_way_places(w);
    if (rc != BAKE_OK || look_only)
        return rc;
    rc = pg_way_oblige(w, PG_STAGING);
    if (rc == BAKE_OK)
        rc = pg_way_make(w);
    if (rc == BAKE_OK)
        rc = pg_way_oblige(w, PG_STAGING); /* now with what the directories are known by */
    return rc;
}

/* Whatever was made so far goes. The first failure is the one that counts. */
static void give_up(struct pg_way *w)
{
    if (w->scratch)
        (void)bkc_scratch_end(w->scratch, w->ctx, SIGQUIT, STOP_MS);
    w->scratch = NULL;
    (void)pg_way_undo(w);
}

static int begin(struct pg_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    struct pg_way *w = NULL;
    (void)group;
    int rc = check_how(ctx, how, n);
    if (rc == BAKE_OK)
        rc = new_way(src, ctx, how, chosen[0], &w);
    if (rc != BAKE_OK)
        return rc;
    ret_stage[0] = 0;
    bool look_only = how->purpose == BAKE_INSPECT;
    rc = prepare(w, chosen[0], look_only);
    if (rc == BAKE_OK && !look_only) {
        pg_way_free(src->way);
        src->way = w;
        return BAKE_OK;
    }
    if (rc != BAKE_OK)
        give_up(w);
    pg_way_free(w);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct writer {
    struct pg_writer writer; /* first */
    struct bake_ctx *ctx;
    struct pg_way *way;
    struct pg_manifest *manifest;
    struct pg_stage *now; /* where the entry goes; NULL: nowhere, it is there already */
    bool in_file;
};

static int corrupt(struct writer *w, const struct bake_entry *e, const char *why)
{
    return bake_fail(w->ctx, BAKE_E_CORRUPT, "the base backup's entry '%s' %s", e->path, why);
}

static int open_extract(struct writer *w, struct pg_stage *s)
{
    struct bkc_extract_opts opts = {.root = s->stage, .force = 1, .parent_mode = 0700};
    return s->extract ? BAKE_OK : bkc_extract_open(w->ctx, &opts, &s->extract);
}

/* A tablespace has one directory in its location, named after the server's version. */
static int take_version(struct writer *w, struct pg_stage *s, const struct bake_entry *e,
                        const char *name)
{
    size_t n = strcspn(name, "/");
    if (s->version)
        return strlen(s->version) == n && strncmp(s->version, name, n) == 0
                   ? BAKE_OK
                   : corrupt(w, e, "is not where a tablespace's files are");
    if (n < 4 || strncmp(name, "PG_", 3) != 0)
        return corrupt(w, e, "is not where a tablespace's files are");
    s->version = strndup(name, n);
    s->target = s->version ? pg_text("%s/%s", s->root, s->version) : NULL;
    return s->target ? BAKE_OK : bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory");
}

/* Where an entry goes, and its path there; NULL: it is a directory that is there already. */
static int route(struct writer *w, const struct bake_entry *e, struct pg_stage **ret,
                 const char **ret_path)
{
    struct pg_way *way = w->way;
    const char *path = e->path;
    *ret = &way->stages[0];
    *ret_path = strcmp(path, ".") == 0 ? NULL : path;
    if (strncmp(path, "pg_tblspc/", 10) != 0)
        return BAKE_OK;
    const char *oid = path + 10;
    size_t n = strcspn(oid, "/");
    for (size_t i = 1; i < way->n_stages; i++) {
        struct pg_stage *s = &way->stages[i];
        if (strlen(s->oid) != n || strncmp(s->oid, oid, n) != 0)
            continue;
        *ret = s;
        *ret_path = NULL;
        if (!oid[n])
            return BAKE_OK;
        int rc = take_version(w, s, e, oid + n + 1);
        const char *below = strchr(oid + n + 1, '/');
        *ret_path = below ? below + 1 : NULL;
        return rc;
    }
    return BAKE_OK;
}

static int put_entry(void *writer, const struct bake_entry *e)
{
    struct writer *w = writer;
    struct bake_entry copy = *e;
    const char *path = NULL;
    w->now = NULL;
    w->in_file = e->type == BAKE_FILE;
    if (e->type != BAKE_FILE && e->type != BAKE_DIR)
        return corrupt(w, e, "is neither a file nor a directory");
    int rc = route(w, e, &w->now, &path);
    if (rc == BAKE_OK && !path && w->in_file)
        rc = corrupt(w, e, "stands where a directory must be");
    if (rc == BAKE_OK && w->in_file)
        rc = pg_manifest_file(w->manifest, e->path);
    if (rc == BAKE_OK && path)
        rc = open_extract(w, w->now);
    if (rc != BAKE_OK || !path) {
        w->now = NULL;
        return rc;
    }
    copy.path = path;
    copy.user = copy.group = NULL;
    copy.uid = w->way->uid;
    copy.gid = w->way->gid;
    copy.valid &= ~BAKE_HAS_OWNER;
    copy.valid |= w->way->as_user ? BAKE_HAS_OWNER : 0;
    return bkc_extract_put(w->now->extract, &copy);
}

static int write_data(void *writer, struct bake_in *in)
{
    struct writer *w = writer;
    size_t at = in->pos;
    int rc = bkc_extract_write(w->now->extract, in);
    if (rc != BAKE_OK)
        return rc;
    return pg_manifest_data(w->manifest, (const char *)in->data + at, in->pos - at);
}

static int entry_end(void *writer, int good)
{
    struct writer *w = writer;
    int rc = w->now ? bkc_extract_end(w->now->extract, good) : BAKE_OK;
    if (w->in_file) {
        int rc2 = pg_manifest_file_end(w->manifest, good && rc == BAKE_OK);
        rc = rc == BAKE_OK ? rc2 : rc;
    }
    return rc;
}

/* The links by which the server finds its tablespaces. */
static int link_tablespaces(struct writer *w)
{
    struct pg_way *way = w->way;
    int rc = BAKE_OK;
    for (size_t i = 1; rc == BAKE_OK && i < way->n_stages; i++) {
        struct pg_stage *s = &way->stages[i];
        char *link = pg_text("%s/pg_tblspc/%s", way->stages[0].stage, s->oid);
        if (!link)
            return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory");
        if (symlink(s->root, link) != 0 || (way->as_user && lchown(link, way->uid, way->gid) != 0))
            rc = bake_fail(w->ctx, BAKE_E_IO, "cannot make the link '%s': %s", link,
                           strerror(errno));
        free(link);
    }
    return rc;
}

static int commit(void *writer)
{
    struct writer *w = writer;
    struct pg_way *way = w->way;
    int rc = pg_manifest_check(w->manifest);
    for (size_t i = 0; i < way->n_stages && rc == BAKE_OK; i++)
        if (way->stages[i].extract)
            rc = bkc_extract_finish(way->stages[i].extract);
    if (rc == BAKE_OK)
        rc = link_tablespaces(w);
    if (rc == BAKE_OK && !way->drill)
        rc = pg_way_conf(way);
    for (size_t i = 0; i < way->n_stages && rc == BAKE_OK && !way->drill; i++)
        rc = pg_sync_all(w->ctx, way->stages[i].stage);
    way->committed = rc == BAKE_OK;
    return rc;
}

static void close_writer(void *writer)
{
    struct writer *w = writer;
    for (size_t i = 0; i < w->way->n_stages; i++) {
        bkc_extract_close(w->way->stages[i].extract);
        w->way->stages[i].extract = NULL;
    }
    pg_manifest_free(w->manifest);
    free(w);
}

static int writer_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, struct pg_writer **ret)
{
    (void)c;
    (void)how;
    if (!src->way)
        return bake_fail(ctx, BAKE_E_INTERNAL, "the restore has not begun");
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    w->writer = (struct pg_writer){put_entry, write_data, entry_end, commit, close_writer};
    w->ctx = ctx;
    w->way = src->way;
    int rc = pg_manifest_new(ctx, src->cfg->scratch, &w->manifest);
    if (rc != BAKE_OK) {
        free(w);
        return rc;
    }
    *ret = &w->writer;
    return BAKE_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

static int switch_group(struct pg_source *src, struct bake_ctx *ctx, const char *group)
{
    (void)src;
    (void)ctx;
    (void)group;
    return BAKE_OK; /* there is one stage only */
}

static int end_restore(struct pg_way *w)
{
    int rc = pg_way_switch(w);
    if (rc != BAKE_OK) {
        (void)pg_way_undo(w);
        return rc;
    }
    json_t *facts = json_pack("{s:s, s:i, s:b}", "data_directory", w->stages[0].target,
                              "tablespaces", (int)w->n_stages - 1, "recovery", w->at_ns > 0);
    w->facts = facts ? json_dumps(facts, JSON_COMPACT) : NULL;
    json_decref(facts);
    return w->facts ? BAKE_OK : no_memory(w);
}

static int end_drill(struct pg_way *w, bool good)
{
    int rc = good ? pg_way_drill(w) : BAKE_OK;
    int rc2 = bkc_scratch_end(w->scratch, w->ctx, SIGQUIT, STOP_MS);
    w->scratch = NULL;
    return rc == BAKE_OK ? rc2 : rc;
}

static int end(struct pg_source *src, struct bake_ctx *ctx, const char *group, int good,
               struct bake_result *ret)
{
    struct pg_way *w = src->way;
    (void)group;
    if (!w)
        return BAKE_OK;
    w->ctx = ctx;
    bool whole = good && w->committed;
    int rc = w->drill ? end_drill(w, whole) : whole ? end_restore(w) : pg_way_undo(w);
    if (rc == BAKE_OK && good && !whole)
        rc = bake_fail(ctx, BAKE_E_INTERNAL, "the base backup was never written to its end");
    ret->facts = w->facts; /* freed when the next restore begins, or with the source */
    return rc;
}

static int redeem(struct bake_ctx *ctx, const struct pg_config *cfg, const char *what,
                  bool *ret_mine)
{
    (void)cfg;
    return pg_way_redeem(ctx, what, ret_mine);
}

static int tidy(struct pg_source *src, struct bake_ctx *ctx)
{
    (void)src;
    (void)ctx;
    return BAKE_OK; /* what is made is promised to the engine, and nothing else is kept */
}

const struct pg_back pg_base_back = {.begin = begin,
                                     .writer_open = writer_open,
                                     .switch_group = switch_group,
                                     .end = end,
                                     .redeem = redeem,
                                     .tidy = tidy};
