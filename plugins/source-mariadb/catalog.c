/* See catalog.h. */
#include "ops.h"

#include "match/wild.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted -------------------------------------------------------------------------- */

static bool matches(const char *glob, const char *text)
{
    return bkc_wild(glob, text, strlen(text), BKC_STARS_ANYWHERE);
}

static bool any(const char *const *globs, const char *text)
{
    for (; globs && *globs; globs++)
        if (matches(*globs, text))
            return true;
    return false;
}

static bool is_servers_own(const char *name)
{
    static const char *const own[] = {"information_schema", "performance_schema", "mysql", "sys"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcasecmp(own[i], name) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct my_config *cfg, const char *name)
{
    return !is_servers_own(name) && !any(cfg->exclude_databases, name) &&
           (!cfg->databases || !cfg->databases[0] || any(cfg->databases, name));
}

bool my_excluded(const struct my_config *cfg, const char *database, const char *table)
{
    size_t n = strlen(database), m = strlen(table);
    char *full = NULL;
    for (const char *const *g = cfg->exclude_tables; g && *g; g++) {
        if (!strchr(*g, '.') && matches(*g, table))
            return true;
        if (!full && (full = malloc(n + m + 2))) {
            memcpy(full, database, n);
            full[n] = '.';
            memcpy(full + n + 1, table, m + 1);
        }
        if (full && matches(*g, full)) {
            free(full);
            return true;
        }
    }
    free(full);
    return false;
}

/* ---- the server ------------------------------------------------------------------------------ */

/* "mariadb-" and 16 digits of the hash of what tells servers apart. */
static int make_stream(struct my_conn *c, struct my_list *l)
{
    static const char with[] = "SELECT CONCAT_WS('|', @@global.server_uid, @@datadir, @@server_id)",
                      without[] = "SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir, "
                                  "@@server_id)";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *uid = NULL;
    /* newer servers have an id of their own: of network card and port */
    bool has_uid = my_try(c, NULL, "SELECT @@global.server_uid") == BAKE_OK;
    int rc = my_value(c, &uid, "cannot ask which server this is", has_uid ? with : without);
    if (rc == BAKE_OK && uid && EVP_Digest(uid, strlen(uid), digest, &len, EVP_sha256(), NULL) &&
        (l->stream = malloc(32))) {
        static const char prefix[] = "mariadb-";
        char *to = l->stream + sizeof(prefix) - 1;
        memcpy(l->stream, prefix, sizeof(prefix));
        for (size_t i = 0; i < 8; i++) {
            *to++ = "0123456789abcdef"[digest[i] >> 4];
            *to++ = "0123456789abcdef"[digest[i] & 15];
        }
        *to = '\0';
    } else if (rc == BAKE_OK) {
        rc = my_nomem(c->ctx);
    }
    free(uid);
    return rc;
}

/* Are there binary logs, and may we know where they stand? */
static int look_at_binlogs(struct my_conn *c, const struct my_config *cfg, struct my_list *l)
{
    MYSQL_RES *r = NULL;
    char *on = NULL;
    if (cfg->binlogs == MY_BINLOGS_FALSE)
        return BAKE_OK;
    int rc = my_value(c, &on, "cannot ask for binary logs", "SELECT @@global.log_bin");
    bool is_on = rc == BAKE_OK && strcmp(on, "1") == 0;
    free(on);
    if (rc != BAKE_OK)
        return rc;
    if (!is_on && cfg->binlogs == MY_BINLOGS_TRUE)
        return bake_fail(c->ctx, BAKE_E_UNSUPPORTED,
                         "the server writes no binary logs, which 'binlogs: true' demands\n"
                         "HINT: set log_bin in the server's configuration");
    if (!is_on)
        return BAKE_OK;
    if (cfg->binlogs == MY_BINLOGS_TRUE)
        rc = my_query(c, &r, "cannot ask where the binary log stands", "SHOW MASTER STATUS");
    else if (my_try(c, &r, "SHOW MASTER STATUS") != BAKE_OK && !c->broken)
        bake_report(c->ctx, BAKE_NOTICE, NULL,
                    "the user may not see the binary logs: their position is not recorded, and "
                    "they are not kept (GRANT BINLOG MONITOR, REPLICATION SLAVE, RELOAD)");
    MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
    if (row && row[0]) {
        l->binlog = strdup(row[0]);
        l->binlogs = l->binlog != NULL;
        rc = l->binlog ? rc : my_nomem(c->ctx);
    }
    mysql_free_result(r);
    return rc;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static char *common_facts(const struct my_list *l, json_t *more)
{
    char *text = NULL;
    if (more && json_object_set_new(more, "server_version", json_string(l->server_version)) == 0)
        text = json_dumps(more, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(more);
    return text;
}

static char *append(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *out = malloc(n + m + 1);
    if (out) {
        memcpy(out, a, n);
        memcpy(out + n, b, m + 1);
    }
    return out;
}

static int fill(struct my_database *d, const struct my_list *l, const char *name,
                const char *charset, const char *collation, const char *bytes)
{
    char *safe = my_safe_name(name);
    d->name = strdup(name);
    d->component = safe ? append(safe, ".sql") : NULL;
    d->charset = strdup(charset);
    d->collation = strdup(collation);
    d->facts = common_facts(l, json_pack("{s:s, s:s, s:s, s:s}", "database", name, "charset",
                                         charset, "collation", collation, "format", "sql"));
    for (; bytes && *bytes >= '0' && *bytes <= '9'; bytes++)
        d->bytes = d->bytes * 10 + (uint64_t)(*bytes - '0');
    free(safe);
    return d->name && d->component && d->charset && d->collation && d->facts ? BAKE_OK
                                                                             : BAKE_E_NOMEM;
}

/* ---- databases ------------------------------------------------------------------------------- */

static int add(struct my_list *l, const char *name, const char *charset, const char *collation,
               const char *bytes)
{
    struct my_database *items = realloc(l->items, (l->n + 1) * sizeof(*items));
    if (!items)
        return BAKE_E_NOMEM;
    l->items = items;
    items[l->n] = (struct my_database){0};
    return fill(&items[l->n++], l, name, charset, collation, bytes);
}

static bool listed(const struct my_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return true;
    return false;
}

/* A database that is named but not there is planned: reading it fails, which does not keep the
 * others from being backed up. */
static int add_missing(struct bake_ctx *ctx, const struct my_config *cfg, struct my_list *l)
{
    for (const char *const *g = cfg->databases; g && *g; g++) {
        if (bkc_wild_special(*g)) {
            bool found = false;
            for (size_t i = 0; i < l->n && !found; i++)
                found = matches(*g, l->items[i].name);
            if (!found)
                bake_report(ctx, BAKE_WARNING, *g, "no database matches");
        } else if (!listed(l, *g) && !any(cfg->exclude_databases, *g)) {
            if (is_servers_own(*g))
                return bake_fail(ctx, BAKE_E_CONFIG,
                                 "'databases': '%s' is the server's own and not backed up\n"
                                 "HINT: accounts and what they may do are in users.sql",
                                 *g);
            if (add(l, *g, "", "", NULL) != BAKE_OK)
                return my_nomem(ctx);
        }
    }
    return BAKE_OK;
}

static int list_databases(struct my_conn *c, const struct my_config *cfg, struct my_list *l)
{
    MYSQL_RES *r = NULL;
    int rc = my_query(c, &r, "cannot list the databases",
                      "SELECT s.schema_name, s.default_character_set_name, "
                      "s.default_collation_name, t.bytes FROM information_schema.schemata s "
                      "LEFT JOIN (SELECT table_schema, SUM(data_length) AS bytes "
                      "FROM information_schema.tables GROUP BY table_schema) t "
                      "ON t.table_schema = s.schema_name ORDER BY BINARY s.schema_name");
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));) {
        uint64_t bytes = 0;
        for (const char *p = row[3] ? row[3] : ""; *p >= '0' && *p <= '9'; p++)
            bytes = bytes * 10 + (uint64_t)(*p - '0');
        l->base_bytes += bytes;
        if (is_wanted(cfg, row[0]) &&
            add(l, row[0], row[1] ? row[1] : "", row[2] ? row[2] : "", row[3]) != BAKE_OK)
            rc = my_nomem(c->ctx);
    }
    mysql_free_result(r);
    return rc == BAKE_OK ? add_missing(c->ctx, cfg, l) : rc;
}

