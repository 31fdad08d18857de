/* Connections to the server: making one without blocking, so that a cancelled run ends at once. */
#include "conn.h"

#include "said.h"
#include "text.h"
#include "tools.h"
#include "wait.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CLOSED     "55000" /* a database that allows no connections */
#define CONNECT_MS 30000   /* at most, however long the server may be silent later */

/* ---- what the options say -------------------------------------------------------------------- */

struct keys {
    const char *key[24], *value[24];
    size_t n;
    char port[24];
};

static void put(struct keys *k, const char *key, const char *value)
{
    if (!value)
        return;
    k->key[k->n] = key;
    k->value[k->n++] = value;
}

static void put_port(struct keys *k, int64_t port)
{
    if (port <= 0)
        return;
    (void)snprintf(k->port, sizeof(k->port), "%d", (int)port);
    put(k, "port", k->port);
}

/* The name of a database is never taken for a connection string: expand_dbname is 0. */
static void keys_of(const struct pg_config *cfg, const char *database, struct keys *k)
{
    put(k, "service", cfg->service);
    put(k, "host", cfg->host);
    put_port(k, cfg->port);
    put(k, "user", cfg->user);
    put(k, "password", cfg->password);
    put(k, "sslmode", cfg->sslmode);
    put(k, "sslrootcert", cfg->sslrootcert);
    put(k, "sslcert", cfg->sslcert);
    put(k, "sslkey", cfg->sslkey);
    put(k, "dbname", database ? database : cfg->database);
    put(k, "application_name", "bakengine");
    put(k, "client_encoding", "UTF8");
    put(k, "keepalives_idle", "60");
    put(k, "keepalives_interval", "15");
    put(k, "keepalives_count", "4");
}

/* ---- why not --------------------------------------------------------------------------------- */

static const char *hint_of(int rc, const struct pg_config *cfg)
{
    if (rc == BAKE_E_AUTH)
        return cfg->password
                   ? "HINT: check 'user' and 'password', and the server's pg_hba.conf"
                   : "HINT: give 'password_file' (or a .pgpass file), and check 'user' and "
                     "the server's pg_hba.conf";
    if (rc == BAKE_E_NOTFOUND)
        return "HINT: 'database' names the one that questions are asked in (default: postgres)";
    if (rc == BAKE_E_UNAVAILABLE)
        return "HINT: is the server running, and are 'host' and 'port' right? A 'host' that begins "
               "with '/' is the directory of its socket";
    return NULL;
}

static int refused(struct bake_ctx *ctx, const struct pg_config *cfg, PGconn *pg)
{
    char state[6] = "", text[PG_SAID_MAX];
    pg_said_connect(PQerrorMessage(pg), state, text, sizeof(text));
    int rc = state[0] ? pg_rc_of_state(state) : BAKE_E_UNAVAILABLE;
    if (!state[0] && PQconnectionNeedsPassword(pg))
        rc = BAKE_E_AUTH;
    else if (!state[0] && pg_said_tls(text))
        rc = BAKE_E_CONFIG;
    else if (strcmp(state, CLOSED) == 0) /* it is no place to go to: as if it were not there */
        rc = BAKE_E_NOTFOUND;
    const char *hint = hint_of(rc, cfg);
    return bake_fail(ctx, rc, "cannot connect to the server: %s%s%s", text, hint ? "\n" : "",
                     hint ? hint : "");
}

static int poll_connect(struct bake_ctx *ctx, const struct pg_config *cfg, PGconn *pg)
{
    uint64_t limit = cfg->timeout > 0 && cfg->timeout < CONNECT_MS ? cfg->timeout : CONNECT_MS;
    int64_t end = pg_now_ms() + (int64_t)limit;
    PostgresPollingStatusType at = PGRES_POLLING_WRITING;
    while (at != PGRES_POLLING_OK) {
        if (at == PGRES_POLLING_FAILED)
            return refused(ctx, cfg, pg);
        int64_t left = end - pg_now_ms();
        int rc = left <= 0 ? BAKE_E_TIMEOUT
                           : pg_wait(ctx, PQsocket(pg), at == PGRES_POLLING_WRITING, left);
        if (rc == BAKE_E_TIMEOUT)
            return bake_fail(ctx, BAKE_E_TIMEOUT,
                             "cannot connect to the server: no answer within %u seconds",
                             (unsigned)(limit / 1000));
        if (rc == BAKE_E_CANCELLED)
            return rc;
        if (rc != BAKE_OK)
            return bake_fail(ctx, rc, "cannot wait for the server");
        at = PQconnectPoll(pg);
    }
    return BAKE_OK;
}

