/* The way back of dumps: into new databases, which then take the place of the old ones. */
#include "restore.h"

#include "drill.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>

#define USERS_MAX ((size_t)64 << 20) /* bytes of users.sql: more is nobody's */

/* ---- the instance's part --------------------------------------------------------------------- */

void my_restore_free(struct my_restore *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        struct my_rdb *db = &r->dbs[i];
        free(db->component);
        free(db->name);
        free(db->swap.target);
        free(db->swap.fresh);
        free(db->swap.old);
        json_decref(db->facts);
        my_script_release(&db->extras);
        my_script_release(&db->events);
    }
    free(r->dbs);
    for (char **p = r->parts; p && *p; p++)
        free(*p);
    free(r->parts);
    my_users_release(r);
    json_decref(r->accounts);
    free(r->tool);
    free(r->facts);
    my_way_free(r->way);
    free(r);
}

/* Older clients do not know the first line of newer dumps, nor its option. */
static int look_at_client(struct my_restore *r)
{
    char *version = NULL, *help = NULL;
    int rc = my_tool(r->ctx, r->cfg, "mariadb", r->drill ? 0 : r->version, &r->tool, &version);
    const char *argv[] = {r->tool, "--no-defaults", "--help", NULL};
    struct bkc_child_spec spec = {.argv = argv, .silence_ms = 60000};
    free(version);
    if (rc == BAKE_OK)
        rc = bkc_child_run(r->ctx, &spec, NULL, 1 << 20, &help);
    r->sandbox = rc == BAKE_OK && strstr(help, "--sandbox") != NULL;
    free(help);
    return rc;
}

static uint64_t bytes_of(const struct my_restore *r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->dbs[i].bytes;
    return sum;
}

/* The newest server that a dump is of. */
static const char *series_of(const struct my_restore *r)
{
    const char *version = NULL;
    for (size_t i = 0; i < r->n && !version; i++)
        version = json_string_value(json_object_get(r->dbs[i].facts, "server_version"));
    return version;
}

static int start_server(struct my_restore *r)
{
    int rc = my_server_new(r, r->drill ? "drill" : "logs", series_of(r), true,
                           2 * bytes_of(r) + ((uint64_t)256 << 20), &r->server);
    if (rc == BAKE_OK)
        rc = my_server_install(r, r->server);
    return rc == BAKE_OK ? my_server_start(r, r->server, NULL) : rc;
}

static int check_logs(struct my_restore *r)
{
    for (size_t i = 0; r->at_ns && i < r->n; i++)
        if (!json_object_get(r->dbs[i].facts, "binlog") || !json_object_get(r->dbs[i].facts, "wal"))
            return bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                             "'%s' was backed up without the position of the binary log: it can "
                             "only be restored as it was then\nHINT: leave --at away",
                             r->dbs[i].name);
    return BAKE_OK;
}

static int make_fresh(struct my_restore *r)
{
    struct my_conn c = {0};
    int rc = my_oblige(r, r->ctx, MY_STAGING);
    if (rc == BAKE_OK)
        rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_fresh_make(r, &c, &r->dbs[i]);
    my_conn_close(&c);
    return rc;
}

static int prepare(struct my_restore *r, bool look_only)
{
    int rc = r->drill ? BAKE_OK : my_restore_check(r);
    if (rc == BAKE_OK)
        rc = look_at_client(r);
    if (rc == BAKE_OK)
        rc = check_logs(r);
    if (rc != BAKE_OK || look_only)
        return rc;
    if (!r->drill)
        rc = make_fresh(r);
    if (rc == BAKE_OK && (r->drill || r->at_ns))
        rc = start_server(r);
    return rc;
}

static int give_up(struct my_restore *r, struct bake_ctx *ctx)
{
    struct my_calm calm;
    my_calm(&calm, ctx);
    int rc = my_server_end(r->server, &calm.ctx), rc2 = my_unstage(r, ctx);
    r->server = NULL;
    return rc == BAKE_OK ? rc2 : rc;
}

