/* BASE_BACKUP: the conversation with the server. */
#include "base_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OLDEST 150000 /* the first version that sends everything in one COPY */

struct pg_stream {
    struct bake_ctx *ctx;
    const struct pg_config *cfg;
    struct pg_conn conn;
    struct pg_base_info info;
    char *message; /* libpq's, the last that came */
    bool over;
};

/* What a server's settings have to do with whether its files start elsewhere. */
static const char *const settings[] = {"archive_mode",
                                       "data_checksums",
                                       "in_hot_standby",
                                       "max_connections",
                                       "max_prepared_transactions",
                                       "max_locks_per_transaction",
                                       "max_wal_senders",
                                       "max_worker_processes",
                                       "shared_preload_libraries",
                                       NULL};

static int no_memory(struct pg_stream *s)
{
    return bake_fail(s->ctx, BAKE_E_NOMEM, "out of memory");
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* libpq's texts end in a newline, and may have several lines. */
static int lost(struct pg_stream *s, const char *what)
{
    const char *why = PQerrorMessage(s->conn.pg);
    int n = (int)strcspn(why, "\n");
    return bake_fail(s->ctx, BAKE_E_UNAVAILABLE, "cannot %s: %.*s", what, n > 0 ? n : 25,
                     n > 0 ? why : "the connection is lost");
}

/* Until there is something to read. */
static int await(struct pg_stream *s, const char *what)
{
    struct pollfd fds[2] = {{.fd = PQsocket(s->conn.pg), .events = POLLIN},
                            {.fd = s->ctx->host->cancel_fd(s->ctx), .events = POLLIN}};
    int timeout = s->cfg->timeout > 0 && s->cfg->timeout < 1u << 30 ? (int)s->cfg->timeout : -1;
    int n;
    if (fds[0].fd < 0)
        return lost(s, what);
    do
        n = poll(fds, 2, timeout);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return bake_fail(s->ctx, BAKE_E_IO, "cannot wait for the server: %s", strerror(errno));
    if (fds[1].revents || s->ctx->host->cancelled(s->ctx))
        return bake_fail(s->ctx, BAKE_E_CANCELLED, "cancelled");
    if (n == 0)
        return bake_fail(s->ctx, BAKE_E_TIMEOUT,
                         "cannot %s: the server sent nothing for %" PRIu64 " s", what,
                         s->cfg->timeout / 1000);
    return PQconsumeInput(s->conn.pg) ? BAKE_OK : lost(s, what);
}

static int refused(struct pg_stream *s, PGresult *result, const char *what)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *more = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (!state || !why)
        return lost(s, what);
    return bake_fail(s->ctx, pg_rc_of_state(state), "cannot %s: %s%s%s%s%s", what, why,
                     more ? ": " : "", more ? more : "", hint ? "\nHINT: " : "", hint ? hint : "");
}

/* The next result of what was sent; *ret NULL: there is none any more. An error of the server's is
 * said. */
static int result_of(struct pg_stream *s, const char *what, PGresult **ret)
{
    int rc;
    while (PQisBusy(s->conn.pg))
        if ((rc = await(s, what)) != BAKE_OK)
            return rc;
    PGresult *r = PQgetResult(s->conn.pg);
    ExecStatusType status = PQresultStatus(r);
    if (r && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_OUT) {
        rc = refused(s, r, what);
        PQclear(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

static int drain(struct pg_stream *s, const char *what)
{
    for (;;) {
        PGresult *r = NULL;
        int rc = result_of(s, what, &r);
        if (rc != BAKE_OK || !r)
            return rc;
        PQclear(r);
    }
}

static int send_command(struct pg_stream *s, const char *what, const char *command)
{
    return PQsendQuery(s->conn.pg, command) ? BAKE_OK : lost(s, what);
}

/* ---- before the backup ----------------------------------------------------------------------- */

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || v > (max - (uint64_t)(*text - '0')) / 10)
            return false;
        v = 10 * v + (uint64_t)(*text - '0');
    }
    *ret = v;
    return true;
}

