/* The MariaDB source: databases as dumps or the whole server as a copy, accounts, binary logs. */
#include "calls.h"
#include "ops.h"
#include "restore.h"

#include "scratch/scratch.h"
#include <stdlib.h>
#include <string.h>

#define LIST(member)   BAKE_MEMBER(struct my_config, member, const char *const *)
#define TEXT(member)   BAKE_MEMBER(struct my_config, member, const char *)
#define NUMBER(member) BAKE_MEMBER(struct my_config, member, int)
#define TIME(member)   BAKE_MEMBER(struct my_config, member, uint64_t)

#define SECOND 1000
#define DAY    (24 * 3600 * (int64_t)SECOND)

static const char *const modes[] = {"logical", "physical", NULL};
static const char *const tlss[] = {"preferred", "required", "verify", "off", NULL};
static const char *const binlogs[] = {"auto", "true", "false", NULL};

static const struct bake_option options[] = {
    {"host", BAKE_T_STRING, 0, TEXT(host), NULL, 0, 0, NULL,
     "the server's name or address; by default the socket of this host's server"},
    {"port", BAKE_T_INT, BAKE_OPT_HAS_RANGE, BAKE_MEMBER(struct my_config, port, int64_t), "0", 0,
     65535, NULL, "the server's port; 0: 3306"},
    {"socket", BAKE_T_PATH, 0, TEXT(socket), NULL, 0, 0, NULL, "the server's socket"},
    {"user", BAKE_T_STRING, 0, TEXT(user), NULL, 0, 0, NULL,
     "who to connect as; by default what [client] says in the option files, else the system's "
     "user"},
    {"password", BAKE_T_SECRET, 0, TEXT(password), NULL, 0, 0, NULL,
     "the user's password; by default what [client] says in the option files"},
    {"tls", BAKE_T_ENUM, 0, NUMBER(tls), "preferred", 0, 0, tlss,
     "whether the connection is encrypted; verify: and the server's certificate is checked"},
    {"ca", BAKE_T_PATH, 0, TEXT(ca), NULL, 0, 0, NULL,
     "PEM file of the authority that signed the server's certificate"},
    {"cert", BAKE_T_PATH, 0, TEXT(cert), NULL, 0, 0, NULL, "PEM file of our own certificate"},
    {"key", BAKE_T_PATH, 0, TEXT(key), NULL, 0, 0, NULL, "PEM file of the key of `cert`"},
    {"bin", BAKE_T_PATH, 0, TEXT(bin), NULL, 0, 0, NULL,
     "directory of MariaDB's tools; by default where PATH has them"},
    {"mode", BAKE_T_ENUM, 0, NUMBER(mode), "logical", 0, 0, modes,
     "logical: a dump of each database; physical: a copy of the whole server by mariadb-backup"},
    {"databases", BAKE_T_STRLIST, 0, LIST(databases), NULL, 0, 0, NULL,
     "globs of the databases to back up; by default all but the server's own"},
    {"exclude_databases", BAKE_T_STRLIST, 0, LIST(exclude_databases), NULL, 0, 0, NULL,
     "globs of databases to leave out"},
    {"exclude_tables", BAKE_T_STRLIST, 0, LIST(exclude_tables), NULL, 0, 0, NULL,
     "globs of tables to leave out, as table or database.table"},
    {"routines", BAKE_T_BOOL, 0, NUMBER(routines), "true", 0, 0, NULL,
     "procedures, functions and packages are backed up"},
    {"events", BAKE_T_BOOL, 0, NUMBER(events), "true", 0, 0, NULL, "events are backed up"},
    {"triggers", BAKE_T_BOOL, 0, NUMBER(triggers), "true", 0, 0, NULL, "triggers are backed up"},
    {"users", BAKE_T_BOOL, 0, NUMBER(users), "true", 0, 0, NULL,
     "accounts, roles and what they may do are backed up, as users.sql"},
    {"binlogs", BAKE_T_ENUM, 0, NUMBER(binlogs), "auto", 0, 0, binlogs,
     "whether the binary logs are kept in the store, which restore --at needs; auto: where the "
     "server writes them and the user may read them"},
    {"lock_timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(lock_timeout), "30s", SECOND, DAY,
     NULL, "how long a dump may wait for a table that is locked"},
    {"timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(timeout), "10m", SECOND, DAY, NULL,
     "how long the server and its tools may be silent"},
    {"check", BAKE_T_STRLIST, 0, LIST(check), NULL, 0, 0, NULL,
     "statements for drills, each DATABASE: SELECT ...; the first column of the first row must "
     "not be 0 or NULL"},
    {"data_directory", BAKE_T_PATH, 0, TEXT(data_directory), NULL, 0, 0, NULL,
     "where a physical backup is restored to"},
    {"owner", BAKE_T_STRING, 0, TEXT(owner), "mysql", 0, 0, NULL,
     "whom a restored data directory belongs to, and who servers of drills run as"},
    {"scratch", BAKE_T_PATH, 0, TEXT(scratch), NULL, 0, 0, NULL,
     "directory for drills and other passing files; by default TMPDIR, else /var/tmp"},
    {0},
};