static int begin(struct my_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    (void)group;
    bool look_only = how->purpose == BAKE_INSPECT;
    struct my_restore *r = calloc(1, sizeof(*r));
    if (!r)
        return my_nomem(ctx);
    r->ctx = ctx;
    r->src = src;
    r->cfg = src->cfg;
    r->drill = how->purpose == BAKE_DRILL;
    r->force = how->force;
    r->at_ns = how->at_ns;
    r->began_ms = my_now_ms();
    for (size_t i = 0; i < n; i++)
        ret_stage[i] = strcmp(chosen[i]->name, MY_USERS) == 0 ? 0 : 1;
    int rc = my_restore_choose(r, how, chosen, n);
    if (rc == BAKE_OK)
        rc = prepare(r, look_only);
    if (rc == BAKE_OK && !look_only) {
        my_restore_free(src->restore);
        src->restore = r;
        return rc;
    }
    if (rc != BAKE_OK) {
        struct my_hush hush; /* the first failure is the one that counts */
        my_hush(&hush, ctx);
        (void)give_up(r, &hush.ctx);
    }
    my_restore_free(r);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct writer {
    struct my_writer writer; /* first */
    struct bake_ctx *ctx;
    struct my_restore *r;
    struct my_rdb *db; /* NULL: users.sql */
    struct my_load *load;
    char *text;
    size_t n, cap;
};

static int keep_text(struct writer *w, const char *data, size_t n)
{
    if (w->n + n > USERS_MAX)
        return bake_fail(w->ctx, BAKE_E_CORRUPT, "'%s' is too large", MY_USERS);
    if (w->n + n + 1 > w->cap) {
        size_t cap = (w->n + n + 1) * 2;
        char *text = malloc(cap);
        if (!text)
            return my_nomem(w->ctx);
        if (w->text) {
            memcpy(text, w->text, w->n);
            explicit_bzero(w->text, w->cap);
        }
        free(w->text);
        w->text = text;
        w->cap = cap;
    }
    memcpy(w->text + w->n, data, n);
    w->n += n;
    w->text[w->n] = '\0';
    return BAKE_OK;
}

static int write_data(void *writer, struct bake_in *in)
{
    struct writer *w = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;
    int rc = w->db ? my_load_feed(w->load, data, n) : keep_text(w, data, n);
    in->pos = in->size;
    return rc;
}

/* Each on its own thread: what the writers share must not be written to. */
static int count(struct writer *w)
{
    struct my_restore own = *w->r;
    struct my_conn c = {0};
    uint64_t tables = 0, rows = 0;
    own.ctx = w->ctx;
    if (w->r->drill || w->r->at_ns)
        return BAKE_OK; /* at the end */
    int rc = my_conn_open(w->ctx, own.cfg, NULL, NULL, &c);
    if (rc == BAKE_OK)
        rc = my_count(&own, &c, w->db->swap.fresh, w->db, NULL, &tables, &rows);
    my_conn_close(&c);
    return rc;
}

static int commit(void *writer)
{
    struct writer *w = writer;
    if (!w->db)
        return my_users_take(w->r, w->ctx, w->text, w->n);
    int rc = my_load_end(w->load, w->db);
    if (rc == BAKE_OK)
        rc = count(w);
    w->db->loaded = rc == BAKE_OK;
    return rc;
}

static void close_writer(void *writer)
{
    struct writer *w = writer;
    my_load_free(w->load);
    if (w->text)
        explicit_bzero(w->text, w->cap);
    free(w->text);
    free(w);
}

/* In a throw-away server it has its own name. */
static int make_own(struct my_restore *r, struct bake_ctx *ctx, struct my_rdb *db)
{
    struct my_conn c = {0};
    struct my_rdb own = {.facts = db->facts, .swap = {.fresh = db->name}};
    int rc = my_conn_open(ctx, r->cfg, &r->server->place, NULL, &c);
    if (rc == BAKE_OK)
        rc = my_fresh_make(r, &c, &own);
    my_conn_close(&c);
    return rc;
}

static int open_load(struct writer *w)
{
    struct my_restore *r = w->r;
    if (!r->server)
        return my_load_start(r, w->ctx, NULL, w->db->swap.fresh, w->db, &w->load);
    int rc = make_own(r, w->ctx, w->db);
    return rc == BAKE_OK ? my_load_start(r, w->ctx, &r->server->place, w->db->name, w->db, &w->load)
                         : rc;
}

static int writer_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, struct my_writer **ret)
{
    struct my_restore *r = src->restore;
    (void)how;
    if (!r)
        return bake_fail(ctx, BAKE_E_INTERNAL, "the restore has not begun");
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return my_nomem(ctx);
    w->writer = (struct my_writer){.write = write_data, .commit = commit, .close = close_writer};
    w->ctx = ctx;
    w->r = r;
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->dbs[i].component, c->name) == 0)
            w->db = &r->dbs[i];
    int rc = BAKE_OK;
    if (w->db)
        rc = open_load(w);
    else if (strcmp(c->name, MY_USERS) != 0)
        rc = bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was not chosen", c->name);
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
    return BAKE_OK; /* accounts are made when all is there */
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool mentions(const struct my_script *s, const char *quoted)
{
    return s->n > 0 && strstr(s->data, quoted) != NULL;
}

