/* Fingerprints: what the server counted of writes, and the little that it does not count. The
 * README says what this sees and what not.
 *
 * Two equal fingerprints must mean: no write in between. Counts reach the statistics a while after
 * their transaction, up to the 10 seconds that an idle session keeps them (PGSTAT_IDLE_INTERVAL).
 * So first it is made sure that no session of the database can have kept any back, then they are
 * read: whatever was committed before the first step is in them. */
#include "fingerprint.h"

#include "text.h"
#include "tools.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME    "pg1"  /* changes with what goes into it, and with how dumps are made */
#define OLDEST    150000 /* before, statistics went by datagrams that may be lost */
#define SEQUENCES 200    /* asked for at once */

/* One who has been idle for so long keeps no counts back. */
#define BUSY                                                                                       \
    "SELECT datid FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid()"       \
    " AND datid <> 0 AND backend_type IS DISTINCT FROM 'autovacuum worker'"                        \
    " AND (state IS DISTINCT FROM 'idle' OR state_change IS NULL"                                  \
    "  OR state_change > pg_catalog.clock_timestamp() - interval '25 seconds')"                    \
    " UNION SELECT setdatabase FROM pg_catalog.pg_db_role_setting"                                 \
    " WHERE pg_catalog.array_to_string(setconfig, ',') LIKE '%track_counts=%'"                     \
    " UNION SELECT 0 WHERE pg_catalog.current_setting('track_counts') <> 'on'"

/* After a crash all counts begin anew; the background writer's tell that. Owners and tablespaces
 * are in dumps by their names, which do not stand in the database itself. */
#define SERVER                                                                                     \
    "SELECT pg_catalog.concat_ws(' ',"                                                             \
    " (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),"                               \
    " (SELECT extract(epoch FROM stats_reset) FROM pg_catalog.pg_stat_bgwriter),"                  \
    " (SELECT pg_catalog.string_agg(pg_catalog.concat(oid, '=', pg_catalog.quote_ident(rolname))," \
    "  ',' ORDER BY oid) FROM pg_catalog.pg_roles),"                                               \
    " (SELECT pg_catalog.string_agg(pg_catalog.concat(oid, '=', pg_catalog.quote_ident(spcname))," \
    "  ',' ORDER BY oid) FROM pg_catalog.pg_tablespace))"

#define COUNTS                                                                                     \
    "SELECT datid, pg_catalog.concat_ws(' ', tup_inserted, tup_updated, tup_deleted,"              \
    " extract(epoch FROM stats_reset)) FROM pg_catalog.pg_stat_database WHERE datid <> 0"

#define LIST_SEQUENCES                                                                             \
    "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"    \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                                    \
    " WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY c.oid"

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- hashing --------------------------------------------------------------------------------- */

/* With its length, so that no two lists of texts look the same. */
static void put(EVP_MD_CTX *md, const char *text)
{
    char head[32];
    int n = text ? snprintf(head, sizeof(head), "%zu:", strlen(text))
                 : snprintf(head, sizeof(head), "-");
    (void)EVP_DigestUpdate(md, head, (size_t)n);
    if (text)
        (void)EVP_DigestUpdate(md, text, strlen(text));
}

static void put_list(EVP_MD_CTX *md, const char *const *list)
{
    for (; list && *list; list++)
        put(md, *list);
    put(md, NULL);
}

static char *finish(EVP_MD_CTX *md)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex(md, sum, &n) != 1)
        return NULL;
    char *text = malloc(sizeof(SCHEME) + 1 + 2 * (size_t)n), *to = text;
    if (!text)
        return NULL;
    memcpy(to, SCHEME "-", sizeof(SCHEME));
    to += sizeof(SCHEME);
    for (unsigned i = 0; i < n; i++)
        to += snprintf(to, 3, "%02x", sum[i]);
    return text;
}

/* ---- sequences: their values are not counted as writes --------------------------------------- */

static int hash_batch(struct pg_conn *c, EVP_MD_CTX *md, const PGresult *list, int from, int to)
{
    char *sql = NULL;
    for (int i = from; i < to; i++) {
        char *more =
            pg_text("%s%sSELECT %s, last_value, is_called FROM %s", sql ? sql : "",
                    sql ? " UNION ALL " : "", PQgetvalue(list, i, 0), PQgetvalue(list, i, 1));
        free(sql);
        if (!(sql = more))
            return nomem(c->ctx);
    }
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot read the sequences", sql, 0, NULL);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(res); i++)
        for (int k = 0; k < 3; k++)
            put(md, PQgetvalue(res, i, k));
    PQclear(res);
    free(sql);
    return rc;
}