static int identify(struct pg_stream *s)
{
    PGresult *r = NULL;
    int rc = pg_query(&s->conn, &r, "ask the server who it is", "IDENTIFY_SYSTEM", 0, NULL);
    if (rc != BAKE_OK)
        return rc;
    bool good = PQntuples(r) == 1 && PQnfields(r) >= 3;
    s->info.system_id = good ? strdup(PQgetvalue(r, 0, 0)) : NULL;
    PQclear(r);
    if (!good)
        return bake_fail(s->ctx, BAKE_E_IO, "the server does not say who it is");
    return s->info.system_id ? BAKE_OK : no_memory(s);
}

/* As the server writes it: "16MB", "1GB". */
static bool size_of(const char *text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"kB", 10}, {"MB", 20}, {"GB", 30}, {"B", 0}};
    char digits[24];
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n >= sizeof(digits))
        return false;
    memcpy(digits, text, n);
    digits[n] = '\0';
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(text + n, units[i].unit) == 0 && number(digits, UINT32_MAX, ret)) {
            *ret <<= units[i].shift;
            return true;
        }
    return false;
}

/* Failures that are not of one question. */
static bool ends_all(const struct pg_stream *s, int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM ||
           (rc != BAKE_OK && PQstatus(s->conn.pg) != CONNECTION_OK);
}

static int look_at_settings(struct pg_stream *s)
{
    json_t *all = s->info.settings = json_object();
    for (size_t i = 0; all && settings[i]; i++) {
        char command[80], *value = NULL;
        (void)snprintf(command, sizeof(command), "SHOW %s", settings[i]);
        int rc = pg_value(&s->conn, &value, "ask for a setting", command, 0, NULL);
        if (ends_all(s, rc))
            return rc;
        if (rc != BAKE_OK) /* it is not for everybody's eyes */
            continue;
        int failed = json_object_set_new(all, settings[i], json_string(value));
        free(value);
        if (failed)
            return no_memory(s);
    }
    return all ? BAKE_OK : no_memory(s);
}

static int look(struct pg_stream *s)
{
    char *size = NULL;
    int rc =
        pg_value(&s->conn, &size, "ask for wal_segment_size", "SHOW wal_segment_size", 0, NULL);
    if (rc != BAKE_OK)
        return rc;
    bool good = size_of(size, &s->info.segment_size) && s->info.segment_size > 0;
    free(size);
    return good ? look_at_settings(s)
                : bake_fail(s->ctx, BAKE_E_IO, "the server's wal_segment_size is not understood");
}

/* Keeps the log from the backup's start on, however long it takes; gone with the connection. */
static int reserve(struct pg_stream *s)
{
    char command[120];
    (void)snprintf(command, sizeof(command),
                   "CREATE_REPLICATION_SLOT bakengine_base_%ld_%d TEMPORARY PHYSICAL RESERVE_WAL",
                   (long)getpid(), PQbackendPID(s->conn.pg));
    int rc = pg_exec(&s->conn, "reserve the log for the time of the backup", command);
    if (ends_all(s, rc))
        return rc;
    if (rc != BAKE_OK)
        bake_report(s->ctx, BAKE_NOTICE, "base",
                    "no replication slot is free, so the backup fails if the server removes its "
                    "log meanwhile (max_replication_slots, wal_keep_size)");
    return BAKE_OK;
}

/* ---- the backup's beginning ------------------------------------------------------------------ */

static int take_start(struct pg_stream *s, PGresult *r)
{
    uint64_t timeline;
    if (PQntuples(r) < 1 || PQnfields(r) < 2 || !number(PQgetvalue(r, 0, 1), UINT32_MAX, &timeline))
        return bake_fail(s->ctx, BAKE_E_IO, "the server's answer to BASE_BACKUP is not understood");
    s->info.timeline = (uint32_t)timeline;
    s->info.start_lsn = strdup(PQgetvalue(r, 0, 0));
    return s->info.start_lsn ? BAKE_OK : no_memory(s);
}