static int make(struct my_conn *c, const struct my_config *cfg, struct my_list *l)
{
    l->version = c->version;
    l->server_version = strdup(mysql_get_server_info(c->my));
    if (!l->server_version)
        return my_nomem(c->ctx);
    int rc = make_stream(c, l);
    if (rc == BAKE_OK)
        rc = look_at_binlogs(c, cfg, l);
    if (rc == BAKE_OK)
        rc = list_databases(c, cfg, l);
    if (rc == BAKE_OK) {
        l->users_facts = common_facts(l, json_pack("{s:s}", "format", "sql"));
        l->base_facts = common_facts(l, json_pack("{s:s}", "format", "xbstream"));
    }
    return rc != BAKE_OK || (l->users_facts && l->base_facts) ? rc : my_nomem(c->ctx);
}

int my_list_make(struct bake_ctx *ctx, const struct my_config *cfg, struct my_list **ret)
{
    struct my_conn c;
    struct my_list *l = calloc(1, sizeof(*l));
    if (!l)
        return my_nomem(ctx);
    int rc = my_conn_open(ctx, cfg, NULL, NULL, &c);
    if (rc == BAKE_OK) {
        rc = make(&c, cfg, l);
        my_conn_close(&c);
    }
    if (rc == BAKE_OK)
        *ret = l;
    else
        my_list_free(l);
    return rc;
}

void my_list_free(struct my_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++) {
        struct my_database *d = &l->items[i];
        free(d->name);
        free(d->component);
        free(d->charset);
        free(d->collation);
        free(d->facts);
    }
    free(l->items);
    free(l->users_facts);
    free(l->base_facts);
    free(l->binlog);
    free(l->server_version);
    free(l->stream);
    free(l);
}

const struct my_database *my_list_find(const struct my_list *l, const char *component)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (strcmp(l->items[i].component, component) == 0)
            return &l->items[i];
    return NULL;
}