static int hash_sequences(struct pg_conn *c, EVP_MD_CTX *md)
{
    PGresult *list = NULL;
    int rc = pg_query(c, &list, "cannot list the sequences", LIST_SEQUENCES, 0, NULL);
    int n = rc == BAKE_OK ? PQntuples(list) : 0;
    for (int at = 0; rc == BAKE_OK && at < n; at += SEQUENCES)
        rc = hash_batch(c, md, list, at, n - at < SEQUENCES ? n : at + SEQUENCES);
    PQclear(list);
    return rc;
}

/* ---- subscriptions: they stand in a catalog of the whole server, whose writes are not the
 * database's. Only superusers dump them, and may see when they were changed. ------------------- */

static int hash_subscriptions(struct pg_conn *c, EVP_MD_CTX *md)
{
    const char *super = PQparameterStatus(c->pg, "is_superuser");
    char *all = NULL;
    if (!super || strcmp(super, "on") != 0)
        return BAKE_OK;
    int rc = pg_value(c, &all, "cannot look at the subscriptions",
                      "SELECT pg_catalog.string_agg(pg_catalog.concat(s.oid, '=', s.xmin), ','"
                      " ORDER BY s.oid) FROM pg_catalog.pg_subscription s"
                      " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
                      " WHERE d.datname = pg_catalog.current_database()",
                      0, NULL);
    if (rc == BAKE_OK)
        put(md, all);
    free(all);
    return rc;
}

/* ---- one database ---------------------------------------------------------------------------- */

struct job {
    const struct pg_config *cfg;
    PGresult *busy, *counts;
    char *server, *tool;
};

static const char *value_of(const PGresult *res, const char *oid, int column)
{
    for (int i = 0; i < PQntuples(res); i++)
        if (strcmp(PQgetvalue(res, i, 0), oid) == 0)
            return PQgetvalue(res, i, column);
    return NULL;
}

static void put_options(EVP_MD_CTX *md, const struct pg_config *cfg)
{
    put(md, cfg->format == PG_CUSTOM ? "custom" : "plain");
    put_list(md, cfg->schemas);
    put_list(md, cfg->exclude_schemas);
    put_list(md, cfg->tables);
    put_list(md, cfg->exclude_tables);
    put_list(md, cfg->exclude_table_data);
}

static char *make(struct pg_conn *c, EVP_MD_CTX *md, const struct job *job,
                  const struct pg_database *d, const char *counts)
{
    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        return NULL;
    put(md, job->tool);
    put(md, job->server);
    put(md, d->oid);
    put(md, d->facts); /* the server and its version, the owner, settings and rights */
    put(md, counts);
    put_options(md, job->cfg);
    return hash_sequences(c, md) == BAKE_OK && hash_subscriptions(c, md) == BAKE_OK ? finish(md)
                                                                                    : NULL;
}

/* NULL where it cannot be relied on, for whatever reason: the database is dumped then. */
static char *of_database(struct bake_ctx *ctx, const struct job *job, const struct pg_database *d)
{
    const char *counts = d->oid ? value_of(job->counts, d->oid, 1) : NULL;
    if (!d->exists || !d->allows || !counts || value_of(job->busy, d->oid, 0) ||
        value_of(job->busy, "0", 0))
        return NULL;
    struct pg_conn c = {0};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    char *text = NULL;
    if (md && pg_conn_open(ctx, job->cfg, NULL, d->name, &c) == BAKE_OK) {
        text = make(&c, md, job, d, counts);
        pg_conn_close(&c);
    }
    EVP_MD_CTX_free(md);
    return text;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int gather(struct pg_conn *c, const struct pg_config *cfg, const struct pg_list *l,
                  struct job *job)
{
    char *path = NULL;
    job->cfg = cfg;
    int rc = pg_query(c, &job->busy, "cannot see who is connected", BUSY, 0, NULL);
    if (rc == BAKE_OK)
        rc = pg_query(c, &job->counts, "cannot read the statistics", COUNTS, 0, NULL);
    if (rc == BAKE_OK)
        rc = pg_value(c, &job->server, "cannot read the state of the server", SERVER, 0, NULL);
    if (rc == BAKE_OK)
        rc = pg_tool(c->ctx, cfg, "pg_dump", l->version_num, &path, &job->tool);
    free(path);
    return rc;
}

int pg_fingerprints(struct pg_conn *c, const struct pg_config *cfg, struct pg_list *l)
{
    struct job job = {0};
    int rc = BAKE_OK;
    /* a standby counts nothing of what it replays */
    if (c->version >= OLDEST && !l->replica && gather(c, cfg, l, &job) == BAKE_OK)
        for (size_t i = 0; i < l->n && !c->ctx->host->cancelled(c->ctx); i++)
            l->items[i].fingerprint = of_database(c->ctx, &job, &l->items[i]);
    if (c->ctx->host->cancelled(c->ctx))
        rc = BAKE_E_CANCELLED;
    PQclear(job.busy);
    PQclear(job.counts);
    free(job.server);
    free(job.tool);
    return rc;
}