/* ---- the instance ---------------------------------------------------------------------------- */

static void source_close(void *self)
{
    struct my_source *src = self;
    my_restore_free(src->restore);
    my_list_free(src->list);
    my_calls_free(src->calls);
    free(src);
}

static int source_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct my_source *src = calloc(1, sizeof(*src));
    if (!src || my_calls_new(&src->calls) != BAKE_OK) {
        free(src);
        return my_nomem(ctx);
    }
    src->ctx = ctx;
    src->cfg = cfg;
    *ret_self = src;
    return BAKE_OK;
}

static void source_interrupt(void *self)
{
    struct my_source *src = self;
    my_calls_wake(src->calls);
}

static int planned(struct bake_component *ret, const char *name, const char *facts, uint64_t bytes)
{
    ret->name = name;
    ret->group = ".";
    ret->kind = BAKE_BLOB;
    ret->facts = facts;
    ret->size_hint = bytes;
    return BAKE_OK;
}

static int source_plan(void *self, struct bake_component *ret)
{
    struct my_source *src = self;
    if (!src->list || src->list->next == 0) {
        struct my_list *list = NULL;
        int rc = my_list_make(src->ctx, src->cfg, &list);
        if (rc != BAKE_OK)
            return rc;
        my_list_free(src->list);
        src->list = list;
    }
    struct my_list *l = src->list;
    size_t at = l->next++;
    if (src->cfg->mode == MY_PHYSICAL && at == 0)
        return planned(ret, MY_BASE, l->base_facts, l->base_bytes);
    if (src->cfg->mode == MY_LOGICAL && src->cfg->users && at-- == 0)
        return planned(ret, MY_USERS, l->users_facts, 0);
    if (src->cfg->mode == MY_LOGICAL && at < l->n)
        return planned(ret, l->items[at].component, l->items[at].facts, l->items[at].bytes);
    l->next = 0;
    return BAKE_END;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct handle { /* of a reader or a writer: blobs have no entries */
    struct bake_ctx *ctx;
    struct my_reader *reader;
    struct my_writer *writer;
};

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       void **ret_reader)
{
    struct handle *h = calloc(1, sizeof(*h));
    if (!h)
        return my_nomem(ctx);
    h->ctx = ctx;
    int rc = strcmp(c->name, MY_BASE) == 0 ? my_base_open(self, ctx, c, &h->reader)
                                           : my_dump_open(self, ctx, c, &h->reader);
    if (rc == BAKE_OK)
        *ret_reader = h;
    else
        free(h);
    return rc;
}

static int no_entries(const struct handle *h)
{
    return bake_fail(h->ctx, BAKE_E_INTERNAL, "entries were asked of a component without any");
}

static int reader_next(void *reader, struct bake_entry *ret)
{
    struct handle *h = reader;
    return h->reader->next ? h->reader->next(h->reader, ret) : no_entries(h);
}

static int reader_open_entry(void *reader, struct bake_entry *entry)
{
    struct handle *h = reader;
    return h->reader->open_entry ? h->reader->open_entry(h->reader, entry) : no_entries(h);
}

static int reader_read(void *reader, struct bake_out *out)
{
    struct handle *h = reader;
    return h->reader->read(h->reader, out);
}

static int reader_finish(void *reader, struct bake_result *ret)
{
    struct handle *h = reader;
    return h->reader->finish(h->reader, ret);
}

static void reader_close(void *reader)
{
    struct handle *h = reader;
    h->reader->close(h->reader);
    free(h);
}

/* ---- the way back ---------------------------------------------------------------------------- */