/* Rows: oid, place, size in KiB; the base has no oid. */
static int take_tablespaces(struct pg_stream *s, PGresult *r)
{
    int rows = PQntuples(r);
    if (PQnfields(r) < 3)
        return bake_fail(s->ctx, BAKE_E_IO, "the server's list of tablespaces is not understood");
    s->info.tablespaces = calloc((size_t)rows + 1, sizeof(*s->info.tablespaces));
    if (!s->info.tablespaces)
        return no_memory(s);
    for (int i = 0; i < rows; i++) {
        uint64_t v;
        if (!PQgetisnull(r, i, 2) && number(PQgetvalue(r, i, 2), UINT64_MAX >> 11, &v))
            s->info.bytes += v << 10;
        if (PQgetisnull(r, i, 0))
            continue;
        if (!number(PQgetvalue(r, i, 0), UINT32_MAX, &v))
            return bake_fail(s->ctx, BAKE_E_IO, "a tablespace's number is not understood");
        struct pg_tablespace *t = &s->info.tablespaces[s->info.n_tablespaces++];
        t->oid = strdup(PQgetvalue(r, i, 0));
        t->path = strdup(PQgetvalue(r, i, 1));
        if (!t->oid || !t->path)
            return no_memory(s);
    }
    return BAKE_OK;
}

static int begin(struct pg_stream *s)
{
    static const char *const what = "begin the base backup";
    char command[320];
    PGresult *r = NULL;
    (void)snprintf(command, sizeof(command),
                   "BASE_BACKUP (LABEL 'bakengine', PROGRESS, CHECKPOINT '%s', WAL true, WAIT "
                   "false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256', TARGET 'client')",
                   s->cfg->fast_checkpoint ? "fast" : "spread");
    int rc = send_command(s, what, command);
    for (int i = 0; rc == BAKE_OK && i < 3; i++) {
        ExecStatusType wanted = i < 2 ? PGRES_TUPLES_OK : PGRES_COPY_OUT;
        rc = result_of(s, what, &r);
        if (rc == BAKE_OK && PQresultStatus(r) != wanted)
            rc = bake_fail(s->ctx, BAKE_E_IO,
                           "the server's answer to BASE_BACKUP is not understood");
        if (rc == BAKE_OK && i == 0)
            rc = take_start(s, r);
        if (rc == BAKE_OK && i == 1)
            rc = take_tablespaces(s, r);
        PQclear(r);
        r = NULL;
    }
    return rc;
}

int pg_stream_open(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_stream **ret)
{
    struct pg_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    s->ctx = ctx;
    s->cfg = cfg;
    int rc = pg_conn_open_replication(ctx, cfg, &s->conn);
    s->info.version = s->conn.version;
    if (rc == BAKE_OK && s->conn.version < OLDEST)
        rc = bake_fail(
            ctx, BAKE_E_UNSUPPORTED,
            "the server is PostgreSQL %d; base backups need 15 or newer\nHINT: use 'mode: "
            "logical'",
            s->conn.version / 10000);
    if (rc == BAKE_OK)
        rc = identify(s);
    if (rc == BAKE_OK)
        rc = look(s);
    if (rc == BAKE_OK)
        rc = reserve(s);
    if (rc == BAKE_OK)
        rc = begin(s);
    if (rc == BAKE_OK)
        *ret = s;
    else
        pg_stream_free(s);
    return rc;
}

void pg_stream_free(struct pg_stream *s)
{
    if (!s)
        return;
    PQfreemem(s->message);
    if (s->conn.pg)
        pg_conn_close(&s->conn);
    for (size_t i = 0; i < s->info.n_tablespaces; i++) {
        free(s->info.tablespaces[i].oid);
        free(s->info.tablespaces[i].path);
    }
    free(s->info.tablespaces);
    free(s->info.system_id);
    free(s->info.start_lsn);
    free(s->info.end_lsn);
    json_decref(s->info.settings);
    free(s);
}

const struct pg_base_info *pg_stream_info(const struct pg_stream *s) { return &s->info; }

/* ---- its data -------------------------------------------------------------------------------- */