static void warn_of_names(struct my_restore *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct my_rdb *db = &r->dbs[i];
        char *quoted = my_quoted(db->name);
        if (quoted && strcmp(db->name, db->swap.target) != 0 &&
            (mentions(&db->extras, quoted) || mentions(&db->events, quoted)))
            bake_report(r->ctx, BAKE_WARNING, db->swap.target,
                        "views, routines, triggers or events of it name database '%s', as it was "
                        "called: they still do",
                        db->name);
        free(quoted);
    }
}

/* Views and routines work as their definer: without that account they do not. */
static void warn_of_definers(struct my_restore *r)
{
    struct my_conn c = {0};
    MYSQL_RES *res = NULL;
    json_t *there = json_array();
    if (my_conn_open(r->ctx, r->cfg, NULL, NULL, &c) == BAKE_OK &&
        my_try(&c, &res, "SELECT CONCAT(user, '@', host) FROM mysql.user") == BAKE_OK) {
        for (MYSQL_ROW row; (row = mysql_fetch_row(res));)
            (void)json_array_append_new(there, json_string(row[0]));
        for (size_t i = 0; i < r->n; i++) {
            const json_t *all = json_object_get(r->dbs[i].facts, "definers");
            for (size_t k = 0; k < json_array_size(all) && !r->parts; k++) {
                const char *name = json_string_value(json_array_get(all, k));
                if (name && !my_in_list(there, name))
                    bake_report(r->ctx, BAKE_WARNING, r->dbs[i].swap.target,
                                "there is no account '%s', which views, routines, triggers or "
                                "events of it work as",
                                name);
            }
        }
    }
    mysql_free_result(res);
    my_conn_close(&c);
    json_decref(there);
}

static int make_facts(struct my_restore *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++)
        (void)json_array_append_new(list, json_string(r->dbs[i].swap.target));
    json_t *o = json_pack("{s:o, s:I}", "databases", list, "accounts",
                          (json_int_t)json_array_size(r->accounts));
    free(r->facts);
    r->facts = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return r->facts ? BAKE_OK : my_nomem(r->ctx);
}

static int take_into_use(struct my_restore *r)
{
    struct bake_ctx *ctx = r->ctx;
    int rc = r->at_ns && r->server ? my_at_end(r) : BAKE_OK;
    if (rc == BAKE_OK) {
        warn_of_names(r);
        rc = make_facts(r);
    }
    if (rc != BAKE_OK) {
        struct my_hush hush;
        my_hush(&hush, ctx);
        (void)my_unstage(r, &hush.ctx);
        return rc;
    }
    rc = my_switch(r, ctx);
    if (rc == BAKE_OK)
        warn_of_definers(r);
    return rc;
}

static int end(struct my_source *src, struct bake_ctx *ctx, const char *group, int good,
               struct bake_result *ret)
{
    struct my_restore *r = src->restore;
    struct my_calm calm;
    (void)group;
    if (!r)
        return BAKE_OK;
    r->ctx = ctx;
    if (!good)
        return give_up(r, ctx);
    int rc = r->drill ? my_drill_end(r) : take_into_use(r);
    my_calm(&calm, ctx);
    int rc2 = my_server_end(r->server, &calm.ctx);
    r->server = NULL;
    ret->facts = r->facts;
    return rc == BAKE_OK ? rc2 : rc;
}

static int redeem(struct bake_ctx *ctx, const struct my_config *cfg, const char *what,
                  bool *ret_mine)
{
    return my_switch_redeem(ctx, cfg, what, ret_mine);
}

static int tidy(struct my_source *src, struct bake_ctx *ctx)
{
    (void)src;
    (void)ctx;
    return BAKE_OK; /* what is made is promised to the engine, and nothing else is kept */
}

const struct my_back my_logical_back = {.begin = begin,
                                        .writer_open = writer_open,
                                        .switch_group = switch_group,
                                        .end = end,
                                        .redeem = redeem,
                                        .tidy = tidy};