/* Takes pg, which has just begun. */
static int await_connection(struct bake_ctx *ctx, const struct pg_config *cfg, PGconn *pg,
                            struct pg_conn *ret)
{
    if (!pg)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    int rc = BAKE_OK;
    (void)PQsetErrorVerbosity(pg,
                              PQERRORS_VERBOSE); /* with SQLSTATE: there is no other way to it */
    if (PQstatus(pg) == CONNECTION_BAD)
        rc = refused(ctx, cfg, pg);
    else
        rc = poll_connect(ctx, cfg, pg);
    if (rc != BAKE_OK) {
        PQfinish(pg);
        return rc;
    }
    (void)PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    (void)PQsetNoticeProcessor(pg, pg_said_nothing, NULL);
    *ret = (struct pg_conn){
        .pg = pg, .ctx = ctx, .version = PQserverVersion(pg), .timeout = cfg->timeout};
    return BAKE_OK;
}

/* ---- connections ----------------------------------------------------------------------------- */

static int connect_to(struct bake_ctx *ctx, const struct pg_config *cfg, const struct keys *k,
                      struct pg_conn *ret)
{
    return await_connection(ctx, cfg, PQconnectStartParams(k->key, k->value, 0), ret);
}

/* Databases are dropped and made in a throw-away server, so it must be that one: whatever the
 * environment or a service says, it is reached by its socket. */
static int connect_there(struct bake_ctx *ctx, const struct pg_config *cfg,
                         const struct pg_place *place, const char *database, struct pg_conn *ret)
{
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof(name);
    struct pg_conn c = {0};
    char *where = pg_conninfo(cfg, place, database ? database : "postgres");
    char *text =
        where ? pg_text("%s application_name='bakengine' client_encoding='UTF8'", where) : NULL;
    PGconn *pg = text ? PQconnectStart(text) : NULL;
    free(where);
    free(text);
    int rc = await_connection(ctx, cfg, pg, &c);
    if (rc != BAKE_OK)
        return rc;
    if (getsockname(PQsocket(c.pg), (struct sockaddr *)&name, &size) == 0 &&
        name.ss_family == AF_UNIX) {
        *ret = c;
        return BAKE_OK;
    }
    pg_conn_close(&c);
    return bake_fail(ctx, BAKE_E_INTERNAL, "the server that answers is not the throw-away one");
}

bool pg_conn_answers(const struct pg_config *cfg, const struct pg_place *place,
                     const char *database)
{
    char *text = pg_conninfo(cfg, place, database);
    bool answers = text && PQping(text) == PQPING_OK;
    free(text);
    return answers;
}

static int settle(struct pg_conn *c, uint64_t lock_timeout)
{
    char lock[32];
    (void)snprintf(lock, sizeof(lock), "%llu", (unsigned long long)lock_timeout);
    const char *params[] = {lock};
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot set up the connection",
                      "SELECT pg_catalog.set_config('search_path', '', false),"
                      " pg_catalog.set_config('statement_timeout', '0', false),"
                      " pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),"
                      " pg_catalog.set_config('lock_timeout', $1, false),"
                      " pg_catalog.set_config('DateStyle', 'ISO', false),"
                      " pg_catalog.set_config('IntervalStyle', 'postgres', false),"
                      " pg_catalog.set_config('extra_float_digits', '3', false)",
                      1, params);
    PQclear(res);
    return rc;
}

int pg_conn_open(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                 const char *database, struct pg_conn *ret)
{
    struct keys k = {.n = 0};
    struct pg_conn c = {0};
    keys_of(cfg, database, &k);
    int rc = place ? connect_there(ctx, cfg, place, database, &c) : connect_to(ctx, cfg, &k, &c);
    if (rc == BAKE_OK && (rc = settle(&c, cfg->lock_timeout)) != BAKE_OK)
        pg_conn_close(&c);
    if (rc == BAKE_OK)
        *ret = c;
    return rc;
}

int pg_conn_open_replication(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_conn *ret)
{
    struct keys k = {.n = 0};
    keys_of(cfg, NULL, &k);
    put(&k, "replication", "true");
    return connect_to(ctx, cfg, &k, ret);
}

void pg_conn_close(struct pg_conn *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
}