static const struct my_back *back_of(const struct bake_component *c)
{
    return strcmp(c->name, MY_BASE) == 0 ? &my_base_back : &my_logical_back;
}

static int writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, void **ret_writer)
{
    struct handle *h = calloc(1, sizeof(*h));
    if (!h)
        return my_nomem(ctx);
    h->ctx = ctx;
    int rc = how->purpose == BAKE_INSPECT ? my_inspect_open(self, ctx, c, &h->writer)
                                          : back_of(c)->writer_open(self, ctx, c, how, &h->writer);
    if (rc == BAKE_OK)
        *ret_writer = h;
    else
        free(h);
    return rc;
}

static int put_entry(void *writer, const struct bake_entry *entry)
{
    struct handle *h = writer;
    return h->writer->put_entry ? h->writer->put_entry(h->writer, entry) : no_entries(h);
}

static int write_bytes(void *writer, struct bake_in *in)
{
    struct handle *h = writer;
    return h->writer->write(h->writer, in);
}

static int entry_end(void *writer, int good)
{
    struct handle *h = writer;
    return h->writer->entry_end ? h->writer->entry_end(h->writer, good) : no_entries(h);
}

static int commit(void *writer)
{
    struct handle *h = writer;
    return h->writer->commit(h->writer);
}

static void writer_close(void *writer)
{
    struct handle *h = writer;
    h->writer->close(h->writer);
    free(h);
}

static int restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                         const char *group, const struct bake_component *const *chosen, size_t n,
                         uint32_t *ret_stage)
{
    struct my_source *src = self;
    src->back = n > 0 ? back_of(chosen[0]) : &my_logical_back;
    for (size_t i = 1; i < n; i++)
        if (back_of(chosen[i]) != src->back)
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "a copy of the whole server ('%s') is restored by itself", MY_BASE);
    return src->back->begin(src, ctx, how, group, chosen, n, ret_stage);
}

static int switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct my_source *src = self;
    return src->back->switch_group(src, ctx, group);
}

static int restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                       struct bake_result *ret)
{
    struct my_source *src = self;
    return src->back->end(src, ctx, group, good, ret);
}

static int redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    bool mine = false;
    int rc = bkc_scratch_redeem(ctx, what, &mine);
    if (rc == BAKE_OK && !mine)
        rc = my_logical_back.redeem(ctx, cfg, what, &mine);
    if (rc == BAKE_OK && !mine)
        rc = my_base_back.redeem(ctx, cfg, what, &mine);
    if (rc != BAKE_OK || mine)
        return rc;
    return bake_fail(ctx, BAKE_E_INTERNAL, "nobody knows what '%s' promises", what);
}

static int tidy(void *self, struct bake_ctx *ctx)
{
    struct my_source *src = self;
    return src->cfg->mode == MY_PHYSICAL ? my_base_back.tidy(src, ctx)
                                         : my_logical_back.tidy(src, ctx);
}

static int logs_pull(void *self, struct bake_ctx *ctx) { return my_logs_pull(self, ctx); }

static int logs_follow(void *self, struct bake_ctx *ctx, const char *spool)
{
    return my_logs_follow(self, ctx, spool);
}

static const struct bake_source_ops ops = {
    .struct_size = sizeof(ops),
    .open = source_open,
    .plan = source_plan,
    .reader_open = reader_open,
    .next = reader_next,
    .open_entry = reader_open_entry,
    .read = reader_read,
    .finish = reader_finish,
    .reader_close = reader_close,
    .writer_open = writer_open,
    .put_entry = put_entry,
    .write = write_bytes,
    .entry_end = entry_end,
    .commit = commit,
    .writer_close = writer_close,
    .interrupt = source_interrupt,
    .close = source_close,
    .redeem = redeem,
    .tidy = tidy,
    .restore_begin = restore_begin,
    .switch_group = switch_group,
    .restore_end = restore_end,
    .traits = BAKE_NAMES_BELOW | BAKE_INSPECTS | BAKE_DRILLS | BAKE_HAS_PARTS | BAKE_HAS_LOGS,
    .logs_pull = logs_pull,
    .logs_follow = logs_follow,
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,        .name = "mariadb",
    .version = "1.0",        .summary = "MariaDB servers: databases, accounts, binary logs",
    .options = options,      .config_size = sizeof(struct my_config),
    .validate = my_validate, .probe = my_probe,
    .source = &ops,
};

BAKE_PLUGIN(plugin)