static int finish(struct pg_stream *s)
{
    static const char *const what = "read the base backup to its end";
    PGresult *r = NULL;
    uint64_t timeline;
    int rc = result_of(s, what, &r);
    if (rc != BAKE_OK)
        return rc;
    if (!r || PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) < 1 || PQnfields(r) < 2 ||
        !number(PQgetvalue(r, 0, 1), UINT32_MAX, &timeline)) {
        PQclear(r);
        return bake_fail(s->ctx, BAKE_E_IO, "the server does not say where the base backup ends");
    }
    s->info.end_lsn = strdup(PQgetvalue(r, 0, 0));
    s->info.end_timeline = (uint32_t)timeline;
    PQclear(r);
    if (!s->info.end_lsn)
        return no_memory(s);
    rc = drain(s, what);
    s->over = rc == BAKE_OK;
    return s->over ? BAKE_END : rc;
}

/* One message of the COPY. OK | END. */
static int take_message(struct pg_stream *s, int *ret_n)
{
    static const char *const what = "read the base backup";
    for (;;) {
        PQfreemem(s->message);
        s->message = NULL;
        int rc, n = PQgetCopyData(s->conn.pg, &s->message, 1);
        if (n > 0) {
            *ret_n = n;
            return BAKE_OK;
        }
        if (n == -1)
            return finish(s);
        if (n < -1)
            return lost(s, what);
        if ((rc = await(s, what)) != BAKE_OK)
            return rc;
    }
}

/* 'n', the archive's name and the tablespace's place, both NUL-ended: "16384.tar". */
static int take_archive(struct pg_stream *s, size_t n, const char **ret_data, size_t *ret_n)
{
    char *name = s->message + 1, *end = memchr(name, '\0', n - 1);
    if (!end)
        return bake_fail(s->ctx, BAKE_E_IO, "the base backup has an archive without a name");
    size_t digits = strspn(name, "0123456789");
    if (strcmp(name, "base.tar") == 0)
        *name = '\0';
    else if (digits > 0 && strcmp(name + digits, ".tar") == 0)
        name[digits] = '\0';
    else
        return bake_fail(s->ctx, BAKE_E_IO, "the base backup has an archive '%s'", name);
    *ret_data = name;
    *ret_n = strlen(name);
    return BAKE_OK;
}

int pg_stream_next(struct pg_stream *s, enum pg_piece *ret_piece, const char **ret_data,
                   size_t *ret_n)
{
    int n = 0, rc;
    if (s->over)
        return BAKE_END;
    for (;;) {
        if ((rc = take_message(s, &n)) != BAKE_OK)
            return rc;
        switch (s->message[0]) {
        case 'n':
            *ret_piece = PG_PIECE_ARCHIVE;
            return take_archive(s, (size_t)n, ret_data, ret_n);
        case 'm':
            *ret_piece = PG_PIECE_MANIFEST;
            return BAKE_OK;
        case 'd':
            *ret_piece = PG_PIECE_DATA;
            *ret_data = s->message + 1;
            *ret_n = (size_t)n - 1;
            if (n > 1)
                return BAKE_OK;
            break;
        case 'p': /* how far it is: the engine counts for itself */
            break;
        default:
            return bake_fail(s->ctx, BAKE_E_IO, "the base backup has a message of kind %d",
                             (unsigned char)s->message[0]);
        }
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool hex(const char *text, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    if (n == 0 || n > 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;
        if (d > 15)
            return false;
        v = v << 4 | d;
    }
    *ret = v;
    return true;
}

int pg_segment_of(const char *lsn, uint32_t timeline, uint64_t segment_size,
                  char ret[PG_SEGMENT_NAME])
{
    const char *slash = strchr(lsn, '/');
    uint64_t high, low;
    if (!slash || segment_size == 0 || segment_size > UINT32_MAX ||
        !hex(lsn, (size_t)(slash - lsn), &high) || !hex(slash + 1, strlen(slash + 1), &low))
        return BAKE_E_CORRUPT;
    (void)snprintf(ret, PG_SEGMENT_NAME, "%08" PRIX32 "/%08" PRIX32 "%08" PRIX64 "%08" PRIX64,
                   timeline, timeline, high, low / segment_size);
    return BAKE_OK;
}
